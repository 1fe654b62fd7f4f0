"""From named numbers to the row of float32 that a model takes. The only place that checks them."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Collection, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from edge_sdk.errors import InputError
from edge_sdk.runtime.engine import Array

# By exact type: a bool is an int to isinstance, and neither a text nor None is a measurement.
_NUMBERS = frozenset({float, int, *(np.dtype(code).type for code in "efdbhilqBHILQ")})
_FLOAT32 = np.dtype(np.float32)
_LARGEST = float(np.finfo(np.float32).max)

MadeRow = tuple[Array, tuple[float, ...], tuple[str, ...]]
"""float32 [1][features]; the numbers in it as doubles, before rounding; the names that were filled."""


class RowMaker:
    """Makes rows for one model.

    Args:
        features: names in the order of the columns.
        defaults: what each gets when it is missing.
    """

    def __init__(self, features: Sequence[str], defaults: Sequence[float]) -> None:
        self._features = tuple(features)
        self._defaults = dict(zip(features, defaults, strict=True))
        self._width = len(self._features)
        self.row = self._maker()

    def _maker(self) -> Callable[[Mapping[str, float]], MadeRow]:
        """``row``: a closure, as a method costs 0.1 us more."""
        width, shape, dtype, empty, finite = self._width, (1, self._width), _FLOAT32, np.empty, math.isfinite
        pack: Callable[..., None] = struct.Struct(f"={width}f").pack_into
        floats, all_numbers = [float] * width, _NUMBERS.issuperset
        # itemgetter of one name gives the value itself, not a tuple of one.
        pick: Callable[[Mapping[str, Any]], tuple[Any, ...]] = (
            itemgetter(*self._features) if width > 1 else lambda given: (given[self._features[0]],)
        )
        nothing: tuple[str, ...] = ()

        def row(given: Mapping[str, float]) -> MadeRow:
            """One row.

            Returns:
                float32 [1][features]; the numbers in it, before rounding; the names that were filled.

            Raises:
                InputError: an unknown name, or a value that is not a finite number.
            """
            try:
                if type(given) is not dict:  # a subclass may make up what it does not have
                    raise TypeError
                values, filled = pick(given), nothing
                if len(given) != width:
                    raise KeyError
                if [*map(type, values)] != floats:
                    if not all_numbers(map(type, values)):
                        raise TypeError
                    values = tuple(map(float, values))
            except (KeyError, TypeError, OverflowError):
                values, filled = self._carefully(given)
            row: Array = empty(shape, dtype)
            try:
                # The sum is finite only if every number is.
                if finite(sum(values)):
                    pack(row, 0, *values)
                    return row, values, filled
            except OverflowError:
                pass
            for name, value in zip(self._features, values, strict=True):
                _check_size(name, value)
            pack(row, 0, *values)  # finite numbers whose sum is not
            return row, values, filled

        return row

    def _carefully(self, given: Mapping[str, float]) -> tuple[tuple[float, ...], tuple[str, ...]]:
        if not isinstance(given, Mapping):
            raise InputError(f"features are a mapping of names to numbers, not a {type(given).__name__}")
        self._refuse_unknown(given)
        for name, value in given.items():
            if type(value) not in _NUMBERS:
                raise InputError(f"feature {name} is {value!r}; it must be a number{_hint(value)}")
        filled = tuple(name for name in self._features if name not in given)
        numbers = {name: _double(name, value) for name, value in given.items()}
        return tuple(numbers.get(name, default) for name, default in self._defaults.items()), filled

    def table(self, given: Mapping[str, Sequence[float]] | Array) -> tuple[Array, Array, tuple[str, ...]]:
        """Many rows: columns by name, or an array with one column for each feature in the model's order.

        Returns:
            float32 [rows][features]; the numbers in it as doubles, before rounding; the names of the columns
            that were filled.

        Raises:
            InputError: an unknown name, columns of different length, or something that is no finite number.
        """
        if isinstance(given, np.ndarray):
            if hasattr(given, "mask"):  # a masked array, without the import of numpy.ma
                raise InputError("the table is masked; give columns by name, and leave out what is not known")
            if given.ndim != 2 or given.shape[1] != self._width:
                raise InputError(
                    f"a table has {self._width} columns, one for each feature; got {given.shape}"
                )
            numbers = _doubles(given, self._features)
            return _rounded(given if given.dtype == np.float32 else numbers, self._features), numbers, ()
        if not isinstance(given, Mapping):
            raise InputError(f"a table is columns by name or a 2-D array, not a {type(given).__name__}")
        self._refuse_unknown(given)
        if not given:
            raise InputError("a table needs at least one column, to know how many rows there are")
        lengths = {name: _length(name, column) for name, column in given.items()}
        rows = next(iter(lengths.values()))
        for name, length in lengths.items():
            if length != rows:
                raise InputError(f"column {name} has {length} rows, {next(iter(lengths))} has {rows}")
        numbers = np.empty((rows, self._width), np.float64)
        for at, (name, default) in enumerate(self._defaults.items()):
            numbers[:, at] = _doubles(_column(name, given[name]), (name,))[:, 0] if name in given else default
        filled = tuple(name for name in self._features if name not in given)
        return _rounded(numbers, self._features), numbers, filled

    def _refuse_unknown(self, given: Collection[str]) -> None:
        unknown = [name for name in given if name not in self._defaults]
        if not unknown:
            return
        import difflib

        close = difflib.get_close_matches(str(unknown[0]), self._features, n=1)
        meant = f"; did you mean {close[0]}?" if close else f"; known: {', '.join(self._features)}"
        raise InputError(f"unknown feature {unknown[0]!r}{meant}")


def _hint(value: object) -> str:
    if value is None:
        return "; leave it out if it is not known"
    return " (0 or 1 for a yes or no)" if isinstance(value, (bool, np.bool_)) else ""


def _double(name: str, value: float) -> float:
    try:
        return float(value)
    except OverflowError as error:  # an integer beyond every double
        raise _too_large(name) from error


def _too_large(name: str) -> InputError:
    return InputError(f"feature {name} is too large for float32, which ends at {_LARGEST:g}")


def _check_size(name: str, value: float) -> None:
    if abs(value) <= _LARGEST:
        return
    if abs(value) < math.inf:
        raise _too_large(name)
    raise InputError(f"feature {name} is {value}; it must be finite; leave it out if it is not known")


def _length(name: str, column: Sequence[float]) -> int:
    try:
        return len(column)
    except TypeError as error:
        raise InputError(f"column {name} is {column!r}; it must be a sequence of numbers") from error


def _column(name: str, column: Sequence[float]) -> Array:
    if isinstance(column, np.ma.MaskedArray):
        raise InputError(f"column {name} is masked; give numbers, and leave out what is not known")
    try:
        array = np.asarray(column)
    except ValueError as error:
        raise InputError(f"column {name} does not hold single numbers: {error}") from error
    if array.ndim != 1:
        raise InputError(f"column {name} must have one number a row, not the shape {array.shape}")
    return array[:, None]


def _doubles(table: Array, names: Sequence[str]) -> Array:
    if table.dtype.kind not in "iuf":
        told = names[0] if len(names) == 1 else "the table"
        raise InputError(f"{told} holds {table.dtype.name}; features are numbers")
    return np.asarray(table, np.float64)


def _rounded(numbers: Array, names: Sequence[str]) -> Array:
    with np.errstate(over="ignore"):
        rows: Array = np.ascontiguousarray(numbers, np.float32)
    finite = np.isfinite(rows)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise InputError(
            f"feature {names[column]} is {numbers[row, column]} in row {row}; it must be finite in float32"
        )
    return rows
