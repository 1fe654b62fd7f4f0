"""The features bench on a small stand-in for the feature model: every figure, in the form that is promised."""

from __future__ import annotations

import json

import numpy as np
import pytest

from coach_edge.bench import features
from device_tests.simulator.tflite_writer import TFLiteWriter
from edge_sdk.errors import InputError

PROMISED = {"numpy_ms_p50", "graph_us_p50", "cached_us_p50", "cached_by_name_us_p50", "record_ms_p50"}


def stand_in() -> bytes:
    """TFLite with the feature model's names and shapes; its numbers mean nothing."""
    writer = TFLiteWriter()
    daily = writer.tensor("daily", (-1, 90, 8, 3))
    context = writer.tensor("context", (-1, 14))
    weights = writer.tensor("w", (10, 14), np.full((10, 14), 0.001))
    bias = writer.tensor("b", (10,), np.zeros(10))
    out = writer.tensor("features", (-1, 10))
    writer.operator("FULLY_CONNECTED", (context, weights, bias), (out,))
    return writer.finish({"daily": daily, "context": context}, {"features": out})


@pytest.mark.sampled
def test_every_promised_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "_QUICK_CALLS", 50)
    monkeypatch.setattr(features, "_CALLS", 5)
    figures = features.run(rounds=5, model=stand_in())
    assert {figure["id"] for figure in figures} == PROMISED
    for figure in figures:
        assert set(figure) == {"id", "value", "unit", "control", "control_value", "ratio", "n", "note"}
        assert figure["ratio"] == pytest.approx(figure["value"] / figure["control_value"])
        assert figure["n"] >= 5
        assert figure["note"]
    assert json.loads(json.dumps(figures)) == figures


def test_too_few_rounds() -> None:
    with pytest.raises(InputError, match="at least 5 rounds, not 4"):
        features.run(rounds=4, model=stand_in())
