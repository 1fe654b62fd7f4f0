"""Every operator against its definition written out another way: loops, or Python's own arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from converters.coreml_eval.kernels import KERNELS
from converters.errors import EvaluationError

FLOATS = st.floats(-1e3, 1e3, width=32)
MATRICES = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=5), elements=FLOATS)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


ELEMENTWISE: dict[str, Callable[[float, float], float]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "maximum": lambda a, b: a if a > b else b,
    "minimum": lambda a, b: a if a < b else b,
    "greater": lambda a, b: a > b,
    "less": lambda a, b: a < b,
    "equal": lambda a, b: a == b,
    "not_equal": lambda a, b: a != b,
}
TRUTHS = {"greater", "less", "equal", "not_equal"}


@pytest.mark.parametrize("kind", ELEMENTWISE)
@given(x=MATRICES, data=st.data())
def test_two_sides_element_by_element_with_broadcasting(kind: str, x: np.ndarray, data: Any) -> None:
    y = data.draw(arrays(np.float32, (1, x.shape[1]), elements=FLOATS))
    result = KERNELS[kind](x=x, y=y)
    assert result.dtype == (np.bool_ if kind in TRUTHS else np.float32)
    for row, column in product(*map(range, x.shape)):
        expected = ELEMENTWISE[kind](float(x[row, column]), float(y[0, column]))
        assert result[row, column] == np.float32(expected)


@pytest.mark.parametrize("kind", ["real_div", "floor_div"])
@given(x=MATRICES, data=st.data())
def test_divisions(kind: str, x: np.ndarray, data: Any) -> None:
    divisors = st.floats(0.125, 100, width=32) | st.floats(-100, -0.125, width=32)
    y = data.draw(arrays(np.float32, x.shape, elements=divisors))
    result = KERNELS[kind](x=x, y=y)
    assert (result.dtype, result.shape) == (np.float32, x.shape)
    for a, b, made in zip(x.ravel(), y.ravel(), result.ravel(), strict=True):
        exact = np.float32(float(a) / float(b))
        assert made == (exact if kind == "real_div" else math.floor(exact))


ALONE: dict[str, Callable[[float], float]] = {
    "relu": lambda a: max(a, 0.0),
    "identity": lambda a: a,
    "abs": lambda a: -a if a < 0 else a,
    "sqrt": lambda a: math.sqrt(a) if a >= 0 else math.nan,
    "sigmoid": lambda a: 1 / (1 + math.exp(-a)) if a > -700 else 0.0,
}


@pytest.mark.parametrize("kind", ALONE)
@given(x=MATRICES)
def test_one_side_element_by_element(kind: str, x: np.ndarray) -> None:
    values = np.abs(x) if kind == "sqrt" else x
    result = KERNELS[kind](x=values)
    assert (result.dtype, result.shape) == (np.float32, x.shape)
    for given_value, made in zip(values.ravel(), result.ravel(), strict=True):
        assert made == pytest.approx(ALONE[kind](float(given_value)), rel=2e-7, abs=1e-7)


@given(x=MATRICES, data=st.data())
def test_gather_picks_along_its_axis(x: np.ndarray, data: Any) -> None:
    axis = data.draw(st.sampled_from([0, 1]))
    side = x.shape[axis]
    places = data.draw(arrays(np.int32, (2, 2), elements=st.integers(-side, side - 1)))
    result = KERNELS["gather"](x=x, indices=places, axis=np.int32(axis))
    for row, column, other in product(range(2), range(2), range(x.shape[1 - axis])):
        place = places[row, column]
        expected = x[place, other] if axis == 0 else x[other, place]
        assert (result[row, column, other] if axis == 0 else result[other, row, column]) == expected


@pytest.mark.parametrize("place", [3, -4])
def test_gather_beyond_the_table_is_an_error(place: int) -> None:
    with pytest.raises(EvaluationError, match="table of 3"):
        KERNELS["gather"](x=np.zeros(3, np.float32), indices=ints(0, place), axis=np.int32(0))


@given(x=MATRICES, units=st.integers(1, 4), biased=st.booleans(), data=st.data())
def test_linear_is_a_weighted_sum_for_each_unit(x: np.ndarray, units: int, biased: bool, data: Any) -> None:
    weight = data.draw(arrays(np.float32, (units, x.shape[1]), elements=st.floats(-2, 2, width=32)))
    bias = data.draw(arrays(np.float32, units, elements=st.floats(-2, 2, width=32))) if biased else None
    result = KERNELS["linear"](x=x, weight=weight, bias=bias)
    assert result.dtype == np.float32
    for row, unit in product(range(len(x)), range(units)):
        terms = [float(a) * float(b) for a, b in zip(x[row], weight[unit], strict=True)]
        expected = math.fsum([*terms, float(bias[unit]) if bias is not None else 0.0])
        assert result[row, unit] == pytest.approx(expected, abs=2e-6 * (1 + sum(map(abs, terms))))


@given(x=MATRICES, axis=st.sampled_from([0, 1, -1]), keep=st.booleans())
def test_mean_over_an_axis(x: np.ndarray, axis: int, keep: bool) -> None:
    result = KERNELS["reduce_mean"](x=x, axes=ints(axis), keep_dims=np.bool_(keep))
    lines = x.T if axis == 0 else x
    expected = [math.fsum(map(float, line)) / len(line) for line in lines]
    assert result.dtype == np.float32
    assert result.shape == (((1, x.shape[1]) if axis == 0 else (len(x), 1)) if keep else (len(lines),))
    assert result.ravel().tolist() == pytest.approx(expected, rel=1e-5, abs=1e-3)


@pytest.mark.parametrize("kind", ["reduce_sum", "reduce_min"])
@given(x=MATRICES, axis=st.sampled_from([0, 1, -1]), keep=st.booleans())
def test_sums_and_smallest_over_an_axis(kind: str, x: np.ndarray, axis: int, keep: bool) -> None:
    result = KERNELS[kind](x=x, axes=ints(axis), keep_dims=np.bool_(keep))
    lines = [[float(item) for item in line] for line in (x.T if axis == 0 else x)]
    expected = [math.fsum(line) if kind == "reduce_sum" else sorted(line)[0] for line in lines]
    assert result.dtype == np.float32
    assert result.shape == (((1, x.shape[1]) if axis == 0 else (len(x), 1)) if keep else (len(lines),))
    assert result.ravel().tolist() == pytest.approx(expected, rel=1e-5, abs=1e-2)


@given(x=MATRICES, units=st.integers(1, 3), turned=st.tuples(st.booleans(), st.booleans()), data=st.data())
def test_matmul_is_rows_times_columns(
    x: np.ndarray, units: int, turned: tuple[bool, bool], data: Any
) -> None:
    y = data.draw(arrays(np.float32, (x.shape[1], units), elements=st.floats(-2, 2, width=32)))
    result = KERNELS["matmul"](
        x=x.T if turned[0] else x,
        y=y.T if turned[1] else y,
        transpose_x=np.bool_(turned[0]),
        transpose_y=np.bool_(turned[1]),
    )
    assert (result.dtype, result.shape) == (np.float32, (len(x), units))
    for row, unit in product(range(len(x)), range(units)):
        terms = [float(a) * float(b) for a, b in zip(x[row], y[:, unit], strict=True)]
        assert result[row, unit] == pytest.approx(math.fsum(terms), abs=2e-6 * (1 + sum(map(abs, terms))))


def test_log_adds_its_epsilon() -> None:
    x = np.array([1e-30, 0.5, 1, 1e30], np.float32)
    for epsilon in (1e-45, 0.25):
        result = KERNELS["log"](x=x, epsilon=np.float32(epsilon))
        assert result.dtype == np.float32
        assert result.tolist() == pytest.approx([math.log(float(a) + epsilon) for a in x], rel=1e-6)


@given(x=MATRICES)
def test_select_takes_one_or_the_other(x: np.ndarray) -> None:
    result = KERNELS["select"](cond=x > 1, a=x, b=np.float32(-7))
    assert result.dtype == np.float32
    assert result.ravel().tolist() == [float(a) if a > 1 else -7.0 for a in x.ravel()]


@given(x=MATRICES, data=st.data(), ascending=st.booleans())
def test_topk_sorts_and_says_where_it_was(x: np.ndarray, data: Any, ascending: bool) -> None:
    k = data.draw(st.integers(1, x.shape[1]))
    values, places = KERNELS["topk"](x=x, k=np.int32(k), axis=np.int32(-1), ascending=np.bool_(ascending))
    assert (values.dtype, places.dtype) == (np.float32, np.int32)
    for row, made, at in zip(x.tolist(), values.tolist(), places.tolist(), strict=True):
        assert made == sorted(row, reverse=not ascending)[:k]
        assert [row[place] for place in at] == made
        assert len(set(at)) == k


def test_concat_and_transpose_lay_things_out() -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert KERNELS["concat"](values=(x, x[:, :1]), axis=np.int32(1)).tolist() == [[0, 1, 2, 0], [3, 4, 5, 3]]
    assert KERNELS["transpose"](x=x, perm=ints(1, 0)).tolist() == [[0, 3], [1, 4], [2, 5]]
    assert KERNELS["transpose"](x=x[None], perm=ints(2, 0, 1)).shape == (3, 1, 2)
    with pytest.raises(EvaluationError, match="interleaves"):
        KERNELS["concat"](values=(x, x), axis=np.int32(0), interleave=np.bool_(True))


def test_reshape_keeps_the_order() -> None:
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert KERNELS["reshape"](x=x, shape=ints(2, -1)).tolist() == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]
    with pytest.raises(EvaluationError, match="keep this dimension"):
        KERNELS["reshape"](x=x, shape=ints(0, -1))


def test_expand_dims_counts_in_the_result() -> None:
    x = np.zeros((3, 4), np.float32)
    assert KERNELS["expand_dims"](x=x, axes=ints(1)).shape == (3, 1, 4)
    assert KERNELS["expand_dims"](x=x, axes=ints(0, 3)).shape == (1, 3, 4, 1)


def test_pad_is_for_the_last_dimensions() -> None:
    x = np.ones((1, 2), np.float32)
    fill = np.float32(-3e38)
    full = KERNELS["pad"](x=x, pad=ints(1, 0, 0, 2), mode="constant", constant_val=fill)
    assert full.tolist() == [[fill] * 4, [1, 1, fill, fill]]
    last = KERNELS["pad"](x=x, pad=ints(1, 0), mode="constant", constant_val=fill)
    assert last.tolist() == [[fill, 1, 1]]
    assert last.dtype == np.float32
    with pytest.raises(EvaluationError, match="reflect"):
        KERNELS["pad"](x=x, pad=ints(1, 0), mode="reflect")


def bools(*values: bool) -> np.ndarray:
    return np.array(values, np.bool_)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"begin": ints(0, 1), "end": ints(2, 3)}, [[1, 2], [5, 6]]),
        ({"begin": ints(0, 1), "end": ints(2, 0), "end_mask": bools(False, True)}, [[1, 2, 3], [5, 6, 7]]),
        ({"begin": ints(9, 1), "end": ints(2, 2), "begin_mask": bools(True, False)}, [[1], [5]]),
        ({"begin": ints(0, 0), "end": ints(3, 4), "stride": ints(2, 3)}, [[0, 3], [8, 11]]),
        ({"begin": ints(1, 0), "end": ints(2, 4), "squeeze_mask": bools(True, False)}, [4, 5, 6, 7]),
        ({"begin": ints(-1, -2), "end": ints(3, 4)}, [[10, 11]]),
        ({"begin": ints(2, 3), "end": ints(0, 0), "squeeze_mask": bools(True, True)}, 11),
    ],
)
def test_slices(settings: dict[str, np.ndarray], expected: object) -> None:
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert KERNELS["slice_by_index"](x=x, **settings).tolist() == expected


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("int32", [0, -1, 2]), ("bool", [False, True, True]), ("fp32", [0.0, -1.5, 2.75])],
)
def test_cast_drops_fractions_towards_zero(dtype: str, expected: list[object]) -> None:
    assert KERNELS["cast"](x=np.array([0, -1.5, 2.75], np.float32), dtype=dtype).tolist() == expected


def test_cast_of_answers_counts_them() -> None:
    result = KERNELS["cast"](x=bools(True, False), dtype="int32")
    assert (result.tolist(), result.dtype) == ([1, 0], np.int32)
    with pytest.raises(EvaluationError, match="complex"):
        KERNELS["cast"](x=bools(True), dtype="complex")


def test_every_operator_has_its_test() -> None:
    shapes = {"gather", "linear", "reduce_mean", "reshape", "expand_dims", "pad", "slice_by_index", "cast"}
    shapes |= {
        "concat",
        "floor_div",
        "log",
        "matmul",
        "real_div",
        "reduce_min",
        "reduce_sum",
        "select",
        "topk",
    }
    assert set(KERNELS) == set(ELEMENTWISE) | set(ALONE) | shapes | {"transpose"}
