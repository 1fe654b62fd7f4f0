"""Features and predictor as one graph: a phone counts its days and gets the predictor's outputs."""

from __future__ import annotations

from typing import Any

from converters.ensemble import Ensemble
from converters.errors import SourceError
from converters.sources.ensemble_graph import ensemble_source
from converters.sources.source import Source
from feature_spec.definition import FeatureSpec
from feature_spec.tensorflow_evaluator import INPUTS, run


def days_source(spec: FeatureSpec, ensemble: Ensemble) -> Source:
    """The ensemble with the features of ``spec`` in front: ``daily`` and ``context`` in, its own outputs out.

    Raises:
        SourceError: the ensemble takes other features than those of ``spec``.
    """
    if ensemble.feature_names != spec.names:
        raise SourceError("the ensemble and the feature spec name different features; train again")
    predictor = ensemble_source(ensemble)

    def graph(tf: Any, *tensors: Any, batch: int | None) -> dict[str, Any]:
        daily, context = tensors
        return predictor.graph(tf, run(tf, spec.program, daily, context), batch=batch)

    return Source(INPUTS, predictor.outputs, graph)
