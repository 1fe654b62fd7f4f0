"""How old something is, by two clocks of which neither can be trusted alone.

The wall clock goes on while the phone sleeps or is off, and can be set. The monotonic clock cannot be set; it may
stand still in sleep, and begins anew with the machine. So of two readings in one run of the machine the larger
difference counts; across a restart there is the wall clock only, and where that was set back, no age is known.
"""

from __future__ import annotations

from math import inf
from typing import Final, NamedTuple

JUMP_S: Final = 2.0
"""By less the wall clock is disciplined all the time."""


class Reading(NamedTuple):
    """Both clocks at one moment.

    Attributes:
        wall: seconds since 1970-01-01T00:00:00Z.
        monotonic: seconds, in this run of the machine.
        boot: tells runs of the machine apart; empty where nobody says.
        era: how often the wall clock was seen to be set back.
    """

    wall: float
    monotonic: float
    boot: str
    era: int


def age_between(then: Reading, now: Reading) -> float:
    """Seconds from one moment to another, as many as either clock says; infinite where neither knows."""
    by_wall = now.wall - then.wall
    if then.boot and then.boot == now.boot:
        return max(by_wall, now.monotonic - then.monotonic, 0.0)
    if by_wall < 0 or then.era != now.era:
        return inf
    return by_wall


class Known(NamedTuple):
    """What is remembered of the clocks beyond a run of the machine.

    Attributes:
        era: how often the wall clock was seen to be set back.
        boot: of the run of the machine.
        offset: by how much the wall clock was ahead of the monotonic one.
        wall: the latest reading of the wall clock.
    """

    era: int = 0
    boot: str = ""
    offset: float = 0.0
    wall: float = 0.0


def noticed(known: Known, wall: float, monotonic: float, boot: str) -> Known:
    """What is to be remembered after another reading.

    Sleep lets the wall clock run ahead of the monotonic one, so that it jumps forward says nothing. Jumping back does,
    beyond what keeping it right takes: then ages that rest on the wall clock alone are no longer known.
    """
    offset = wall - monotonic
    if boot != known.boot:
        return Known(known.era + (wall < known.wall - JUMP_S), boot, offset, wall)
    if offset < known.offset - JUMP_S:
        return Known(known.era + 1, boot, offset, wall)
    return Known(known.era, boot, max(offset, known.offset), wall)
