"""The day input of one user: the reference for everybody who fills the tensors on a device.

The rules, in the order in which the code applies them (docs/protocol/day-input.md explains them):

1. Every event and the context are well-formed, or the whole input is refused.
2. Events with one id and the same content are one event; with other content they are refused.
3. What happened after the as-of instant does not count.
4. An event's day is the local calendar day of its instant; its index is how many calendar days that lies
   before the as-of day. Days before observation began, beyond 90, and after the as-of day do not count.
5. Rows of one day and type add up: counts, numbers of values, sums of values.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feature_spec.errors import DataError, DayInputError
from feature_spec.instants import EPOCH_DAY, local_moment, parse_date, parse_instant, zone
from feature_spec.tables import MAX_COUNT, MAX_VALUE
from feature_spec.vocabulary import (
    CHANNELS,
    CONTEXT,
    COUNT,
    EVENT_TYPES,
    MAX_CELL,
    SUM,
    UNKNOWN,
    VALUES,
    WINDOW_DAYS,
)

REASONS: Final = (
    "bad-event",
    "bad-timestamp",
    "bad-zone",
    "unknown-event-type",
    "bad-count",
    "bad-value",
    "event-id-conflict",
    "bad-context",
    "not-observed",
    "too-many",
)
"""Every code that ``DayInputError.reason`` can be."""

_EVENT_KEYS: Final = ("timestamp", "event_type", "count", "value", "event_id", "goal_id")
_NUMBERS: Final = (
    ("goal_total_days", 1),
    ("goals_completed_before", 0),
    ("goals_active", 0),
    ("goals_overdue", 0),
)
_HOUR: Final = 3_600_000
"""Milliseconds."""

_NOON: Final = 12
_DATES: Final = ("observed_since", "account_since", "goal_start")


@dataclass(frozen=True)
class Event:
    """Something that happened, as an app records it.

    Attributes:
        timestamp: RFC 3339 with ``Z`` or an offset; finer than milliseconds is dropped.
        event_type: one of ``EVENT_TYPES``.
        count: how often, 0 to 1,000,000.
        value: a number that goes with it, at most 1,000,000 in magnitude; None where there is none.
        event_id: identifies an event that may be delivered twice.
        goal_id: the goal it belongs to; not counted by, but part of the content under an id.
        instant: milliseconds since 1970-01-01T00:00:00Z, derived.

    Raises:
        DayInputError: a part breaks a rule.
    """

    timestamp: str
    event_type: str
    count: int = 1
    value: float | None = None
    event_id: str | None = None
    goal_id: str | None = None
    instant: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "instant", _instant(self.timestamp))
        if self.event_type not in EVENT_TYPES:
            known = ", ".join(EVENT_TYPES)
            raise DayInputError(
                "unknown-event-type", f"unknown event type {self.event_type!r:.60}; use one of {known}"
            )
        if not _is_whole(self.count, 0):
            raise DayInputError(
                "bad-count", f"the count {self.count!r:.60} is no whole number from 0 to {MAX_COUNT:,}"
            )
        if self.value is not None and not _is_number(self.value, -MAX_VALUE, MAX_VALUE):
            raise DayInputError(
                "bad-value",
                f"the value {self.value!r:.60} is no finite number within ±{MAX_VALUE:,.0f}; omit it",
            )
        for name in ("event_id", "goal_id"):
            text = getattr(self, name)
            if text is not None and not (isinstance(text, str) and text):
                raise DayInputError(
                    "bad-event", f"{name} is {text!r:.60}; give a text that is not empty, or omit it"
                )

    @property
    def content(self) -> tuple[object, ...]:
        """What a repeated event id must repeat."""
        return (self.instant, self.event_type, self.count, self.value, self.goal_id)

    @classmethod
    def from_json(cls, data: Any) -> Event:
        """Read an event from its JSON object.

        Raises:
            DayInputError: it is no object, lacks a timestamp or type, has an unknown key, or breaks a rule.
        """
        if not isinstance(data, Mapping) or "timestamp" not in data or "event_type" not in data:
            raise DayInputError("bad-event", "an event is an object with at least timestamp and event_type")
        unknown = sorted(str(key) for key in data if key not in _EVENT_KEYS)
        if unknown:
            raise DayInputError(
                "bad-event", f"an event has the unknown key '{unknown[0]}'; use {', '.join(_EVENT_KEYS)}"
            )
        return cls(**data)


@dataclass(frozen=True)
class Context:
    """What is known of a user besides events; None where nobody knows.

    Attributes:
        observed_since: local date from which events were recorded.
        account_since: local date on which the account was made.
        goal_start: local date on which the goal was set.
        goal_total_days: how many days the goal runs, at least 1.
        goals_completed_before: goals brought to an end before this one.
        progress: how much of the goal is reached, 0 to 1.
        goals_active: goals that run now.
        goals_overdue: goals past their end and not reached.

    Raises:
        DayInputError: a part breaks a rule.
    """

    observed_since: str | None = None
    account_since: str | None = None
    goal_start: str | None = None
    goal_total_days: int | None = None
    goals_completed_before: int | None = None
    progress: float | None = None
    goals_active: int | None = None
    goals_overdue: int | None = None

    def __post_init__(self) -> None:
        for name in _DATES:
            self.date(name)
        for name, low in _NUMBERS:
            number = getattr(self, name)
            if number is not None and not _is_whole(number, low):
                raise DayInputError(
                    "bad-context", f"{name} is {number!r:.60}; give a whole number from {low}, or omit it"
                )
        if self.progress is not None and not _is_number(self.progress, 0, 1):
            raise DayInputError("bad-context", f"progress is {self.progress!r:.60}; give 0 to 1, or omit it")

    def date(self, name: str) -> int | None:
        """The date ``name`` as days since 1970-01-01, None where unknown."""
        text = getattr(self, name)
        if text is None:
            return None
        try:
            return parse_date(text if isinstance(text, str) else repr(text))
        except DataError as error:
            raise DayInputError("bad-context", f"{name}: {error}") from None

    @classmethod
    def from_json(cls, data: Any) -> Context:
        """Read a context from its JSON object.

        Raises:
            DayInputError: it is no object, has an unknown key, or breaks a rule.
        """
        if not isinstance(data, Mapping):
            raise DayInputError(
                "bad-context", "a context is an object; an empty one says that nothing is known"
            )
        unknown = sorted(str(key) for key in data if key not in cls.__dataclass_fields__)
        if unknown:
            known = ", ".join(cls.__dataclass_fields__)
            raise DayInputError("bad-context", f"the context has the unknown key '{unknown[0]}'; use {known}")
        return cls(**data)


@dataclass(frozen=True, eq=False)
class DayInput:
    """The two tensors: ``daily`` float32 [90, 8, 3] and ``context`` float32 [14]."""

    daily: npt.NDArray[np.float32]
    context: npt.NDArray[np.float32]


def day_input(
    events: Iterable[Event], as_of: str, zone_name: str, context: Context | None = None
) -> DayInput:
    """The day input of one user at an instant.

    Args:
        events: in any order.
        as_of: RFC 3339; what happened later does not count.
        zone_name: IANA zone in which the user's days are counted.
        context: what else is known.

    Raises:
        DayInputError: the input breaks a rule.
    """
    now = _instant(as_of)
    try:
        where = zone(zone_name)
    except DataError as error:
        raise DayInputError("bad-zone", str(error)) from None
    today = local_moment(now, where).toordinal() - EPOCH_DAY
    scalars = _dated(context or Context(), today) | _clock(now, where)
    days_observed = scalars["days_observed"]
    observed = WINDOW_DAYS if days_observed is None else int(days_observed)
    happened = [event for event in _unrepeated(events) if event.instant <= now]
    daily, acts = _daily(happened, today, observed, where)
    last = max((event.instant for event, _ in acts), default=None)
    scalars["hours_since_last_act"] = None if last is None else (now - last) / _HOUR
    morning_acts = sum(event.count for event, hour in acts if hour < _NOON)
    if morning_acts > MAX_CELL:
        raise DayInputError("too-many", "there are more than 2^24 acts before noon; check the counts")
    scalars["morning_acts"] = morning_acts
    known = [UNKNOWN if (value := scalars[name]) is None else value for name in CONTEXT]
    return DayInput(daily, np.array(known, np.float32))


def _daily(
    events: list[Event], today: int, observed: int, where: tzinfo
) -> tuple[npt.NDArray[np.float32], list[tuple[Event, int]]]:
    """The tensor, and the acts in it with the local hour of each."""
    # Doubles, rounded once at the end: sums in float32 would depend on the order of the events.
    daily = np.zeros((WINDOW_DAYS, len(EVENT_TYPES), len(CHANNELS)))
    acts = []
    for event in events:
        moment = local_moment(event.instant, where)
        index = today - (moment.toordinal() - EPOCH_DAY)
        if not 0 <= index < observed:  # below 0 where clocks went back over midnight: that day is yet to come
            continue
        if event.count and event.event_type != "task_due":
            acts.append((event, moment.hour))
        cell = daily[index, EVENT_TYPES.index(event.event_type)]
        cell[COUNT] += event.count
        if event.value is not None:
            cell[VALUES] += 1
            cell[SUM] += event.value
    if (np.abs(daily) > MAX_CELL).any():
        raise DayInputError("too-many", "a day adds up to more than 2^24 of one event type; check the units")
    return daily.astype(np.float32), acts


def _unrepeated(events: Iterable[Event]) -> Iterable[Event]:
    seen: dict[str, Event] = {}
    for event in events:
        if event.event_id is None:
            yield event
        elif event.event_id not in seen:
            seen[event.event_id] = event
            yield event
        elif seen[event.event_id].content != event.content:
            raise DayInputError(
                "event-id-conflict",
                f"the event id '{event.event_id[:40]}' comes with two contents; give every event its own id",
            )


def _dated(known: Context, today: int) -> dict[str, float | None]:
    """What is known besides events, on the as-of day."""
    since = known.date("observed_since")
    if since is not None and since > today:
        raise DayInputError(
            "not-observed", "observation begins after the as-of day; there is nothing to compute yet"
        )
    return {
        "days_observed": None if since is None else min(today - since + 1, WINDOW_DAYS),
        "account_age_days": _age(known.date("account_since"), today),
        "goal_age_days": _age(known.date("goal_start"), today),
        "goal_total_days": known.goal_total_days,
        "goals_completed_before": known.goals_completed_before,
        "progress": known.progress,
        "goals_active": known.goals_active,
        "goals_overdue": known.goals_overdue,
    }


def _clock(now: int, where: tzinfo) -> dict[str, float | None]:
    """What calendar and clock show at the as-of instant."""
    moment = local_moment(now, where)
    return {
        "weekday": moment.weekday(),
        "hour_of_day": moment.hour,
        "day_of_month": moment.day,
        "day_of_year": moment.timetuple().tm_yday,
    }


def _age(since: int | None, today: int) -> int | None:
    """Days since a date; what lies ahead has no age yet, so it is unknown."""
    return None if since is None or since > today else today - since


def _instant(text: object) -> int:
    try:
        return parse_instant(text if isinstance(text, str) else repr(text))
    except DataError as error:
        raise DayInputError("bad-timestamp", str(error)) from None


def _is_number(value: object, low: float, high: float) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and low <= value <= high


def _is_whole(value: object, low: int) -> bool:
    # 3.0 is whole too: JSON has one kind of number, and a reader in JavaScript cannot tell the two apart.
    return _is_number(value, low, MAX_COUNT) and float(value).is_integer()  # type: ignore[arg-type]
