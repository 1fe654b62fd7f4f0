"""Many users' events in memory, and the day input of all of them at a cut-off day."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import tzinfo
from typing import Final

import numpy as np
import numpy.typing as npt

from feature_spec.clocks import Clocks, check_end
from feature_spec.errors import DataError
from feature_spec.vocabulary import CHANNELS, CONTEXT, EVENT_TYPES, MAX_CELL, UNKNOWN, WINDOW_DAYS

Days = npt.NDArray[np.float64]
"""Day numbers, one a user, NaN where unknown."""

_PROGRESS: Final = EVENT_TYPES.index("progress")
_MAX_DAY: Final = 10**6
_DUE: Final = EVENT_TYPES.index("task_due")


@dataclass(frozen=True, eq=False)
class People:
    """What is known of each user besides events; every column has one entry a user, in the order of ``users``.

    Days count on the same calendar as the events' days. NaN means unknown.

    Attributes:
        users: their ids, each once.
        groups: who must not be split between training and test; the user id by default.
        labels: outcomes by name, int8, -1 where unknown.
        origin: the day that the user's day 0 is, from which cut-off days count; day 0 itself by default.
        observed_from: first day on which events could have been seen; the log's first day by default.
        observed_until: the day on which observation ended; unknown while it goes on.
        account_since: the day the account was made.
        goal_start: the day the goal was set.
        goal_total_days: how many days the goal runs.
        goals_completed_before: goals brought to an end before this one.
        goals_active: goals that ran at the cut-off.
        goals_overdue: goals that were past their end and not reached at the cut-off.

    Raises:
        DataError: a user twice, or columns of different lengths.
    """

    users: tuple[str, ...]
    groups: tuple[str, ...] = ()
    labels: Mapping[str, npt.NDArray[np.int8]] = field(default_factory=dict)
    origin: Days | None = None
    observed_from: Days | None = None
    observed_until: Days | None = None
    account_since: Days | None = None
    goal_start: Days | None = None
    goal_total_days: Days | None = None
    goals_completed_before: Days | None = None
    goals_active: Days | None = None
    goals_overdue: Days | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "users", tuple(self.users))
        object.__setattr__(self, "groups", tuple(self.groups) or self.users)
        object.__setattr__(self, "labels", {k: np.asarray(v, np.int8) for k, v in self.labels.items()})
        count = len(self.users)
        if len(set(self.users)) != count:
            raise DataError("a user appears twice among the people; give each one row")
        for item in fields(self):
            column = getattr(self, item.name)
            if item.name not in {"users", "groups", "labels"}:
                unknown = 0.0 if item.name == "origin" else np.nan
                column = np.full(count, unknown) if column is None else np.asarray(column, np.float64)
                object.__setattr__(self, item.name, column)
            for name, values in column.items() if item.name == "labels" else ((item.name, column),):
                if len(values) != count:
                    raise DataError(f"'{name}' has {len(values)} entries for {count} users; give one a user")

    def days(self, name: str) -> Days:
        """The column ``name`` of days or numbers, NaN where unknown."""
        return np.asarray(getattr(self, name), np.float64)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The day input of every user who was observed at the cut-off, in the order of their ids.

    Attributes:
        users: their ids.
        groups: who must not be split between training and test.
        daily: float32 [n, 90, 8, 3].
        context: float32 [n, 14], -1 where unknown.
        labels: outcomes by name, int8 [n], -1 where unknown.
        notices: what was left out or assumed, for people to read.
    """

    users: tuple[str, ...]
    groups: tuple[str, ...]
    daily: npt.NDArray[np.float32]
    context: npt.NDArray[np.float32]
    labels: dict[str, npt.NDArray[np.int8]]
    notices: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Cut:
    """Who is looked at on which day.

    Attributes:
        kept: indexes into ``people`` of those who were observed at the cut-off.
        as_of: the as-of day of everybody.
        days_observed: how many days everybody was observed, at most 90.
        context: float32 [n, 14] of everybody, -1 where unknown.
        notices: what was left out, for people to read.
    """

    kept: npt.NDArray[np.intp]
    as_of: Days
    days_observed: Days
    context: npt.NDArray[np.float32]
    notices: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Events of many users; made by ``from_columns`` or by ``load``.

    Attributes:
        people: the users, sorted by id.
        user: index into ``people`` for each event.
        day: day number of each event.
        event_type: index into ``EVENT_TYPES`` of each event.
        count: how often it happened in this row.
        value: the value of the row, NaN where it has none.
        calendar: whether day numbers are dates, as days since 1970-01-01.
        clocks: when events happened, in the order of the events; None for a log of days.
        notices: what was left out while reading.
    """

    people: People
    user: npt.NDArray[np.int64]
    day: npt.NDArray[np.int64]
    event_type: npt.NDArray[np.int64]
    count: npt.NDArray[np.float64]
    value: npt.NDArray[np.float64]
    calendar: bool = False
    clocks: Clocks | None = None
    notices: tuple[str, ...] = ()

    @classmethod
    def from_columns(
        cls,
        *,
        user: Sequence[str],
        day: npt.ArrayLike | None = None,
        event_type: Sequence[str],
        count: npt.ArrayLike,
        value: npt.ArrayLike | None = None,
        people: People | None = None,
        calendar: bool = False,
        instant: npt.ArrayLike | None = None,
        zone: Callable[[str], tzinfo] | None = None,
        notices: tuple[str, ...] = (),
    ) -> Dataset:
        """Make a dataset from columns in memory, one entry an event; rows with the same key add up.

        Args:
            user: user ids.
            day: whole day numbers, or give ``instant`` and ``zone``; cut-off days count from day 0 unless
                ``people.origin`` says otherwise.
            event_type: names from ``EVENT_TYPES``.
            count: how often, not negative.
            value: NaN where an event has none.
            people: the users with what else is known; those with events if None. Events of users who are
                not among them are left out and counted in a notice.
            calendar: whether day numbers are dates, as days since 1970-01-01; they are where they follow from
                instants.
            instant: milliseconds since 1970-01-01T00:00:00Z.
            zone: the zone of each user, in which instants become days.
            notices: passed on to every snapshot.

        Raises:
            DataError: columns of different lengths, unknown types, NaN, infinite or negative numbers, or
                labelled users of whom none has an event.
        """
        if (day is None) == (instant is None) or (instant is None) != (zone is None):
            raise DataError("give either day numbers, or instants and the zone of each user")
        moments = None if instant is None else np.asarray(instant, np.int64)
        counts = np.asarray(count, np.float64)
        days = (
            np.zeros(0 if moments is None else len(moments)) if day is None else np.asarray(day, np.float64)
        )
        values = np.full(len(counts), np.nan) if value is None else np.asarray(value, np.float64)
        if not len(user) == len(days) == len(event_type) == len(counts) == len(values):
            raise DataError("the event columns differ in length; give one entry an event")
        if not np.isfinite(days).all() or (days != np.floor(days)).any() or (np.abs(days) > _MAX_DAY).any():
            raise DataError("the event column day holds numbers that are not whole days")
        if not np.isfinite(counts).all() or (counts < 0).any() or np.isinf(values).any():
            raise DataError(
                "the event columns hold a negative count or an infinite number; counts start at 0"
            )
        order = {name: index for index, name in enumerate(EVENT_TYPES)}
        unknown = sorted(set(event_type) - set(order))
        if unknown:
            raise DataError(f"unknown event type '{unknown[0]}'; the types are {', '.join(EVENT_TYPES)}")
        sorted_people = _sorted(people or People(tuple(set(user))))
        place = {name: index for index, name in enumerate(sorted_people.users)}
        owner = np.array([place.get(name, -1) for name in user], np.int64)
        kept = owner >= 0
        if people is not None and not kept.any():
            raise DataError("none of the labelled users has an event; do events and labels name users alike?")
        clocks = None
        if moments is not None and zone is not None:
            clocks = Clocks.of(moments[kept], owner[kept], [zone(name) for name in sorted_people.users])
        return cls(
            people=sorted_people,
            user=owner[kept],
            day=days[kept].astype(np.int64) if clocks is None else clocks.day,
            event_type=np.array([order[name] for name in event_type], np.int64)[kept],
            count=counts[kept],
            value=values[kept],
            calendar=calendar or clocks is not None,
            clocks=clocks,
            notices=(*notices, *_count_notices(sorted_people, user, owner)),
        )

    def with_due(self, days: Sequence[int]) -> Dataset:
        """Add one ``task_due`` on each of ``days`` for every user whose observed period covers it."""
        due = np.asarray(days, np.int64)
        begin, end = (self.people.days(name)[:, None] for name in ("observed_from", "observed_until"))
        covered = ~((due[None, :] < begin) | (due[None, :] >= end))  # an unknown bound excludes nothing
        user, item = np.nonzero(covered)
        return replace(
            self,
            user=np.concatenate([self.user, user]),
            day=np.concatenate([self.day, due[item]]),
            event_type=np.concatenate([self.event_type, np.full(len(user), _DUE)]),
            count=np.concatenate([self.count, np.ones(len(user))]),
            value=np.concatenate([self.value, np.full(len(user), np.nan)]),
            clocks=None if self.clocks is None else self.clocks.and_days(due[item]),
        )

    def snapshot(self, cutoff_day: int | None) -> Snapshot:
        """The day input at the end of local day ``cutoff_day`` of each user, that day included.

        Args:
            cutoff_day: counted from each user's day 0; None means the last day of the log for everybody.

        Raises:
            DataError: nobody is left, a user's day 0 is unknown, or a cell is beyond 2^24.
        """
        cut = self.cut(cutoff_day)
        return Snapshot(
            users=tuple(self.people.users[i] for i in cut.kept),
            groups=tuple(self.people.groups[i] for i in cut.kept),
            daily=self._daily(*self._inside(cut.as_of, cut.days_observed))[cut.kept],
            context=cut.context[cut.kept],
            labels={name: values[cut.kept] for name, values in self.people.labels.items()},
            notices=cut.notices,
        )

    def cut(self, cutoff_day: int | None) -> Cut:
        """Who is there at the end of local day ``cutoff_day`` of each user, and what is known of them besides events.

        Raises:
            DataError: nobody is left, a user's day 0 is unknown, or the log ends long after nearly all of it.
        """
        first_day, last_day = self._span()
        as_of = self._as_of(cutoff_day, last_day)
        if cutoff_day is None:
            check_end(self.day[self.event_type != _DUE], last_day, self.calendar)
        notices = []
        # A log cannot know what happened before it began: those days are missing, not idle.
        observed_from = np.fmax(self.people.days("observed_from"), first_day)
        observed = as_of - observed_from + 1
        gone = self.people.days("observed_until") <= as_of
        early = ~gone & ~(observed >= 1)
        for who, why in ((gone, "observation ended on or before"), (early, "observation began after")):
            if who.any():
                notices.append(f"left out {who.sum()} of {len(who)} users whose {why} the cut-off day")
        kept = np.flatnonzero(~gone & ~early)
        if not len(kept):
            raise DataError("nobody was observed at the cut-off day; choose another --cutoff-day")
        days_observed = np.minimum(observed, WINDOW_DAYS)
        _, inside = self._inside(as_of, days_observed)
        context = self._context(as_of, days_observed, inside)
        return Cut(kept, as_of, days_observed, context, (*self.notices, *notices))

    def _inside(self, as_of: Days, days_observed: Days) -> tuple[Days, npt.NDArray[np.bool_]]:
        """How many days each event lies back, and whether it counts."""
        index = as_of[self.user] - self.day
        return index, (index >= 0) & (index < np.maximum(days_observed, 0)[self.user])

    def _span(self) -> tuple[float, float]:
        """First and last day on which anybody did anything; what falls due may lie in the future."""
        done = self.day[self.event_type != _DUE]
        seen = done if len(done) else self.day
        return (float(seen.min()), float(seen.max())) if len(seen) else (0.0, 0.0)

    def _as_of(self, cutoff_day: int | None, last_day: float) -> Days:
        if cutoff_day is None:
            return np.full(len(self.people.users), last_day)
        if abs(cutoff_day) > _MAX_DAY:
            raise DataError(f"the cut-off day {cutoff_day} is centuries from day 0; check --cutoff-day")
        origin = self.people.days("origin")
        missing = np.flatnonzero(np.isnan(origin))
        if len(missing):
            raise DataError(
                f"user '{self.people.users[missing[0]]}' has no start_date to count --cutoff-day from; "
                "give the labels a start_date column"
            )
        return origin + cutoff_day

    def _daily(self, index: Days, inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
        shape = (len(self.people.users), WINDOW_DAYS, len(EVENT_TYPES))
        user, past, kind = self.user[inside], index[inside].astype(np.int64), self.event_type[inside]
        cell = (user * WINDOW_DAYS + past) * len(EVENT_TYPES) + kind
        size = int(np.prod(shape))
        value = self.value[inside]
        channels = (self.count[inside], ~np.isnan(value), np.nan_to_num(value))
        daily = np.empty((*shape, len(CHANNELS)), np.float32)
        for channel, weights in enumerate(channels):
            total = np.bincount(cell, weights=weights, minlength=size)
            if (np.abs(total) > MAX_CELL).any():
                where = np.unravel_index(int(np.argmax(np.abs(total))), shape)
                raise DataError(
                    f"user '{self.people.users[where[0]]}' has more than 2^24 of {EVENT_TYPES[where[2]]} "
                    f"({CHANNELS[channel]}) on one day; check the units"
                )
            daily[..., channel] = total.reshape(shape)
        return daily

    def _context(
        self, as_of: Days, days_observed: Days, inside: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.float32]:
        acts = np.where(inside & (self.event_type != _DUE), self.count, 0.0)
        columns = {
            "days_observed": days_observed,
            "account_age_days": as_of - self.people.days("account_since"),
            "goal_age_days": as_of - self.people.days("goal_start"),
            "goal_total_days": self.people.days("goal_total_days"),
            "goals_completed_before": self.people.days("goals_completed_before"),
            "progress": self._progress(as_of),
            "goals_active": self.people.days("goals_active"),
            "goals_overdue": self.people.days("goals_overdue"),
            **(_calendar(as_of) if self.calendar else {}),
            **({} if self.clocks is None else self.clocks.context(as_of, self.user, acts)),
        }
        unknown = np.full(len(as_of), np.nan)
        context = np.stack([columns.get(name, unknown) for name in CONTEXT], axis=1)
        # What begins after the cut-off has no age yet.
        return np.where(np.isnan(context) | (context < 0), UNKNOWN, context).astype(np.float32)

    def _progress(self, as_of: Days) -> Days:
        """Progress so far: the sum of all gains up to the as-of day; unknown where a log never reports any."""
        gains = (self.event_type == _PROGRESS) & ~np.isnan(self.value)
        if not gains.any():
            return np.full(len(as_of), np.nan)
        gains &= self.day <= as_of[self.user]
        total = np.bincount(self.user[gains], weights=self.value[gains], minlength=len(as_of))
        return np.clip(total, 0.0, 1.0)


def _calendar(as_of: Days) -> dict[str, Days]:
    """What the calendar says of dates given as days since 1970-01-01, which was a Thursday."""
    date = as_of.astype(np.int64).astype("datetime64[D]")
    month, year = date.astype("datetime64[M]"), date.astype("datetime64[Y]")
    return {
        "weekday": (as_of + 3) % 7,
        "day_of_month": (date - month).astype(np.float64) + 1,
        "day_of_year": (date - year).astype(np.float64) + 1,
    }


def _sorted(people: People) -> People:
    order = sorted(range(len(people.users)), key=people.users.__getitem__)
    columns = {
        item.name: people.days(item.name)[order]
        for item in fields(people)
        if item.name not in {"users", "groups", "labels"}
    }
    return People(
        users=tuple(people.users[i] for i in order),
        groups=tuple(people.groups[i] for i in order),
        labels={name: values[order] for name, values in people.labels.items()},
        **columns,
    )


def _count_notices(people: People, user: Sequence[str], owner: npt.NDArray[np.int64]) -> list[str]:
    notices = []
    idle = len(people.users) - len(np.unique(owner[owner >= 0]))
    if idle:
        notices.append(f"{idle} of {len(people.users)} labelled users have no event: their history is empty")
    strangers = {user[int(i)] for i in np.flatnonzero(owner < 0)}
    if strangers:
        notices.append(f"left out the events of {len(strangers)} users without a label")
    return notices
