"""Vectors in memory, under (definitions, user, goal): handed out while they are fresh, and computed anew when not.

A vector is fresh while, at once,

1. no feature in it is older than its TTL, by the wall clock and by the monotonic clock;
2. the wall clock has not gone back behind the moment at which it was computed;
3. it is the same local day: what "today" means is part of it;
4. the user's file is the one that it was computed from: recording replaces that, in whatever process.
"""

from __future__ import annotations

import threading
import time
from math import inf
from pathlib import Path
from typing import NamedTuple

from edge_sdk.errors import FormatError, InputError, NotAvailable, StoreError
from edge_sdk.features.clocks import Reading, age_between
from edge_sdk.features.columns import goal_key
from edge_sdk.features.computing import Definitions, day_around, observed, tensors
from edge_sdk.features.measuring import Measures
from edge_sdk.features.profile import EVERY_GOAL
from edge_sdk.features.settings import FeatureSettings
from edge_sdk.features.users import User, Users
from edge_sdk.features.vector import Computed, FeatureVector, Status, status_of
from edge_sdk.runtime.pool import remake_after_fork
from edge_sdk.store.disk import Stamp
from edge_sdk.store.system import System
from feature_spec.errors import FeatureSpecError

Key = tuple[str, str, str | None]
"""Fingerprint of the definitions, user, goal."""

Found = tuple[float | None, Status, float]
"""Value, status and age of a feature."""


class Kept(NamedTuple):
    """A computed vector, and how long it is fresh.

    Attributes:
        computed: the numbers.
        path, stamp: of the user's file that they were computed from.
        wall, monotonic: both clocks at that moment, seconds.
        begin, end: of its local day, by the wall clock.
        limit: for so many seconds every value in it is as good as it was.
        is_stale: whether one was not, by then.
    """

    computed: Computed
    path: Path
    stamp: Stamp | None
    wall: float
    monotonic: float
    begin: float
    end: float
    limit: float
    is_stale: bool


class Vectors:
    """The vectors of one store.

    Args:
        system: has the disk.
        users: what vectors are computed from.
        settings: bounds.
        measures: where look-ups are counted.
    """

    def __init__(self, system: System, users: Users, settings: FeatureSettings, measures: Measures) -> None:
        self._stat, self._users, self._settings, self._measures = system.stat, users, settings, measures
        self._kept: dict[Key, Kept] = {}
        self.get = self._kept.get
        self._after_fork()
        remake_after_fork(self)

    def _after_fork(self) -> None:
        self._lock = threading.Lock()

    def fresh(self, key: Key, wall: float, monotonic: float) -> FeatureVector | None:
        """What was computed before and is fresh; None where there is nothing."""
        kept = self.get(key)
        if kept is None:
            return None
        computed, path, stamp, then_wall, then_monotonic, begin, end, limit, is_stale = kept
        by_wall = wall - then_wall
        age = monotonic - then_monotonic
        if not (0.0 <= by_wall <= limit and age <= limit and begin <= wall < end):
            return None
        try:
            found = self._stat(path)
        except OSError:
            return None
        if (found.st_ino, found.st_size, found.st_mtime_ns) != stamp:
            return None
        since = by_wall if by_wall > age else age
        oldest = since + computed.oldest if computed.used else inf
        return tuple.__new__(FeatureVector, (computed, since, oldest, is_stale, True, ""))

    def computed(
        self, definitions: Definitions, user: str, goal: str | None, wall: float, now: Reading
    ) -> FeatureVector:
        """Compute a vector, and keep it; where that cannot be, what was computed before, for as long as it may be used.

        Args:
            definitions: of the features.
            user, goal: whose.
            wall: the as-of moment, seconds since 1970.
            now: both clocks.

        Raises:
            NotAvailable: nothing is known of this user.
            InputError: no zone is known to count his days in.
        """
        key = (definitions.fingerprint, user, goal)
        begun = time.perf_counter_ns()
        try:
            kept = self._compute(definitions, user, goal, wall, now)
        except (FeatureSpecError, StoreError, FormatError) as error:
            self._measures.miss(time.perf_counter_ns() - begun, failed=True)
            return self._last(definitions, key, wall, now, str(error))
        except NotAvailable:
            self.forget(user)  # erased, perhaps by another process
            raise
        self._measures.miss(time.perf_counter_ns() - begun, failed=False)
        with self._lock:
            self._kept.pop(key, None)
            while len(self._kept) >= self._settings.max_vectors:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = kept
        if self._users.stamp(kept.path) is None:
            self.forget(user)  # erased while it was computed
        computed = kept.computed
        return FeatureVector(computed, 0.0, computed.oldest if computed.used else inf, kept.is_stale)

    def outdate(self, user: str) -> None:
        """Something was told of a user here: on a file system with a coarse clock, his file may look as before."""
        with self._lock:
            for key, kept in self._kept.items():
                if key[1] == user:
                    self._kept[key] = kept._replace(stamp=None)

    def forget(self, user: str | None = None) -> None:
        """Forget what was computed for a user, or for all."""
        with self._lock:
            for key in [key for key in self._kept if user is None or key[1] == user]:
                del self._kept[key]

    # -- inside ----------------------------------------------------------------------------------------

    def _compute(
        self, definitions: Definitions, user: str, goal: str | None, wall: float, now: Reading
    ) -> Kept:
        salt = self._users.salt()
        found = None if salt is None else self._users.read(self._users.label(user, salt))
        if found is None or salt is None:
            raise NotAvailable("nothing is known of this user; record an event of his, or tell what is known")
        zone = found.tail.profile.zone or self._settings.zone
        if zone is None:
            raise InputError(
                "no zone is known to count this user's days in; give FeatureSettings(zone=...) or know(..., zone=...)"
            )
        as_of = int(wall * 1000)
        profile = found.tail.profile
        context = profile.context(EVERY_GOAL if goal is None else goal_key(goal, salt))
        context = observed(context, profile.since, found.floor, zone)
        values = definitions.compute(tensors(found.events, as_of, zone, context))
        given: dict[str, Found] = {
            name: (value, Status.FRESH, 0.0) if value is not None else (None, Status.MISSING, inf)
            for name, value in values.items()
        }
        limit = definitions.least_ttl_s
        for name in definitions.declared:
            given[name] = self._reported(found, name, definitions.ttl_of(name), now)
            status, age = given[name][1:]
            if status is Status.FRESH:
                limit = min(limit, definitions.ttl_of(name) - age)
            elif status is Status.STALE:
                limit = -1.0  # looked at anew each time: what it is worth changes with its age
        begin, end = day_around(as_of, zone)
        computed = definitions.assembled(given, as_of)
        is_stale = Status.STALE in computed.statuses or Status.EXPIRED in computed.statuses
        return Kept(computed, found.tail_path, found.stamp, wall, now.monotonic, begin, end, limit, is_stale)

    def _reported(self, user: User, name: str, ttl_s: float, now: Reading) -> Found:
        report = user.tail.profile.reports.get(name)
        if report is None:
            return None, Status.MISSING, inf
        age = age_between(report.at, now)
        return report.value, status_of(age, ttl_s, self._settings.offline_s, current=True), age

    def _last(
        self, definitions: Definitions, key: Key, wall: float, now: Reading, problem: str
    ) -> FeatureVector:
        """What was computed last, each value as old as it is now."""
        kept = self.get(key)
        if kept is None:
            nothing = definitions.assembled({}, int(wall * 1000))
            return FeatureVector(nothing, 0.0, inf, True, False, problem)
        before = kept.computed
        since = max(wall - kept.wall, now.monotonic - kept.monotonic, 0.0)
        given: dict[str, Found] = {}
        for name, value, status, offset in zip(
            before.names, before.values, before.statuses, before.offsets, strict=True
        ):
            age = offset + since
            if status not in (Status.MISSING, Status.EXPIRED):
                ttl = definitions.ttl_of(name)
                status = status_of(age, ttl, self._settings.offline_s, current=False)
            given[name] = value, status, age
        judged = definitions.assembled(given, before.as_of)
        # Ages are those of this moment already.
        return FeatureVector(judged, 0.0, judged.oldest if judged.used else inf, True, True, problem)
