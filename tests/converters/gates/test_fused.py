"""Models that compute their own features: one graph, judged by decisions; other features are caught."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType

import numpy as np
import pytest

from converters.days import DayInputs
from converters.ensemble import OUTPUTS
from converters.errors import GateError, SourceError, UnsupportedError
from converters.gates import LIMITS, Twin, TwinsReport, check, compare_twins, run_artifact
from converters.pipeline import Conversion, convert_ensemble, convert_source
from converters.sources import days_source
from converters.targets import TARGETS, plan
from converters.zoo import training
from converters.zoo.comparison import comparison_days
from feature_spec import FeatureSpec
from feature_spec.expression import daily, less, sum_days


@pytest.fixture(scope="module")
def days(tiny_training: training.Training) -> DayInputs:
    return comparison_days(tiny_training.model, 300)


@pytest.fixture(scope="module")
def conversion(tiny_training: training.Training, days: DayInputs) -> Conversion:
    return convert_ensemble(tiny_training.model.ensemble, TARGETS, rows=days)


@pytest.mark.convert
@pytest.mark.timeout(600)
def test_a_phone_feeds_days_and_gets_the_predictors_outputs(
    tiny_training: training.Training, days: DayInputs, conversion: Conversion
) -> None:
    assert [str(artifact.plan) for artifact in conversion.artifacts] == [
        "tflite-fp32",
        "coreml-fp32",
        "onnx-fp32",
    ]
    assert conversion.twins.fused
    expected = tiny_training.model.ensemble.predict(days.features)
    for artifact in conversion.artifacts:
        answers = run_artifact(artifact, days)
        assert set(answers) == set(OUTPUTS)
        apart = np.abs(answers["probability"] - expected["probability"])[:, 0]
        assert np.quantile(apart, 0.99) <= LIMITS["probability"]


@pytest.mark.convert
@pytest.mark.timeout(600)
def test_a_model_of_other_features_does_not_pass(tiny_training: training.Training, days: DayInputs) -> None:
    """One feature of ten says its highest of everybody: nothing of its shape or range tells."""
    model = tiny_training.model
    wrong = tuple(
        dataclasses.replace(feature, expression=less(-1, sum_days(daily("count", "task_due"))))
        if feature.name == "consistency_score"
        else feature
        for feature in model.spec.features
    )
    source = days_source(FeatureSpec(wrong), model.ensemble)
    artifact = convert_source(plan("tflite", "fp32"), source)
    with pytest.raises(GateError, match="tflite-fp32"):
        check(compare_twins(model.ensemble, (artifact,), days))


FINE = MappingProxyType({"probability": 0.3, "confidence": 0.3, "contributions": 0.3})


def report(**changes: object) -> TwinsReport:
    twin = dataclasses.replace(Twin("tflite-fp32", True, FINE, 1e-7, 1.0), **changes)  # type: ignore[arg-type]
    return TwinsReport(1000, (twin,), FINE, fused=True)


def test_a_jump_of_a_few_rows_passes_and_more_does_not() -> None:
    check(report())
    with pytest.raises(GateError, match=r"99\.70% of 1000 decisions at 0\.5, at least 99\.8%"):
        check(report(agreement=0.997))
    with pytest.raises(GateError, match=r"more than one row in a hundred, by 0\.001"):
        check(report(p99_probability=1e-3))
    with pytest.raises(GateError, match="more than one row in a hundred"):
        check(report(p99_probability=float("nan")))
    assert report().to_json()["limits"] == {"p99_probability": 1e-5, "agreement": 0.998}


@pytest.mark.convert
def test_what_does_not_fit_days_is_refused(tiny_training: training.Training, days: DayInputs) -> None:
    model = tiny_training.model
    with pytest.raises(UnsupportedError, match="takes days cannot be stored as weight-int8"):
        convert_ensemble(model.ensemble, ("tflite",), ("weight-int8",), rows=days)
    with pytest.raises(GateError, match="no rows"):
        convert_ensemble(model.ensemble, ("tflite",), rows=days.taken(np.arange(0)))
    other = FeatureSpec(model.spec.features[::-1])
    with pytest.raises(SourceError, match="different features"):
        days_source(other, model.ensemble)
    with pytest.raises(SourceError, match="float64"):
        dataclasses.replace(days, context=days.context.astype(np.float64))
    with pytest.raises(SourceError, match="300 people in daily and 299 in context"):
        dataclasses.replace(days, context=days.context[1:])
