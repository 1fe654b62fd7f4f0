"""The reference evaluator: features of many users at once, in NumPy, in double precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feature_spec.definition import FeatureSpec
from feature_spec.errors import FeatureSpecError
from feature_spec.operators import LEAVES
from feature_spec.parameters import Parameter
from feature_spec.program import Program
from feature_spec.vocabulary import (
    CHANNELS,
    CONTEXT,
    CONTEXT_RANGES,
    COUNT,
    EVENT_TYPES,
    MAX_CELL,
    SUM,
    UNKNOWN,
    VALUES,
    WINDOW_DAYS,
)

Array = npt.NDArray[np.float64]

_CHUNK: Final = 2048
"""Users evaluated together: large enough to be vectorised, small enough that 90-day vectors stay in cache."""

_OPERATORS: Final[dict[str, Callable[..., Array]]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": lambda a, b: np.where(b == 0, 0.0, a / np.where(b == 0, 1.0, b)),
    "mod": lambda a, b: np.where(b == 0, 0.0, a - b * np.floor(a / np.where(b == 0, 1.0, b))),
    "min": np.minimum,
    "max": np.maximum,
    "less": lambda a, b: np.less(a, b).astype(np.float64),
    "where": lambda c, a, b: np.asarray(np.where(c != 0, a, b)),
    "log1p": lambda x: np.log1p(np.maximum(x, 0.0)),
    "xlogx": lambda x: np.where(x > 0, x * np.log(np.where(x > 0, x, 1.0)), 0.0),
    # Scalars keep an axis of length one, so that they meet 90-day vectors by broadcasting alone.
    "sum_days": lambda x: np.sum(x, axis=1, keepdims=True),
    "min_days": lambda x: np.min(x, axis=1, keepdims=True),
}


def evaluate(spec: FeatureSpec, daily: npt.ArrayLike, context: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Compute every feature of ``spec`` for n users.

    Args:
        spec: the definitions.
        daily: [n, 90, 8, 3], counts, numbers of values and sums of values by day and event type.
        context: [n, 14], -1 where unknown.

    Returns:
        float32 [n, number of features], finite, each within its feature's range.

    Raises:
        FeatureSpecError: a wrong shape, NaN or infinity, a negative count, or a number beyond 2^24.
    """
    days = _checked("daily", daily, (WINDOW_DAYS, len(EVENT_TYPES), len(CHANNELS)))
    known = _checked("context", context, (len(CONTEXT),))
    if len(days) != len(known):
        raise FeatureSpecError(f"daily has {len(days)} users and context {len(known)}; give the same number")
    _check_counts(days)
    _check_context(known)
    result = np.empty((len(days), len(spec.features)), np.float32)
    for start in range(0, len(days), _CHUNK):
        part = slice(start, start + _CHUNK)
        result[part] = _run(spec.program, days[part].astype(np.float64), known[part].astype(np.float64))
    return result


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


def _run(program: Program, daily: Array, context: Array) -> Array:
    values: list[Array] = []
    for step in program.steps:
        if step.op in LEAVES:
            values.append(_leaf(step.op, step.value, daily, context))
        elif step.op == "quantile_days":
            values.append(_quantile(float(step.value[0]), *[values[index] for index in step.args]))  # type: ignore[arg-type]
        else:
            values.append(_OPERATORS[step.op](*[values[index] for index in step.args]))
    return np.concatenate([np.broadcast_to(values[i], (len(daily), 1)) for i in program.outputs], axis=1)


def _leaf(op: str, value: tuple[Parameter, ...], daily: Array, context: Array) -> Array:
    if op == "daily":
        return np.asarray(daily[..., CHANNELS.index(str(value[0]))] @ event_weights(value))
    if op == "context":
        index = CONTEXT.index(str(value[0]))
        return context[:, index : index + 1]
    return constant(op, value)


def event_weights(value: tuple[Parameter, ...]) -> Array:
    """The parameters of a ``daily`` leaf as one weight for each event type, [8]."""
    weights = np.zeros(len(EVENT_TYPES))
    for pair in value[1:]:
        if isinstance(pair, tuple):
            weights[EVENT_TYPES.index(pair[0])] = pair[1]
    return weights


def constant(op: str, value: tuple[Parameter, ...]) -> Array:
    """A leaf that depends on no input: ``const`` [1, 1], ``day`` and ``decay`` [1, 90]."""
    if op == "const":
        return np.full((1, 1), value[0], np.float64)
    index = np.arange(WINDOW_DAYS, dtype=np.float64)[None, :]
    if op == "day":
        return index
    return np.asarray(0.5 ** (index / float(value[0])))  # type: ignore[arg-type]


def _checked(name: str, array: npt.ArrayLike, tail: tuple[int, ...]) -> npt.NDArray[Any]:
    checked = np.asarray(array)
    if checked.dtype.kind not in "fiu" or not checked.dtype.isnative:
        raise FeatureSpecError(f"{name} has the type {checked.dtype}; give native floating-point numbers")
    if checked.shape[1:] != tail or checked.ndim != len(tail) + 1:
        expected = ", ".join(map(str, tail))
        raise FeatureSpecError(f"{name} has the shape {checked.shape}; give [n, {expected}]")
    finite = np.isfinite(checked)
    if not finite.all():
        where = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise FeatureSpecError(
            f"{name}{list(where)} is {checked[where]}; give finite numbers, -1 for unknown context"
        )
    return checked


def _check_counts(daily: npt.NDArray[Any]) -> None:
    for channel in (COUNT, VALUES):
        negative = np.argwhere(daily[..., channel] < 0)
        if len(negative):
            where = [*map(int, negative[0]), channel]
            raise FeatureSpecError(
                f"daily{where} is a negative count of {EVENT_TYPES[where[2]]}; counts start at 0"
            )
    large = np.argwhere(np.abs(daily[..., (COUNT, VALUES, SUM)]) > MAX_CELL)
    if len(large):
        raise FeatureSpecError(
            f"daily{[int(i) for i in large[0]]} is beyond 2^24; check the units of the values"
        )


def _check_context(context: npt.NDArray[Any]) -> None:
    lows, highs = np.array([CONTEXT_RANGES[name] for name in CONTEXT], np.float64).T
    bad = (context != UNKNOWN) & ((context < lows) | (context > highs))
    if bad.any():
        user, entry = (int(i) for i in np.argwhere(bad)[0])
        raise FeatureSpecError(
            f"context[{user}, {entry}] ({CONTEXT[entry]}) is {context[user, entry]}; "
            f"give {lows[entry]:g}..{highs[entry]:g}, or -1 for unknown"
        )
