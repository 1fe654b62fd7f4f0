"""The reference evaluator: features of many users at once, in NumPy, in double precision."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feature_spec.definition import FeatureSpec
from feature_spec.errors import FeatureSpecError
from feature_spec.numpy_operators import Array as Array
from feature_spec.numpy_operators import constant as constant
from feature_spec.numpy_operators import event_weights as event_weights
from feature_spec.vocabulary import (
    CHANNELS,
    CONTEXT,
    CONTEXT_RANGES,
    COUNT,
    EVENT_TYPES,
    MAX_CELL,
    UNKNOWN,
    VALUES,
    WINDOW_DAYS,
)

_LIMITS: Final = np.array([CONTEXT_RANGES[name] for name in CONTEXT], np.float64).T
_CHUNK: Final = 256
"""Users evaluated together: enough to be vectorised, few enough that memory is reused instead of asked for anew."""

_FEW: Final = 16
_STEPS: Final = 100_000
"""Steps times users: every step keeps up to 720 bytes a user, so that long programs take fewer users at a time."""


def evaluate(spec: FeatureSpec, daily: npt.ArrayLike, context: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Compute every feature of ``spec`` for n users.

    Args:
        spec: the definitions.
        daily: [n, 90, 8, 3], counts, numbers of values and sums of values by day and event type.
        context: [n, 14], -1 where unknown.

    Returns:
        float32 [n, number of features], finite, each within its feature's range.

    Raises:
        FeatureSpecError: a wrong shape, NaN or infinity, a negative count, a number beyond 2^24, or a formula that
            leaves the range of doubles.
    """
    days = _checked("daily", daily, (WINDOW_DAYS, len(EVENT_TYPES), len(CHANNELS)))
    known = _checked("context", context, (len(CONTEXT),))
    if len(days) != len(known):
        raise FeatureSpecError(f"daily has {len(days)} users and context {len(known)}; give the same number")
    _check_counts(days)
    _check_context(known)
    result = np.empty((len(days), len(spec.features)), np.float32)
    plan = spec.plan
    # Beyond the range of doubles is infinite, and clipped; the difference of two infinities is no number.
    with np.errstate(over="ignore", invalid="ignore"):
        if len(days) == 1:
            result[0] = plan.one(days[0].astype(np.float64), known[0].tolist())
        chunk = max(_FEW, min(_CHUNK, _STEPS // len(spec.program.steps)))
        for start in range(0, len(days), chunk) if len(days) > 1 else ():
            part = slice(start, start + chunk)
            result[part] = plan.many(days[part].astype(np.float64), known[part].astype(np.float64))
    if np.isnan(result).any():
        user, column = (int(i) for i in np.argwhere(np.isnan(result))[0])
        raise FeatureSpecError(
            f"feature {spec.names[column]} is no number for user {user}: its formula leaves the range of doubles; "
            "use smaller constants"
        )
    return result


def _checked(name: str, array: npt.ArrayLike, tail: tuple[int, ...]) -> npt.NDArray[Any]:
    checked = np.asarray(array)
    if checked.dtype.kind not in "fiu" or not checked.dtype.isnative:
        raise FeatureSpecError(f"{name} has the type {checked.dtype}; give native floating-point numbers")
    if checked.shape[1:] != tail or checked.ndim != len(tail) + 1:
        expected = ", ".join(map(str, tail))
        raise FeatureSpecError(f"{name} has the shape {checked.shape}; give [n, {expected}]")
    # NaN and infinities reach the extremes, which take a fraction of the time of looking at each number.
    if checked.size and not (math.isfinite(checked.min()) and math.isfinite(checked.max())):
        finite = np.isfinite(checked)
        where = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise FeatureSpecError(
            f"{name}{list(where)} is {checked[where]}; give finite numbers, -1 for unknown context"
        )
    return checked


def _check_counts(daily: npt.NDArray[Any]) -> None:
    if not daily.size:
        return
    low, high = daily.min(), daily.max()
    if low < 0:  # sums may be
        for channel in (COUNT, VALUES):
            if daily[..., channel].min() < 0:
                where = [*map(int, np.argwhere(daily[..., channel] < 0)[0]), channel]
                raise FeatureSpecError(
                    f"daily{where} is a negative count of {EVENT_TYPES[where[2]]}; counts start at 0"
                )
    if low < -MAX_CELL or high > MAX_CELL:
        where = [int(i) for i in np.argwhere((daily < -MAX_CELL) | (daily > MAX_CELL))[0]]
        raise FeatureSpecError(f"daily{where} is beyond 2^24; check the units of the values")


def _check_context(context: npt.NDArray[Any]) -> None:
    lows, highs = _LIMITS
    bad = (context != UNKNOWN) & ((context < lows) | (context > highs))
    if bad.any():
        user, entry = (int(i) for i in np.argwhere(bad)[0])
        raise FeatureSpecError(
            f"context[{user}, {entry}] ({CONTEXT[entry]}) is {context[user, entry]}; "
            f"give {lows[entry]:g}..{highs[entry]:g}, or -1 for unknown"
        )
