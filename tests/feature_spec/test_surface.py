"""Surface operators mean what they say: each against a second implementation, day by day, in plain Python."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from feature_spec.expression import Expression, context, daily, sum_days
from feature_spec.numpy_evaluator import evaluate
from feature_spec.operators import DAYS, SURFACE
from feature_spec.surface import (
    bucketize,
    clip,
    entropy,
    equals,
    ewma,
    known,
    observed,
    one_hot,
    quantile,
    ratio,
    recency,
    regularity,
    slope,
    streak,
    window,
    windowed_mean,
    windowed_sum,
)
from feature_spec.vocabulary import CONTEXT, EVENT_TYPES
from tests.feature_spec.inputs import random_input
from tests.feature_spec.trees import spec_of

Days = list[float]
VALUE = sum_days(daily("sum", "task_done"))
SESSIONS, WORTH = daily("count", "session"), daily("sum", "task_done")


def _spread(amounts: list[float]) -> float:
    total = sum(amounts)
    return -sum(x / total * math.log(x / total) for x in amounts if total and x / total > 0)


def _streak(days: Days) -> int:
    length = 1 if days[0] else 0
    for number in days[1:]:
        if not number:
            break
        length += 1
    return length


def _ewma(days: Days, seen: int) -> float:
    weight = [0.5 ** (d / 9) for d in range(seen)]
    return sum(w * x for w, x in zip(weight, days, strict=False)) / sum(weight)


def _slope(days: Days, seen: int) -> float:
    return -float(np.polyfit(np.arange(seen), days[:seen], 1)[0]) if seen > 1 else 0.0


def _regularity(days: Days, weekday: int) -> float:
    acts: Counter[int] = Counter()
    for d, number in enumerate(days):
        acts[(weekday - d) % 7] += int(number)
    return 1 - _spread(list(acts.values())) / math.log(7) if sum(days) else 0.0


# Expression, and what it should be from sessions a day, worth of tasks a day, observed days, progress.
CASES: dict[str, tuple[Expression, Callable[[Days, Days, int, float], float]]] = {
    "observed": (observed(), lambda s, w, n, p: n),
    "known": (known(context("progress")), lambda s, w, n, p: float(p >= 0)),
    "ratio": (ratio(VALUE, context("progress")), lambda s, w, n, p: sum(w) / p if p else 0.0),
    "clip": (clip(-1, 2.5, VALUE), lambda s, w, n, p: min(2.5, max(-1, sum(w)))),
    "equals": (equals(3, sum_days(SESSIONS)), lambda s, w, n, p: float(sum(s) == 3)),
    "bucketize": (
        bucketize([0, 1, 5, 20], sum_days(SESSIONS)),
        lambda s, w, n, p: sum(bound <= sum(s) for bound in (0, 1, 5, 20)),
    ),
    "window": (sum_days(window(13, WORTH)), lambda s, w, n, p: sum(w[:13])),
    "windowed_sum": (windowed_sum(28, WORTH), lambda s, w, n, p: sum(w[:28])),
    "windowed_mean": (windowed_mean(28, WORTH), lambda s, w, n, p: sum(w[:28]) / min(n, 28)),
    "recency": (recency(SESSIONS), lambda s, w, n, p: next((d for d in range(90) if s[d]), 90)),
    "streak": (streak(SESSIONS), lambda s, w, n, p: _streak(s)),
    "ewma": (ewma(9, WORTH), lambda s, w, n, p: _ewma(w, n)),
    "slope": (slope(30, WORTH), lambda s, w, n, p: _slope(w, min(n, 30))),
    "entropy": (entropy(SESSIONS), lambda s, w, n, p: _spread(s)),
    "regularity": (regularity(SESSIONS), lambda s, w, n, p: _regularity(s, 2)),
    "quantile": (
        quantile(0.3, 40, WORTH),
        lambda s, w, n, p: float(np.quantile(w[: min(n, 40)], 0.3, method="linear")),
    ),
}


def values(expression: Expression, daily: Any, context: Any) -> npt.NDArray[np.float32]:
    spec = spec_of(expression)
    assert spec.features[0].expression is expression
    return evaluate(spec, daily, context)[:, 0]


def test_every_surface_operator_has_a_case() -> None:
    assert set(CASES) == SURFACE
    assert {name: name in str(expression) for name, (expression, _) in CASES.items()} == dict.fromkeys(
        CASES, True
    )


@pytest.mark.parametrize("name", sorted(CASES))
def test_means_what_it_says(name: str) -> None:
    expression, by_hand = CASES[name]
    days, known = random_input(8, 400)
    sessions = days[:, :, EVENT_TYPES.index("session"), 0].astype(float)
    worth = days[:, :, EVENT_TYPES.index("task_done"), 2].astype(float)
    seen = np.where(known[:, 0] < 0, 90, known[:, 0]).astype(int)
    progress = known[:, CONTEXT.index("progress")].astype(float)
    expected = [
        by_hand(s, w, int(n), float(p))
        for s, w, n, p in zip(sessions.tolist(), worth.tolist(), seen, progress, strict=True)
    ]
    result = values(expression, days, known)
    np.testing.assert_allclose(result, np.array(expected), rtol=1e-6, atol=1e-6)
    assert len(np.unique(result)) >= 2, "the comparison proves little"


def test_one_hot_is_one_for_one_number_at_most() -> None:
    days, known = random_input(9, 500)
    goals = context("goals_completed_before")
    columns = np.stack([values(item, days, known) for item in one_hot(goals, range(12))], axis=1)
    entry = known[:, CONTEXT.index("goals_completed_before")]
    assert np.array_equal(columns, (entry[:, None] == np.arange(12)).astype(np.float32))
    assert (columns.sum(axis=1) <= 1).all()


@pytest.mark.parametrize("observed_days", [-1, 1, 2, 3, 90])
@pytest.mark.parametrize("name", sorted(CASES))
def test_an_empty_or_young_log_is_a_number(name: str, observed_days: int) -> None:
    expression, by_hand = CASES[name]
    known = np.full((1, len(CONTEXT)), -1.0)
    known[0, 0] = observed_days
    result = values(expression, np.zeros((1, 90, 8, 3)), known)
    seen = 90 if observed_days < 0 else observed_days
    assert result[0] == pytest.approx(by_hand([0.0] * 90, [0.0] * 90, seen, -1.0), abs=1e-9)


def test_the_mask_of_a_quantile_decides_alone() -> None:
    """Days of 0 count when observed; days that nobody watched do not; no day at all is 0."""
    days, known = np.zeros((3, 90, 8, 3)), np.full((3, len(CONTEXT)), -1.0)
    days[:, :4, 0, 0] = [8, 0, 4, 2]
    known[:, 0] = [4, 2, 90]
    assert values(quantile(0.5, 90, SESSIONS), days, known).tolist() == [3, 4, 0]
    assert values(quantile(1, 90, SESSIONS), days, known).tolist() == [8, 8, 8]
    masked = Expression("quantile_days", (SESSIONS, SESSIONS), (0.5,))
    assert values(masked, days, known).tolist() == [4, 4, 4]
    assert values(masked, np.zeros((3, 90, 8, 3)), known).tolist() == [0, 0, 0]


def test_kinds() -> None:
    assert window(7, SESSIONS).kind == clip(0, 1, SESSIONS).kind == equals(1, SESSIONS).kind == DAYS
    assert bucketize([1], SESSIONS).kind == ratio(SESSIONS, 2).kind == DAYS
    assert clip(0, 1, VALUE).kind == regularity(SESSIONS).kind == "scalar"
