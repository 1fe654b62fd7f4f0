"""What a generated source must say to every golden vector, and in which of them it says something else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import numpy as np

from feature_spec.definition import Feature, FeatureSpec
from feature_spec.numpy_evaluator import evaluate
from feature_spec.prebuilt import PREBUILT
from feature_spec.registry import REGISTRY
from feature_spec.vectors import apply
from tests.feature_spec.every_operator import FORMULAS
from tests.feature_spec.trees import named

_ROOT: Final = Path(__file__).parents[3]
_VECTORS: Final = _ROOT / "docs" / "protocol" / "vectors" / "day-input"
TOLERANCE: Final = 1e-6
"""Between evaluators in double precision, absolute below 1 and relative above."""


def example(language: str) -> str:
    """The example in the guide for a language."""
    page = (_ROOT / "docs" / "guides" / "codegen.md").read_text("utf-8")
    (found,) = re.findall(rf"```{language}\n(.*?)```", page, flags=re.DOTALL)
    return str(found)


_AWKWARD: Final = (
    "default class index values key name all_cases self type protocol hash_value version acts_7 acts7 acts__7 new in "
    "init raw_value some any definition low entries ordinal constructor prototype to_string runtime_type hash_code "
    "none await ttl_s async null nil"
)
"""Names that a feature may have, and that mean something in one of the languages."""


def spec_of_every_operator() -> FeatureSpec:
    """One feature for each formula that tells a right operator from a wrong one, and the registry's computed ones."""
    awkward, features = _AWKWARD.split(), []
    for index, (name, tree) in enumerate(FORMULAS.items()):
        unit, expression = named(tree)
        called = awkward[index] if index < len(awkward) else f"with_{name}"
        features.append(Feature(called, 1, unit, -1e9, 1e9, 0, "meaning", "source", expression))
    assert len(features) >= len(awkward)
    taken = {*PREBUILT.names, *(feature.name for feature in features)}
    return FeatureSpec((*features, *(item for item in REGISTRY.computed.features if item.name not in taken)))


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


def as_vector(document: Any) -> dict[str, Any]:
    """The vector of an input, to be accepted, according to the reference."""
    result = apply(document)
    return {
        "name": f"{document['zone']} {document['as_of']}",
        "input": document,
        "output": {
            "cells": [[*map(int, at), float(result.daily[tuple(at)])] for at in np.argwhere(result.daily)],
            "context": [float(value) for value in result.context],
            "features": reference(PREBUILT, document),
        },
    }


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
