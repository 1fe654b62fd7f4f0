"""The predict bench on a small stand-in for the goal model: every figure, in the form that is promised."""

from __future__ import annotations

import json

import numpy as np
import pytest

from coach_edge.bench import predict
from coach_edge.bench.goal_model import goal_rows, goal_spec, goal_tflite
from device_tests.simulator.tflite_writer import TFLiteWriter
from edge_sdk.errors import InputError
from edge_sdk.predict import Predictor, Reason
from edge_sdk.runtime import open_model

PROMISED = {
    "run_overhead_us_p50",
    "run_overhead_us_p99",
    "predict_overhead_us_p50",
    "predict_overhead_us_p99",
    "ratio_1ms_p50",
    "cached_us_p50",
    "batch1000_speedup",
    "batch1000_speedup_ensemble",
    "threads2_of_limit",
}


def stand_in() -> bytes:
    """TFLite with the goal model's names and shapes; its numbers mean nothing."""
    writer = TFLiteWriter()
    x = writer.tensor("x", (-1, 10))
    outputs = {}
    for name, width in (("probability", 1), ("confidence", 1), ("contributions", 10)):
        weights = writer.tensor(f"{name}_w", (width, 10), np.full((width, 10), 0.001))
        bias = writer.tensor(f"{name}_b", (width,), np.zeros(width))
        outputs[name] = writer.tensor(name, (-1, width))
        writer.operator("FULLY_CONNECTED", (x, weights, bias), (outputs[name],))
    return writer.finish({"features": x}, outputs)


@pytest.mark.sampled
def test_every_promised_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict, "_SECONDS", 0.02)
    figures = predict.run(rounds=5, model=stand_in())
    assert {figure["id"] for figure in figures} >= PROMISED
    assert len({figure["id"] for figure in figures}) == len(figures)
    for figure in figures:
        assert set(figure) == {"id", "value", "unit", "control", "control_value", "ratio", "n", "note"}
        assert figure["ratio"] == pytest.approx(figure["value"] / figure["control_value"])
        assert figure["n"] >= 5
        assert figure["note"]
    assert json.loads(json.dumps(figures)) == figures


def test_too_few_rounds() -> None:
    with pytest.raises(InputError, match="at least 5 rounds, not 4"):
        predict.run(rounds=4, model=stand_in())


@pytest.mark.convert
def test_the_goal_model_of_the_bench_fits_its_spec() -> None:
    (features,) = goal_rows(1, seed=3)
    with open_model(goal_tflite(seed=3)) as model:
        prediction = Predictor(model, goal_spec()).predict(features, deadline_ms=60_000)
    assert prediction.reason is Reason.FRESH
    assert 0 < prediction.values["probability"] < 1
    assert any(prediction.contributions.values())
