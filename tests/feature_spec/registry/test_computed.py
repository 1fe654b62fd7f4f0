"""Every computed feature on logs made by hand, with values computed by hand."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from feature_spec.day_input import Context, Event, day_input
from feature_spec.numpy_evaluator import evaluate
from feature_spec.registry import REGISTRY
from feature_spec.vocabulary import CONTEXT
from tests.feature_spec.inputs import random_input

SPEC = REGISTRY.computed
AS_OF = "2026-03-02T10:30:00+01:00"
"""A Monday in Berlin, day 61 of its year."""

Row = tuple[Any, ...]
ANNA: tuple[Row, ...] = (
    # (local time, in winter; type, value, count); days before AS_OF:
    ("2026-03-02T08:00", "session", 20),  # 0
    ("2026-03-02T08:10", "message", 120),  # 0
    ("2026-03-01T21:00", "session", 10),  # 1
    ("2026-03-01T21:05", "message", 60),  # 1
    ("2026-02-28T09:00", "session"),  # 2
    ("2026-02-26T09:00", "task_done", 0.8),  # 4
    ("2026-02-26T09:05", "progress", 0.1),  # 4
    ("2026-02-25T18:00", "task_due"),  # 5
    ("2026-02-22T07:00", "check_in", None, 2),  # 8
    ("2026-02-20T15:00", "message", None, 2),  # 10
    ("2026-02-20T18:00", "task_due"),  # 10
    ("2026-02-10T12:00", "session", 30),  # 20; not before noon
)
ABOUT_ANNA = Context(
    observed_since="2026-02-01",  # 30 days, today included
    account_since="2025-03-02",  # a year
    goal_start="2026-02-20",
    goal_total_days=40,
    goals_completed_before=3,
    progress=0.25,
    goals_active=2,
    goals_overdue=1,
)
# 12 acts: 4 sessions, 4 messages, 1 task, 1 progress, 2 check-ins. What fell due is not an act.
ACTS = (4, 4, 1, 1, 2)
EXPECTED_OF_ANNA = {
    "account_age_days": 365,
    "sessions_last_7d": 3,
    "sessions_last_30d": 4,
    "avg_session_duration_min": (20 + 10 + 30) / 3,  # the fourth carries no length
    "total_messages_sent": 4,
    "response_time_avg_sec": (120 + 60) / 2,
    "login_streak_days": 3,  # 2 March, 1 March, 28 February
    "last_active_hours_ago": 2 + 20 / 60,
    "platform_usage_ratio": 4 / 30,
    "active_goals_count": 2,
    "completed_goals_count": 3,
    "goal_completion_rate": 3 / 5,
    "overdue_goals_count": 1,
    "goal_velocity": 0.1 / 4,  # in four weeks
    "morning_person_score": 7 / 12,  # session, message, session, task, progress, two check-ins
    "consistency_score": 7 / 30,
    "procrastination_index": 1 - 4 / (5 + 10),  # 15 days since due, of which 4 done
    "momentum_score": 0.8 * 0.5 ** (4 / 21) / (0.5 ** (5 / 21) + 0.5 ** (10 / 21)),
    "focus_area_diversity": -sum(n / 12 * math.log(n / 12) for n in ACTS) / math.log(7),
    "hour_of_day": 10,
    "day_of_week": 0,
    "week_of_month": 1,
    "is_weekend": 0,
    "season": 1,
    "days_since_last_session": 0,
    "time_since_goal_set": 10,
    "recent_achievement_flag": 1,  # a tenth of the goal
    "recent_setback_flag": 0,  # one due, one done
    "completion_rate": 1 / 2,
    "streak_length": 3,
    "days_since_last_activity": 0,
}
"""All of the source's computed features; of the other prebuilt ones those that a line computes."""


def computed(rows: tuple[Row, ...], about: Context, as_of: str = AS_OF) -> dict[str, float]:
    events = []
    for moment, kind, *rest in rows:
        value, count = (*rest, None, None)[:2]
        events.append(Event(f"{moment}:00+01:00", kind, value=value, count=1 if count is None else count))
    tensors = day_input(events, as_of, "Europe/Berlin", about)
    values = evaluate(SPEC, tensors.daily[None], tensors.context[None])[0]
    return dict(zip(SPEC.names, values.tolist(), strict=True))


def test_the_table_has_every_computed_feature_of_the_source() -> None:
    source = {item.name for group, item in REGISTRY if group.name != "prebuilt"} & set(SPEC.names)
    assert source <= set(EXPECTED_OF_ANNA)


@pytest.mark.parametrize("name", EXPECTED_OF_ANNA)
def test_anna(name: str) -> None:
    assert computed(ANNA, ABOUT_ANNA)[name] == pytest.approx(EXPECTED_OF_ANNA[name], rel=1e-6)


def test_a_table_off_by_one_event_is_noticed() -> None:
    """The control: with any one event gone, some value differs."""
    whole = computed(ANNA, ABOUT_ANNA)
    for index in range(len(ANNA)):
        assert computed(ANNA[:index] + ANNA[index + 1 :], ABOUT_ANNA) != whole, ANNA[index]


NOTHING: dict[str, float] = {
    **dict.fromkeys(EXPECTED_OF_ANNA, 0),
    "response_time_avg_sec": 86_400,
    "last_active_hours_ago": 2_160,
    "active_goals_count": 1,
    "goal_completion_rate": 0.5,
    "morning_person_score": 0.5,
    "momentum_score": 0.5,
    "completion_rate": 0.5,
    "days_since_last_session": 90,
    "days_since_last_activity": 90,
    # What the clock shows is known of everybody.
    "hour_of_day": 10,
    "week_of_month": 1,
    "season": 1,
}


def test_somebody_of_whom_nothing_is_known() -> None:
    values = computed((), Context())
    assert {name: values[name] for name in NOTHING} == pytest.approx(NOTHING)


def test_of_a_log_of_whole_days_the_clock_is_unknown() -> None:
    unknown = np.full((1, len(CONTEXT)), -1.0, np.float32)
    daily = np.zeros((1, 90, 8, 3), np.float32)
    daily[0, 3, 0, 0] = 2  # two sessions three days ago
    values = dict(zip(SPEC.names, evaluate(SPEC, daily, unknown)[0].tolist(), strict=True))
    expected = {
        "last_active_hours_ago": 72,
        "hour_of_day": 12,
        "day_of_week": 3,
        "week_of_month": 3,
        "is_weekend": 0,
        "season": 0,
        "morning_person_score": 0.5,
    }
    assert {name: values[name] for name in expected} == expected


CASES: list[tuple[str, tuple[Row, ...], dict[str, Any], float]] = [
    # sessions
    ("sessions_last_7d", (("2026-02-24T00:00", "session"),), {}, 1),
    ("sessions_last_7d", (("2026-02-23T23:59", "session"),), {}, 0),
    ("sessions_last_30d", (("2026-02-01T00:00", "session", None, 5),), {}, 5),
    ("sessions_last_30d", (("2026-01-31T23:59", "session"),), {}, 0),
    ("sessions_last_7d", (("2026-03-01T09:00", "session", None, 5_000),), {}, 1_000),
    ("avg_session_duration_min", (("2026-03-01T09:00", "session", 600),), {}, 480),
    ("avg_session_duration_min", (("2026-03-01T09:00", "session", -5),), {}, 0),
    ("login_streak_days", (("2026-03-01T09:00", "session"),), {}, 1),  # today is not over
    ("login_streak_days", (("2026-02-28T09:00", "session"),), {}, 0),
    ("login_streak_days", (("2026-03-01T09:00", "message"),), {}, 0),
    ("platform_usage_ratio", (("2026-03-01T09:00", "session"),), {"observed_since": "2026-03-01"}, 0.5),
    ("platform_usage_ratio", (("2026-03-01T09:00", "message"),), {}, 0),
    ("days_since_last_session", (("2026-02-25T09:00", "session"), ("2026-02-26T09:00", "message")), {}, 5),
    ("last_active_hours_ago", (("2026-03-02T10:30", "feedback"),), {}, 0),
    ("last_active_hours_ago", (("2026-03-02T10:00", "task_due"),), {}, 2_160),  # nobody's act
    # messages
    ("response_time_avg_sec", (("2026-03-01T09:00", "message", 200_000),), {}, 86_400),
    ("total_messages_sent", (("2025-12-01T09:00", "message"),), {}, 0),  # before the window
    # goals
    ("goal_completion_rate", (), {"goals_completed_before": 0, "goals_active": 0}, 0.5),
    ("goal_completion_rate", (), {"goals_completed_before": 2}, 0.5),  # the other is unknown
    ("goal_completion_rate", (), {"goals_completed_before": 2, "goals_active": 0}, 1),
    ("active_goals_count", (), {"goals_active": 0}, 0),
    ("active_goals_count", (), {"goals_active": 1_000}, 100),
    ("account_age_days", (), {"account_since": "1990-01-01"}, 3_650),
    # habits
    ("morning_person_score", (("2026-02-25T11:59", "session"), ("2026-02-25T12:00", "session")), {}, 0.5),
    (
        "morning_person_score",
        (("2026-02-25T11:59", "session", None, 3), ("2026-02-25T23:00", "message")),
        {},
        0.75,
    ),
    ("procrastination_index", (("2026-02-20T09:00", "task_due"),), {}, 1),
    (
        "procrastination_index",
        (("2026-02-20T09:00", "task_due"), ("2026-02-20T20:00", "task_done")),
        {},
        0,
    ),
    (
        "procrastination_index",  # ahead of time
        (("2026-02-20T09:00", "task_due"), ("2026-02-10T20:00", "task_done")),
        {},
        0,
    ),
    (
        "procrastination_index",  # ten days since due, done after five
        (("2026-02-20T09:00", "task_due"), ("2026-02-25T20:00", "task_done")),
        {},
        0.5,
    ),
    ("procrastination_index", (("2026-03-02T09:00", "task_due"),), {}, 0),  # due today: no day has passed
    ("focus_area_diversity", (("2026-02-20T09:00", "session", None, 9),), {}, 0),
    (
        "focus_area_diversity",
        tuple(
            ("2026-02-20T09:00", kind)
            for kind in (
                "session",
                "message",
                "task_done",
                "progress",
                "check_in",
                "content_view",
                "feedback",
            )
        ),
        {},
        1,
    ),
    # what recently went well or not
    ("recent_achievement_flag", (("2026-02-25T09:00", "task_done"),), {}, 1),
    ("recent_achievement_flag", (("2026-02-25T09:00", "task_done", 0.9),), {}, 0),
    (
        "recent_achievement_flag",
        (("2026-02-25T09:00", "task_done", 0.5), ("2026-02-26T09:00", "task_done", 0.5)),
        {},
        1,
    ),
    ("recent_achievement_flag", (("2026-02-23T09:00", "task_done"),), {}, 0),  # eight days ago
    ("recent_achievement_flag", (("2026-02-25T09:00", "progress", 0.05),), {}, 1),
    ("recent_achievement_flag", (("2026-02-25T09:00", "progress", 0.04),), {}, 0),
    ("recent_setback_flag", (("2026-02-25T09:00", "task_due"),), {}, 1),
    (
        "recent_setback_flag",
        (("2026-02-25T09:00", "task_due", None, 2), ("2026-02-25T09:00", "task_done")),
        {},
        0,
    ),
    (
        "recent_setback_flag",
        (("2026-02-25T09:00", "task_due", None, 3), ("2026-02-25T09:00", "task_done")),
        {},
        1,
    ),
    ("recent_setback_flag", (("2026-02-23T09:00", "task_due"),), {}, 0),
    ("recent_setback_flag", (("2026-02-25T09:00", "progress", -0.01),), {}, 1),
]


@pytest.mark.parametrize(("name", "rows", "about", "expected"), CASES)
def test_one_feature(name: str, rows: tuple[Row, ...], about: Mapping[str, Any], expected: float) -> None:
    assert computed(rows, Context(**about))[name] == pytest.approx(expected, abs=1e-6)


def test_the_calendar_over_two_leap_years() -> None:
    """Weekday, week of the month, weekend and season against the standard library, every day of 2023 to 2028."""
    days = [datetime.date(2023, 1, 1) + datetime.timedelta(n) for n in range(6 * 365 + 2)]
    context = np.full((len(days), len(CONTEXT)), -1.0, np.float32)
    for name, number in (
        ("weekday", lambda date: date.weekday()),
        ("day_of_month", lambda date: date.day),
        ("day_of_year", lambda date: date.timetuple().tm_yday),
    ):
        context[:, CONTEXT.index(name)] = [number(date) for date in days]
    values = evaluate(SPEC, np.zeros((len(days), 90, 8, 3), np.float32), context)
    expected = {
        "day_of_week": [date.isoweekday() - 1 for date in days],
        "week_of_month": [(date.day - 1) // 7 + 1 for date in days],
        "is_weekend": [date.isoweekday() >= 6 for date in days],
        "season": [date.month % 12 // 3 for date in days],
    }
    for name, numbers in expected.items():
        assert values[:, SPEC.names.index(name)].tolist() == numbers, name


@pytest.mark.parametrize("seed", range(5))
def test_every_value_is_finite_within_its_range_and_of_its_type(seed: int) -> None:
    values = evaluate(SPEC, *random_input(seed, 1_000))
    assert np.isfinite(values).all()
    for feature, column in zip(SPEC.features, values.T, strict=True):
        assert column.min() >= np.float32(feature.low), feature.name
        assert column.max() <= np.float32(feature.high), feature.name
        if feature.dtype != "float32":
            assert (column == np.floor(column)).all(), feature.name
        assert len(np.unique(column)) > 1, f"{feature.name} says the same of everybody"
