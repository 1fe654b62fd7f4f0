"""What a trained model says about its training: the file ``training.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from converters.errors import SourceError
from edge_sdk.contract import document
from edge_sdk.contract.document import Fields
from edge_sdk.errors import FormatError
from feature_spec.canonical import canonical_json

F32 = NDArray[np.float32]

FORMAT: Final = "coach-edge/training/1"
_MAX_BYTES: Final = 4_000_000


@dataclass(frozen=True)
class DataSummary:
    """What the model was fitted on.

    Attributes:
        source: ``synthetic`` or ``files``.
        sha256: Digest of each file by name; for made-up data of the feature rows, as ``rows``.
        licence: Of the data, in words, as whoever trained stated it.
        cutoffs: Cut-off days as text, ``none`` for the end of the log.
        rows: Rows that the model was fitted on.
        people: Persons behind them.
        base_rate: Share of positive labels among them.
        notices: What was left out while reading.
    """

    source: str
    sha256: Mapping[str, str]
    licence: str
    cutoffs: tuple[str, ...]
    rows: int
    people: int
    base_rate: float
    notices: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        lists = {"cutoffs": list(self.cutoffs), "notices": list(self.notices)}
        return {**vars(self), **lists, "sha256": dict(self.sha256)}

    @classmethod
    def from_json(cls, value: object) -> DataSummary:
        f = Fields(value, "training.json: data")
        return cls(
            source=f.text("source"),
            sha256={str(key): str(digest) for key, digest in f.mapping("sha256").items()},
            licence=f.text("licence"),
            cutoffs=tuple(str(item) for item in f.array("cutoffs")),
            rows=f.integer("rows"),
            people=f.integer("people"),
            base_rate=f.number("base_rate"),
            notices=tuple(str(item) for item in f.array("notices")),
        )


@dataclass(frozen=True, eq=False)
class HeldOut:
    """A row of a person that took no part in fitting or measuring."""

    user: str
    cutoff: str
    label: int
    features: F32

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "features": _numbers(self.features)}

    @classmethod
    def from_json(cls, value: object) -> HeldOut:
        f = Fields(value, "training.json: held_out")
        return cls(f.text("user"), f.text("cutoff"), f.integer("label", 0, 1), _floats(f.array("features")))


@dataclass(frozen=True, eq=False)
class TrainingRecord:
    """All of ``training.json``.

    Attributes:
        model: Zoo name.
        seed: What all randomness came from.
        data: What the model was fitted on.
        metrics: ``{model: {cutoff: {metric: figure}}}``, as results are written everywhere.
        quantiles: float32 [k, F], evenly spaced quantiles of each feature over the fitted rows.
        held_out: Rows of persons that took no part.
        quality: ``score`` of the data and the ``threshold`` that it had to reach; empty in an older record.
    """

    model: str
    seed: int
    data: DataSummary
    metrics: Mapping[str, Any]
    quantiles: F32
    held_out: tuple[HeldOut, ...]
    quality: Mapping[str, Any] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Canonical JSON; the same training gives the same bytes."""
        return canonical_json(
            {
                "format": FORMAT,
                "model": self.model,
                "seed": self.seed,
                "data": self.data.to_json(),
                "metrics": self.metrics,
                "quantiles": [_numbers(row) for row in self.quantiles],
                "held_out": [row.to_json() for row in self.held_out],
                "quality": dict(self.quality),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> TrainingRecord:
        """Read what `to_bytes` wrote.

        Raises:
            SourceError: the bytes are something else.
        """
        try:
            parsed = document.parse(data, "training.json", max_bytes=_MAX_BYTES)
            f = Fields(parsed, "training.json")
            f.format(FORMAT)
            return cls(
                model=f.text("model"),
                seed=f.integer("seed"),
                data=DataSummary.from_json(f.mapping("data")),
                metrics=f.mapping("metrics"),
                quantiles=np.stack([_floats(row) for row in f.array("quantiles")]),
                held_out=tuple(HeldOut.from_json(item) for item in f.array("held_out")),
                quality=f.mapping("quality") if "quality" in parsed else {},
            )
        except (FormatError, ValueError, TypeError) as error:
            raise SourceError(f"{error}; train again") from error


def _numbers(values: F32) -> list[float]:
    """float32 as the doubles that equal them, so that nothing is rounded."""
    return [float(value) for value in values]


def _floats(values: object) -> F32:
    numbers = np.asarray(values, np.float32)
    if numbers.ndim != 1 or not np.isfinite(numbers).all():
        raise ValueError("training.json: a row of features is not a list of numbers")
    return numbers
