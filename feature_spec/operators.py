"""The closed table of operators: what each takes, what it gives, and what it means.

*Core* operators are all that an evaluator implements. *Surface* operators are what people write and read;
``program.flatten`` lowers them to core operators. The page docs/protocol/features.md prints this table, and a
test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DAYS: Final = "days"
SCALAR: Final = "scalar"
ANY: Final = "any"
"""As an argument: days or a scalar. As a result: days if an argument is of kind days, else a scalar."""

CHANNEL: Final = "channel"
WEIGHTS: Final = "types"
ENTRY: Final = "entry"
NUMBER: Final = "number"
HALF_LIFE: Final = "half-life"
WINDOW: Final = "window"
SHARE: Final = "share"
BOUNDS: Final = "bounds"
"""What a parameter is; feature_spec/parameters.py checks each."""


@dataclass(frozen=True)
class Operator:
    """One row of the table.

    Attributes:
        parameters: what each parameter is, in order.
        arguments: the kind of each argument, in order: ``DAYS``, ``SCALAR`` or ``ANY``.
        result: the kind of the result.
        meaning: the definition, in core operators for a surface operator.
        core: whether evaluators implement it.
    """

    parameters: tuple[str, ...]
    arguments: tuple[str, ...]
    result: str
    meaning: str
    core: bool = True


def _leaf(parameters: tuple[str, ...], result: str, meaning: str, core: bool = True) -> Operator:
    return Operator(parameters, (), result, meaning, core)


def _each(count: int, meaning: str) -> Operator:
    return Operator((), (ANY,) * count, ANY, meaning)


def _surface(parameters: tuple[str, ...], argument: str, result: str, meaning: str) -> Operator:
    return Operator(parameters, (argument,), result, meaning, core=False)


OPERATORS: Final[dict[str, Operator]] = {
    "daily": _leaf((CHANNEL, WEIGHTS), DAYS, "weighted sum of that channel over event types"),
    "day": _leaf((), DAYS, "0, 1, ... 89: the index of each day"),
    "decay": _leaf((HALF_LIFE,), DAYS, "0.5^(day / h)"),
    "context": _leaf((ENTRY,), SCALAR, "that entry, -1 where unknown"),
    "const": _leaf((NUMBER,), SCALAR, "written as a bare number"),
    "add": _each(2, "a + b"),
    "sub": _each(2, "a - b"),
    "mul": _each(2, "a * b"),
    "div": _each(2, "a / b, and 0 where b is 0"),
    "mod": _each(2, "a - b * floor(a / b), and 0 where b is 0"),
    "min": _each(2, "the smaller"),
    "max": _each(2, "the larger"),
    "less": _each(2, "1 where a < b, else 0"),
    "where": _each(3, "b where a is not 0, else c"),
    "log1p": _each(1, "ln(1 + max(a, 0))"),
    "xlogx": _each(1, "a * ln(a) where a > 0, else 0"),
    "sum_days": Operator((), (DAYS,), SCALAR, "sum over the 90 days"),
    "min_days": Operator((), (DAYS,), SCALAR, "smallest of the 90 days"),
    "quantile_days": Operator(
        (SHARE,),
        (DAYS, DAYS),
        SCALAR,
        "q-quantile of a over the days where b is not 0, linear between neighbours: of k such days sorted, "
        "the entry at q * (k - 1); 0 where there is no such day",
    ),
    "observed": _leaf(
        (),
        SCALAR,
        "where(less(-0.5, days_observed), days_observed, 90): days that anybody watched",
        core=False,
    ),
    "known": _surface((), SCALAR, SCALAR, "less(-0.5, a): 1 where an entry of the context is known"),
    "ratio": Operator((), (ANY, ANY), ANY, "div(a, b)", core=False),
    "clip": _surface((NUMBER, NUMBER), ANY, ANY, "max(min(a, high), low)"),
    "equals": _surface((NUMBER,), ANY, ANY, "1 - (less(a, k) + less(k, a))"),
    "bucketize": _surface((BOUNDS,), ANY, ANY, "how many of the ascending bounds are at most a"),
    "window": _surface((WINDOW,), DAYS, DAYS, "a * less(day, n): the last n days, today included"),
    "windowed_sum": _surface((WINDOW,), DAYS, SCALAR, "sum_days(window(n; a))"),
    "windowed_mean": _surface((WINDOW,), DAYS, SCALAR, "windowed_sum(n; a) / min(observed, n)"),
    "recency": _surface((), DAYS, SCALAR, "min_days(where(a, day, 90)): days since a was not 0"),
    "streak": _surface(
        (),
        DAYS,
        SCALAR,
        "min_days(where(a, 90, where(day, day, 90))) - 1 + sum_days(where(a, less(day, 1), 0)): days in a row on "
        "which a is not 0; a today of 0 does not break it and does not count",
    ),
    "ewma": _surface(
        (HALF_LIFE,),
        DAYS,
        SCALAR,
        "sum_days(a * decay(h) * seen) / sum_days(decay(h) * seen), seen = less(day, observed)",
    ),
    "slope": _surface(
        (WINDOW,),
        DAYS,
        SCALAR,
        "0 - sum_days(w * d * a) / sum_days(w * d * d), m = min(observed, n), w = less(day, m), "
        "d = day - (m - 1) / 2: least squares, a day, positive where rising",
    ),
    "entropy": _surface(
        (), DAYS, SCALAR, "0 - sum_days(xlogx(a / sum_days(a))): of how a spreads over the days, in nats"
    ),
    "regularity": _surface(
        (),
        DAYS,
        SCALAR,
        "1 + (sum over k = 0..6 of xlogx(s_k / sum_days(a))) / ln 7, s_k = sum_days(a * equals(k; mod(day, 7))); "
        "0 where sum_days(a) is 0: 1 is always the same weekday, 0 all seven alike",
    ),
    "quantile": _surface(
        (SHARE, WINDOW), DAYS, SCALAR, "quantile_days(q; a, less(day, min(observed, n))): over observed days"
    ),
}
"""Every operator by name, core ones first."""

CORE: Final = frozenset(name for name, row in OPERATORS.items() if row.core)
SURFACE: Final = frozenset(OPERATORS) - CORE
LEAVES: Final = frozenset(name for name, row in OPERATORS.items() if row.core and not row.arguments)
"""Core operators without arguments; their parameters are in ``Expression.value``."""

ELEMENTWISE: Final = {
    name: len(row.arguments) for name, row in OPERATORS.items() if row.core and ANY in row.arguments
}
"""Core operators that work entry by entry, with how many arguments they take."""

REDUCTIONS: Final = CORE - LEAVES - frozenset(ELEMENTWISE)
"""Core operators that turn days into a scalar."""
