"""One user by Python numbers and many by NumPy are two implementations: they agree, and a mistake in one shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from feature_spec import PREBUILT, numpy_operators
from feature_spec.errors import FeatureSpecError
from feature_spec.expression import Expression, context, daily, day, sum_days
from feature_spec.numpy_evaluator import evaluate
from feature_spec.numpy_plan import Plan
from feature_spec.operators import ELEMENTWISE
from feature_spec.program import flatten
from feature_spec.surface import ratio
from tests.feature_spec.every_operator import PROGRAM
from tests.feature_spec.inputs import random_input
from tests.feature_spec.trees import spec_of

DAILY, CONTEXT = (array.astype(np.float64) for array in random_input(33, 150))


def difference(one: Plan, many: Plan) -> float:
    """The largest, relative above 1; not finite counts as infinite."""
    alone = np.array([one.one(d, c.tolist()) for d, c in zip(DAILY, CONTEXT, strict=True)])
    together = many.many(DAILY, CONTEXT)
    assert alone.shape == together.shape == (150, len(PROGRAM.outputs))
    return float(np.nan_to_num(np.abs(alone - together) / np.maximum(1, np.abs(together)), nan=np.inf).max())


BROKEN: dict[str, Callable[..., float]] = {
    "add": lambda a, b: a - b,
    "sub": lambda a, b: b - a,
    "mul": lambda a, b: a * a,
    "div": lambda a, b: a / (b + 1e-6),
    "mod": lambda a, b: float(np.fmod(a, b)) if b else a,
    "min": max,
    "max": min,
    "less": lambda a, b: float(a <= b),
    "where": lambda c, a, b: b if c else a,
    "log1p": lambda x: float(np.log1p(abs(x))),
    "xlogx": lambda x: x * float(np.log(x + 1e-3)) if x > 0 else 0.0,
}
"""A mistake for each operator, of the kind that a port really makes."""


def test_one_user_is_computed_like_many() -> None:
    assert difference(Plan(PROGRAM), Plan(PROGRAM)) < 1e-12


@pytest.mark.parametrize("op", sorted(ELEMENTWISE))
def test_a_broken_operator_is_caught(op: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Plan(PROGRAM)
    monkeypatch.setitem(numpy_operators.NUMBERS, op, BROKEN[op])
    assert difference(Plan(PROGRAM), right) > 1e-5


def test_every_operator_is_implemented_twice() -> None:
    assert set(numpy_operators.NUMBERS) == set(ELEMENTWISE) == set(BROKEN)


def test_what_no_output_needs_and_what_depends_on_nobody_is_not_computed() -> None:
    constant = sum_days(day() * 2)
    plan = Plan(flatten([constant, sum_days(daily("count", "session")) * constant]))
    assert len(plan._many) == 2  # the sum over sessions, and the product
    assert plan.one(np.ones((90, 8, 3)), [-1.0] * 14) == [8010.0, 720900.0]
    assert plan.many(np.ones((2, 90, 8, 3)), np.full((2, 14), -1.0)).tolist() == [[8010.0, 720900.0]] * 2


def test_a_plan_is_made_once() -> None:
    assert PREBUILT.plan is PREBUILT.plan


def test_nobody_is_no_row() -> None:
    plan = Plan(flatten([context("progress")]))
    assert plan.many(np.zeros((0, 90, 8, 3)), np.zeros((0, 14))).shape == (0, 1)


def test_beyond_the_range_of_doubles_is_clipped_and_not_nan() -> None:
    huge: Any = _product(10)
    days = np.zeros((2, 90, 8, 3))
    days[:, 0, 0, 0] = 1
    for users in (1, 2):
        result = evaluate(spec_of(huge), days[:users], np.full((users, 14), -1.0))
        assert result.tolist() == [[1e9]] * users


def _product(times: int) -> Expression:
    """Sessions times 1e38 to a power, which from the tenth on is beyond the range of doubles."""
    tree = ratio(sum_days(daily("count", "session")), sum_days(daily("count", "session")))
    for _ in range(times):
        tree = tree * 1e38
    return tree


@pytest.mark.parametrize("tree", [_product(10) - _product(10) * 2, _product(10) % 7], ids=["sub", "mod"])
@pytest.mark.parametrize("users", [1, 2])
def test_what_is_no_number_is_one_clear_error(tree: Expression, users: int) -> None:
    days = np.ones((users, 90, 8, 3))
    with pytest.raises(
        FeatureSpecError, match=r"is no number for user 0: its formula leaves the range of doubles"
    ):
        evaluate(spec_of(tree), days, np.full((users, 14), -1.0))
    assert np.isfinite(evaluate(spec_of(_product(7)), days, np.full((users, 14), -1.0))).all()
