"""The feature store of a client: events in, the numbers that a model takes out.

What was told is on the disk (:mod:`edge_sdk.features.users`). What was computed from it is in memory only
(:mod:`edge_sdk.features.vectors`): it takes a millisecond to compute anew, and would be one more place where something
of somebody lies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_sdk.errors import FormatError, InputError
from edge_sdk.features import declared, recording
from edge_sdk.features.clocks import age_between
from edge_sdk.features.columns import goal_key, nothing
from edge_sdk.features.computing import Definitions
from edge_sdk.features.forgetting import erase_user
from edge_sdk.features.measuring import FeatureStats, Measures
from edge_sdk.features.profile import EVERY_GOAL, Profile, Report
from edge_sdk.features.receipts import Dropped, Recorded
from edge_sdk.features.recording import check_id
from edge_sdk.features.settings import FeatureSettings, check_seconds, check_zone
from edge_sdk.features.timekeeping import Timekeeper
from edge_sdk.features.users import User, Users
from edge_sdk.features.vector import FeatureValue, FeatureVector, Status, status_of
from edge_sdk.features.vectors import Vectors
from edge_sdk.predict.counters import FEATURE_HIT, FEATURE_MISS
from edge_sdk.store.disk import Disk
from edge_sdk.store.system import Clock
from feature_spec.day_context import Context
from feature_spec.definition import FeatureSpec
from feature_spec.errors import DayInputError, FeatureSpecError
from feature_spec.events import Event

if TYPE_CHECKING:
    from edge_sdk.loading import LoadedModel


class FeatureStore:
    """Events and what is computed from them; any thread may use it, and any number of processes one cache.

    Nothing here asks the network. A client's is its ``features``.

    Args:
        cache_folder: of the cache.
        disk: how to reach it.
        clock: the wall clock.
        settings: bounds.
        model: gives the active model of a name.
    """

    def __init__(
        self,
        cache_folder: Path,
        disk: Disk,
        clock: Clock,
        settings: FeatureSettings,
        model: Callable[[str], LoadedModel],
    ) -> None:
        self._folder, self._disk, self._clock, self._settings = cache_folder, disk, clock, settings
        self._model, self._monotonic = model, disk.system.uptime
        self._measures = Measures()
        self._users = Users(cache_folder, disk, settings)
        self._keeper = Timekeeper(disk.system, self._users)
        self._vectors = Vectors(disk.system, self._users, settings, self._measures)
        self._fresh, self._hit = self._vectors.fresh, self._measures.hit

    # -- telling ---------------------------------------------------------------------------------------

    def record(
        self, event: Event | Mapping[str, Any], *more: Event | Mapping[str, Any], user: str | None = None
    ) -> Recorded:
        """Keep events. When this returns they are on the disk; where it raises, none of them was confirmed.

        An event with an id may be recorded again, as after an error: it counts once.

        Args:
            event: a row of the event log: ``user_id``, ``timestamp``, ``event_type`` and, where there are such,
                ``count``, ``value``, ``event_id``, ``goal_id``; or an :class:`Event`, then say whose it is.
            more: others of the same user.
            user: whose they are, where the events do not say.

        Returns:
            What became of them, and what was given up for room.

        Raises:
            InputError: an event breaks a rule, or repeats an id with other content.
            RetryLater: another process writes all the time.
            StoreError: the disk refuses.
        """
        whose, events = recording.checked((event, *more), user)
        wall = self._clock().timestamp()
        with self._users.writing() as salt:
            self._keeper.remembered(wall)
            label = self._users.label(whose, salt)
            known, lost = self._user(label)
            done = recording.add(self._users, label, known, events, salt, int(wall * 1000))
        self._vectors.outdate(whose)
        return done._replace(dropped=done.dropped + lost)

    def know(
        self,
        user: str,
        goal: str | None = None,
        context: Context | Mapping[str, Any] | None = None,
        *,
        zone: str | None = None,
    ) -> None:
        """Keep what is known besides events; it takes the place of what was told of the same user and goal.

        Args:
            user: of whom.
            goal: of which goal; None for what holds for all of them.
            context: what. Entries that were told of a goal count before those that hold for all.
            zone: IANA zone in which the user's days are counted from now on.

        Raises:
            InputError: something is wrong.
            RetryLater, StoreError: see :meth:`record`.
        """
        check_id("user", user)
        if goal is not None:
            check_id("goal", goal)
        if zone is not None:
            check_zone(zone)
        told = None if context is None else _context(context)

        def change(profile: Profile, salt: bytes) -> Profile:
            if told is not None:
                profile = profile.told(EVERY_GOAL if goal is None else goal_key(goal, salt), told)
            return profile if zone is None else profile.in_zone(zone)

        self._change(user, self._clock().timestamp(), change)

    def report(self, user: str, name: str, value: float | str, *, at: datetime | None = None) -> None:
        """Keep what no event carries, such as a mood; it takes the place of what was reported before.

        Args:
            user: of whom.
            name: of the feature. ``edge features list`` shows those that are reported, and what each takes; another
                name takes any finite number.
            value: a number, or for an input with categories one of them.
            at: when it was measured; now by default.

        Raises:
            InputError: something is wrong.
            RetryLater, StoreError: see :meth:`record`.
        """
        check_id("user", user)
        columns = declared.columns_of(name, value)
        wall = self._clock().timestamp()
        before = 0.0 if at is None else wall - _moment("at", at)
        if before < 0:
            raise InputError(f"{name} was measured at {at}, which is yet to come; check the clock")

        def change(profile: Profile, salt: bytes) -> Profile:
            now = self._keeper.remembered(wall)
            then = now._replace(wall=now.wall - before, monotonic=now.monotonic - before)
            for column, number in columns.items():
                profile = profile.reported(column, Report(number, then))
            return profile

        self._change(user, wall, change)

    def _change(self, user: str, wall: float, change: Callable[[Profile, bytes], Profile]) -> None:
        with self._users.writing() as salt:
            label = self._users.label(user, salt)
            known, _lost = self._user(label)
            before = known or self._users.begin(label, Profile())
            now_ms = int(wall * 1000)
            profile = change(before.tail.profile.watched_from(now_ms), salt)
            self._users.write(before, profile, nothing(), now_ms)
        self._vectors.outdate(user)

    def _user(self, label: str) -> tuple[User | None, Dropped]:
        """The user; where his files cannot be read any more, he begins anew, of which the store takes note."""
        try:
            return self._users.read(label), Dropped()
        except FormatError:
            self._users.remove(label)
            return None, self._users.count_damaged()

    # -- asking ----------------------------------------------------------------------------------------

    def vector(
        self, model: str | LoadedModel, user: str, goal: str | None = None, *, now: datetime | None = None
    ) -> FeatureVector:
        """The features that a model takes: as they were computed before while they are fresh, or computed now.

        Where they cannot be computed, what was computed last is used for a while, and says STALE; ``problem`` says
        why.

        Args:
            model: its name; or the model that ``client.model`` gave, which is quicker, and is sure to be the one that
                predicts from them.
            user: whose.
            goal: of which goal; None for none.
            now: the as-of moment; the wall clock by default.

        Raises:
            InputError: an argument is wrong, no zone is known to count the user's days in, or the model takes tensors.
            NotAvailable: nothing is known of this user, or there is no such model.
            FormatError: the definitions that came with the model cannot be read.
        """
        loaded: LoadedModel = self._model(model) if isinstance(model, str) else model
        definitions = loaded.definitions or _defined(loaded)
        wall = self._clock().timestamp() if now is None else _moment("now", now)
        monotonic = self._monotonic()
        try:
            found = self._fresh((definitions.fingerprint, user, goal), wall, monotonic)
        except TypeError:
            found = None  # what is no name at all; see below
        if found is not None:
            if now is None and wall - monotonic < self._keeper.least_offset:
                self._keeper.reading(wall)  # the clock was set back: what was reported is to know it
            self._hit()
            loaded.counters.count(FEATURE_HIT)
            return found
        check_id("user", user)
        if goal is not None:
            check_id("goal", goal)
        loaded.counters.count(FEATURE_MISS)
        reading = self._keeper.reading(self._clock().timestamp())
        return self._vectors.computed(
            definitions, user, goal, wall, reading._replace(wall=wall) if now is not None else reading
        )

    def reported(self, user: str, name: str, *, ttl_s: float | None = None) -> FeatureValue:
        """A number that was reported, whether it may be relied on, and how old it is.

        Args:
            user: of whom.
            name: as it was reported; of a category, ``name.category`` is 1 or 0.
            ttl_s: seconds for which it is FRESH; as the registry has it by default.

        Returns:
            The value; NaN where it is MISSING. One that is EXPIRED is told too, and is not to be used.

        Raises:
            InputError: an argument is wrong.
            StoreError: the disk refuses, or the user's file is damaged.
        """
        check_id("user", user)
        declared.check_name(name)
        if ttl_s is not None:
            check_seconds("ttl_s", ttl_s)
        salt = self._users.salt()
        known = None if salt is None else self._users.read(self._users.label(user, salt))
        report = None if known is None else known.tail.profile.reports.get(name)
        if report is None:
            return FeatureValue(float("nan"), Status.MISSING, inf)
        age = age_between(report.at, self._keeper.reading(self._clock().timestamp()))
        ttl = declared.ttl_of(name) if ttl_s is None else ttl_s
        status = status_of(age, ttl, self._settings.offline_s, current=True)
        return FeatureValue(report.value, status, age)

    def stats(self) -> FeatureStats:
        """What the store did since it was opened, and what lies there."""
        m = self._measures
        return FeatureStats(
            hits=m.hits,
            misses=m.misses,
            failures=m.failures,
            compute=m.compute,
            clock_jumps=self._keeper.jumps,
            users=len(self._users.labels()),
            bytes=self._users.size(),
            dropped=self._users.dropped(),
        )

    # -- forgetting ------------------------------------------------------------------------------------

    def erase(self, user: str) -> tuple[int, int]:
        """Erase all that is known of a user; see :meth:`edge_sdk.client.EdgeClient.erase`.

        Returns:
            How many files were removed, and the bytes in them.
        """
        check_id("user", user)
        try:
            return erase_user(self._users, self._folder, self._disk, user)
        finally:
            self._vectors.forget(user)

    def forget(self) -> None:
        """Forget what was computed; for an erase of everything."""
        self._vectors.forget()


def _defined(loaded: LoadedModel) -> Definitions:
    if not loaded.record.features or loaded.feature_spec is None:
        raise InputError(
            f"{loaded.name} takes tensors, not named features; there is nothing to compute for it"
        )
    from edge_sdk.contract import document

    try:
        spec = FeatureSpec.from_json(
            document.parse(loaded.feature_spec, "feature_spec.json", max_bytes=16_000_000)
        )
    except FeatureSpecError as error:
        raise FormatError(f"feature_spec.json of {loaded.name}: {error}") from error
    defaults = {feature.name: feature.default for feature in loaded.record.features}
    loaded.definitions = Definitions(spec, tuple(defaults), defaults, loaded.record.feature_spec_sha256)
    return loaded.definitions


def _context(given: Context | Mapping[str, Any]) -> Context:
    try:
        return given if isinstance(given, Context) else Context.from_json(given)
    except DayInputError as error:
        raise InputError(str(error)) from error


def _moment(what: str, at: object) -> float:
    if not isinstance(at, datetime) or at.tzinfo is None:
        raise InputError(f"{what} is a datetime with a zone, not {at!r:.60}")
    return at.timestamp()
