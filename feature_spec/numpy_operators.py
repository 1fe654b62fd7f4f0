"""The core operators in NumPy: for many users at once, and the elementwise ones for one number of one user.

Days are [n, 90] and scalars [n, 1], with n = 1 where they are the same for everybody, so that the two meet by
broadcasting alone.
"""

from __future__ import annotations

import math
import operator as python
from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from feature_spec.parameters import Parameter
from feature_spec.vocabulary import EVENT_TYPES, WINDOW_DAYS

Array = npt.NDArray[np.float64]


def _div(a: Array, b: Array) -> Array:
    zero = np.equal(b, 0)
    return np.where(zero, 0.0, a / np.where(zero, 1.0, b)) if zero.any() else np.asarray(a / b)


def _mod(a: Array, b: Array) -> Array:
    zero = np.equal(b, 0)
    return np.where(zero, 0.0, a - b * np.floor(a / np.where(zero, 1.0, b)))


def _quantile(share: float, values: Array, mask: Array) -> Array:
    """The quantile over the last axis of the entries whose mask is not 0; 0 where there is none."""
    values, mask = np.broadcast_arrays(values, mask)
    kept = mask != 0
    count = kept.sum(axis=1, keepdims=True)
    ordered = np.sort(np.where(kept, values, np.inf), axis=1)  # those that do not count come last
    place = share * np.maximum(count - 1, 0)
    below = np.floor(place).astype(np.intp)
    above = np.minimum(below + 1, np.maximum(count - 1, 0))
    low, high = (
        np.where(count == 0, 0.0, np.take_along_axis(ordered, index, axis=1)) for index in (below, above)
    )
    return np.asarray(low + (high - low) * (place - below))


def _floor(x: float) -> float:
    return math.floor(x) if math.isfinite(x) else x


OPERATORS: Final[dict[str, Callable[..., Array]]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": _div,
    "mod": _mod,
    "min": np.minimum,
    "max": np.maximum,
    "less": lambda a, b: np.less(a, b).astype(np.float64),
    "where": lambda c, a, b: np.asarray(np.where(c != 0, a, b)),
    "log1p": lambda x: np.log1p(np.maximum(x, 0.0)),
    "xlogx": lambda x: np.where(x > 0, x * np.log(np.where(x > 0, x, 1.0)), 0.0),
    "sum_days": lambda x: np.add.reduce(x, axis=1, keepdims=True),
    "min_days": lambda x: np.minimum.reduce(x, axis=1, keepdims=True),
}
"""Every core operator without parameters, for many users."""

NUMBERS: Final[dict[str, Callable[..., float]]] = {
    "add": python.add,
    "sub": python.sub,
    "mul": python.mul,
    "div": lambda a, b: a / b if b else 0.0,
    "mod": lambda a, b: a - b * _floor(a / b) if b else 0.0,
    # What is no number stays none, as in NumPy: the evaluator refuses it.
    "min": lambda a, b: a if a < b or a != a else b,
    "max": lambda a, b: a if a > b or a != a else b,
    "less": lambda a, b: 1.0 if a < b else 0.0,
    "where": lambda c, a, b: a if c else b,
    # NumPy's logarithms are not those of the C library to the last bit, and a step may turn on that bit.
    "log1p": lambda x: 0.0 if x <= 0 else float(np.log1p(x)),
    "xlogx": lambda x: x * float(np.log(x)) if x > 0 else 0.0,
}
"""The elementwise operators for Python numbers: a NumPy call on one number costs ten times the sum."""


def operator(op: str, value: tuple[Parameter, ...]) -> Callable[..., Array]:
    """The core operator ``op``, no leaf, with its parameters."""
    if op == "quantile_days":
        return partial(_quantile, float(value[0]))  # type: ignore[arg-type]
    return OPERATORS[op]


def event_weights(value: tuple[Parameter, ...]) -> Array:
    """The parameters of a ``daily`` leaf as one weight for each event type, [8]."""
    weights = np.zeros(len(EVENT_TYPES))
    for pair in value[1:]:
        if isinstance(pair, tuple):
            weights[EVENT_TYPES.index(str(pair[0]))] = pair[1]
    return weights


def constant(op: str, value: tuple[Parameter, ...]) -> Array:
    """A leaf that depends on no input: ``const`` [1, 1], ``day`` and ``decay`` [1, 90]."""
    if op == "const":
        return np.full((1, 1), value[0], np.float64)
    index = np.arange(WINDOW_DAYS, dtype=np.float64)[None, :]
    if op == "day":
        return index
    return np.asarray(0.5 ** (index / float(value[0])))  # type: ignore[arg-type]
