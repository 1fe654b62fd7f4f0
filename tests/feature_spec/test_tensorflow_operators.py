"""Operators of the graph beside their definitions, on the numbers where a port goes wrong."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from feature_spec.tensorflow_operators import operators

pytestmark = [
    pytest.mark.convert,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def tf() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("tensorflow")


@pytest.fixture(scope="module")
def ops(tf: Any) -> Mapping[str, Any]:
    return operators(tf)


def column(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32)[:, None]


def test_division_by_zero_gives_zero(tf: Any, ops: Mapping[str, Any]) -> None:
    left, right = column(0, 3, -3, 6, 0), column(0, 0, 0, 4, 5)
    assert ops["div"](tf.constant(left), tf.constant(right)).numpy().tolist() == [[0], [0], [0], [1.5], [0]]
    assert ops["div"](tf.constant(left), np.array([[4.0]], np.float32), True).numpy()[3] == 1.5
    assert not ops["div"](tf.constant(left), np.array([[0.0]], np.float32)).numpy().any()


@pytest.mark.parametrize("divisor", [7, 49, 24, 366, -7, 0.25, 0])
@pytest.mark.parametrize("known", [True, False])
def test_modulo_is_exact_on_whole_numbers(
    tf: Any, ops: Mapping[str, Any], divisor: float, known: bool
) -> None:
    numbers = np.concatenate([np.arange(-1000, 4000), 2**24 - np.arange(500), 49 * np.arange(1, 300)])
    left = numbers.astype(np.float32)[:, None]
    right = np.full((1, 1), divisor, np.float32)
    given = ops["mod"](tf.constant(left), right if known else tf.constant(right)).numpy()
    expected = numbers - divisor * np.floor(numbers / divisor) if divisor else np.zeros(len(numbers))
    assert given[:, 0].tolist() == expected.tolist()


def test_log1p_keeps_the_digits_of_small_numbers(tf: Any, ops: Mapping[str, Any]) -> None:
    x = np.concatenate([10.0 ** np.arange(-30, 8), [0, 1, 2**24, 90 * 2.0**24]]).astype(np.float32)[:, None]
    exact = np.log1p(x.astype(np.float64))
    given = ops["log1p"](tf.constant(x)).numpy()
    assert (np.abs(given - exact) <= 3e-7 * exact).all()
    # The usual formula takes a hundred-millionth for nothing at all.
    assert tf.math.log(1.0 + tf.constant(column(1e-8))).numpy()[0, 0] == 0
    assert not ops["log1p"](tf.constant(column(-1, -5, -1e30))).numpy().any()


def test_xlogx_is_nothing_where_nothing_is(tf: Any, ops: Mapping[str, Any]) -> None:
    x = np.concatenate([10.0 ** np.arange(-30, 8), [0.5, 0.999, 1, 1.001]]).astype(np.float32)[:, None]
    exact = x.astype(np.float64) * np.log(x.astype(np.float64))
    assert (np.abs(ops["xlogx"](tf.constant(x)).numpy() - exact) <= 1e-6 * np.maximum(1, np.abs(exact))).all()
    assert not ops["xlogx"](tf.constant(column(0, -0.0, -1, -1e30))).numpy().any()


@pytest.mark.parametrize("q", [0, 0.01, 0.1, 0.25, 1 / 3, 0.5, 0.9, 0.999, 1])
def test_quantiles_are_those_of_numpy(tf: Any, ops: Mapping[str, Any], q: float) -> None:
    rng = np.random.default_rng(int(q * 1000))
    users = 400
    values = rng.choice([0, 1, 5, 1e-3, 1e6, -40], (users, 90)) * rng.integers(0, 4, (users, 90))
    values = values.astype(np.float32)
    taken = rng.random((users, 90)) < rng.choice([0, 0.01, 0.05, 0.5, 1], (users, 1))
    given = ops["quantile_days"](q, tf.constant(values), tf.constant(taken)).numpy()
    expected = [
        np.quantile(row[mask].astype(np.float64), q) if mask.any() else 0.0
        for row, mask in zip(values, taken, strict=True)
    ]
    assert given.shape == (users, 1)
    assert {0, 1, 90} <= set(taken.sum(axis=1).tolist()), "nobody, one day, every day"
    assert (np.abs(given[:, 0] - expected) <= 1e-6 * np.maximum(1, np.abs(expected))).all()


def test_a_choice_between_scalars_has_the_shape_of_its_condition(tf: Any, ops: Mapping[str, Any]) -> None:
    days = tf.constant(np.arange(180, dtype=np.float32).reshape(2, 90) % 2 == 1)
    scalars = tf.constant(column(3, 4))
    seven = np.array([[7.0]], np.float32)
    given = ops["where"](days, scalars, seven).numpy()
    assert given.tolist() == [[7, value] * 45 for value in (3.0, 4.0)]
    assert ops["where"](days, seven, seven - 8).numpy()[:, :3].tolist() == [[-1, 7, -1]] * 2
    assert ops["where"](np.array([[True]]), scalars, seven).numpy().tolist() == [[3], [4]]
