"""One formula and more for every operator of the language, core and surface, for comparing evaluators.

Operators that jump (less, equals, bucketize, mod) are given whole numbers, numbers of the input, or one quotient of
whole numbers: what float32 and float64 compute alike. The thresholds themselves may be any number.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from feature_spec.expression import (
    Expression,
    const,
    context,
    daily,
    day,
    decay,
    less,
    log1p,
    maximum,
    min_days,
    minimum,
    quantile_days,
    sum_days,
    where,
    xlogx,
)
from feature_spec.numpy_plan import Plan
from feature_spec.program import Program, flatten
from feature_spec.surface import (
    bucketize,
    clip,
    entropy,
    equals,
    ewma,
    known,
    observed,
    quantile,
    ratio,
    recency,
    regularity,
    slope,
    streak,
    window,
    windowed_mean,
    windowed_sum,
)

_SESSIONS = daily("count", "session")
_ACTS = daily("count", "session", "message", task_done=3)
_WORTH = daily("sum", "task_done")
_AGE = context("account_age_days")
_PROGRESS = context("progress")
_WEEKDAY = (context("weekday") - day()) % 7

FORMULAS: Final[dict[str, Expression]] = {
    # Core operators.
    "add": sum_days(_ACTS + daily("values", "progress")),
    "sub": sum_days(_SESSIONS - _WORTH),
    "mul": sum_days(_SESSIONS * day()),
    "div": sum_days(_WORTH / daily("values", "task_done")),
    "div_by_a_scalar": sum_days(_SESSIONS) / context("goals_overdue"),
    "mod": sum_days(_SESSIONS * (day() % 7)),
    "mod_by_a_constant": _AGE % 49,
    "mod_by_an_entry": context("goals_completed_before") % context("goals_active"),
    "mod_of_negative_numbers": sum_days(less(_WEEKDAY, 2) * _SESSIONS),
    "min_and_max": sum_days(minimum(_SESSIONS, 2) + maximum(_ACTS, 3)),
    "less": sum_days(less(_SESSIONS, daily("count", "message"))),
    "less_than_a_number_of_the_input": less(context("progress"), 0.3) + less(0.7, context("progress")),
    "less_than_a_share": less(sum_days(_SESSIONS) / 41, 1),  # 41 * (1 / 41) is less than 1 in float32
    "where": sum_days(where(_SESSIONS, _WORTH, _ACTS)),
    "where_days_choose_scalars": sum_days(where(_SESSIONS, _AGE, 3)),
    "where_days_choose_constants": sum_days(where(less(_SESSIONS, 1), 2, -1)),
    "where_a_scalar_chooses_days": sum_days(where(less(_AGE, 100), _WORTH, _ACTS)),
    "log1p": sum_days(log1p(_ACTS)) / observed() + log1p(context("progress")),
    "log1p_of_little": log1p(context("progress") / 1e6) * 1e6,
    "xlogx": sum_days(xlogx(_SESSIONS)) / observed() + xlogx(context("progress")),
    "decay": sum_days(_SESSIONS * decay(3.7)),
    "min_days": min_days(day() * _ACTS - sum_days(_WORTH)),
    "quantile_days": quantile_days(0.3, _ACTS, less(0, _SESSIONS)),
    "quantile_days_of_days": quantile_days(0.85, day(), _SESSIONS),
    "a_constant": const(2.5),
    "constants_alone": sum_days(less(day(), 5.5) * decay(2)),
    # Surface operators.
    "observed_and_known": observed() * (1 + known(context("goals_active"))),
    "ratio": ratio(sum_days(_WORTH), sum_days(_SESSIONS)),
    "clip": clip(-0.25, 0.75, sum_days(_WORTH)),
    "equals": sum_days(equals(2, _SESSIONS)) / observed() + equals(3, context("weekday")) + equals(0.1, _PROGRESS),
    "bucketize": bucketize((1, 5, 20), sum_days(_SESSIONS)) + sum_days(bucketize((0.5, 2.5), _ACTS)) / observed(),
    "bucketize_a_mean": bucketize((0.5, 1, 1.5), windowed_mean(28, _SESSIONS)),
    "window": min_days(window(30, _WORTH)),
    "windowed": windowed_sum(14, _WORTH) / observed() + windowed_mean(28, _ACTS),
    "recency": recency(_SESSIONS),
    "streak": streak(_ACTS),
    "ewma": ewma(9, _ACTS),
    "slope": slope(60, _ACTS),
    "slope_of_a_week": slope(7, _WORTH),
    "entropy": entropy(_SESSIONS),
    "regularity": regularity(_ACTS),
    "quantile": quantile(0.9, 28, _ACTS),
    "median": quantile(0.5, 90, _WORTH),
}  # fmt: skip

NAMES: Final = tuple(FORMULAS)
PROGRAM: Final[Program] = flatten(FORMULAS.values())


def operators_of(tree: Expression) -> Iterator[str]:
    """Every operator in ``tree``, as written."""
    yield tree.op
    for arg in tree.args:
        yield from operators_of(arg)


def reference(daily_cells: npt.ArrayLike, context_cells: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """The formulas by the NumPy evaluator, without the range that a feature clips to."""
    cells, entries = np.asarray(daily_cells, np.float64), np.asarray(context_cells, np.float64)
    return Plan(PROGRAM).many(cells, entries).astype(np.float32)
