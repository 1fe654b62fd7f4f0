"""Both clocks of a device, watched: that the wall clock is set back is noticed, and remembered on the disk."""

from __future__ import annotations

from contextlib import suppress
from math import inf
from typing import Final

from edge_sdk.errors import EdgeError
from edge_sdk.features.clocks import JUMP_S, Known, Reading, noticed
from edge_sdk.features.users import Users
from edge_sdk.store.system import System

_WORTH_S: Final = 60.0
"""By so much the wall clock goes on before it is written down again."""


class Timekeeper:
    """Tells readings of both clocks.

    Args:
        system: has the monotonic clock.
        users: where what is known of the clocks is kept.

    Attributes:
        least_offset: with less than this between the wall clock and the monotonic one, the wall clock was set back
            since it was looked at last; minus infinity before it was.
    """

    def __init__(self, system: System, users: Users) -> None:
        self._system, self._users = system, users
        # Where nobody tells runs of the machine apart, this process is one: ages beyond it rest on the wall clock.
        self._boot = system.boot() or system.random(8).hex()
        self._known: Known | None = None
        self.least_offset = -inf
        self.jumps = 0

    def reading(self, wall: float) -> Reading:
        """Both clocks, the wall clock having been read before."""
        monotonic = self._system.uptime()
        before = self._users.clocks() if self._known is None else self._known
        after = noticed(before, wall, monotonic, self._boot)
        self._take(after)
        if after.era != before.era:
            # A disk that refuses, or another who writes: then this process alone knows it until it writes itself, and
            # nobody who predicts waits.
            with suppress(EdgeError), self._users.writing(wait_s=0):
                return self.remembered(wall)
        return Reading(wall, monotonic, self._boot, after.era)

    def remembered(self, wall: float) -> Reading:
        """The same, inside of :meth:`Users.writing`: what others noticed counts, and what is noticed is kept."""
        monotonic = self._system.uptime()
        mine = self._known or Known()

        def update(known: Known) -> Known:
            after = noticed(known, wall, monotonic, self._boot)
            return after._replace(era=max(after.era, mine.era))

        after = self._users.remember_clocks(update, _is_worth_it)
        self._take(after)
        return Reading(wall, monotonic, self._boot, after.era)

    def _take(self, known: Known) -> None:
        if self._known is not None and known.era > self._known.era:
            self.jumps += 1
        self._known, self.least_offset = known, known.offset - JUMP_S


def _is_worth_it(before: Known, after: Known) -> bool:
    # What went back counts as much as what went forward.
    moved = max(abs(after.offset - before.offset) - JUMP_S, abs(after.wall - before.wall) - _WORTH_S)
    return (before.era, before.boot) != (after.era, after.boot) or moved > 0
