"""From named numbers to rows: what is filled, what is refused."""

from __future__ import annotations

import math
from collections import defaultdict
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.errors import InputError
from edge_sdk.predict.rows import RowMaker

NAMES = ("completion_rate", "streak_length", "goal_velocity")
MAKER = RowMaker(NAMES, (0.5, 3.0, -1.0))
GOOD = {"completion_rate": 0.25, "streak_length": 7.0, "goal_velocity": 1.5}


def test_order_is_the_models_not_the_callers() -> None:
    row, values, filled = MAKER.row(dict(reversed(GOOD.items())))
    assert row.dtype == np.float32
    assert row.tolist() == [[0.25, 7.0, 1.5]]
    assert values == (0.25, 7.0, 1.5)
    assert filled == ()


def test_missing_names_are_filled_and_told() -> None:
    row, values, filled = MAKER.row({"streak_length": 7})
    assert row.tolist() == [[0.5, 7.0, -1.0]]
    assert tuple(values) == (0.5, 7, -1.0)
    assert filled == ("completion_rate", "goal_velocity")
    assert MAKER.row({})[2] == NAMES


def test_a_single_feature() -> None:
    maker = RowMaker(("only",), (2.0,))
    assert maker.row({"only": 5})[0].tolist() == [[5]]
    assert maker.row({})[0].tolist() == [[2]]


@pytest.mark.parametrize(
    "value",
    [1, 1.0, np.float16(1), np.float32(1), np.float64(1), np.int8(1), np.int64(1), np.uint32(1)],
    ids=repr,
)
def test_numbers_of_any_kind(value: float) -> None:
    assert MAKER.row({**GOOD, "streak_length": value})[0][0, 1] == 1


@pytest.mark.parametrize("complete", [True, False], ids=["all names", "one name missing"])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (True, "streak_length is True; it must be a number .0 or 1 for a yes or no"),
        (np.True_, "streak_length is .*True.*; it must be a number .0 or 1"),
        ("7", "streak_length is '7'; it must be a number"),
        (None, "streak_length is None; it must be a number; leave it out if it is not known"),
        (Decimal(7), "must be a number"),
        (7j, "must be a number"),
        ([7.0], "must be a number"),
        (np.array([7.0]), "must be a number"),
        (math.nan, "streak_length is nan; it must be finite; leave it out"),
        (math.inf, "streak_length is inf; it must be finite"),
        (-math.inf, "streak_length is -inf"),
        (1e39, "streak_length is too large for float32"),
        (10**400, "streak_length is too large for float32"),
    ],
    ids=lambda case: str(case)[:20],
)
def test_what_is_no_finite_number_is_refused_by_name(value: object, message: str, complete: bool) -> None:
    features = {**GOOD, "streak_length": value}
    if not complete:
        del features["goal_velocity"]
    with pytest.raises(InputError, match=message) as caught:
        MAKER.row(features)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_infinities_that_cancel_are_seen() -> None:
    with pytest.raises(InputError, match="completion_rate is inf"):
        MAKER.row({**GOOD, "completion_rate": math.inf, "streak_length": -math.inf})


def test_finite_numbers_whose_sum_is_not() -> None:
    with pytest.raises(InputError, match="too large for float32"):
        MAKER.row(dict.fromkeys(NAMES, 1.7e308))
    assert MAKER.row(dict.fromkeys(NAMES, 3e38))[0].tolist()[0][0] == pytest.approx(3e38)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({**GOOD, "completion_rat": 1.0}, "unknown feature 'completion_rat'; did you mean completion_rate?"),
        ({"completion_rat": 1.0}, "did you mean completion_rate?"),
        ({**GOOD, "xyz": 1.0}, "unknown feature 'xyz'; known: completion_rate, streak_length, goal_velocity"),
        ({**GOOD, 3: 1.0}, "unknown feature 3"),
        ([0.25, 7.0, 1.5], "a mapping of names to numbers, not a list"),
        (None, "not a NoneType"),
    ],
)
def test_wrong_names(features: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        MAKER.row(features)  # type: ignore[arg-type]


@given(st.dictionaries(st.sampled_from(NAMES), st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_a_row_is_what_a_table_of_one_row_is(features: dict[str, float]) -> None:
    row, values, filled = MAKER.row(features)
    if features:
        table, numbers, columns = MAKER.table({name: [value] for name, value in features.items()})
        np.testing.assert_array_equal(row, table)
        np.testing.assert_array_equal(np.array([values]), numbers)
        assert columns == filled


def test_tables() -> None:
    table, numbers, filled = MAKER.table({"streak_length": [1, 2], "completion_rate": np.array([0.1, 0.2])})
    np.testing.assert_array_equal(table, np.array([[0.1, 1, -1], [0.2, 2, -1]], np.float32))
    assert filled == ("goal_velocity",)
    assert numbers.tolist() == [[0.1, 1, -1], [0.2, 2, -1]], "before rounding"
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert MAKER.table(array)[0] is array
    np.testing.assert_array_equal(MAKER.table(array.astype(">f8"))[0], array)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "at least one column"),
        ({"streak_lenght": [1]}, "did you mean streak_length?"),
        ({"streak_length": [1, 2], "goal_velocity": [1]}, "goal_velocity has 1 rows, streak_length has 2"),
        ({"streak_length": 7}, "streak_length is 7; it must be a sequence"),
        ({"streak_length": [1, math.nan]}, "streak_length is nan in row 1"),
        ({"streak_length": [1e39]}, r"streak_length is 1e\+39 in row 0"),
        ({"streak_length": [True]}, "streak_length holds bool"),
        ({"streak_length": ["1"]}, "streak_length holds str"),
        ({"streak_length": [None]}, "streak_length holds object"),
        ({"streak_length": [[1, 2]]}, "must have one number a row"),
        ({"streak_length": [[1, 2], [1]]}, "does not hold single numbers"),
        (np.ones((2, 4), np.float32), r"3 columns, one for each feature; got \(2, 4\)"),
        (np.ones(3, np.float32), r"got \(3,\)"),
        (np.array([[1, 2, math.inf]]), "goal_velocity is inf in row 0"),
        (np.array([["1", "2", "3"]]), "the table holds str"),
        ([[1, 2, 3]], "columns by name or a 2-D array, not a list"),
    ],
)
def test_wrong_tables(table: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        MAKER.table(table)  # type: ignore[arg-type]


def test_a_dict_that_makes_up_values_is_not_asked_to() -> None:
    given = defaultdict(float, {"streak_length": 7.0})
    row, _, filled = MAKER.row(given)
    assert row.tolist() == [[0.5, 7.0, -1.0]]
    assert filled == ("completion_rate", "goal_velocity")
    assert list(given) == ["streak_length"]


def test_masked_numbers_are_not_numbers() -> None:
    masked = np.ma.array([3.0, 4.0], mask=[0, 1])
    with pytest.raises(InputError, match="streak_length is masked"):
        MAKER.table({"streak_length": masked})
    with pytest.raises(InputError, match="the table is masked"):
        MAKER.table(np.ma.array([[1.0, 2.0, 3.0]], mask=[[0, 1, 0]]))
