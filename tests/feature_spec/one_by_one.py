"""The day input written event by event from docs/protocol/day-input.md: what the columns are compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from feature_spec.day_input import Context, DayInput, Event
from feature_spec.errors import DayInputError
from feature_spec.instants import parse_instant
from feature_spec.vocabulary import CONTEXT, EVENT_TYPES

Index = Callable[[datetime, datetime, ZoneInfo], int]
Compute = Callable[[Iterable[Event], str, str, Context | None], DayInput]


def calendar_days(event: datetime, now: datetime, where: ZoneInfo) -> int:
    """How many calendar days an event lies back: the rule."""
    return (now.astimezone(where).date() - event.astimezone(where).date()).days


def hours_by_24(event: datetime, now: datetime, _where: ZoneInfo) -> int:
    """Wrong: days are not 24 hours, nor do they begin at the as-of instant."""
    return (now - event) // timedelta(hours=24)


def present_offset(event: datetime, now: datetime, where: ZoneInfo) -> int:
    """Wrong: clocks were another offset ahead when the event happened."""
    offset = now.astimezone(where).utcoffset()
    assert offset is not None
    return ((now + offset).date() - (event + offset).date()).days


def written_offset(event: datetime, now: datetime, _where: ZoneInfo) -> int:
    """Wrong: what a timestamp's own offset, or UTC, says of the day."""
    return (now.date() - event.date()).days


def compute_with(index_of: Index) -> Compute:
    """The day input with a way to number days."""

    def compute(events: Iterable[Event], as_of: str, zone: str, context: Context | None = None) -> DayInput:
        return _compute(
            list(events), _at(parse_instant(as_of)), ZoneInfo(zone), context or Context(), index_of
        )

    return compute


one_by_one = compute_with(calendar_days)


def _compute(
    events: list[Event], now: datetime, where: ZoneInfo, context: Context, index_of: Index
) -> DayInput:
    today = now.astimezone(where).date()
    seen: dict[str, tuple[Any, ...]] = {}
    daily = np.zeros((90, 8, 3))
    acts: list[tuple[datetime, int]] = []
    since = context.observed_since
    observed = 90 if since is None else min((today - date.fromisoformat(since)).days + 1, 90)
    for event in events:
        content = (event.instant, event.event_type, event.count, event.value, event.goal_id)
        if event.event_id is not None:
            if seen.setdefault(event.event_id, content) != content:
                raise DayInputError("event-id-conflict", event.event_id)
            if seen[event.event_id] is not content:
                continue
        moment = _at(event.instant)
        index = index_of(moment, now, where)
        if moment > now or not 0 <= index < observed:
            continue
        cell = daily[index, EVENT_TYPES.index(event.event_type)]
        cell += (event.count, 0, 0) if event.value is None else (event.count, 1, event.value)
        if event.event_type != "task_due" and event.count > 0:
            acts.append((moment, event.count))
    known: dict[str, Any] = {
        "days_observed": None if since is None else observed,
        "hours_since_last_act": min(
            ((now - moment) / timedelta(hours=1) for moment, _ in acts), default=None
        ),
        "weekday": today.weekday(),
        "hour_of_day": now.astimezone(where).hour,
        "day_of_month": today.day,
        "day_of_year": (today - date(today.year, 1, 1)).days + 1,
        "morning_acts": sum(count for moment, count in acts if moment.astimezone(where).hour < 12),
    }
    for name, began in (("account_age_days", context.account_since), ("goal_age_days", context.goal_start)):
        age = None if began is None else (today - date.fromisoformat(began)).days
        known[name] = None if age is None or age < 0 else age
    values = [known[name] if name in known else getattr(context, name) for name in CONTEXT]
    return DayInput(
        daily.astype(np.float32), np.array([-1 if value is None else value for value in values], np.float32)
    )


def _at(instant: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=instant)
