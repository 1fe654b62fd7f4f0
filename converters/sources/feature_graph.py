"""The feature model: from the day input to features, as one graph."""

from __future__ import annotations

from typing import Any

from converters.sources.source import Source
from feature_spec.definition import FeatureSpec
from feature_spec.program import Program
from feature_spec.tensorflow_evaluator import FEATURES_OUTPUT, INPUTS, run


def features_source(spec: FeatureSpec) -> Source:
    """The source of the features of ``spec``: ``daily`` and ``context`` in, ``features`` out."""
    return program_source(spec.program)


def program_source(program: Program) -> Source:
    """The source of a program's outputs, side by side."""

    def graph(tf: Any, *tensors: Any, batch: int | None) -> dict[str, Any]:
        daily, context = tensors
        return {FEATURES_OUTPUT: run(tf, program, daily, context)}

    return Source(INPUTS, (FEATURES_OUTPUT,), graph)
