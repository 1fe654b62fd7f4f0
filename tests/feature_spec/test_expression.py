"""The expression language: closed, checked when made, total, and the same after a trip through JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_spec.canonical import canonical_json
from feature_spec.definition import Feature, FeatureSpec
from feature_spec.errors import DefinitionError
from feature_spec.expression import (
    DAYS,
    ELEMENTWISE,
    LEAVES,
    REDUCTIONS,
    SCALAR,
    Expression,
    context,
    daily,
    day,
    decay,
    min_days,
    sum_days,
)
from feature_spec.numpy_evaluator import evaluate
from feature_spec.program import flatten
from feature_spec.vocabulary import CHANNELS, CONTEXT, EVENT_TYPES

# Not tiny: quotients of tiny numbers leave the range of doubles.
NUMBERS = st.floats(-1000, 1000).map(lambda x: round(x, 2) + 0.0)
LEAF = (
    st.builds(
        lambda channel, weights: Expression("daily", value=(channel, *weights.items())),
        st.sampled_from(CHANNELS),
        st.dictionaries(st.sampled_from(EVENT_TYPES), st.integers(-5, 5).map(float), min_size=1, max_size=3),
    )
    | st.just(day())
    | st.builds(decay, st.floats(20, 100))
    | st.builds(context, st.sampled_from(CONTEXT))
    | st.builds(lambda x: Expression("const", value=(x,)), NUMBERS)
)


def _grow(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    def node(op: str) -> st.SearchStrategy[Expression]:
        return st.tuples(*[inner] * ELEMENTWISE[op]).map(lambda args: Expression(op, args))

    reduced = st.builds(
        lambda op, arg: Expression(op, (arg if arg.kind == DAYS else arg + day(),)),
        st.sampled_from(sorted(REDUCTIONS)),
        inner,
    )
    return st.sampled_from(sorted(ELEMENTWISE)).flatmap(node) | reduced


TREES = st.recursive(LEAF, _grow, max_leaves=12)


def spec_of(tree: Expression) -> FeatureSpec:
    """A spec with one feature; a tree of kind days is summed."""
    scalar = sum_days(tree) if tree.kind == DAYS else tree
    return FeatureSpec((Feature("f", 1, "unit", -1e9, 1e9, 0, "meaning", "source", scalar),))


@given(TREES)
def test_a_tree_survives_json(tree: Expression) -> None:
    text = canonical_json(tree.to_json())
    again = Expression.from_json(json.loads(text))
    assert again == tree
    assert again.kind == tree.kind
    assert canonical_json(again.to_json()) == text
    assert str(again) == str(tree)


@given(TREES, st.integers(0, 2**32 - 1))
def test_every_tree_is_total(tree: Expression, seed: int) -> None:
    random = np.random.default_rng(seed)
    days = random.poisson(0.3, (3, 90, 8, 3)).astype(np.float32)
    known = np.where(random.random((3, len(CONTEXT))) < 0.5, -1, 1).astype(np.float32)
    assert np.isfinite(evaluate(spec_of(tree), days, known)).all()


def test_the_operators_are_what_the_evaluators_know() -> None:
    assert not set(ELEMENTWISE) & REDUCTIONS
    assert not LEAVES & (set(ELEMENTWISE) | REDUCTIONS)


def test_kinds() -> None:
    assert (day() + 1).kind == DAYS
    assert (context("progress") + 1).kind == SCALAR
    assert min_days(day()).kind == SCALAR


def test_formula_reads_like_one() -> None:
    tree = sum_days(daily("count", "session", message=2)) / context("goal_age_days")
    assert str(tree) == "(sum_days(count[session + 2 message]) / goal_age_days)"
    assert str(daily("count", *EVENT_TYPES[1:])) == "count[all but session]"


def test_equal_subtrees_are_computed_once() -> None:
    twice = flatten([sum_days(daily("count", "session")) + 1, sum_days(daily("count", "session")) + 2])
    assert len(twice.steps) == 6  # daily, sum, two constants, two additions
    assert [twice.steps[index].op for index in twice.outputs] == ["add", "add"]


def test_a_tree_built_by_reuse_does_not_explode() -> None:
    tree = context("progress")
    for _ in range(50):
        tree = tree + tree
    assert len(flatten([tree]).steps) == 51


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (["pow", 1, 2], "unknown operator 'pow'"),
        (["__import__", "os"], "unknown operator"),
        (["add", 1], "takes 2 arguments, got 1"),
        (["sum_days", 1], "argument of kind days"),
        (["sum_days", ["day"], ["day"]], "one argument of kind days"),
        (["day", 1], "takes no parameters"),
        (["decay", 0], "positive half-life"),
        (["decay", float("nan")], "positive half-life"),
        (["decay"], "takes one parameter"),
        (["context", "mood"], "unknown context entry"),
        (["daily", "count", {"login": 1}], "unknown or repeated"),
        (["daily", "count", {}], "names no event type"),
        (["daily", "counts", {"session": 1}], "the channels are"),
        (["daily", "count", {"session": float("inf")}], "finite weights"),
        (["daily", "count", ["session"]], "an object of event types"),
        (["const", 1], "bare number"),
        ([], "an expression is a number or a list"),
        ("day", "an expression is a number or a list"),
        (True, "an expression is a number or a list"),
        (float("nan"), "an expression is a number or a list"),
        ([["day"]], "an expression is a number or a list"),
    ],
)
def test_refuses_what_is_no_expression(data: Any, says: str) -> None:
    with pytest.raises(DefinitionError, match=says):
        Expression.from_json(data)


def test_refuses_bottomless_nesting() -> None:
    data: Any = 1
    for _ in range(3000):
        data = ["log1p", data]
    with pytest.raises(DefinitionError, match="nested deeper"):
        Expression.from_json(data)
