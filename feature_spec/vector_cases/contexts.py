"""What an app knows besides events: ages, the goal, other goals."""

from __future__ import annotations

from typing import Any, Final

from feature_spec.vector_cases.case import KNOWN, Case, ago


def _given(name: str, why: str, **context: Any) -> Case:
    return Case(name, why, context=context)


CASES: Final[tuple[Case, ...]] = (
    Case(
        "context-local",
        "ages count local days: in Auckland the as-of day is 2026-04-01",
        zone="Pacific/Auckland",
        context={"observed_since": "2026-04-01", "account_since": "2026-03-31", "goal_start": "2026-04-01"},
    ),
    Case(
        "context-ahead",
        "a goal that starts after the as-of day has no age yet",
        context={"goal_start": "2026-04-01", "account_since": "2026-05-01", "goal_total_days": 30},
    ),
    Case("context-null", "null is unknown", context=dict.fromkeys(KNOWN)),
    _given("age-zero", "what began today is 0 days old", account_since="2026-03-31", goal_start="2026-03-31"),
    _given(
        "age-one", "what began yesterday is 1 day old", account_since="2026-03-30", goal_start="2026-03-30"
    ),
    _given(
        "age-over-leap-day",
        "ages count every day of the calendar",
        account_since="2024-02-28",
        goal_start="2024-03-01",
    ),
    _given("age-oldest", "dates go back to 1970-01-01", account_since="1970-01-01", goal_start="1970-01-02"),
    _given("age-latest", "and go on to 2199-12-31, which has not happened", account_since="2199-12-31"),
    Case(
        "age-over-dst",
        "ages are differences of dates: a day of 23 hours is one day",
        as_of="2026-03-29T22:00:00Z",
        zone="Europe/Berlin",
        context={"account_since": "2026-03-28", "goal_start": "2026-03-29"},
    ),
    Case(
        "age-does-not-depend-on-observation",
        "an account may be older than its observation",
        (ago(2),),
        context={"observed_since": "2026-03-30", "account_since": "2020-02-29"},
    ),
    _given(
        "total-one", "a goal may run a single day", goal_total_days=1, goal_start="2026-03-31", progress=0.5
    ),
    _given("total-largest", "or 1,000,000", goal_total_days=1_000_000),
    _given("total-whole", "30.0 is a whole number", goal_total_days=30.0),
    _given(
        "total-over",
        "a goal may be older than it was to run",
        goal_total_days=10,
        goal_start="2026-01-01",
        progress=0.5,
    ),
    _given(
        "completed-zero",
        "no goal brought to an end is known, and differs from unknown",
        goals_completed_before=0,
    ),
    _given("completed-largest", "1,000,000 at most", goals_completed_before=1_000_000),
    Case("progress-zero", "progress 0 is known, and differs from unknown", context=KNOWN | {"progress": 0}),
    _given("progress-one", "progress 1 is a goal reached", progress=1),
    _given("progress-rounded", "progress is rounded to float32, like every number", progress=0.1),
    _given("active-zero", "no goal that runs is known, and differs from unknown", goals_active=0),
    _given("active-largest", "1,000,000 at most", goals_active=1_000_000, goals_overdue=1_000_000),
    _given("active-whole", "3.0 is a whole number", goals_active=3.0, goals_overdue=2.0),
    _given("overdue-zero", "no overdue goal is known, and differs from unknown", goals_overdue=0),
    _given(
        "overdue-more-than-active",
        "neither number limits the other: an app says what it means",
        goals_active=1,
        goals_overdue=5,
    ),
    _given("overdue-alone", "each may be unknown", goals_overdue=2, goals_active=None),
)
