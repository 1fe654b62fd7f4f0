"""The trained ensemble as plain arrays: what training hands to conversion, and its reference answer.

Nothing here knows scikit-learn, Keras or TensorFlow. ``Ensemble.predict`` is the definition of the three
outputs that every converted twin must reproduce.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from converters.errors import SourceError
from converters.forest import Forest as Forest
from converters.frozen_arrays import F32, F64, freeze

Activation = Literal["relu", "sigmoid"]

OUTPUTS: Final = ("probability", "confidence", "contributions")

_FORMAT: Final = "coach-edge/ensemble/1"
_ARRAYS: Final = "ensemble.npz"
_HEADER: Final = "ensemble.json"
_ROWS_AT_ONCE: Final = 1024  # bounds the memory of occlusion, which multiplies rows by features


@dataclass(frozen=True, eq=False)
class Dense:
    """One fully connected layer: ``activation(x @ kernel + bias)``.

    Attributes:
        kernel: float32 [in, out].
        bias: float32 [out].
        activation: ``relu`` or ``sigmoid``.
    """

    kernel: F32
    bias: F32
    activation: Activation

    def __post_init__(self) -> None:
        freeze(self, "kernel", np.float32, 2)
        freeze(self, "bias", np.float32, 1)
        if self.kernel.shape[1] != len(self.bias) or not self.kernel.size:
            raise SourceError(f"a layer's kernel is {self.kernel.shape} and its bias {self.bias.shape}")
        if self.activation not in get_args(Activation):
            raise SourceError(
                f"unknown activation {self.activation!r}; known: {', '.join(get_args(Activation))}"
            )


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Random forest, dense network and the logistic regression that weighs them.

    Attributes:
        feature_names: F names, in input order.
        low: [F] smallest value the model sees; smaller inputs are clipped, in every twin.
        high: [F] largest value the model sees.
        mean: [F] subtracted from clipped inputs for the network only (trees take them as they are).
        std: [F] divides them after that; positive.
        baseline: [F] what a feature is replaced by to measure its contribution; within low..high.
        forest: the trees.
        layers: the network; the last layer has one sigmoid unit.
        meta_weights: [2] weights of (forest probability, network probability).
        meta_bias: bias of the logistic regression.
    """

    feature_names: tuple[str, ...]
    low: F32
    high: F32
    mean: F32
    std: F32
    baseline: F32
    forest: Forest
    layers: tuple[Dense, ...]
    meta_weights: F64
    meta_bias: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "feature_names", tuple(self.feature_names))
        object.__setattr__(self, "layers", tuple(self.layers))
        object.__setattr__(self, "meta_bias", float(self.meta_bias))
        count = len(self.feature_names)
        if not count or len(set(self.feature_names)) != count or not all(self.feature_names):
            raise SourceError("feature_names must be distinct and not empty")
        for name in ("low", "high", "mean", "std", "baseline"):
            freeze(self, name, np.float32, 1)
            if len(getattr(self, name)) != count:
                raise SourceError(f"{name} has {len(getattr(self, name))} entries for {count} features")
        freeze(self, "meta_weights", np.float64, 1)
        if len(self.meta_weights) != 2 or not np.isfinite(self.meta_bias):
            raise SourceError("the meta-learner needs two finite weights and a finite bias")
        self._check_ranges()
        self._check_network()
        if self.forest.feature.max() >= count:
            raise SourceError(f"the forest compares column {self.forest.feature.max()} of {count} features")

    def _check_ranges(self) -> None:
        for wrong, why in (
            (self.low > self.high, "has low above high"),
            (self.std <= 0, "has a standard deviation that is not positive"),
            ((self.baseline < self.low) | (self.baseline > self.high), "has its baseline outside low..high"),
        ):
            if wrong.any():
                raise SourceError(f"feature {self.feature_names[int(np.argmax(wrong))]} {why}")

    def _check_network(self) -> None:
        width = len(self.feature_names)
        for number, layer in enumerate(self.layers):
            if layer.kernel.shape[0] != width:
                raise SourceError(f"layer {number} takes {layer.kernel.shape[0]} values but is given {width}")
            width = layer.kernel.shape[1]
        if not self.layers or width != 1 or self.layers[-1].activation != "sigmoid":
            raise SourceError("the network must end in one sigmoid unit")

    def probability(self, x: F32) -> F32:
        """Success probability: float32 [n, F] -> float32 [n, 1]; see ``predict``."""
        rows = self._clipped(x)
        parts = [self._score(rows[at : at + _ROWS_AT_ONCE])[0] for at in range(0, len(rows), _ROWS_AT_ONCE)]
        return _column(np.concatenate([np.empty(0), *parts]))

    def predict(self, x: F32) -> dict[str, F32]:
        """The reference answer, accumulated in float64.

        * ``probability`` [n, 1]: sigmoid(w . (forest, network) + b); the forest's probability is the mean of
          its trees' leaf values.
        * ``confidence`` [n, 1]: 1 - 2 sd, sd the population standard deviation of the trees' leaf values: how
          far the trees agree. Values in 0..1 deviate by at most 0.5, so this lies in 0..1 too.
        * ``contributions`` [n, F]: p(x) - p(x with feature i replaced by its baseline), in units of
          probability (occlusion, after Zeiler and Fergus 2014); positive where the feature helps.

        Args:
            x: float32 [n, F], columns as in ``feature_names``; values outside low..high are clipped.

        Raises:
            SourceError: another dtype or shape, or a NaN.
        """
        rows = self._clipped(x)
        count = len(self.feature_names)
        probability, confidence = np.empty(len(rows)), np.empty(len(rows))
        contributions = np.empty((len(rows), count))
        for at in range(0, len(rows), _ROWS_AT_ONCE):
            part = slice(at, at + _ROWS_AT_ONCE)
            probability[part], trees = self._score(rows[part])
            confidence[part] = 1 - 2 * trees.std(axis=1)
            for column in range(count):
                occluded = rows[part].copy()
                occluded[:, column] = self.baseline[column]
                contributions[part, column] = probability[part] - self._score(occluded)[0]
        return {
            "probability": _column(probability),
            "confidence": _column(confidence),
            "contributions": contributions.astype(np.float32),
        }

    def _clipped(self, x: F32) -> F32:
        if x.dtype != np.float32 or x.ndim != 2 or x.shape[1] != len(self.feature_names):
            raise SourceError(f"rows must be float32 [n, {len(self.feature_names)}], got {x.dtype} {x.shape}")
        if np.isnan(x).any():
            raise SourceError(f"row {int(np.argmax(np.isnan(x).any(axis=1)))} holds a NaN; fill it first")
        return np.clip(x, self.low, self.high)

    def _score(self, rows: F32) -> tuple[F64, F64]:
        """Probability [n] and the trees' answers [n, trees] for clipped rows."""
        trees = self.forest.leaf_values(rows)
        hidden: F64 = (rows.astype(np.float64) - self.mean) / self.std
        for layer in self.layers:
            hidden = hidden @ layer.kernel.astype(np.float64) + layer.bias
            hidden = np.maximum(hidden, 0) if layer.activation == "relu" else _sigmoid(hidden)
        both = np.stack([trees.mean(axis=1), hidden[:, 0]], axis=1)
        return _sigmoid(both @ self.meta_weights + self.meta_bias), trees

    def save(self, directory: Path) -> None:
        """Write ``ensemble.npz`` and ``ensemble.json`` with its hash; the same model gives the same bytes."""
        buffer = io.BytesIO()
        arrays: dict[str, Any] = self._arrays()  # numpy types the keyword values as bool | array
        np.savez_compressed(buffer, **arrays)
        header = {
            "format": _FORMAT,
            "feature_names": list(self.feature_names),
            "activations": [layer.activation for layer in self.layers],
            "arrays_sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),
        }
        directory.mkdir(parents=True, exist_ok=True)
        # Arrays first: should the second write never happen, the old hash refuses the new arrays.
        _replace(directory / _ARRAYS, buffer.getvalue())
        _replace(directory / _HEADER, json.dumps(header, indent=1).encode() + b"\n")

    @classmethod
    def load(cls, directory: Path) -> Ensemble:
        """Read what ``save`` wrote. No pickle is read.

        Raises:
            SourceError: files are missing, damaged, or do not describe an ensemble.
        """
        try:
            header = json.loads((directory / _HEADER).read_bytes())
            data = (directory / _ARRAYS).read_bytes()
        except OSError as error:
            raise SourceError(
                f"{directory} is not a trained model ({error.strerror}); run: edge train"
            ) from error
        except ValueError as error:
            raise SourceError(f"{directory / _HEADER} is not JSON: {error}") from error
        if not isinstance(header, dict) or header.get("format") != _FORMAT:
            raise SourceError(f"{directory / _HEADER} does not have the format {_FORMAT}; train again")
        if hashlib.sha256(data).hexdigest() != header.get("arrays_sha256"):
            raise SourceError(f"{directory / _ARRAYS} is not what {_HEADER} describes; train again")
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            return cls._from_arrays(header["feature_names"], header["activations"], arrays)
        except SourceError as error:
            raise SourceError(f"{directory} does not hold an ensemble: {error}; train again") from error
        except (KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise SourceError(f"{directory} does not hold an ensemble ({error}); train again") from error

    def _arrays(self) -> dict[str, NDArray[np.generic]]:
        arrays: dict[str, NDArray[np.generic]] = {
            name: getattr(self, name) for name in ("low", "high", "mean", "std", "baseline", "meta_weights")
        }
        arrays["meta_bias"] = np.array(self.meta_bias)
        for name in ("feature", "threshold", "left", "right", "value", "roots"):
            arrays[f"forest.{name}"] = getattr(self.forest, name)
        for number, layer in enumerate(self.layers):
            arrays[f"layer{number}.kernel"], arrays[f"layer{number}.bias"] = layer.kernel, layer.bias
        return arrays

    @classmethod
    def _from_arrays(
        cls, feature_names: list[str], activations: list[Activation], arrays: Mapping[str, NDArray[Any]]
    ) -> Ensemble:
        forest = ("feature", "threshold", "left", "right", "value", "roots")
        return cls(
            feature_names=tuple(feature_names),
            **{name: arrays[name] for name in ("low", "high", "mean", "std", "baseline", "meta_weights")},
            forest=Forest(**{name: arrays[f"forest.{name}"] for name in forest}),
            layers=tuple(
                Dense(arrays[f"layer{number}.kernel"], arrays[f"layer{number}.bias"], activation)
                for number, activation in enumerate(activations)
            ),
            meta_bias=float(arrays["meta_bias"]),
        )


def _sigmoid(x: F64) -> F64:
    # Written with tanh because it cannot overflow, whatever the sign.
    return 0.5 * (1 + np.tanh(0.5 * x))


def _column(values: F64) -> F32:
    return values.astype(np.float32)[:, None]


def _replace(path: Path, data: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
