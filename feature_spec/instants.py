"""Instants, zones and local days: RFC 3339 in, a number of milliseconds or of days out."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from feature_spec.errors import DataError

# Upper-case T and Z only: a subset of RFC 3339 that every platform's own parser reads alike.
_INSTANT: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII
)
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
"""Subtracted from `date.toordinal()` it gives days since 1970-01-01."""
_YEARS: Final = range(1970, 2200)
"""Outside of it a timestamp is a wrong unit or a wrong field, never an event on a phone."""


def parse_instant(text: str) -> int:
    """Milliseconds since 1970-01-01T00:00:00Z of an RFC 3339 timestamp; finer digits are dropped.

    Raises:
        DataError: not RFC 3339 with ``Z`` or an offset, no such date, or a year outside 1970..2199.
    """
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise DataError(f"'{text[:40]}' is not an RFC 3339 timestamp; write it like 2026-03-01T08:30:00Z")
    year, month, dayofmonth, hour, minute, second = (int(part) for part in match.groups()[:6])
    milliseconds = int((match[7] or "0").ljust(3, "0")[:3])
    try:
        if year not in _YEARS:
            raise ValueError("year")
        local = datetime(year, month, dayofmonth, hour, minute, second, milliseconds * 1000, tzinfo=UTC)
        if match[8]:
            if int(match[9]) > 23 or int(match[10]) > 59:
                raise ValueError("offset")
            offset = timedelta(hours=int(match[9]), minutes=int(match[10]))
            local = local - offset if match[8] == "+" else local + offset
    except ValueError:
        raise DataError(
            f"'{text}' is no date and time between 1970 and 2199; check year, day, hour and offset"
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
        if parsed.year not in _YEARS:
            raise ValueError(text)
    except ValueError:
        raise DataError(f"'{text[:40]}' is not a date; write it like 2026-03-01") from None
    return parsed.toordinal() - EPOCH_DAY


def zone(name: str) -> tzinfo:
    """The time zone called ``name`` in the IANA database.

    Raises:
        DataError: there is no such zone.
    """
    try:
        return ZoneInfo(name)
    # A folder of the database ("America") is an OSError, an absolute path a ValueError, the rest a KeyError.
    except (KeyError, ValueError, OSError):
        raise DataError(f"unknown time zone '{name[:60]}'; use an IANA name like Europe/Berlin") from None


def local_day(instant: int, where: tzinfo) -> int:
    """Days from 1970-01-01 to the calendar day that ``instant`` (milliseconds) falls on in ``where``."""
    return local_moment(instant, where).toordinal() - EPOCH_DAY


def local_moment(instant: int, where: tzinfo) -> datetime:
    """What calendar and clock show in ``where`` at ``instant`` (milliseconds)."""
    return (_EPOCH + timedelta(milliseconds=instant)).astimezone(where)
