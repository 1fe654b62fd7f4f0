"""What may enter a model: names, dtype, shape, finite numbers. The only place that checks."""

from __future__ import annotations

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

    Attributes:
        quick_name, quick_shape: the only input and the shape of one row of it, where a model has one float32
            input; else the shape is None. ``Model.run`` asks for these first.
    """

    def __init__(self, inputs: tuple[TensorInfo, ...], *, rows: bool) -> None:
        self._inputs = {info.name: info for info in inputs}
        self._rows = rows
        # The commonest call by far is one float32 input with one row; its shape, if that is what this model takes.
        self.quick_name = inputs[0].name if inputs else ""
        self.quick_shape: tuple[int, ...] | None = None
        if len(inputs) == 1 and (only := inputs[0]).dtype == np.float32 and only.shape:
            self.quick_shape = tuple(1 if side < 0 else side for side in only.shape)

    def __call__(self, inputs: Mapping[str, Any]) -> tuple[Mapping[str, Array], int]:
        """The inputs as arrays that an engine may be given, and how many runs they make.

        Raises:
            InputError: naming the input that is wrong, and how.
        """
        if not isinstance(inputs, Mapping):
            raise InputError(f"inputs are a mapping of names to arrays, not a {type(inputs).__name__}")
        if inputs.keys() != self._inputs.keys():
            raise InputError(_wrong_names(inputs, self._inputs))
        arrays = {name: _array(inputs[name], info) for name, info in self._inputs.items()}
        for name, info in self._inputs.items():
            self._check_shape(arrays[name], info)
        return arrays, (self._count(arrays) if self._rows else 1)

    def _count(self, arrays: Mapping[str, Array]) -> int:
        """How many rows there are; free dimensions of a file need not be the same, rows of ours must be."""
        if differing := rows_that_differ(arrays):
            raise InputError(differing)
        return len(next(iter(arrays.values())))

    def _check_shape(self, array: Array, info: TensorInfo) -> None:
        wanted = (-1, *info.shape[1:]) if self._rows else info.shape
        fits = array.ndim == len(wanted) and all(
            side == want or (want < 0 and side > 0) for side, want in zip(array.shape, wanted, strict=True)
        )
        if not fits:
            given = " x ".join(map(str, array.shape)) or "a single number"
            raise InputError(f"input {info} was given {given}")


def rows_that_differ(arrays: Mapping[str, Array]) -> str:
    """A message, where inputs have different numbers of rows; else nothing."""
    rows = {name: len(array) for name, array in arrays.items() if array.ndim}
    if len(set(rows.values())) < 2:
        return ""
    return (
        f"inputs differ in their number of rows: {', '.join(f'{name} has {n}' for name, n in rows.items())}"
    )


def _wrong_names(given: Mapping[str, Any], wanted: Mapping[str, TensorInfo]) -> str:
    missing = sorted(wanted.keys() - given.keys())
    unexpected = sorted(map(str, given.keys() - wanted.keys()))
    parts = [f"missing {', '.join(missing)}"] * bool(missing)
    parts += [f"unexpected {', '.join(unexpected)}"] * bool(unexpected)
    return f"wrong inputs: {'; '.join(parts)}; the model takes {', '.join(wanted)}"


def _array(value: Any, info: TensorInfo) -> Array:
    # As objects, because NumPy's own kind of text drops zeros at the end.
    if isinstance(value, np.ndarray) and hasattr(
        value, "mask"
    ):  # a masked array, without the import of numpy.ma
        raise InputError(f"input {info} is masked, and what a mask hides would be taken for a number")
    texts = info.dtype.kind == "S" and not isinstance(value, np.ndarray)
    try:
        array = np.asarray(value, object) if texts else np.asarray(value)
    except (ValueError, TypeError) as error:
        raise InputError(f"input {info}: not an array: {error}") from error
    if info.dtype.kind == "S":
        return _texts(array, info)
    if not array.dtype.isnative:
        # An engine reads the bytes as they lie there, and would answer with nonsense.
        raise InputError(f"input {info} was given {array.dtype.str}: byte order must be the machine's own")
    if array.dtype != info.dtype:
        array = _converted(array, info)
    if array.dtype.kind in "fc" and not np.isfinite(array).all():
        raise InputError(f"input {info} holds {_first_bad(array)}; a model takes finite numbers only")
    return np.ascontiguousarray(array) if array.ndim else array


def _converted(array: Array, info: TensorInfo) -> Array:
    kinds = {"f": "iuf", "c": "iufc"}.get(info.dtype.kind, "iu")
    if info.dtype.kind not in "iufc" or array.dtype.kind not in kinds:
        raise InputError(f"input {info} was given {array.dtype.name}")
    with np.errstate(over="ignore"):
        converted = array.astype(info.dtype)
    if info.dtype.kind in "iu" and not np.array_equal(converted, array):
        raise InputError(f"input {info} was given numbers that do not fit into {info.dtype.name}")
    if array.dtype.kind in "fc":
        lost = np.isfinite(array) & ~np.isfinite(converted)
        if lost.any():
            raise InputError(
                f"input {info} was given {array[lost].flat[0]:g}: too large for {info.dtype.name}"
            )
    return converted


def _texts(array: Array, info: TensorInfo) -> Array:
    """Texts as an array of ``bytes`` objects, which is what engines take."""
    texts = np.empty(array.shape, object)
    for place, item in np.ndenumerate(array):
        if not isinstance(item, (str, bytes)):
            raise InputError(f"input {info} was given a {type(item).__name__}; it takes texts or bytes")
        texts[place] = item.encode("utf-8") if isinstance(item, str) else bytes(item)
    if texts.ndim:
        return texts
    # LiteRT takes the object in a single text for the text itself, and would answer with memory of this process.
    text = bytes(texts[()])
    return np.ndarray((), f"S{len(text)}", text)


def _first_bad(array: Array) -> str:
    place = np.argwhere(~np.isfinite(array))[0]
    return f"{array[tuple(place)]} at {place.tolist()}"
