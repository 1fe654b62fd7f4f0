"""The reference evaluator against each feature written a second time, day by day, in plain Python."""

from __future__ import annotations

import math
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_spec import PREBUILT, Feature, FeatureSpec
from feature_spec.errors import FeatureSpecError
from feature_spec.expression import daily, sum_days
from feature_spec.numpy_evaluator import evaluate
from feature_spec.vocabulary import CONTEXT, EVENT_TYPES
from tests.feature_spec.inputs import random_input

Cells = npt.NDArray[np.float32]


def by_hand(daily: Cells, context: Cells) -> list[float]:
    """The ten features of one user, written from their descriptions and not from their expressions."""
    observed, age, goal_age, goal_total, before, progress = (float(x) for x in context[:6])
    window = 90 if observed < 0 else int(observed)
    cell = {name: daily[:, i, :].astype(float).tolist() for i, name in enumerate(EVENT_TYPES)}
    acts = [sum(cell[name][d][0] for name in EVENT_TYPES if name != "task_due") for d in range(90)]
    due = [day[0] for day in cell["task_due"]]
    done = [day[0] for day in cell["task_done"]]

    streak = 1 if acts[0] else 0
    for d in range(1, 90):
        if not acts[d]:
            break
        streak += 1

    heavy = {"message": 2, "check_in": 2, "feedback": 2, "task_done": 3, "task_due": 0}
    weighed = sum(heavy.get(name, 1) * day[0] for name in EVENT_TYPES for day in cell[name])
    engagement = math.log(1 + weighed / window) / math.log(41)

    recent, earlier = sum(acts[:14]), sum(acts[14:28])
    trend = 0.0
    if window > 14 and recent + earlier > 0:
        a, b = recent / 14, earlier / (min(window, 28) - 14)
        trend = (a - b) / (a + b)

    experience = 0.0
    if age >= 0:
        experience += 0.5 * min(1, math.log(1 + age) / math.log(366))
    if before >= 0:
        experience += 0.5 * min(1, math.log(1 + before) / math.log(6))

    silent = next((d for d in range(90) if acts[d]), 90)
    velocity = sum(day[2] for day in cell["progress"][:28]) / (min(window, 28) / 7)
    habit = sum(1 for d in range(window) if acts[d]) / window

    weight = [0.5 ** (d / 21) for d in range(90)]
    worth = sum(w * (day[0] - day[1] + day[2]) for w, day in zip(weight, cell["task_done"], strict=True))
    asked = sum(w * d for w, d in zip(weight, due, strict=True))

    plan = 1.0
    if progress >= 0 and goal_age >= 0 and goal_total >= 0:
        plan = progress / min(1, max(goal_age, 1) / goal_total)
    return [
        min(1, sum(done) / sum(due)) if sum(due) else 0.5,
        streak,
        min(1, engagement),
        trend,
        experience,
        silent,
        min(0.25, max(0, velocity)),
        habit,
        min(1, max(0, worth / asked)) if asked else 0.5,
        min(2, plan),
    ]


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_the_features_written_by_hand(seed: int) -> None:
    daily, context = random_input(seed, 300)
    expected = np.array([by_hand(d, c) for d, c in zip(daily, context, strict=True)])
    result = evaluate(PREBUILT, daily, context)
    assert result.dtype == np.float32
    for column, name in enumerate(PREBUILT.names):
        np.testing.assert_allclose(result[:, column], expected[:, column], rtol=1e-6, atol=1e-6, err_msg=name)
        assert len(np.unique(result[:, column])) > 10, f"{name} hardly varies: the comparison proves little"


@given(st.integers(0, 2**32 - 1))
def test_always_finite_and_within_range(seed: int) -> None:
    result = evaluate(PREBUILT, *random_input(seed, 5))
    lows = np.array([feature.low for feature in PREBUILT.features], np.float32)
    highs = np.array([feature.high for feature in PREBUILT.features], np.float32)
    assert np.isfinite(result).all()
    assert (result >= lows).all()
    assert (result <= highs).all()


def test_nothing_known_gives_every_missing_value() -> None:
    result = evaluate(PREBUILT, np.zeros((1, 90, 8, 3)), np.full((1, 14), -1.0))
    assert result[0].tolist() == [np.float32(feature.missing) for feature in PREBUILT.features]


def test_one_user_or_many_at_once_is_the_same() -> None:
    daily, context = random_input(7, 2100)  # more than one chunk
    together = evaluate(PREBUILT, daily, context)
    for user in (0, 1000, 2047, 2048, 2099):
        alone = evaluate(PREBUILT, daily[user : user + 1], context[user : user + 1])
        np.testing.assert_allclose(alone[0], together[user], rtol=1e-6)


def test_no_user_is_no_row() -> None:
    assert evaluate(PREBUILT, np.zeros((0, 90, 8, 3)), np.zeros((0, 14))).shape == (0, 10)


def _with(index: Any, value: float, context: bool = False) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    daily, known = np.zeros((2, 90, 8, 3)), np.full((2, 14), -1.0)
    (known if context else daily)[index] = value
    return daily, known


@pytest.mark.parametrize(
    ("daily", "context", "says"),
    [
        (*_with((1, 3, 2, 0), math.nan), r"daily\[1, 3, 2, 0\] is nan"),
        (*_with((0, 3, 2, 2), math.inf), r"daily\[0, 3, 2, 2\] is inf"),
        (*_with((0, 3, 2, 0), -1), r"negative count of task_due"),
        (*_with((0, 3, 2, 1), -1), r"negative count of task_due"),
        (*_with((0, 3, 2, 2), 2.0**24 + 2), r"beyond 2\^24"),
        (*_with((1, 5), math.nan, True), r"context\[1, 5\] is nan"),
        (*_with((1, 5), 50, True), r"\(progress\) is 50.0; give 0..1, or -1"),
        (*_with((1, 0), 0, True), r"\(days_observed\) is 0.0; give 1..90"),
        (*_with((1, 3), 0, True), r"\(goal_total_days\)"),
        (*_with((1, 1), -2, True), r"\(account_age_days\)"),
        (*_with((1, 6), 2209, True), r"\(hours_since_last_act\) is 2209.0; give 0..2208"),
        (*_with((1, 7), 7, True), r"\(weekday\) is 7.0; give 0..6"),
        (*_with((1, 8), 24, True), r"\(hour_of_day\) is 24.0; give 0..23"),
        (*_with((1, 9), 0, True), r"\(day_of_month\) is 0.0; give 1..31"),
        (*_with((1, 10), 367, True), r"\(day_of_year\) is 367.0; give 1..366"),
        (*_with((1, 11), -0.5, True), r"\(morning_acts\)"),
        (*_with((1, 12), -2, True), r"\(goals_active\)"),
        (*_with((1, 13), 2.0**24 + 2, True), r"\(goals_overdue\)"),
        (np.zeros((1, 90, 8)), np.zeros((1, 14)), r"daily has the shape"),
        (np.zeros((1, 60, 8, 3)), np.zeros((1, 14)), r"give \[n, 90, 8, 3\]"),
        (np.zeros((1, 90, 8, 3)), np.zeros((1, 6)), r"give \[n, 14\]"),
        (np.zeros((2, 90, 8, 3)), np.full((1, 14), -1.0), r"2 users and context 1"),
        (np.zeros((1, 90, 8, 3), "U1"), np.zeros((1, 14)), r"daily has the type"),
        (np.zeros((1, 90, 8, 3), ">f4"), np.zeros((1, 14)), r"daily has the type >f4"),
    ],
)
def test_refuses_what_is_no_day_input(daily: Any, context: Any, says: str) -> None:
    with pytest.raises(FeatureSpecError, match=says):
        evaluate(PREBUILT, daily, context)


def test_the_prebuilt_features_are_what_they_were() -> None:
    """Frozen before they were rewritten with surface operators: not one bit may move without a new version."""
    with np.load(Path(__file__).with_name("frozen_prebuilt.npz"), allow_pickle=False) as frozen:
        context = np.full((len(frozen["context"]), len(CONTEXT)), -1.0, np.float32)
        context[:, :6] = frozen["context"]
        expected = frozen["features"]
        assert {feature.version for feature in PREBUILT.features} == {1}
        assert len(np.unique(expected, axis=0)) > 30
        assert np.array_equal(evaluate(PREBUILT, frozen["daily"], context), expected)


def test_the_longest_programs_take_little_memory() -> None:
    """Thousands of steps over days, each of which is kept until the last."""
    trees = []
    for number in range(150):
        tree = daily("count", "session")
        for power in range(50):
            tree = tree * (1 + (50 * number + power) / 100_000)
        trees.append(sum_days(tree))
    spec = FeatureSpec(
        tuple(
            Feature(f"f{number}", 1, "events", 0, 1e9, 0, "Made up.", "tests", tree)
            for number, tree in enumerate(trees)
        )
    )
    days, known = np.zeros((600, 90, 8, 3), np.float32), np.full((600, 14), -1, np.float32)
    assert len(spec.program.steps) > 15_000
    tracemalloc.start()
    try:
        assert not evaluate(spec, days, known).any()
        assert tracemalloc.get_traced_memory()[1] < 300_000_000
    finally:
        tracemalloc.stop()
