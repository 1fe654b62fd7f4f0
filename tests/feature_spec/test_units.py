"""Units: derived for every expression, the same for a surface operator and its meaning, and refused when mixed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given

from feature_spec import PREBUILT, Feature
from feature_spec.errors import DefinitionError
from feature_spec.expression import Expression, context, daily, day, less, minimum, sum_days, where
from feature_spec.operators import OPERATORS
from feature_spec.program import flatten
from feature_spec.surface import bucketize, clip, equals, known, observed, quantile, recency, slope, streak
from feature_spec.units import (
    CHECK_IN,
    ENTRIES,
    EVENT,
    FEEDBACK,
    GOAL,
    ONE,
    SUMS,
    TIME,
    UNITS,
    Unit,
    derive,
    describe,
)
from feature_spec.vocabulary import CONTEXT, EVENT_TYPES
from tests.feature_spec.trees import trees

SESSIONS = daily("count", "session")


def test_everything_in_the_day_input_has_a_unit() -> None:
    assert set(ENTRIES) == set(CONTEXT)
    assert set(SUMS) == set(EVENT_TYPES)


@pytest.mark.parametrize(
    ("expression", "unit"),
    [
        (SESSIONS, EVENT / TIME),
        (daily("values", "session", "message"), EVENT / TIME),
        (sum_days(SESSIONS), EVENT),
        (sum_days(daily("sum", "session")), TIME),
        (sum_days(daily("sum", "message")) / sum_days(daily("values", "message")), TIME / EVENT),
        (sum_days(daily("sum", "progress")), ONE),
        (sum_days(daily("sum", "check_in")) / sum_days(daily("values", "check_in")), CHECK_IN / EVENT),
        (sum_days(daily("sum", "feedback")), FEEDBACK),
        (sum_days(less(0, SESSIONS)), TIME),
        (sum_days(where(SESSIONS, 1, 0)), TIME),
        (where(SESSIONS, day(), 90), TIME),
        (sum_days(SESSIONS) / observed(), EVENT / TIME),
        (context("goals_completed_before"), GOAL),
        (context("weekday") - day(), TIME),
        (slope(14, SESSIONS), EVENT / TIME / TIME),
        (quantile(0.5, 30, daily("sum", "session")), ONE),
        (minimum(recency(SESSIONS), streak(SESSIONS)), TIME),
        (clip(0, 5, observed()) * 2 + 3, TIME),
        (bucketize([1, 2], observed()) + equals(3, observed()) + known(context("progress")), ONE),
        (1 / observed(), ONE / TIME),
        (context("progress") * 2 - 1, ONE),
    ],
    ids=str,
)
def test_units_are_derived(expression: Expression, unit: Unit) -> None:
    assert expression.unit == unit


@pytest.mark.parametrize(
    ("op", "args", "says"),
    [
        (
            "add",
            (day(), SESSIONS),
            r"'add' .* got time \(day\) and event/time \(count\[session\]\); divide or",
        ),
        ("sub", (context("progress"), observed()), r"got 1 \(progress\) and time \(observed\)"),
        ("min", (sum_days(SESSIONS), observed()), r"got event \(.*\) and time"),
        ("less", (SESSIONS, day()), r"'less'"),
        ("where", (SESSIONS, SESSIONS, day()), r"'where' .* got event/time .* and time \(day\)"),
        ("mod", (context("goals_active"), observed()), r"got goal \(goals_active\) and time"),
    ],
)
def test_refuses_operands_of_two_units(op: str, args: tuple[Expression, ...], says: str) -> None:
    with pytest.raises(DefinitionError, match=says):
        Expression(op, args)


def test_refuses_a_sum_over_types_that_carry_different_things() -> None:
    with pytest.raises(DefinitionError, match=r"1 \(sum\[session\]\) and event/time \(sum\[task_done\]\)"):
        daily("sum", "session", "task_done")


def test_a_unit_mismatch_in_json_is_refused() -> None:
    with pytest.raises(DefinitionError, match="operands of one unit"):
        Expression.from_json(["add", ["sum_days", ["daily", "count", {"session": 1}]], ["observed"]])


@given(trees())
def test_the_meaning_of_a_tree_has_the_unit_of_the_tree(tree: Expression) -> None:
    assume(
        "entropy" not in str(tree)
    )  # over days as alternatives, not as time: 1, though it is a sum over days
    program = flatten([tree])
    units: list[Unit | None] = []
    for step in program.steps:
        units.append(derive(step.op, step.value, [units[index] for index in step.args]))
    found = units[program.outputs[0]]
    assert (found or ONE) == (tree.unit or ONE)


def test_every_operator_has_a_rule() -> None:
    from feature_spec.units import _RULES

    assert set(_RULES) == set(OPERATORS)


def test_the_prebuilt_features_are_in_their_units() -> None:
    assert {feature.name: feature.expression.unit for feature in PREBUILT.features} == {
        feature.name: UNITS[feature.unit] for feature in PREBUILT.features
    }


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"unit": "events"}, r"'events' counts event, but the expression time \('days', .*; change the one"),
        ({"unit": "parsecs"}, r"unknown unit 'parsecs'; the units are share, "),
        ({"expression": sum_days(SESSIONS)}, r"'days' counts time, but the expression event \('events'\)"),
        ({"dtype": "int64"}, "unknown dtype 'int64'; use one of float32, int32, flag"),
        ({"dtype": None}, "unknown dtype None"),
        (
            {"dtype": "int32", "missing": 0.5},
            "int32 needs an expression, low, high and missing that are whole",
        ),
        ({"dtype": "int32", "expression": observed() / 2}, "int32 needs an expression"),
        ({"dtype": "flag"}, "a flag is 0..1, not 0..90"),
        ({"ttl_s": 0}, "ttl_s is 0; give a positive integer"),
        ({"ttl_s": 60.5}, "ttl_s is 60.5; give a positive integer"),
        ({"ttl_s": True}, "ttl_s is True"),
        ({"version": 2**31}, "version is 2147483648; give a positive integer"),
        ({"expression": None}, "expression is None; give an expression"),
    ],
)
def test_a_feature_keeps_its_promises(change: dict[str, Any], says: str) -> None:
    good = Feature("f", 1, "days", 0, 90, 0, "meaning", "source", recency(SESSIONS), dtype="int32")
    with pytest.raises(DefinitionError, match=says):
        replace(good, **change)


def test_a_flag_and_a_bare_number_are_features() -> None:
    flag = Feature("f", 1, "flag", 0, 1, 0, "meaning", "source", known(context("progress")), dtype="flag")
    assert flag.ttl_s == 3600
    assert replace(flag, expression=where(context("progress"), 1, 0)).expression.whole
    assert replace(flag, expression=Expression.from_json(1)).expression.unit is None


def test_units_read_like_units() -> None:
    assert [str(unit) for unit in (ONE, TIME, EVENT / TIME / TIME, ONE / TIME)] == [
        "1",
        "time",
        "event/time/time",
        "1/time",
    ]
    assert describe(EVENT / TIME) == "event/time ('events a day', 'events a week')"
    assert describe(EVENT * EVENT) == "event event"
