"""On a real log the computed features mean what their names say. Skips where the files are absent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from feature_spec.dataset import DataFiles, load
from feature_spec.numpy_evaluator import evaluate
from feature_spec.population import Snapshot
from feature_spec.registry import REGISTRY

pytestmark = pytest.mark.sampled

SPEC = REGISTRY.computed
MORE_IS_BETTER = {
    "sessions_last_7d": 0.7,
    "sessions_last_30d": 0.7,
    "total_messages_sent": 0.6,
    "login_streak_days": 0.6,
    "platform_usage_ratio": 0.7,
    "focus_area_diversity": 0.53,
    "recent_achievement_flag": 0.65,
    "last_active_hours_ago": -0.7,
    "days_since_last_session": -0.7,
    "procrastination_index": -0.78,
    "recent_setback_flag": -0.6,
}
"""The least AUC for reaching the goal; negative where less of it is better."""
UNKNOWN_HERE = {
    # No time of day, no dates, no lengths, no answers, no counts of goals in this log.
    "avg_session_duration_min": 0,
    "response_time_avg_sec": 86_400,
    "active_goals_count": 1,
    "overdue_goals_count": 0,
    "goal_completion_rate": 0.5,
    "morning_person_score": 0.5,
    "hour_of_day": 12,
    "day_of_week": 3,
    "week_of_month": 3,
    "is_weekend": 0,
    "season": 0,
}


@pytest.fixture(scope="module")
def snapshot(oulad: Path) -> Snapshot:
    """At the end of day 93, four days after two assignments fell due."""
    files = [oulad / f"{name}_bbb_2013b.csv" for name in ("events", "labels", "assessments")]
    return load(DataFiles(*files, mapping="oulad")).snapshot(93)


@pytest.fixture(scope="module")
def values(snapshot: Snapshot) -> dict[str, npt.NDArray[np.float32]]:
    rows = evaluate(SPEC, snapshot.daily, snapshot.context)
    return dict(zip(SPEC.names, rows.T, strict=True))


def auc(values: npt.NDArray[np.float32], label: npt.NDArray[np.int8]) -> float:
    """The chance that somebody who reached the goal has more than somebody who did not; ties count half."""
    yes, no = values[label == 1], np.sort(values[label == 0])
    below, upto = np.searchsorted(no, yes, "left"), np.searchsorted(no, yes, "right")
    return float((below + upto).mean() / 2 / len(no))


@pytest.mark.parametrize(("name", "least"), MORE_IS_BETTER.items())
def test_it_points_the_right_way(
    name: str, least: float, values: dict[str, npt.NDArray[np.float32]], snapshot: Snapshot
) -> None:
    label = snapshot.labels["goal_success"]
    found = auc(values[name] if least > 0 else -values[name], label)
    assert abs(least) <= found < 0.95, "nearly 1 would be a leak"
    mixed = np.random.default_rng(0).permutation(values[name])
    assert 0.45 < auc(mixed, label) < 0.55, "the control: other people's values say nothing"


@pytest.mark.parametrize(("name", "missing"), UNKNOWN_HERE.items())
def test_what_this_log_cannot_say_is_missing(
    name: str, missing: float, values: dict[str, npt.NDArray[np.float32]]
) -> None:
    assert set(values[name].tolist()) == {missing}


def test_everything_else_tells_people_apart(values: dict[str, npt.NDArray[np.float32]]) -> None:
    alike = {name for name, column in values.items() if len(np.unique(column)) == 1}
    assert alike == {*UNKNOWN_HERE, "time_since_goal_set"}, "everybody's course began on day 0"


def test_what_is_bounded_by_its_own_sense(values: dict[str, npt.NDArray[np.float32]]) -> None:
    assert (values["sessions_last_7d"] <= values["sessions_last_30d"]).all()
    assert (values["login_streak_days"] <= values["streak_length"]).all()
    assert (values["platform_usage_ratio"] <= values["consistency_score"] + 1e-6).all()
    assert (values["days_since_last_activity"] <= values["days_since_last_session"]).all()
    assert np.array_equal(values["last_active_hours_ago"], 24 * values["days_since_last_activity"])
    assert set(values["time_since_goal_set"].tolist()) == {93}
