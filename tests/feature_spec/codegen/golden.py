"""What a generated source must say to every golden vector, and in which of them it says something else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np

_VECTORS: Final = Path(__file__).parents[3] / "docs" / "protocol" / "vectors" / "day-input"
TOLERANCE: Final = 1e-6
"""Between evaluators in double precision, absolute below 1 and relative above."""

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
    context = np.array(answer["context"], np.float32)
    features, values = np.array(answer["features"]), np.array(output["features"])
    return (
        np.array_equal(cells.reshape(-1, 4), wanted.reshape(-1, 4))
        and np.array_equal(context, np.array(output["context"], np.float32))
        and features.shape == values.shape
        and bool((np.abs(features - values) <= TOLERANCE * np.maximum(1, np.abs(values))).all())
    )
