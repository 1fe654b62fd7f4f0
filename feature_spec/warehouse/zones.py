"""Local clocks without an engine's own idea of time zones: offsets from UTC as numbers beside every request.

Every place where features are computed reads the same IANA database, Python's; an engine's library may be of another
year. Around an as-of instant a zone changes its offset a few times at most, so a request carries all offsets that its
window can meet: ``offset0``, then for each change ``change<k>`` (from when on, in milliseconds) and ``offset<k>``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from feature_spec.instants import DAY_MS, FIRST_INSTANT, LAST_INSTANT, zone, zone_offsets
from feature_spec.vocabulary import WINDOW_DAYS
from feature_spec.warehouse.operators import Column
from feature_spec.warehouse.packages import ibis

_BEFORE: Final = (WINDOW_DAYS + 2) * DAY_MS
"""Local days reach a little further back than 90 times 24 hours."""
_NEVER: Final = 2**62


def offsets(windows: Iterable[tuple[str, int]]) -> dict[str, list[Any]]:
    """Which offsets the windows before the end of some days meet.

    Args:
        windows: pairs of a zone and the UTC day of an as-of instant, as days since 1970-01-01.

    Returns:
        Columns: ``zone``, ``utc_day``, ``offset0``, and ``change<k>`` and ``offset<k>`` for each change of the window
        with the most; all of one length.

    Raises:
        DataError: an unknown zone.
    """
    pairs = list(windows)
    found = []
    for name, utc_day in pairs:
        first = max(utc_day * DAY_MS - _BEFORE, FIRST_INSTANT)
        starts, values = zone_offsets(zone(name), first, min((utc_day + 1) * DAY_MS, LAST_INSTANT))
        found.append(list(zip(starts.tolist(), values.tolist(), strict=True)))
    columns: dict[str, list[Any]] = {
        "zone": [name for name, _ in pairs],
        "utc_day": [utc_day for _, utc_day in pairs],
        "offset0": [pieces[0][1] for pieces in found],
    }
    for change in range(1, max(map(len, found), default=1)):
        there = [pieces[change] if change < len(pieces) else (_NEVER, 0) for pieces in found]
        columns[f"change{change}"] = [start for start, _ in there]
        columns[f"offset{change}"] = [value for _, value in there]
    return columns


def local(instant: Column, table: Any) -> Column:
    """What the clock of a request's zone shows at ``instant``, in milliseconds since 1970-01-01T00:00 on it."""
    changes = sorted(
        (name for name in table.columns if name.startswith("change")),
        key=lambda name: int(name[6:]),
        reverse=True,
    )
    if not changes:
        return instant + table.offset0
    branches = [(instant >= table[name], table[f"offset{name[6:]}"]) for name in changes]
    return instant + ibis.cases(*branches, else_=table.offset0)


def day_of(local_ms: Column) -> Column:
    """The local day of a local clock, as days since 1970-01-01."""
    return (local_ms / DAY_MS).floor().cast("int64")
