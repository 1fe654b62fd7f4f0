"""Golden cases, comparators and rules: what decides whether a model may run and what it means."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from device_tests.vectors import rules_page
from edge_sdk.contract import golden
from edge_sdk.contract.golden import Case
from edge_sdk.contract.rules import Condition, Rule, Rules
from edge_sdk.contract.tolerance import Tolerance, compare
from edge_sdk.errors import FormatError

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
tensors = hnp.arrays(np.float32, hnp.array_shapes(min_dims=0, max_dims=3, max_side=3), elements=floats)


@given(tensors, tensors)
def test_golden_cases_survive_to_the_bit(one: Any, other: Any) -> None:
    (case,) = golden.from_bytes(golden.to_bytes([Case("c", {"x": one}, {"y": other})]))
    assert case.inputs["x"].dtype == np.float32
    assert case.inputs["x"].shape == one.shape
    np.testing.assert_array_equal(case.inputs["x"], one)
    np.testing.assert_array_equal(case.outputs["y"], other)


@pytest.mark.parametrize(
    "value", ["1.5", ["1"], [True], [None], [[1], [1, 2]], {"a": 1}, [1e39], None, [[["x"]]]]
)
def test_what_is_no_tensor(value: object) -> None:
    text = json.dumps(
        {"format": golden.FORMAT, "cases": [{"id": "c", "inputs": {"x": value}, "outputs": {"y": [1]}}]}
    )
    with pytest.raises(FormatError, match="golden case c: 'x'"):
        golden.from_bytes(text.encode())


# --- comparators


def one(expected: Any, actual: Any, absolute: float = 0.0, relative: float = 0.0) -> Any:
    (result,) = compare({"p": expected}, {"p": actual}, {"p": Tolerance(absolute, relative)})
    return result


def f32(*values: float) -> Any:
    return np.array(values, np.float32)


@given(tensors.filter(lambda t: t.size > 0))
def test_the_same_is_the_same_even_without_tolerance(tensor: Any) -> None:
    result = one(tensor, tensor.copy())
    assert result.ok
    assert result.error == 0
    assert result.excess == 0


@pytest.mark.parametrize(
    ("expected", "actual", "absolute", "relative", "ok"),
    [
        (1.0, 1.5, 0.5, 0.0, True),
        (1.0, 1.5, 0.25, 0.25, True),
        (1.0, 1.5, 0.25, 0.125, False),
        (-4.0, -4.5, 0.0, 0.125, True),
        (-4.0, -4.625, 0.0, 0.125, False),
        (0.0, 1e-30, 0.0, 1.0, False),
        (0.25, 0.75, 0.01, 0.0, False),
    ],
)
def test_the_formula(expected: float, actual: float, absolute: float, relative: float, ok: bool) -> None:
    result = one(f32(expected), f32(actual), absolute, relative)
    assert result.ok is ok
    assert result.error == abs(float(np.float32(actual)) - float(np.float32(expected)))
    assert (result.excess <= 1) is ok


@pytest.mark.parametrize(
    ("actual", "problem"),
    [
        (f32(math.nan, 0.0), "not finite"),
        (f32(math.inf, 0.0), "not finite"),
        (f32(0.0), "shape"),
        (np.zeros((2, 1), np.float32), "shape"),
        (np.zeros(2, np.float64), "dtype"),
        (np.zeros(2, np.int32), "dtype"),
    ],
)
def test_what_no_tolerance_forgives(actual: Any, problem: str) -> None:
    result = one(f32(0.0, 0.0), actual, 1.0, 1.0)
    assert not result.ok
    assert problem in result.problem
    assert result.excess == math.inf


def test_one_bad_value_among_many_is_enough() -> None:
    actual = np.zeros(1_000, np.float32)
    actual[700] = 0.5
    assert not one(np.zeros(1_000, np.float32), actual, 1e-3).ok


def test_a_missing_output_fails_and_a_further_one_is_not_looked_at() -> None:
    allowed = {"p": Tolerance(1.0), "q": Tolerance(1.0)}
    results = compare({"p": f32(0), "q": f32(0)}, {"p": f32(0), "r": f32(9)}, allowed)
    assert [(r.output, r.ok) for r in results] == [("p", True), ("q", False)]


def test_nothing_to_compare_is_no_success() -> None:
    with pytest.raises(FormatError, match="no expected output"):
        compare({}, {"p": f32(0)}, {"p": Tolerance(1.0)})
    with pytest.raises(FormatError, match="disagree on whether there is an output 'p'"):
        compare({"p": f32(0)}, {"p": f32(0)}, {})
    with pytest.raises(FormatError, match="disagree on whether there is an output 'q'"):
        compare({"p": f32(0)}, {"p": f32(0)}, {"p": Tolerance(1.0), "q": Tolerance(1.0)})
    assert not one(f32(), f32(), 1.0).ok


def test_an_expectation_that_is_no_number_is_never_met() -> None:
    assert not one(f32(math.nan), f32(0.0), 1.0, 1.0).ok


def test_a_deliberately_wrong_golden_case_fails() -> None:
    right = f32(0.7, 0.1)
    assert one(right, right, 1e-5).ok
    assert not one(f32(0.7, 0.2), right, 1e-5).ok


@pytest.mark.parametrize("value", [-1e-9, 1.1, math.inf, math.nan])
def test_a_tolerance_is_between_zero_and_one(value: float) -> None:
    with pytest.raises(FormatError, match="between 0 and 1"):
        Tolerance(value)
    with pytest.raises(FormatError, match="between 0 and 1"):
        Tolerance(0.0, value)


# --- rules


def test_rules_survive() -> None:
    rules = Rules.from_json(rules_page.RULES)
    assert Rules.from_json(rules.to_json()) == rules
    assert rules.to_json() == rules_page.RULES


@given(st.sampled_from(["<", "<=", ">", ">="]), st.floats(allow_nan=False, allow_infinity=False), st.floats())
def test_operators_are_those_of_doubles(op: str, than: float, value: float) -> None:
    rules = Rules(risk_factors=(Rule("r", (Condition("output", "p", op, than),)),))
    said = bool(rules.evaluate({"p": value}, {}, {}).risk_factors)
    assert said is {"<": value < than, "<=": value <= than, ">": value > than, ">=": value >= than}[op]


def test_a_float32_value_is_not_rounded_to_the_bound() -> None:
    rules = Rules(risk_factors=(Rule("r", (Condition("output", "p", ">=", 0.1),)),))
    assert rules.evaluate({"p": float(np.float32(0.1))}, {}, {}).risk_factors == ("r",)
    rules = Rules(risk_factors=(Rule("r", (Condition("output", "p", "<=", 0.1),)),))
    assert rules.evaluate({"p": float(np.float32(0.1))}, {}, {}).risk_factors == ()


def test_a_name_may_hold_a_colon() -> None:
    value = {
        "format": "coach-edge/rules/1",
        "actions": [],
        "risk_factors": [{"key": "a", "when": [{"value": "output:a:b", "op": "<", "than": 1}]}],
    }
    assert Rules.from_json(value).risk_factors[0].when[0].name == "a:b"


@given(st.data())
def test_damaged_rules_are_refused_or_read_and_never_crash(data: st.DataObject) -> None:
    value = json.loads(json.dumps(rules_page.RULES))
    junk = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.just(10**400)
        | st.text(max_size=3)
        | st.just([])
        | st.just([{}])
        | st.just([None])
    )
    place: Any = data.draw(
        st.sampled_from([value, value["risk_factors"][0], value["risk_factors"][0]["when"][0]])
    )
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(junk)
    try:
        rules = Rules.from_json(value)
    except FormatError:
        return
    assert Rules.from_json(rules.to_json()) == rules
