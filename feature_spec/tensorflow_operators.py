"""The core operators in TensorFlow, float32: only what TFLite, Core ML for iOS 15 and ONNX all bring themselves.

An operand is a tensor, or a NumPy array where the program knows it beforehand. Scalars are [n, 1], days [n, 90].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from feature_spec.vocabulary import WINDOW_DAYS

_HIDDEN: Final = np.float32(-3e38)
"""What a day that takes no part holds while days are sorted: below any value, and finite, since 0 times infinity
is not a number."""

_TINY: Final = np.float32(2.0**-126)
"""Smallest float32 that no processor takes for 0."""

_SMALL: Final = np.float32(0.25)


def operators(tf: Any) -> Mapping[str, Callable[..., Any]]:
    """The operators by name; ``less`` gives booleans, ``where`` and ``quantile_days`` take them."""
    return MappingProxyType(
        {
            "add": tf.add,
            "sub": tf.subtract,
            "mul": tf.multiply,
            "div": lambda left, right, never_zero=False: _divide(tf, left, right, never_zero),
            "mod": lambda left, right: _modulo(tf, left, right),
            "min": tf.minimum,
            "max": tf.maximum,
            "less": tf.less,
            "where": lambda condition, then, otherwise: _where(tf, condition, then, otherwise),
            "log1p": lambda x: _log1p(tf, x),
            "xlogx": lambda x: _xlogx(tf, x),
            "sum_days": lambda x: tf.reduce_sum(x, axis=1, keepdims=True),
            "min_days": lambda x: tf.reduce_min(x, axis=1, keepdims=True),
            "quantile_days": lambda q, values, taken: _quantile_days(tf, q, values, taken),
        }
    )


def _quantile_days(tf: Any, q: float, values: Any, taken: Any) -> Any:
    """The ``q``-quantile, by linear interpolation, of the days that are ``taken`` (booleans); 0 where none is.

    The days are sorted, those not taken behind the others, and weighed by where the quantile lies among so many.
    """
    # The largest first is what top_k gives, so signs are turned round twice.
    hidden = _where(tf, taken, tf.negative(values), np.full((1, 1), _HIDDEN))
    ordered = tf.math.top_k(hidden, WINDOW_DAYS).values
    count = tf.reduce_sum(tf.cast(taken, tf.float32), axis=1)
    place = tf.gather(tf.constant(_places(q)), tf.cast(count, tf.int32), axis=0)
    behind = tf.constant(np.arange(WINDOW_DAYS, dtype=np.float32)[None, :]) - place[:, 0:1]
    at_lower = tf.maximum(1.0 - tf.abs(behind), 0.0)
    at_upper = tf.maximum(1.0 - tf.abs(behind - 1.0), 0.0)
    weights = at_lower * place[:, 1:2] + at_upper * place[:, 2:3]
    return 0.0 - tf.reduce_sum(ordered * weights, axis=1, keepdims=True)  # and not -0 where there is nothing


def _places(q: float) -> NDArray[np.float32]:
    """For 0..90 values: index of the lower neighbour of the quantile, and the weights of both neighbours.

    A table, because the position times a fraction, computed in float32, leaves too few digits for the weight.
    """
    place = q * (np.arange(WINDOW_DAYS + 1) - 1.0)
    lower = np.floor(place)
    table = np.stack([lower, 1 - (place - lower), place - lower], axis=1)
    table[0] = -2, 0, 0  # nobody is there, and nothing is counted
    return table.astype(np.float32)


def _where(tf: Any, condition: Any, then: Any, otherwise: Any) -> Any:
    sides = tuple(condition.shape)
    if all(side in (1, then.shape[axis], otherwise.shape[axis]) for axis, side in enumerate(sides)):
        return tf.where(condition, then, otherwise)
    # Core ML's converter takes the shape of a selection from its branches alone. Products with 0 and 1 are exact.
    flag = tf.cast(condition, tf.float32)
    return flag * then + (1.0 - flag) * otherwise


def _divide(tf: Any, left: Any, right: Any, never_zero: bool) -> Any:
    if never_zero:
        return tf.divide(left, right)
    # The divisor is replaced before dividing: selecting afterwards would let 0 / 0 = NaN into the graph.
    zero = tf.equal(right, 0.0)
    return tf.where(zero, 0.0, left / tf.where(zero, 1.0, right))


def _modulo(tf: Any, left: Any, right: Any) -> Any:
    # One operator for the rounded-down quotient: a division by a constant may become a multiplication by its
    # reciprocal, and 49 * (1 / 49) is less than 1 in float32.
    if isinstance(right, np.ndarray) and right.all():
        return left - right * tf.math.floordiv(left, right)
    zero = tf.equal(right, 0.0)
    rest = left - right * tf.math.floordiv(left, tf.where(zero, 1.0, right))
    return tf.where(zero, 0.0, rest)


def _log1p(tf: Any, x: Any) -> Any:
    # log(1 + x) forgets what of a small x is rounded away in the sum, and XNNPACK's logarithm is off by 1e-7 near 1.
    # There it is 2 artanh(z) = 2 (z + z^3 / 3 + ...) with z = x / (2 + x); the terms left out are below 1e-9.
    positive = tf.maximum(x, 0.0)
    small = tf.minimum(positive, _SMALL)
    z = small / (small + 2.0)
    square = z * z
    near = z * (2.0 + square * (2 / 3 + square * (2 / 5 + square * (2 / 7))))
    return tf.where(positive < _SMALL, near, tf.math.log(positive + 1.0))


def _xlogx(tf: Any, x: Any) -> Any:
    return tf.maximum(x, 0.0) * tf.math.log(tf.maximum(x, _TINY))
