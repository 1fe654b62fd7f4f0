"""Cells of a file as values, on every engine alike: from the text of a CSV file or the types of a Parquet file.

Each reader gives the value, null where the cell is empty, and whether the cell makes no sense. The value of a cell that
makes none is anything: first everything is checked, then everything is used, and what is used should cost little.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from feature_spec.instants import FIRST_INSTANT, LAST_INSTANT
from feature_spec.warehouse.operators import Column, number
from feature_spec.warehouse.packages import ibis

_DATE: Final = r"^(19[7-9]\d|20\d\d|21\d\d)-\d\d-\d\d$"
_INSTANT: Final = (
    r"^(19[7-9]\d|20\d\d|21\d\d)-\d\d-\d\dT([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?"
    r"(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$"
)
_NUMBER: Final = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$"
_WHOLE: Final = r"^[+-]?\d{1,18}(\.0*)?$"


@dataclass(frozen=True, eq=False)
class Cell:
    """A column as read.

    Attributes:
        value: null where empty, anything where wrong.
        good: whether it makes sense; null where the cell is empty.
        bounds: where a value makes sense exactly if it lies between two: which. All of a column do if its smallest and
            its largest do.
    """

    value: Column
    good: Column
    bounds: tuple[float, float] | None = None

    @property
    def wrong(self) -> Column:
        """Whether it makes no sense; an empty cell does."""
        return ~ibis.coalesce(self.good, ibis.literal(True))

    @property
    def wrong_or_empty(self) -> Column:
        """Whether it makes no sense or is not there."""
        return ~ibis.coalesce(self.good, ibis.literal(False))


def instant(column: Column) -> Cell:
    """Milliseconds since 1970-01-01T00:00:00Z, from RFC 3339 or from milliseconds."""
    if column.type().is_string():
        matches = column.re_search(_INSTANT)
        day = column.substr(0, 10).try_cast("date")
        good = matches & day.notnull()
        tail = column.re_extract(r"(Z|[+-]\d\d:\d\d)$", 1)
        fraction = column.re_extract(r"\.(\d+)", 1).concat("000").substr(0, 3)
        clock = _whole(column, 11, 2) * 3600 + _whole(column, 14, 2) * 60 + _whole(column, 17, 2)
        away = ibis.ifelse(
            tail == "Z", ibis.literal(0, "int64"), _whole(tail, 1, 2) * 60 + _whole(tail, 4, 2)
        )
        ahead = ibis.ifelse(tail.startswith("-"), -away, away)
        value = (_epoch_day(day) * 86_400 + clock - ahead * 60) * 1000 + fraction.try_cast("int64")
    elif column.type().is_floating():
        cell = whole(column, FIRST_INSTANT, LAST_INSTANT)
        value, good = _where(cell.good, cell.value).cast("int64"), cell.good
    else:
        value = column.cast("int64")
        good, bounds = value.between(FIRST_INSTANT, LAST_INSTANT), (FIRST_INSTANT, LAST_INSTANT)
        return _cell(column, value, good, bounds)
    return _cell(column, value, good)


def date(column: Column) -> Cell:
    """Days since 1970-01-01."""
    if column.type().is_string():
        day = column.try_cast("date")
        return _cell(column, _epoch_day(day), column.re_search(_DATE) & day.notnull())
    return _cell(column, ibis.null("int64"), ibis.literal(False))


def real(column: Column, low: float, high: float) -> Cell:
    """A finite number from ``low`` to ``high``, in double precision."""
    if column.type().is_string():
        value = column.try_cast("float64")
        return _cell(column, value, column.re_search(_NUMBER) & value.between(number(low), number(high)))
    value = column.cast("float64")
    # Not a number is above every number for some engines, and nothing at all for others.
    sound = value.between(number(low), number(high))
    sound = sound & ~value.isnan() if column.type().is_floating() else sound
    return _cell(column, value, sound, (low, high))


def whole(column: Column, low: int, high: int) -> Cell:
    """A whole number from ``low`` to ``high``, in double precision; 3.0 is one too."""
    cell = real(column, low, high)
    if column.type().is_string():
        right = column.re_search(_WHOLE)
    elif column.type().is_floating():
        sound = _where(cell.good, cell.value)
        right = sound == sound.floor().cast("float64")
    else:
        return cell
    return _cell(column, cell.value, cell.good & right)


def name(column: Column) -> Cell:
    """An identifier: a text that is not empty, or a whole number."""
    value = column.cast("string")
    if column.type().is_string():
        return Cell(value, value != "")
    return _cell(column, value, ibis.literal(not column.type().is_floating()))


def one_of(column: Column, words: Iterable[str]) -> Cell:
    """One of several words."""
    value = column.cast("string")
    return Cell(value, value.isin(list(words)))


def _cell(column: Column, value: Column, good: Column, bounds: tuple[float, float] | None = None) -> Cell:
    # Null tests of what a text could not be read as are false, of an empty cell null.
    return Cell(
        value,
        ibis.ifelse(column.isnull(), ibis.null("boolean"), ibis.coalesce(good, ibis.literal(False))),
        bounds,
    )


def _where(good: Column, value: Column) -> Column:
    """``value`` where it is ``good``: what is rounded has to be a number, and one that an integer holds."""
    return ibis.ifelse(good, value, number(0))


def _whole(text: Column, start: int, length: int) -> Column:
    return text.substr(start, length).try_cast("int64")


def _epoch_day(day: Column) -> Column:
    return day.delta(ibis.date("1970-01-01"), unit="day").cast("int64")
