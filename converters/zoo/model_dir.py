"""A trained model as a directory: what ``edge train`` writes and converting, sealing and the demo read.

* ``ensemble.json``, ``ensemble.npz``: the model (see `converters.ensemble`).
* ``training.json``: data, seed, metrics, held-out persons (see `converters.zoo.training_record`).
* ``feature_spec.json``: the definitions of its features, canonical JSON.
* ``quality.json``: how the data was judged (see `feature_spec.quality`); older models have none.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from converters.ensemble import Ensemble
from converters.errors import ConverterError, SourceError
from converters.zoo.catalogue import ZooModel, find
from converters.zoo.training_record import TrainingRecord
from edge_sdk.contract import document
from edge_sdk.errors import FormatError
from feature_spec.canonical import canonical_json
from feature_spec.definition import FeatureSpec
from feature_spec.errors import DefinitionError

_TRAINING: Final = "training.json"
_FEATURES: Final = "feature_spec.json"
_QUALITY: Final = "quality.json"
_MAX_SPEC_BYTES: Final = 1_000_000


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A model with everything that conversion and sealing need to know about it.

    ``quality`` is the file ``quality.json``, kept as it is; None where there is none.
    """

    ensemble: Ensemble
    spec: FeatureSpec
    training: TrainingRecord
    quality: bytes | None = None

    def __post_init__(self) -> None:
        if self.ensemble.feature_names != self.spec.names:
            raise SourceError("the ensemble and feature_spec.json name different features; train again")
        width = len(self.spec.names)
        rows = [self.training.quantiles, *(row.features[None] for row in self.training.held_out)]
        if any(block.ndim != 2 or block.shape[1] != width for block in rows) or len(rows[0]) < 2:
            raise SourceError(f"training.json holds rows that do not have {width} features; train again")

    @property
    def zoo(self) -> ZooModel:
        """What the zoo says of this model: outputs, rules."""
        return find(self.training.model)

    @property
    def fallback(self) -> dict[str, float]:
        """What to answer when the model cannot: the base rate, and that nothing is known."""
        return {"probability": self.training.data.base_rate, "confidence": 0.0, "contributions": 0.0}

    @property
    def held_out_features(self) -> NDArray[np.float32]:
        """float32 [rows, F] of the persons that took no part."""
        if not self.training.held_out:
            return np.empty((0, len(self.spec.names)), np.float32)
        return np.stack([row.features for row in self.training.held_out])

    @property
    def feature_spec_bytes(self) -> bytes:
        """The file ``feature_spec.json``; its SHA-256 is the fingerprint of the spec."""
        return canonical_json(self.spec.to_json())


def check_out(directory: Path) -> None:
    """Refuse a place that `save_model` would refuse, before any time is spent on training.

    Raises:
        ConverterError: it is a file, or holds something other than a trained model.
    """
    if directory.is_dir():
        if any(directory.iterdir()) and not (directory / _TRAINING).is_file():
            raise ConverterError(f"{directory} holds other files; choose an empty or new directory for --out")
    elif directory.exists():
        raise ConverterError(f"{directory} is a file; choose a directory for --out")
    try:
        with _beside(directory):
            pass
    except OSError as error:
        raise ConverterError(
            f"{directory}: cannot be written ({error.strerror}); choose another --out"
        ) from error


def save_model(model: TrainedModel, directory: Path) -> None:
    """Write the model; the directory appears whole or not at all, in place of an older model there.

    Raises:
        ConverterError: the place is taken by something else, or cannot be written.
    """
    check_out(directory)
    try:
        with _beside(directory) as partial:
            model.ensemble.save(partial)
            _write(partial / _FEATURES, model.feature_spec_bytes)
            _write(partial / _TRAINING, model.training.to_bytes())
            if model.quality is not None:
                _write(partial / _QUALITY, model.quality)
            _replace(partial, directory)
    except OSError as error:
        raise ConverterError(
            f"{directory}: cannot be written ({error.strerror}); choose another --out"
        ) from error


def load_model(directory: Path) -> TrainedModel:
    """Read what `save_model` wrote. No pickle is read.

    Raises:
        SourceError: files are missing, damaged or do not fit together.
    """
    ensemble = Ensemble.load(directory)
    try:
        training, features = ((directory / name).read_bytes() for name in (_TRAINING, _FEATURES))
        spec = FeatureSpec.from_json(
            document.parse(features, str(directory / _FEATURES), max_bytes=_MAX_SPEC_BYTES)
        )
        quality = (directory / _QUALITY).read_bytes() if (directory / _QUALITY).is_file() else None
    except OSError as error:
        raise SourceError(
            f"{directory} is not a trained model ({error.strerror}); run: edge train"
        ) from error
    except (FormatError, DefinitionError) as error:
        raise SourceError(f"{directory}: {error}; train again") from error
    return TrainedModel(ensemble, spec, TrainingRecord.from_bytes(training), quality)


@contextlib.contextmanager
def _beside(directory: Path) -> Iterator[Path]:
    """A private directory next to ``directory``, so that a rename can put it in place; gone afterwards."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        partial = scratch / "new"
        partial.mkdir()
        yield partial
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _replace(partial: Path, directory: Path) -> None:
    """Put ``partial`` where ``directory`` is. An old model steps aside first and comes back if that fails."""
    old = partial.with_name("old")
    if directory.exists():
        directory.rename(old)
    try:
        partial.rename(directory)
    except OSError:
        if old.exists():
            old.rename(directory)
        raise


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
