"""The expression language: closed, checked when made, total, and the same after a trip through JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_spec.canonical import canonical_json
from feature_spec.errors import DefinitionError
from feature_spec.expression import (
    Expression,
    context,
    daily,
    day,
    min_days,
    sum_days,
)
from feature_spec.numpy_evaluator import evaluate
from feature_spec.operators import CORE, DAYS, ELEMENTWISE, LEAVES, OPERATORS, REDUCTIONS, SCALAR, SURFACE
from feature_spec.program import MAX_STEPS, flatten
from feature_spec.surface import bucketize, one_hot, quantile, windowed_mean
from feature_spec.vocabulary import CHANNELS, CONTEXT, EVENT_TYPES
from tests.feature_spec.inputs import random_input
from tests.feature_spec.trees import spec_of, trees


@given(trees())
def test_a_tree_survives_json(tree: Expression) -> None:
    text = canonical_json(tree.to_json())
    again = Expression.from_json(json.loads(text))
    assert again == tree
    assert again.kind == tree.kind
    assert canonical_json(again.to_json()) == text
    assert str(again) == str(tree)


@given(trees(), st.integers(0, 2**32 - 1))
def test_every_tree_is_total(tree: Expression, seed: int) -> None:
    """For every user alone, computed with Python numbers, the same as for all at once."""
    days, known = random_input(seed, 3)
    spec = spec_of(tree)
    together = evaluate(spec, days, known)
    assert np.isfinite(together).all()
    alone = np.concatenate([evaluate(spec, days[i : i + 1], known[i : i + 1]) for i in range(3)])
    np.testing.assert_allclose(alone, together, rtol=1e-6, atol=1e-6)


def test_the_core_is_small_and_closed() -> None:
    """Whoever adds an operator here adds it to every evaluator."""
    assert {"daily", "day", "decay", "context", "const"} == LEAVES
    assert {"sum_days", "min_days", "quantile_days"} == REDUCTIONS
    assert set(ELEMENTWISE) == {
        "add",
        "sub",
        "mul",
        "div",
        "mod",
        "min",
        "max",
        "less",
        "where",
        "log1p",
        "xlogx",
    }
    assert LEAVES | REDUCTIONS | set(ELEMENTWISE) == CORE
    assert set(OPERATORS) == CORE | SURFACE
    assert not CORE & SURFACE


def test_kinds() -> None:
    assert (day() + 1).kind == DAYS
    assert (context("progress") + 1).kind == SCALAR
    assert min_days(day()).kind == SCALAR


def test_formula_reads_like_one() -> None:
    tree = sum_days(daily("count", "session", message=2)) / context("goal_age_days")
    assert str(tree) == "(sum_days(count[session + 2 message]) / goal_age_days)"
    assert str(daily("count", *EVENT_TYPES[1:])) == "count[all but session]"
    assert str(windowed_mean(14, daily("count", "session"))) == "windowed_mean(14; count[session])"
    assert str(quantile(0.5, 30, daily("sum", "session"))) == "quantile(0.5, 30; sum[session])"
    assert str(bucketize([1, 5, 20], context("progress"))) == "bucketize([1, 5, 20]; progress)"


def test_one_hot_is_an_expression_for_each_number() -> None:
    assert [str(item) for item in one_hot(context("progress"), (0, 1))] == [
        "equals(0; progress)",
        "equals(1; progress)",
    ]


def test_equal_subtrees_are_computed_once() -> None:
    twice = flatten([sum_days(daily("count", "session")) + 1, sum_days(daily("count", "session")) + 2])
    assert len(twice.steps) == 6  # daily, sum, two constants, two additions
    assert [twice.steps[index].op for index in twice.outputs] == ["add", "add"]


def test_a_tree_built_by_reuse_is_flattened_once() -> None:
    tree = context("progress")
    for _ in range(10):
        tree = tree + tree
    assert len(flatten([tree]).steps) == 11


def test_a_tree_that_would_never_end_is_refused() -> None:
    tree = context("progress")
    for _ in range(11):
        tree = tree + tree
    with pytest.raises(DefinitionError, match=r"8191 operators when written out, and at most 4096"):
        tree + tree


def test_nested_surface_operators_do_not_explode() -> None:
    tree = daily("count", "session")
    for _ in range(20):
        tree = bucketize(range(30), tree)  # each uses its argument thirty times
    assert len(flatten([tree]).steps) < 20 * 100


def test_a_program_has_a_limit() -> None:
    def features() -> Iterator[Expression]:
        for number in range(MAX_STEPS):
            yield context("progress") + number

    with pytest.raises(DefinitionError, match="more than 16384 distinct steps; split"):
        flatten(features())


def test_an_expression_cannot_contain_itself() -> None:
    tree = context("progress") + 1
    with pytest.raises(FrozenInstanceError):
        tree.args = (tree, tree)  # type: ignore[misc]
    cyclic: list[Any] = ["log1p"]
    cyclic.append(cyclic)  # no JSON text says this, but a Python list can
    with pytest.raises(DefinitionError, match="nested deeper"):
        Expression.from_json(cyclic)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (["pow", 1, 2], "unknown operator 'pow'; the operators are daily, "),
        (["quantile_days", 1.5, ["day"], ["day"]], "a share from 0 to 1, got 1.5"),
        (["quantile_days", -0.1, ["day"], ["day"]], "a share from 0 to 1"),
        (["quantile_days", 0.5, ["day"]], "takes 2 arguments, got 1"),
        (["quantile_days", 0.5, ["day"], 1], "argument of kind days"),
        (["quantile", 2, 30, ["day"]], "a share from 0 to 1, got 2"),
        (["quantile", 0.5, 91, ["day"]], "a window of 1 to 90 days, got 91"),
        (["windowed_sum", 0, ["day"]], "a window of 1 to 90 days, got 0"),
        (["windowed_mean", 7.5, ["day"]], "a window of whole days, got 7.5"),
        (["slope", "7", ["day"]], "a window of whole days, got '7'"),
        (["window", True, ["day"]], "a window of whole days"),
        (["window", ["day"], 7], "a window of whole days"),
        (["window", 7, 3], "argument of kind days"),
        (["window", 7], "takes one argument, got 0"),
        (["window"], r"takes one parameter \(window\), got 0"),
        (["window", float("inf"), ["day"]], "a window of whole days, got inf"),
        (["ewma", -1, ["day"]], "a half-life of at least 0.75 days"),
        (["clip", 1, 0, ["day"]], "a low below its high"),
        (["clip", 0, float("nan"), ["day"]], "a finite number that float32 holds, got nan"),
        (["clip", 0, ["day"]], "a finite number that float32 holds, got"),
        (["equals", None, ["day"]], "a finite number that float32 holds, got None"),
        (["bucketize", [], ["day"]], "1 to 32 bounds"),
        (["bucketize", 3, ["day"]], "a list of 1 to 32 bounds"),
        (["bucketize", [1, 1], ["day"]], "ascend"),
        (["bucketize", [2, 1], ["day"]], "ascend"),
        (["bucketize", [1, float("nan")], ["day"]], "finite bounds"),
        (["bucketize", list(range(33)), ["day"]], "1 to 32 bounds"),
        (["known", ["day"]], "takes a single number, got one a day"),
        (["observed", 1], "takes no parameters"),
        (["streak", ["context", "progress"]], "argument of kind days"),
        (["add", 1, 10**400], "a finite number or a list"),
        (["add", 1, 1e39], "float32 must hold"),
        (["add", 1, 1e-39], "float32 must hold"),
        (["decay", 0.7], "a half-life of at least 0.75 days"),
        (["daily", "count", {"session": 1e39}], "finite weights"),
        (["bucketize", [1, 1e39], ["day"]], "finite bounds"),
        (["decay", 10**400], "a half-life of at least 0.75 days"),
        (["__import__", "os"], "unknown operator"),
        (["add", 1], "takes 2 arguments, got 1"),
        (["sum_days", 1], "argument of kind days"),
        (["sum_days", ["day"], ["day"]], "takes one argument, got 2"),
        (["day", 1], "takes no parameters"),
        (["decay", 0], "a half-life of at least 0.75 days"),
        (["decay", float("nan")], "a half-life of at least 0.75 days"),
        (["decay"], "takes one parameter"),
        (["context", "mood"], "unknown context entry"),
        (["daily", "count", {"login": 1}], "unknown or repeated"),
        (["daily", "count", {}], "names no event type"),
        (["daily", "counts", {"session": 1}], "the channels are"),
        (["daily", "count", {"session": float("inf")}], "finite weights"),
        (["daily", "count", ["session"]], "an object of event types"),
        (["const", 1], "bare number"),
        ([], "an expression is a finite number or a list"),
        ("day", "an expression is a finite number or a list"),
        (True, "an expression is a finite number or a list"),
        (float("nan"), "an expression is a finite number or a list"),
        ([["day"]], "an expression is a finite number or a list"),
    ],
)
def test_refuses_what_is_no_expression(data: Any, says: str) -> None:
    with pytest.raises(DefinitionError, match=says):
        Expression.from_json(data)


# What is nearly a tree: operators with parameters and arguments of every wrong kind.
NEARLY = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.sampled_from([*OPERATORS, *EVENT_TYPES, *CHANNELS, *CONTEXT, "ü", ""]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(st.sampled_from([*OPERATORS]), inner, inner).map(list)
        | st.tuples(st.sampled_from([*OPERATORS]), inner).map(list)
        | st.dictionaries(st.sampled_from(EVENT_TYPES) | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(NEARLY)
def test_any_json_is_a_tree_or_one_clear_error(data: Any) -> None:
    says, tree = "", None
    try:
        tree = Expression.from_json(data)
    except DefinitionError as error:
        says = str(error)
    if tree is None:
        assert 0 < len(says) < 700
        assert "\n" not in says
    else:
        assert Expression.from_json(tree.to_json()) == tree
        flatten([tree])


def test_refuses_bottomless_nesting() -> None:
    data: Any = 1
    for _ in range(3000):
        data = ["log1p", data]
    with pytest.raises(DefinitionError, match="nested deeper"):
        Expression.from_json(data)
