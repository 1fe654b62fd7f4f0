"""Whole users: what the prebuilt features make of somebody quiet, steady, gone, new or busy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from feature_spec.vector_cases.case import KNOWN, Case, ago, at
from feature_spec.vocabulary import EVENT_TYPES


def _habit() -> Iterator[dict[str, Any]]:
    """A user who comes daily, talks weekly, and does most of what falls due, better each time."""
    for days in range(60):
        yield ago(days, "session", count=1 + days % 3)
        if days % 7 == 2:
            yield ago(days, "message", count=2)
            yield ago(days, "task_due")
        if days % 7 == 3 and days % 21 != 3:
            yield ago(days, "task_done", value=(90 - days) / 100)
            yield ago(days, "progress", value=0.0625)


CASES: Final[tuple[Case, ...]] = (
    Case(
        "worked-example",
        "the example of the page: a user in Berlin on the day after clocks went forward",
        (
            at("2026-03-30T05:00:00Z", value=12.5),
            at("2026-03-29T22:30:00Z", "message", event_id="m-1", value=40),
            at("2026-03-30T00:30:00+02:00", "message", event_id="m-1", value=40),
            at("2026-03-28T23:30:00Z", "task_done", value=0.75),
            at("2026-03-28T22:45:00Z", "check_in", count=2, value=4),
            at("2026-03-30T07:00:00Z", "task_due"),
            at("2026-03-26T18:00:00Z", count=3),
        ),
        as_of="2026-03-30T06:15:00Z",
        zone="Europe/Berlin",
        context={
            "observed_since": "2026-03-27",
            "account_since": "2026-02-28",
            "goal_start": "2026-03-16",
            "goal_total_days": 30,
            "progress": 0.25,
            "goals_active": 2,
            "goals_overdue": 0,
        },
    ),
    Case("empty", "no events and nothing known: every feature has its missing value"),
    Case("empty-known", "no events, but everything else known", context=KNOWN),
    Case("habit", "a steady user, everything known", tuple(_habit()), context=KNOWN),
    Case("habit-unknown", "the same events, nothing else known", tuple(_habit())),
    Case(
        "habit-stopped",
        "the same user, forty days later",
        tuple(_habit()),
        as_of="2026-05-10T12:00:00Z",
        context=KNOWN,
    ),
    Case(
        "streak-today-open",
        "a today without an act does not break the streak",
        (ago(1), ago(2), ago(3), ago(5)),
    ),
    Case(
        "due-is-no-act",
        "what falls due is not something the user did: no streak, no activity, no last act",
        (ago(0, "task_due"), ago(1, "task_due")),
    ),
    Case(
        "saturation",
        "very active: scores stay within their range",
        tuple(ago(days, "message", count=1_000_000) for days in range(10)),
        context={"observed_since": "2026-03-22"},
    ),
    Case(
        "over-done",
        "more done than due, and progress faster than the scale: clipped",
        (ago(0, "task_due"), ago(0, "task_done", count=5, value=9), ago(1, "progress", value=3)),
        context=KNOWN | {"progress": 1, "goal_start": "2026-03-31"},
    ),
    Case(
        "first-day",
        "an account, an observation and a goal that began today",
        (ago(0, "session"), ago(0.1, "progress", value=0.125)),
        context={"observed_since": "2026-03-31", "account_since": "2026-03-31", "goal_start": "2026-03-31"},
    ),
    Case(
        "every-day",
        "an event every day for a hundred days, each type in turn: ninety days count",
        tuple(ago(days, EVENT_TYPES[days % 8], count=1 + days % 3, value=days / 4) for days in range(100)),
        context=KNOWN | {"observed_since": "2025-06-01"},
    ),
)
