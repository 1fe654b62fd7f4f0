"""What each surface operator is in core operators.

Written on step indexes and not on expressions: an argument that a meaning uses twice is computed once, however
deep such operators are nested.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Final, Protocol

from feature_spec.parameters import Parameter
from feature_spec.vocabulary import UNKNOWN, WINDOW_DAYS

Index = int
Number = float | Index


class Emit(Protocol):
    """Adds a core step and gives its index; a step that is there already is not added again."""

    def __call__(self, op: str, *args: Index, value: tuple[Parameter, ...] = ()) -> Index: ...


def lower(emit: Emit, op: str, value: tuple[Parameter, ...], args: Sequence[Index]) -> Index:
    """The index of the step that computes the surface operator ``op`` with parameters ``value``."""
    return _MEANINGS[op](emit, value, args)


def _const(emit: Emit, number: float) -> Index:
    return emit("const", value=(float(number),))


def _observed(emit: Emit) -> Index:
    entry = emit("context", value=("days_observed",))
    return emit("where", _known(emit, entry), entry, _const(emit, WINDOW_DAYS))


def _known(emit: Emit, entry: Index) -> Index:
    return emit("less", _const(emit, UNKNOWN / 2), entry)


def _first_days(emit: Emit, days: Index) -> Index:
    return emit("less", emit("day"), days)


def _seen(emit: Emit, days: Parameter) -> Index:
    """How many of the last ``days`` days were observed."""
    return emit("min", _observed(emit), _const(emit, _float(days)))


def _equals(emit: Emit, number: float, of: Index) -> Index:
    k = _const(emit, number)
    return emit("sub", _const(emit, 1), emit("add", emit("less", of, k), emit("less", k, of)))


def _bucketize(emit: Emit, bounds: Parameter, of: Index) -> Index:
    assert isinstance(bounds, tuple)
    one = _const(emit, 1)
    reached = [emit("sub", one, emit("less", of, _const(emit, _float(bound)))) for bound in bounds]
    return reduce(lambda left, right: emit("add", left, right), reached)


def _window(emit: Emit, days: Parameter, of: Index) -> Index:
    if days == WINDOW_DAYS:  # every day is one of them
        return of
    return emit("mul", of, _first_days(emit, _const(emit, _float(days))))


def _windowed_sum(emit: Emit, days: Parameter, of: Index) -> Index:
    return emit("sum_days", _window(emit, days, of))


def _recency(emit: Emit, of: Index) -> Index:
    return emit("min_days", emit("where", of, emit("day"), _const(emit, WINDOW_DAYS)))


def _streak(emit: Emit, of: Index) -> Index:
    never, one = _const(emit, WINDOW_DAYS), _const(emit, 1)
    # A gap is any other day than today: the day is not over.
    gap_at = emit("where", emit("day"), emit("day"), never)
    first_gap = emit("min_days", emit("where", of, never, gap_at))
    today = emit("sum_days", emit("where", of, _first_days(emit, one), _const(emit, 0)))
    return emit("add", emit("sub", first_gap, one), today)


def _ewma(emit: Emit, half_life: Parameter, of: Index) -> Index:
    weights = emit("decay", value=(half_life,))
    seen = _first_days(emit, _observed(emit))
    weighed = emit("sum_days", emit("mul", emit("mul", of, weights), seen))
    return emit("div", weighed, emit("sum_days", emit("mul", weights, seen)))


def _slope(emit: Emit, days: Parameter, of: Index) -> Index:
    seen = _seen(emit, days)
    within = _first_days(emit, seen)
    middle = emit("div", emit("sub", seen, _const(emit, 1)), _const(emit, 2))
    away = emit("mul", within, emit("sub", emit("day"), middle))
    falling = emit("div", emit("sum_days", emit("mul", away, of)), emit("sum_days", emit("mul", away, away)))
    return emit("sub", _const(emit, 0), falling)  # days count into the past


def _entropy(emit: Emit, of: Index) -> Index:
    shares = emit("div", of, emit("sum_days", of))
    return emit("sub", _const(emit, 0), emit("sum_days", emit("xlogx", shares)))


def _regularity(emit: Emit, of: Index) -> Index:
    total = emit("sum_days", of)
    # Entropy does not ask which class is Monday, so neither do we: days 7 apart fall on one weekday.
    weekday = emit("mod", emit("day"), _const(emit, 7))
    terms = []
    for number in range(7):
        on_it = emit("sum_days", emit("mul", of, _equals(emit, number, weekday)))
        terms.append(emit("xlogx", emit("div", on_it, total)))
    entropy = reduce(lambda left, right: emit("add", left, right), terms)
    regular = emit("add", _const(emit, 1), emit("div", entropy, _const(emit, math.log(7))))
    return emit("where", total, regular, _const(emit, 0))


def _quantile(emit: Emit, share: Parameter, days: Parameter, of: Index) -> Index:
    return emit("quantile_days", of, _first_days(emit, _seen(emit, days)), value=(share,))


def _clip(emit: Emit, low: Parameter, high: Parameter, of: Index) -> Index:
    return emit("max", emit("min", of, _const(emit, _float(high))), _const(emit, _float(low)))


def _float(number: Parameter) -> float:
    assert isinstance(number, int | float)
    return float(number)


_Meaning = Callable[[Emit, tuple[Parameter, ...], Sequence[Index]], Index]
_MEANINGS: Final[dict[str, _Meaning]] = {
    "observed": lambda emit, value, args: _observed(emit),
    "known": lambda emit, value, args: _known(emit, args[0]),
    "ratio": lambda emit, value, args: emit("div", *args),
    "clip": lambda emit, value, args: _clip(emit, value[0], value[1], args[0]),
    "equals": lambda emit, value, args: _equals(emit, _float(value[0]), args[0]),
    "bucketize": lambda emit, value, args: _bucketize(emit, value[0], args[0]),
    "window": lambda emit, value, args: _window(emit, value[0], args[0]),
    "windowed_sum": lambda emit, value, args: _windowed_sum(emit, value[0], args[0]),
    "windowed_mean": lambda emit, value, args: emit(
        "div", _windowed_sum(emit, value[0], args[0]), _seen(emit, value[0])
    ),
    "recency": lambda emit, value, args: _recency(emit, args[0]),
    "streak": lambda emit, value, args: _streak(emit, args[0]),
    "ewma": lambda emit, value, args: _ewma(emit, value[0], args[0]),
    "slope": lambda emit, value, args: _slope(emit, value[0], args[0]),
    "entropy": lambda emit, value, args: _entropy(emit, args[0]),
    "regularity": lambda emit, value, args: _regularity(emit, args[0]),
    "quantile": lambda emit, value, args: _quantile(emit, value[0], value[1], args[0]),
}
