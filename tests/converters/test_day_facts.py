"""Bundles of models that take days: what they say, and that their golden cases prove a right runtime and no other."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters.coreml_eval import CoreMLProgram
from converters.day_facts import GOLDEN_DAYS, day_facts_of, golden_days
from converters.errors import SourceError
from converters.gates import LIMITS
from converters.pipeline import Conversion, convert_ensemble, convert_source
from converters.seal import build_plain, seal_artifact
from converters.seal_commands import bundle as bundle_commands
from converters.sources import days_source
from converters.targets import TARGETS, plan
from converters.zoo import training
from converters.zoo.comparison import comparison_days
from converters.zoo.model_dir import TrainedModel, save_model
from edge_sdk.contract import bundle, golden
from edge_sdk.contract.manifest import Artifact
from edge_sdk.contract.record import BundleContent, open_plain
from edge_sdk.crypto.sealing import open_served
from edge_sdk.errors import InputError
from edge_sdk.loading import load, prove
from feature_spec import FeatureSpec
from feature_spec.expression import daily as daily_of
from feature_spec.expression import less, sum_days

pytestmark = [pytest.mark.convert, pytest.mark.timeout(600), pytest.mark.xdist_group("feature graphs")]


@pytest.fixture(scope="module")
def trained(tiny_training: training.Training) -> TrainedModel:
    return tiny_training.model


@pytest.fixture(scope="module")
def conversion(trained: TrainedModel) -> Conversion:
    return convert_ensemble(trained.ensemble, TARGETS, rows=comparison_days(trained, 300))


@pytest.fixture(scope="module")
def contents(trained: TrainedModel, conversion: Conversion) -> dict[str, BundleContent]:
    facts = day_facts_of(trained)
    return {
        artifact.plan.target: open_plain(
            build_plain(facts, artifact, name="goal-days", model_version="1.0.0", twin=twin)
        )
        for artifact, twin in zip(conversion.artifacts, conversion.twins.twins, strict=True)
    }


def test_the_record_says_what_goes_in(trained: TrainedModel, contents: dict[str, BundleContent]) -> None:
    for target, content in contents.items():
        record = content.record
        first = 1 if target == "coreml" else -1
        assert {tensor.name: tensor.shape for tensor in record.inputs} == {
            "daily": (first, 90, 8, 3),
            "context": (first, 14),
        }
        assert [tensor.name for tensor in record.outputs] == ["probability", "confidence", "contributions"]
        assert (record.features, record.feature_spec_sha256) == ((), "")
        assert record.about["day_input"] == {
            "version": 2,
            "features": list(trained.spec.names),
            "feature_spec_sha256": trained.spec.fingerprint(),
        }
        assert set(record.fallback) == {"probability", "confidence"}


def _answers(target: str, content: BundleContent, inputs: Any) -> Any:
    if target == "coreml":
        files = {name.partition("/")[2]: bytes(data) for name, data in content.payload.items()}
        return CoreMLProgram.from_package(files).run(inputs)
    from edge_sdk.runtime import open_model

    (payload,) = content.payload.values()
    engine = {"tflite": "litert", "onnx": "onnxruntime"}[target]
    with open_model(bytes(payload), engine=engine) as model:
        return model.run(inputs)


def test_every_runtime_passes_the_golden_cases_of_the_others(contents: dict[str, BundleContent]) -> None:
    cases = golden.from_bytes(bytes(contents["tflite"].files[bundle.GOLDEN_NAME]))
    assert len(cases) == GOLDEN_DAYS
    assert len({case.outputs["probability"].tobytes() for case in cases}) > GOLDEN_DAYS // 2
    for target, content in contents.items():
        for case in cases:
            answers = _answers(target, content, case.inputs)
            for name, expected in case.outputs.items():
                assert np.abs(answers[name] - expected).max() <= LIMITS[name], (target, case.id, name)


def test_a_device_proves_it_and_runs_it_on_days(trained: TrainedModel, conversion: Conversion) -> None:
    (artifact,) = (made for made in conversion.artifacts if made.plan.target == "tflite")
    sealed = seal_artifact(day_facts_of(trained), artifact, name="goal-days", model_version="1.0.0")
    content = open_served(sealed.served, sealed.sha256, sealed.entry, None)
    signed = Artifact(sealed.entry.path, len(sealed.served), sealed.sha256, sealed.entry)
    loaded = load(content, signed, "litert", max_sessions=1)
    try:
        assert prove(loaded, content) == 3 * GOLDEN_DAYS
        days = golden_days(trained)
        answer = loaded.run({name: tensor[:1] for name, tensor in days.tensors.items()})
        expected = trained.ensemble.predict(days.features[:1])
        assert np.abs(answer["probability"] - expected["probability"]).max() <= LIMITS["probability"]
        with pytest.raises(InputError, match="takes tensors, not named features; use run"):
            loaded.predict({"completion_rate": 0.5})
    finally:
        loaded.close()


def test_other_features_fail_the_golden_cases(
    trained: TrainedModel, contents: dict[str, BundleContent]
) -> None:
    wrong = tuple(
        dataclasses.replace(feature, expression=less(-1, sum_days(daily_of("count", "task_due"))))
        if feature.name == "consistency_score"
        else feature
        for feature in trained.spec.features
    )
    artifact = convert_source(plan("tflite", "fp32"), days_source(FeatureSpec(wrong), trained.ensemble))
    from edge_sdk.runtime import open_model

    cases = golden.from_bytes(bytes(contents["tflite"].files[bundle.GOLDEN_NAME]))
    with open_model(artifact.content) as model:
        failed = [
            case.id
            for case in cases
            if np.abs(model.run(case.inputs)["probability"] - case.outputs["probability"]).max()
            > LIMITS["probability"]
        ]
    assert len(failed) > GOLDEN_DAYS // 2


def test_golden_days_are_steady(trained: TrainedModel) -> None:
    days = golden_days(trained)
    here = trained.ensemble.predict(days.features)["probability"]
    for sign in (-1, 1):
        moved = days.features * np.float32(1 + sign * 1e-6)
        assert np.abs(trained.ensemble.predict(moved)["probability"] - here).max() <= 1e-5
    with pytest.raises(SourceError, match=r"only .* get an answer that does not hang"):
        golden_days(trained, 1000)


def test_the_command_builds_them(trained: TrainedModel, tmp_path: Path) -> None:
    save_model(trained, tmp_path / "model")
    args = ["--name", "goal-days", "--model-version", "1.0.0", "--target", "tflite", "--input", "days"]
    made = bundle_commands.main(
        ["build", str(tmp_path / "model"), *args, "--out", str(tmp_path / "out")], standalone_mode=False
    )
    (path,) = (item["path"] for item in made["bundles"])
    said = bundle_commands.main(["verify", path], standalone_mode=False)
    assert {tensor["name"] for tensor in said["inputs"]} == {"daily", "context"}
    assert said["features"] == []
