"""Events as columns: what a user did, as numbers of fixed width.

Of the names only digests are kept, keyed with a secret of this store: enough to know an event that comes twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feature_spec.events import Event
from feature_spec.vocabulary import EVENT_TYPES, WINDOW_DAYS

DTYPE: Final = np.dtype(
    [
        ("instant", "<i8"),  # milliseconds since 1970-01-01T00:00:00Z
        ("value", "<f8"),  # NaN where there is none
        ("event", "<u8"),  # digest of the event id, 0 where there is none
        ("goal", "<u8"),  # digest of the goal id, 0 where there is none
        ("count", "<u4"),
        ("type", "u1"),  # index in EVENT_TYPES
    ]
)
EVENT_BYTES: Final = DTYPE.itemsize
Columns = npt.NDArray[Any]
"""[events] of ``DTYPE``."""

_DAY_MS: Final = 86_400_000
WINDOW_MS: Final = (WINDOW_DAYS + 2) * _DAY_MS
"""What is older lies outside of the window in every zone, whatever clocks were set back by."""


def nothing() -> Columns:
    """No events."""
    return np.empty(0, DTYPE)


def digest(text: str, salt: bytes) -> int:
    """64 bits of a name; never 0."""
    # A text may hold half a surrogate pair; it is a name all the same.
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8, key=salt).digest(), "little") or 1


def goal_key(goal: str, salt: bytes) -> str:
    """What a goal is called on the disk."""
    return f"{digest(goal, salt):016x}"


def columns_of(events: Iterable[Event], salt: bytes) -> Columns:
    """Events as columns, in their order."""
    rows = [
        (
            event.instant,
            np.nan if event.value is None else event.value,
            0 if event.event_id is None else digest(event.event_id, salt),
            0 if event.goal_id is None else digest(event.goal_id, salt),
            event.count,
            EVENT_TYPES.index(event.event_type),
        )
        for event in events
    ]
    return np.array(rows, DTYPE)


def same(one: Any, other: Any) -> bool:
    """Whether two events under one id are one event."""
    # NaN is no value, and equal to no value; -0.0 does not differ from 0.
    values = one["value"] == other["value"] or (np.isnan(one["value"]) and np.isnan(other["value"]))
    return bool(values) and all(one[name] == other[name] for name in ("instant", "goal", "count", "type"))


def within(events: Columns, now_ms: int) -> Columns:
    """Those that a window may still hold."""
    return events[events["instant"] >= now_ms - WINDOW_MS]


def newest(events: Columns, most: int, now_ms: int) -> tuple[Columns, int | None]:
    """The newest so many. What is more than a day ahead goes first: a clock was wrong, and must crowd nobody out.

    Returns:
        They, in their order; and the instant from which on all are there, None where nothing was dropped.
    """
    if len(events) <= most:
        return events, None
    events = events[events["instant"] <= now_ms + _DAY_MS]
    if len(events) <= most:
        return events, None
    last_dropped = int(np.sort(events["instant"])[len(events) - most - 1])
    return events[events["instant"] > last_dropped], last_dropped + 1
