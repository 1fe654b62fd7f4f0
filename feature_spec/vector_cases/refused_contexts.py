"""Contexts to refuse."""

from __future__ import annotations

from typing import Any, Final

from feature_spec.vector_cases.case import MORNING, Case, at


def _bad(name: str, why: str, **context: Any) -> tuple[Case, str]:
    return Case(f"context-{name}", why, (at(MORNING),), context=context), "bad-context"


def _other(name: str, context: Any, why: str) -> tuple[Case, str]:
    return Case(f"context-is-{name}", why, (at(MORNING),), context=context), "bad-context"


CASES: Final[tuple[tuple[Case, str], ...]] = (
    _bad("date", "dates are YYYY-MM-DD", goal_start="31.03.2026"),
    _bad("date-slashes", "with hyphens", goal_start="2026/03/31"),
    _bad("date-short", "and two digits for month and day", goal_start="2026-3-1"),
    _bad("date-empty", "an empty text is not the same as unknown", observed_since=""),
    _bad("date-number", "a number is no date", observed_since=20260331),
    _bad("date-time", "a date has no time", account_since="2026-03-31T00:00:00Z"),
    _bad("date-month-13", "there is no month 13", account_since="2025-13-01"),
    _bad("date-february-30", "there is no 30 February", goal_start="2026-02-30"),
    _bad("date-february-29", "2025 was no leap year", goal_start="2025-02-29"),
    _bad("date-year-1969", "years are 1970 to 2199, as in timestamps", account_since="1969-12-31"),
    _bad("date-year-2200", "years are 1970 to 2199, as in timestamps", goal_start="2200-01-01"),
    _bad("total-zero", "a goal runs at least a day", goal_total_days=0),
    _bad("total-fraction", "days are whole", goal_total_days=30.5),
    _bad("total-huge", "a goal runs at most 1,000,000 days", goal_total_days=1_000_001),
    _bad("total-text", "a text is no number", goal_total_days="30"),
    _bad("completed-huge", "at most 1,000,000 goals", goals_completed_before=1_000_001),
    _bad("completed-negative", "goals are counted from 0", goals_completed_before=-1),
    _bad("completed-bool", "true is no number", goals_completed_before=True),
    _bad("active-negative", "goals are counted from 0; unknown is null or absent", goals_active=-1),
    _bad("active-fraction", "goals are whole", goals_active=1.5),
    _bad("active-huge", "at most 1,000,000 goals", goals_active=1_000_001),
    _bad("active-text", "a text is no number", goals_active="3"),
    _bad("overdue-negative", "goals are counted from 0; unknown is null or absent", goals_overdue=-1),
    _bad("overdue-fraction", "goals are whole", goals_overdue=0.5),
    _bad("overdue-huge", "at most 1,000,000 goals", goals_overdue=1_000_001),
    _bad("overdue-bool", "false is no number", goals_overdue=False),
    _bad("progress-percent", "progress is a share, not a percentage", progress=50),
    _bad("progress-above", "progress ends at 1", progress=1.0001),
    _bad("progress-negative", "progress starts at 0; unknown is null or absent", progress=-1),
    _bad("progress-text", "a text is no number", progress="0.5"),
    _bad("key", "an unknown key is a typing error", goal_begin="2026-01-01"),
    _bad("key-case", "keys are written exactly", goalsActive=3),
    _bad(
        "key-derived",
        "what is computed is not given: days_observed follows from observed_since",
        days_observed=30,
    ),
    _bad("key-calendar", "nor is the calendar", weekday=1),
    _other("null", None, "a context is an object; an empty one says that nothing is known"),
    _other("list", [], "a list is no object"),
    _other("text", "", "nor is a text"),
    (
        Case(
            "not-observed",
            "observation begins tomorrow",
            (at(MORNING),),
            context={"observed_since": "2026-04-01"},
        ),
        "not-observed",
    ),
    (
        Case(
            "not-observed-local",
            "in Honolulu the as-of day is still 2026-03-30",
            (at("2026-03-31T05:00:00Z"),),
            as_of="2026-03-31T05:00:00Z",
            zone="Pacific/Honolulu",
            context={"observed_since": "2026-03-31"},
        ),
        "not-observed",
    ),
)
"""Each with the reason code."""
