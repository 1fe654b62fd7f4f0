"""What a generated source must say to every golden vector, and in which of them it says something else."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from feature_spec.definition import FeatureSpec
from feature_spec.expression import (
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
from feature_spec.numpy_evaluator import evaluate
from feature_spec.prebuilt import PREBUILT
from feature_spec.vectors import apply

_VECTORS: Final = Path(__file__).parents[3] / "docs" / "protocol" / "vectors" / "day-input"
TOLERANCE: Final = 1e-6
"""Between evaluators in double precision, absolute below 1 and relative above."""

_DAYS: Final = daily("sum", "task_done", feedback=0.5)
_MASK: Final = less(2, day())
EVERY_OPERATOR: Final = {
    "daily": sum_days(daily("values", "check_in", task_done=-0.5)),
    "day": sum_days(_DAYS * day()),
    "decay": sum_days(_DAYS * decay(3.5)),
    "context": context("hours_since_last_act"),
    "const": sum_days(less(day(), 7.25)),
    "add": sum_days(_DAYS) + 0.1,
    "sub": sum_days(_DAYS) - context("weekday"),
    "mul": sum_days(daily("count", "session") * day()),
    "div": sum_days(day() / daily("count", "session")),
    "mod": sum_days(((context("weekday") - day()) % 7) * daily("count", "session")),
    "min": sum_days(minimum(daily("count", "session"), 2)),
    "max": sum_days(maximum(daily("count", "session"), 2)),
    "less": sum_days(less(daily("count", "session"), 2)),
    "where": sum_days(where(_DAYS, day(), context("progress"))),
    "log1p": log1p(sum_days(_DAYS)),
    "xlogx": sum_days(xlogx(_DAYS - 0.25)),
    "sum_days": sum_days(_DAYS),
    "min_days": min_days(where(daily("count", "session"), day(), 90)),
    "quantile_days": quantile_days(0.3, daily("count", "session"), _MASK),
}
"""An expression for each core operator, whose value is another where that operator is wrong."""


def spec_of_every_operator() -> FeatureSpec:
    """A spec in which every core operator is the point of one feature."""
    return FeatureSpec(
        tuple(
            dataclasses.replace(
                PREBUILT.features[0], name=f"with_{op}", low=-1e9, high=1e9, expression=expression, known=None
            )
            for op, expression in EVERY_OPERATOR.items()
        )
    )


def reference(spec: FeatureSpec, document: Any) -> list[float]:
    """The features of an input according to the NumPy evaluator."""
    result = apply(document)
    return [float(value) for value in evaluate(spec, result.daily[None], result.context[None])[0]]


Answer = dict[str, Any]
"""Either ``reason``, or ``cells`` (without zeros), ``context`` and ``features``."""


def vectors() -> list[dict[str, Any]]:
    """The vectors to accept, then those to refuse."""
    return [
        vector
        for name in ("accept.json", "refuse.json")
        for vector in json.loads((_VECTORS / name).read_text("utf-8"))["vectors"]
    ]


def mismatches(expected: list[dict[str, Any]], answers: list[Answer]) -> list[str]:
    """The names of the vectors that were answered wrongly: tensors and reasons exactly, features within 1e-6."""
    return [
        vector["name"]
        for vector, answer in zip(expected, answers, strict=True)
        if not _is_right(vector, answer)
    ]


def _is_right(vector: dict[str, Any], answer: Answer) -> bool:
    if "reason" in vector or "reason" in answer:
        return vector.get("reason") == answer.get("reason")
    output = vector["output"]
    cells, wanted = np.array(answer["cells"], np.float32), np.array(output["cells"], np.float32)
    entries = np.array(answer["context"], np.float32)
    return (
        np.array_equal(cells.reshape(-1, 4), wanted.reshape(-1, 4))
        and np.array_equal(entries, np.array(output["context"], np.float32))
        and all(are_close(answer["features"], output["features"]))
    )


def are_close(values: list[float], wanted: list[float]) -> list[bool]:
    """Whether each feature is the wanted one, within 1e-6."""
    return [
        abs(value - right) <= TOLERANCE * max(1, abs(right))
        for value, right in zip(values, wanted, strict=True)
    ]
