"""Vectors for docs/protocol/features.md: every operator, on a few users who differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from device_tests.vectors.vector import Vector
from feature_spec.expression import (
    Expression,
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
from feature_spec.program import flatten
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
from feature_spec.vocabulary import CHANNELS, CONTEXT, EVENT_TYPES, UNKNOWN, WINDOW_DAYS

PAGE: Final = "features"
DECIMALS: Final = 6

_ACTS = daily("count", "session", "message", task_done=3)
_SESSIONS, _WORTH = daily("count", "session"), daily("sum", "task_done")
_PROGRESS, _GOALS = context("progress"), context("goals_active")

FORMULAS: Final[dict[str, tuple[Expression, ...]]] = {
    "core-operators": (
        Expression("const", value=(2.5,)),
        sum_days(_ACTS),
        sum_days(day() * decay(7.5)),
        _PROGRESS + 1,
        sum_days(_SESSIONS - _WORTH),
        sum_days(_SESSIONS) / _GOALS,
        sum_days(_WORTH / daily("values", "task_done")),
        sum_days((day() % 7) * _SESSIONS),
        (context("weekday") - 5) % 3,
        (context("weekday") - 5) % -3,
        context("goals_completed_before") % _GOALS,
        sum_days(minimum(_SESSIONS, 1) + maximum(_ACTS, 2)),
        less(_PROGRESS, 0.5) + less(0.5, _PROGRESS),
        sum_days(where(_SESSIONS, _WORTH, _ACTS)),
        where(_GOALS, 1, 2),
        log1p(_PROGRESS - 1) + log1p(sum_days(_ACTS)),
        xlogx(_PROGRESS) + xlogx(0 - sum_days(_SESSIONS) / observed()),
        min_days(decay(30) * _SESSIONS - _WORTH),
        *(quantile_days(share, _ACTS, less(0, _SESSIONS)) for share in (0, 0.35, 1)),
        quantile_days(0.5, _WORTH, less(day(), 5)),
    ),
    "surface-operators": (
        observed(),
        known(_GOALS),
        ratio(sum_days(_WORTH), _PROGRESS),
        clip(-0.5, 1.5, sum_days(_WORTH)),
        equals(3, context("weekday")),
        sum_days(equals(2, _SESSIONS)),
        bucketize((0, 0.5, 2, 9), sum_days(_SESSIONS)),
        sum_days(bucketize((1, 3), _ACTS)),
        sum_days(window(20, _WORTH) * day()),
        windowed_sum(1, _ACTS),
        windowed_sum(90, _ACTS),
        windowed_mean(14, _ACTS),
        recency(_SESSIONS),
        recency(daily("count", "feedback")),
        streak(_ACTS),
        streak(_WORTH),
        ewma(9, _ACTS),
        slope(2, _ACTS),
        slope(30, _ACTS),
        slope(90, _WORTH),
        entropy(_ACTS),
        regularity(_SESSIONS),
        regularity(_WORTH),
        *(quantile(share, days, _ACTS) for share, days in ((0, 7), (0.5, 30), (0.9, 90), (1, 1))),
        where(known(_PROGRESS), slope(14, minimum(_ACTS, 2)), ewma(30, _ACTS) / observed()),
    ),
}
"""What is asked of every user, by the name of a vector."""


def vectors() -> Iterator[Vector]:
    """The vectors of this page."""
    users = [_user(number) for number in range(6)]
    for name, trees in FORMULAS.items():
        given = {"trees": [tree.to_json() for tree in trees], "users": users}
        yield Vector(
            PAGE,
            "formulas",
            name,
            "the value of each tree for each user, rounded to six decimals",
            given,
            {"values": values(given)},
        )


def values(given: dict[str, Any]) -> list[list[float]]:
    """For each of ``trees`` the value for each of ``users``, by the reference evaluator."""
    cells = np.zeros((len(given["users"]), WINDOW_DAYS, len(EVENT_TYPES), len(CHANNELS)))
    for number, user in enumerate(given["users"]):
        for *where_, amount in user["cells"]:
            cells[number, *where_] = amount
    entries = np.array([user["context"] for user in given["users"]], np.float64)
    program = flatten(Expression.from_json(tree) for tree in given["trees"])
    result = Plan(program).many(cells, entries).T
    return [[round(value, DECIMALS) + 0.0 for value in row] for row in result.tolist()]


def _user(number: int) -> dict[str, Any]:
    """Nobody, somebody who began today, and others, of whom ever more is known and who did ever more."""
    cells: list[list[float]] = []
    seen = (WINDOW_DAYS, 1, 12, 40, WINDOW_DAYS, WINDOW_DAYS)[number]
    for index in range(seen if number else 0):
        if (
            number == 1
            or (number == 5 and 1 <= index <= 9)
            or (index * (number + 3) + index // 7) % 11 < number
        ):
            kind = ("session", "message", "task_done", "session")[(index + number) % 4]
            count = 1 + (index * number) % 3
            place = [index, EVENT_TYPES.index(kind)]
            cells.append([*place, 0, count])
            if kind == "task_done":
                cells.append([*place, 1, 1])
                cells.append([*place, 2, round(0.25 + 0.125 * (index % 5) - (index % 3 == 2), 3)])
    known_entries = {
        "days_observed": seen,
        "weekday": (2 * number) % 7,
        "goals_active": number % 3,
        "goals_completed_before": number,
        "progress": round(0.2 * number, 1),
    }
    unknown = {0: set(known_entries), 4: {"days_observed", "goals_active"}, 5: {"progress"}}.get(
        number, set()
    )
    entries = [UNKNOWN if name in unknown else known_entries.get(name, UNKNOWN) for name in CONTEXT]
    return {"cells": cells, "context": entries}
