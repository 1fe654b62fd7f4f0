"""What may enter a model: names, dtype, shape, finite numbers. The only place that checks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from edge_sdk.errors import InputError
from edge_sdk.runtime.engine import Array, TensorInfo


class InputCheck:
    """Checks the inputs of one model.

    Args:
        inputs: what the model declares.
        rows: the model takes exactly one row, and several are welcome as a loop over them.
    """

    def __init__(self, inputs: tuple[TensorInfo, ...], *, rows: bool) -> None:
        self._inputs = {info.name: info for info in inputs}
        self._rows = rows
        # The commonest call by far: one float32 input with one row.
        only = inputs[0]
        self._name = only.name
        self._one_row = tuple(1 if side < 0 else side for side in only.shape)
        self._quick = len(inputs) == 1 and only.dtype == np.float32
        self._float32 = np.dtype(np.float32)

    def __call__(self, inputs: Mapping[str, Any]) -> tuple[Mapping[str, Array], int]:
        """The inputs as arrays that an engine may be given, and how many runs they make."""
        if self._quick and len(inputs) == 1:
            array = inputs.get(self._name)
            if (
                type(array) is np.ndarray
                and array.dtype is self._float32
                and array.shape == self._one_row
                # The sum of squares is finite only if every number is; the rare finite overflow goes the
                # careful way. A third of the cost of isfinite().all() on a short row.
                and math.isfinite(np.vdot(array, array))
            ):
                return inputs, 1
        return self._carefully(inputs)

    def _carefully(self, inputs: Mapping[str, Any]) -> tuple[Mapping[str, Array], int]:
        if not isinstance(inputs, Mapping):
            raise InputError(f"inputs are a mapping of names to arrays, not a {type(inputs).__name__}")
        if inputs.keys() != self._inputs.keys():
            raise InputError(_wrong_names(inputs, self._inputs))
        arrays = {name: _array(inputs[name], info) for name, info in self._inputs.items()}
        counts = {name: self._check_shape(arrays[name], info) for name, info in self._inputs.items()}
        batches = {name: count for name, count in counts.items() if count is not None}
        if len(set(batches.values())) > 1:
            told = ", ".join(f"{name} has {count}" for name, count in batches.items())
            raise InputError(f"inputs differ in their number of rows: {told}")
        return arrays, (next(iter(batches.values())) if self._rows else 1)

    def _check_shape(self, array: Array, info: TensorInfo) -> int | None:
        """The number of rows, where the first dimension counts rows."""
        free = bool(info.shape) and (info.shape[0] < 0 or self._rows)
        wanted = (-1, *info.shape[1:]) if free else info.shape
        fits = array.ndim == len(wanted) and all(
            side == want or (want < 0 and side > 0) for side, want in zip(array.shape, wanted, strict=True)
        )
        if not fits:
            given = " x ".join(map(str, array.shape)) or "a single number"
            raise InputError(f"input {info} was given {given}")
        return array.shape[0] if free else None


def _wrong_names(given: Mapping[str, Any], wanted: Mapping[str, TensorInfo]) -> str:
    missing = sorted(wanted.keys() - given.keys())
    unexpected = sorted(map(str, given.keys() - wanted.keys()))
    parts = [f"missing {', '.join(missing)}"] * bool(missing)
    parts += [f"unexpected {', '.join(unexpected)}"] * bool(unexpected)
    return f"wrong inputs: {'; '.join(parts)}; the model takes {', '.join(wanted)}"


def _array(value: Any, info: TensorInfo) -> Array:
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise InputError(f"input {info}: not an array: {error}") from error
    if not array.dtype.isnative:
        # An engine reads the bytes as they lie there, and would answer with nonsense.
        raise InputError(f"input {info} was given {array.dtype.str}: byte order must be the machine's own")
    if array.dtype != info.dtype:
        array = _converted(array, info)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(f"input {info} holds {_first_bad(array)}; a model takes finite numbers only")
    return np.ascontiguousarray(array) if array.ndim else array


def _converted(array: Array, info: TensorInfo) -> Array:
    kinds = "iuf" if info.dtype.kind == "f" else "iu"
    if info.dtype.kind not in "iuf" or array.dtype.kind not in kinds:
        raise InputError(f"input {info} was given {array.dtype.name}")
    with np.errstate(over="ignore"):
        converted = array.astype(info.dtype)
    if info.dtype.kind != "f" and not np.array_equal(converted, array):
        raise InputError(f"input {info} was given numbers that do not fit into {info.dtype.name}")
    if info.dtype.kind == "f" and array.dtype.kind == "f":
        lost = np.isfinite(array) & ~np.isfinite(converted)
        if lost.any():
            raise InputError(
                f"input {info} was given {array[lost].flat[0]:g}: too large for {info.dtype.name}"
            )
    return converted


def _first_bad(array: Array) -> str:
    place = np.argwhere(~np.isfinite(array))[0]
    return f"{array[tuple(place)]} at {place.tolist()}"
