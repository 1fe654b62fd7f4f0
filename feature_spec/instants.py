"""Instants, zones and local days: RFC 3339 in, a number of milliseconds or of days out.

One instant at a time goes through ``zoneinfo``; arrays go through ``zone_offsets``, which asks it only where a zone
changes its offset. Both ways give the same.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from feature_spec.errors import DataError

# Upper-case T and Z only: a subset of RFC 3339 that every platform's own parser reads alike.
_INSTANT: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII
)
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
"""Subtracted from `date.toordinal()` it gives days since 1970-01-01."""
YEARS: Final = range(1970, 2200)
"""Outside of it a timestamp is a wrong unit or a wrong field, never an event on a phone."""

DAY_MS: Final = 86_400_000
FIRST_INSTANT: Final = -DAY_MS + 60_000
"""1970-01-01T00:00:00+23:59, the first instant that can be written, in milliseconds."""

LAST_INSTANT: Final = 7_258_118_400_000 + DAY_MS - 60_001
"""2199-12-31T23:59:59.999-23:59, the last one."""

# No zone has ever kept an offset for less than six days, nor does one plan to (a test reads the whole database).
# Where offsets two days apart are equal there is no change between them.
_STEP: Final = 2 * 86_400
_BLOCK: Final = 32 * _STEP

Instants = npt.NDArray[np.int64]
"""Milliseconds since 1970-01-01T00:00:00Z."""


def parse_instant(text: str) -> int:
    """Milliseconds since 1970-01-01T00:00:00Z of an RFC 3339 timestamp; finer digits are dropped.

    Raises:
        DataError: not RFC 3339 with ``Z`` or an offset, no such date, or a year outside 1970..2199.
    """
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise DataError(f"{text[:40]!r} is not an RFC 3339 timestamp; write it like 2026-03-01T08:30:00Z")
    year, month, dayofmonth, hour, minute, second = (int(part) for part in match.groups()[:6])
    milliseconds = int((match[7] or "0").ljust(3, "0")[:3])
    try:
        if year not in YEARS:
            raise ValueError("year")
        local = datetime(year, month, dayofmonth, hour, minute, second, milliseconds * 1000, tzinfo=UTC)
        if match[8]:
            if int(match[9]) > 23 or int(match[10]) > 59:
                raise ValueError("offset")
            offset = timedelta(hours=int(match[9]), minutes=int(match[10]))
            local = local - offset if match[8] == "+" else local + offset
    except ValueError:
        raise DataError(
            f"{text!r} is no date and time between 1970 and 2199; check year, day, hour and offset"
        ) from None
    return (local - _EPOCH) // timedelta(milliseconds=1)


def parse_date(text: str) -> int:
    """Days since 1970-01-01 of a calendar date ``YYYY-MM-DD``.

    Raises:
        DataError: not such a date, or a year outside 1970..2199.
    """
    try:
        if not _DATE.fullmatch(text):
            raise ValueError(text)
        parsed = date.fromisoformat(text)
        if parsed.year not in YEARS:
            raise ValueError(text)
    except ValueError:
        raise DataError(f"{text[:40]!r} is not a date; write it like 2026-03-01") from None
    return parsed.toordinal() - EPOCH_DAY


def zone(name: str) -> tzinfo:
    """The time zone called ``name`` in the IANA database.

    Raises:
        DataError: there is no such zone.
    """
    try:
        if name.startswith(("posix/", "right/")) or name in {"posixrules", "localtime"}:
            raise ValueError(name)  # files beside the database: of leap seconds, or of this machine
        return ZoneInfo(name)
    # A folder of the database ("America") is an OSError, an absolute path a ValueError, the rest a KeyError.
    except (KeyError, ValueError, OSError):
        raise DataError(f"unknown time zone {name[:60]!r}; use an IANA name like Europe/Berlin") from None


def local_day(instant: int, where: tzinfo) -> int:
    """Days from 1970-01-01 to the calendar day that ``instant`` (milliseconds) falls on in ``where``."""
    return local_moment(instant, where).toordinal() - EPOCH_DAY


def local_moment(instant: int, where: tzinfo) -> datetime:
    """What calendar and clock show in ``where`` at ``instant`` (milliseconds)."""
    return (_EPOCH + timedelta(milliseconds=instant)).astimezone(where)


def local_days(instants: Instants, where: tzinfo) -> npt.NDArray[np.int64]:
    """``local_day`` of many instants: days since 1970-01-01, in the shape of ``instants``.

    Raises:
        DataError: an instant outside ``FIRST_INSTANT``..``LAST_INSTANT``.
    """
    return local_milliseconds(instants, where) // DAY_MS


def last_instant(day: int, where: tzinfo) -> int:
    """The last millisecond of a local day; where the zone left that date out, the last one before it.

    Args:
        day: days since 1970-01-01.
        where: the zone.

    Raises:
        DataError: a day outside of 1970 to 2199.
    """
    end = (day + 1) * DAY_MS
    if not 0 < end <= LAST_INSTANT + 60_001 - DAY_MS:
        raise DataError(
            f"day {day} since 1970-01-01 lies outside of 1970 to 2199; check dates and cut-off day"
        )
    begin = max(end - 3 * DAY_MS, FIRST_INSTANT)
    starts, offsets = zone_offsets(where, begin, min(end + 2 * DAY_MS, LAST_INSTANT))
    # In each piece the last instant at which the calendar is not beyond the day; clocks that go back over midnight
    # come to it twice.
    until = np.minimum(np.append(starts[1:], end + 2 * DAY_MS), end - offsets) - 1
    return int(until[until >= starts].max())


def local_milliseconds(instants: Instants, where: tzinfo) -> npt.NDArray[np.int64]:
    """What calendar and clock show in ``where``, as milliseconds since 1970-01-01T00:00 on that clock.

    Divided by ``DAY_MS`` the quotient is the local day and the remainder the time that the clock shows, since a
    clock shows 24 hours whatever the length of its day.

    Args:
        instants: any shape, int64.
        where: the zone.

    Returns:
        int64, in the shape of ``instants``.

    Raises:
        DataError: an instant outside ``FIRST_INSTANT``..``LAST_INSTANT``.
    """
    if not instants.size:
        return np.zeros(instants.shape, np.int64)
    first, last = int(instants.min()), int(instants.max())
    starts, offsets = zone_offsets(where, first, last)
    if len(offsets) == 1:
        return np.asarray(instants + offsets[0])
    return np.asarray(instants + offsets[np.searchsorted(starts, instants, side="right") - 1])


def zone_offsets(where: tzinfo, first: int, last: int) -> tuple[Instants, npt.NDArray[np.int64]]:
    """How far the clocks of a zone are ahead of UTC between two instants, both included.

    Args:
        where: the zone.
        first: milliseconds since 1970-01-01T00:00:00Z.
        last: the same, not before ``first``.

    Returns:
        ``starts`` int64 [k], increasing, the first at or before ``first``, and ``offsets`` int64 [k]: from
        ``starts[i]`` until before ``starts[i + 1]`` the clocks are ``offsets[i]`` milliseconds ahead of UTC.

    Raises:
        DataError: an instant outside ``FIRST_INSTANT``..``LAST_INSTANT``.
    """
    if first < FIRST_INSTANT or last > LAST_INSTANT:
        wrong = first if first < FIRST_INSTANT else last
        raise DataError(f"{wrong} ms since 1970 is no instant between 1970 and 2199; are these milliseconds?")
    starts, offsets = _table(where, first // 1000 // _BLOCK, last // 1000 // _BLOCK)
    begin, end = np.searchsorted(starts, (first, last), side="right")
    return starts[begin - 1 : end], offsets[begin - 1 : end]


@lru_cache(maxsize=1 << 10)
def _table(where: tzinfo, first: int, last: int) -> tuple[Instants, npt.NDArray[np.int64]]:
    """What ``zone_offsets`` returns, of whole blocks of time; read-only, since it is kept."""
    pieces = [piece for block in range(first, last + 1) for piece in _pieces(where, block)]
    table = np.array(pieces, np.int64).T * 1000
    table = table[:, np.flatnonzero(np.diff(table[1], prepend=table[1, 0] + 1))]
    table.flags.writeable = False
    return table[0], table[1]


@lru_cache(maxsize=1 << 14)
def _pieces(where: tzinfo, block: int) -> tuple[tuple[int, int], ...]:
    """When offsets begin in a block of time, and what they are; both in seconds, the first at the block's begin."""
    begin = block * _BLOCK
    now = _offset(where, begin)
    pieces = [(begin, now)]
    for end in range(begin + _STEP, begin + _BLOCK + 1, _STEP):
        start, after = end - _STEP, _offset(where, end)
        while now != after:
            start, now = _change(where, start, end, now)
            pieces.append((start, now))
    return tuple(piece for piece in pieces if piece[0] < begin + _BLOCK)


def _change(where: tzinfo, low: int, high: int, before: int) -> tuple[int, int]:
    """The second in (low, high] at which the offset stops to be ``before``, and the one that follows."""
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(where, middle) == before:
            low = middle
        else:
            high = middle
    return high, _offset(where, high)


def _offset(where: tzinfo, second: int) -> int:
    """Seconds that clocks are ahead of UTC at a second since 1970."""
    ahead = (_EPOCH + timedelta(seconds=second)).astimezone(where).utcoffset()
    return 0 if ahead is None else int(ahead.total_seconds())
