"""``edge features graph``: three files of one definition, and nothing written that does not agree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters import feature_model
from converters.coreml_eval import CoreMLProgram
from converters.errors import ConversionError, GateError
from converters.feature_command import graph
from converters.made_up_days import made_up_days
from feature_spec import PREBUILT, Feature, FeatureSpec
from feature_spec.errors import FeatureSpecError
from feature_spec.expression import context
from feature_spec.numpy_evaluator import evaluate
from feature_spec.registry import REGISTRY
from feature_spec.vocabulary import CONTEXT
from tests.feature_spec.inputs import random_input

pytestmark = [pytest.mark.convert, pytest.mark.timeout(600)]


def run(*args: object) -> Any:
    return graph.main([str(arg) for arg in args], standalone_mode=False)


def test_the_file_of_each_target_computes_the_features(tmp_path: Path) -> None:
    from edge_sdk.runtime import open_model

    daily, context = random_input(4, 20)
    expected = evaluate(PREBUILT, daily, context)
    for target, engine in (("tflite", "litert"), ("onnx", "onnxruntime")):
        out = tmp_path / "new" / f"features.{target}"
        said = run("--target", target, "--out", out)
        assert json.loads(json.dumps(said)) == said
        assert said["bytes"] == out.stat().st_size
        assert said["fingerprint"] == PREBUILT.fingerprint()
        assert said["agreement"]["people"] == 1000
        assert said["agreement"]["jumped"] == 0
        with open_model(out.read_bytes(), engine=engine) as model:
            given = model.run({"daily": daily, "context": context})["features"]
        assert np.abs(given - expected).max() <= 1e-5 * np.abs(expected).max()


def test_coreml_is_a_package_that_replaces_nothing(tmp_path: Path) -> None:
    out = tmp_path / "features.mlpackage"
    run("--target", "coreml", "--out", out)
    files = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    daily, context = random_input(4, 3)
    given = CoreMLProgram.from_package(files).run_rows({"daily": daily, "context": context})["features"]
    assert np.abs(given - evaluate(PREBUILT, daily, context)).max() <= 1e-5 * 90
    with pytest.raises(ConversionError, match="exists; name a new folder"):
        run("--target", "coreml", "--out", out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["features.mlpackage"]


def test_a_spec_of_ones_own(tmp_path: Path) -> None:
    spec = FeatureSpec(PREBUILT.features[2:4])
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(spec.to_json()))
    said = run("--target", "tflite", "--spec", path, "--out", tmp_path / "two.tflite")
    assert said["features"] == list(spec.names)
    path.write_text(json.dumps({**spec.to_json(), "features": []}))
    with pytest.raises(FeatureSpecError, match="at least one feature"):
        run("--target", "tflite", "--spec", path, "--out", tmp_path / "none.tflite")


def test_what_disagrees_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The graph of other definitions under the same names, as a broken converter would make it."""
    reversed_features = FeatureSpec(PREBUILT.features[::-1])
    source = feature_model.features_source(reversed_features)
    monkeypatch.setattr(feature_model, "features_source", lambda _: source)
    with pytest.raises(GateError, match="differs from the reference in the features of"):
        run("--target", "tflite", "--out", tmp_path / "wrong.tflite")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("entry", CONTEXT)
def test_whatever_a_feature_reads_is_compared(entry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def reading(name: str) -> FeatureSpec:
        tree = context(name) / context(name) * (context(name) / (context(name) + 1))
        return FeatureSpec((Feature("f", 1, "score", -10, 10, 0, "Made up.", "tests", tree),))

    broken = feature_model.features_source(reading(CONTEXT[CONTEXT.index(entry) - 1]))
    monkeypatch.setattr(feature_model, "features_source", lambda _: broken)
    with pytest.raises(GateError, match="differs from the reference"):
        feature_model.convert_features(reading(entry), "tflite")


def test_made_up_people_differ_in_every_feature() -> None:
    days = made_up_days(REGISTRY.computed, 1000)
    alike = [
        name
        for name, column in zip(days.spec.names, days.features.T, strict=True)
        if len(np.unique(column)) < 2
    ]
    assert alike == []
    assert (days.daily.reshape(1000, -1) != 0).any(axis=0).all()
    assert len(made_up_days(PREBUILT, 1)) == 1
