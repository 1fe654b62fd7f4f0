"""What a store says of what it did, and of what it dropped."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Dropped:
    """What was given up, and why. Only the first costs no feature anything.

    Attributes:
        old: events beyond the window of every feature.
        crowded: events of users with more than ``max_events``; the days they were on count as not observed.
        users: users of whom nothing came for the longest, so that the others find room.
        user_events: events of theirs.
        damaged: users whose file could not be read any more, and begins anew.
    """

    old: int = 0
    crowded: int = 0
    users: int = 0
    user_events: int = 0
    damaged: int = 0

    def __add__(self, other: Dropped) -> Dropped:
        return Dropped(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __bool__(self) -> bool:
        return any(asdict(self).values())


class Recorded(NamedTuple):
    """What became of events that were recorded; they are on the disk.

    Attributes:
        kept: how many are new.
        repeated: how many were there already, under the same id and with the same content.
        too_old: how many lie beyond the window of every feature, and were not kept.
        dropped: what was given up for room.
    """

    kept: int
    repeated: int
    too_old: int
    dropped: Dropped
