"""Bundles: what their records say, that they repeat, and what is not sealed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

from converters.errors import ConverterError, GateError, SourceError
from converters.gates import LIMITS
from converters.pipeline import Conversion, convert_ensemble
from converters.seal import ModelFacts, OutputFacts, build_plain, facts_of, seal_artifact
from converters.seal_commands import bundle
from converters.targets import TARGETS, Artifact, plan
from converters.zoo.comparison import comparison_rows
from converters.zoo.model_dir import TrainedModel, save_model
from converters.zoo.training import Training
from device_tests.simulator.tflite_writer import TFLiteWriter
from edge_sdk.contract import golden
from edge_sdk.contract.record import Budgets, BundleContent, FeatureInput, TensorSpec, open_plain
from edge_sdk.contract.tolerance import Tolerance, compare
from edge_sdk.crypto import sealing
from edge_sdk.crypto.data_key_files import read_data_key
from edge_sdk.crypto.sealed_files import read_sealed, write_sealed
from edge_sdk.crypto.sealing import AppKey, open_served
from edge_sdk.errors import EdgeError, FormatError, InputError
from edge_sdk.predict.spec import PredictorSpec
from edge_sdk.runtime import open_model

APP_KEY = AppKey(bytes(range(32)))
WEIGHTS = np.array([[1, 2, 3], [0, -1, 0]], np.float32)
ROW = np.array([[1, 10, 100]], np.float32)


def tflite(weights: np.ndarray = WEIGHTS) -> bytes:
    """``x`` [any][3] -> ``score`` [any][2]."""
    writer = TFLiteWriter()
    x = writer.tensor("x", (-1, 3))
    w = writer.tensor("w", weights.shape, weights)
    b = writer.tensor("b", (2,), np.zeros(2))
    y = writer.tensor("y", (-1, 2))
    writer.operator("FULLY_CONNECTED", (x, w, b), (y,))
    return writer.finish({"x": x}, {"score": y}, "serving_default")


def brought(**changes: Any) -> ModelFacts:
    """Facts of somebody's own model: tensors, no features."""
    return replace(
        ModelFacts({"score": OutputFacts("points", Tolerance(1e-6))}, {"one": {"x": ROW}}), **changes
    )


def plain(facts: ModelFacts, content: bytes | None = None) -> BundleContent:
    artifact = Artifact.of(plan("tflite", "fp32"), tflite() if content is None else content)
    return open_plain(build_plain(facts, artifact, name="mine", model_version="1.2.3"))


class TestBringYourOwn:
    def test_the_record_says_what_the_runtime_reads(self) -> None:
        content = plain(brought(input_units={"x": "kg"}))
        record = content.record
        assert (record.model, record.model_version, record.target, record.recipe) == (
            "mine", "1.2.3", "tflite", "fp32",
        )  # fmt: skip
        assert record.inputs == (TensorSpec("x", "float32", (-1, 3), "kg"),)
        assert record.outputs == (TensorSpec("score", "float32", (-1, 2), "points"),)
        assert (record.features, record.feature_spec_sha256, dict(record.fallback)) == ((), "", {})
        assert set(content.files) == {"bundle.json", "golden/cases.json", "model.tflite"}
        (case,) = golden.from_bytes(bytes(content.files["golden/cases.json"]))
        assert case.outputs["score"].tolist() == [[321.0, -10.0]]

    def test_another_model_gives_other_goldens(self) -> None:
        """The control of the test above: golden outputs come from the artifact, not from the facts."""
        (case,) = golden.from_bytes(bytes(plain(brought(), tflite(2 * WEIGHTS)).files["golden/cases.json"]))
        assert case.outputs["score"].tolist() == [[642.0, -20.0]]

    @pytest.mark.parametrize(
        ("changes", "error", "message"),
        [
            ({"outputs": {"other": OutputFacts("", Tolerance(0))}}, GateError, "promised are"),
            ({"cases": {"one": {"x": ROW[:, :2]}}}, GateError, "tflite-fp32 does not run"),
            ({"cases": {"one": {"x": ROW * np.float32(np.nan)}}}, GateError, "tflite-fp32 does not run"),
            ({"cases": {"one": {"x": np.full((1, 3), 3e38, np.float32)}}}, GateError, "not finite"),
            ({"cases": {}}, SourceError, "needs golden cases"),
            ({"budgets": Budgets(bundle_bytes=500)}, GateError, "its budget is 500"),
            ({"features": (FeatureInput("a", "", 0, 1, 0),)}, SourceError, "go together"),
        ],
    )
    def test_what_is_not_sealed(
        self, changes: Mapping[str, Any], error: type[Exception], message: str
    ) -> None:
        with pytest.raises(error, match=message) as caught:
            plain(brought(**changes))
        assert "\n" not in str(caught.value)

    def test_a_file_that_is_no_model(self) -> None:
        with pytest.raises(GateError, match="tflite-fp32 does not load"):
            plain(brought(), b"no model at all")

    @pytest.mark.parametrize("app_key", [None, APP_KEY])
    def test_sealed_and_opened(self, app_key: AppKey | None) -> None:
        artifact = Artifact.of(plan("tflite", "fp32"), tflite())
        sealed = seal_artifact(
            brought(),
            artifact,
            name="mine",
            model_version="1.2.3",
            channel="beta",
            release=7,
            app_key=app_key,
        )
        entry = sealed.entry
        assert (entry.path, entry.requires, entry.state) == (
            "mine/beta/7/tflite-fp32.bundle", "tflite", "none",
        )  # fmt: skip
        content = open_served(sealed.served, sealed.sha256, entry, app_key)
        assert bytes(content.files["model.tflite"]) == tflite()
        assert (tflite() in sealed.served) is False

    def test_a_seal_that_does_not_open_is_not_handed_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = sealing.seal

        def careless(*arguments: Any, **options: Any) -> sealing.Sealed:
            sealed = whole(*arguments, **options)
            return replace(sealed, entry=replace(sealed.entry, plain_sha256="0" * 64))

        monkeypatch.setattr(sealing, "seal", careless)
        with pytest.raises(sealing.VerificationError):
            seal_artifact(
                brought(), Artifact.of(plan("tflite", "fp32"), tflite()), name="mine", model_version="1.0.0"
            )


@pytest.fixture(scope="session")
def trained(tiny_training: Training) -> TrainedModel:
    return tiny_training.model


@pytest.fixture(scope="session")
def conversion(trained: TrainedModel) -> Conversion:
    rows = comparison_rows(trained, 50).rows
    return convert_ensemble(trained.ensemble, TARGETS, ("fp32", "weight-int8"), rows=rows)


def rebuilt(trained: TrainedModel, conversion: Conversion) -> dict[str, bytes]:
    facts = facts_of(trained)
    return {
        str(artifact.plan): build_plain(
            facts, artifact, name="goal-success", model_version="1.0.0", twin=twin
        )
        for artifact, twin in zip(conversion.artifacts, conversion.twins.twins, strict=True)
    }


@pytest.fixture(scope="session")
def bundles(trained: TrainedModel, conversion: Conversion) -> dict[str, bytes]:
    return rebuilt(trained, conversion)


@pytest.mark.convert
class TestZooModel:
    def test_all_that_was_converted(self, bundles: dict[str, bytes]) -> None:
        assert set(bundles) == {"tflite-fp32", "coreml-fp32", "onnx-fp32", "tflite-weight-int8"}

    def test_the_same_model_gives_the_same_bytes(
        self, trained: TrainedModel, conversion: Conversion, bundles: dict[str, bytes]
    ) -> None:
        again = convert_ensemble(
            trained.ensemble, ("tflite",), ("fp32", "weight-int8"), rows=comparison_rows(trained, 50).rows
        )
        for name, content in rebuilt(trained, again).items():
            assert content == bundles[name], name
        assert rebuilt(trained, conversion) == bundles

    def test_only_the_ciphertext_differs(self, trained: TrainedModel, conversion: Conversion) -> None:
        one, two = (
            seal_artifact(
                facts_of(trained), conversion.artifacts[0], name="m", model_version="1.0.0", app_key=APP_KEY
            )
            for _ in range(2)
        )
        assert one.entry.plain_sha256 == two.entry.plain_sha256
        assert one.entry.record_sha256 == two.entry.record_sha256
        assert one.served[:100] != two.served[:100]

    def test_records(self, trained: TrainedModel, bundles: dict[str, bytes]) -> None:
        for name, content in bundles.items():
            record = open_plain(content).record
            batch = 1 if record.target == "coreml" else -1
            assert f"{record.target}-{record.recipe}" == name
            assert record.inputs == (TensorSpec("features", "float32", (batch, 10), "as the features"),)
            assert record.outputs == (
                TensorSpec("probability", "float32", (batch, 1), "probability"),
                TensorSpec("confidence", "float32", (batch, 1), "share"),
                TensorSpec("contributions", "float32", (batch, 10), "probability", per_feature=True),
            )
            assert {key: value.absolute for key, value in record.tolerances.items()} == dict(LIMITS)
            assert [feature.name for feature in record.features] == list(trained.spec.names)
            assert record.rules == trained.zoo.rules
            assert dict(record.fallback) == {
                "probability": trained.training.data.base_rate,
                "confidence": 0.0,
            }
            PredictorSpec.from_record(record)  # what a device makes of it

    def test_the_fingerprint_is_that_of_the_file(
        self, trained: TrainedModel, bundles: dict[str, bytes]
    ) -> None:
        content = open_plain(bundles["tflite-fp32"])
        file = content.files["feature_spec.json"]
        assert (
            content.record.feature_spec_sha256
            == hashlib.sha256(file).hexdigest()
            == trained.spec.fingerprint()
        )

    def test_where_it_comes_from(self, trained: TrainedModel, bundles: dict[str, bytes]) -> None:
        about = open_plain(bundles["tflite-weight-int8"]).record.about
        assert set(about) == {"metrics", "licence", "provenance", "quantization", "agreement"}
        assert about["quantization"]["weight_bits"] == 8
        assert about["provenance"]["seed"] == trained.training.seed
        text = json.dumps(dict(about))
        assert not [row.user for row in trained.training.held_out if row.user in text]

    def test_goldens_are_the_answers_of_each_artifact(self, bundles: dict[str, bytes]) -> None:
        by_name = {}
        for name, content in bundles.items():
            opened = open_plain(content)
            by_name[name] = golden.from_bytes(bytes(opened.files["golden/cases.json"]))
            if opened.record.target == "coreml":
                continue
            engine = {"tflite": "litert", "onnx": "onnxruntime"}[opened.record.target]
            with open_model(opened.files[opened.record.payload], engine) as model:
                for case in by_name[name]:
                    answers = model.run(case.inputs)
                    assert all(each.ok for each in compare(case.outputs, answers, opened.record.tolerances))
                # The control: an answer that is off by twice what is allowed must be seen.
                wrong = {key: value + np.float32(3e-4) for key, value in answers.items()}
                assert not any(each.ok for each in compare(case.outputs, wrong, opened.record.tolerances))
        for cases in by_name.values():
            assert len(cases) == 24
            for case, first in zip(cases, by_name["tflite-fp32"], strict=True):
                assert case.inputs["features"].tobytes() == first.inputs["features"].tobytes()

    @pytest.mark.parametrize(
        ("target", "requires"),
        [("tflite", "tflite"), ("coreml", "coreml-ios15"), ("onnx", "onnx-opset17")],
    )
    def test_what_a_device_needs(
        self, trained: TrainedModel, conversion: Conversion, target: str, requires: str
    ) -> None:
        artifact = next(each for each in conversion.artifacts if each.plan.target == target)
        sealed = seal_artifact(facts_of(trained), artifact, name="m", model_version="1.0.0")
        assert sealed.entry.requires == requires

    def test_ranges_that_disagree(self, trained: TrainedModel) -> None:
        ensemble = replace(trained.ensemble, high=trained.ensemble.high + np.float32(1))
        with pytest.raises(SourceError, match=r"feature completion_rate is 0\.0\.\.1\.0"):
            facts_of(replace(trained, ensemble=ensemble))


def run(*arguments: object) -> Any:
    return bundle.main([str(argument) for argument in arguments], standalone_mode=False)


@pytest.fixture
def sealed_file(tmp_path: Path) -> Path:
    """A small bundle of tier app-key, and its key beside it."""
    (tmp_path / "app.key").write_text(APP_KEY.to_text())
    artifact = Artifact.of(plan("tflite", "fp32"), tflite())
    sealed = seal_artifact(brought(), artifact, name="mine", model_version="1.0.0", app_key=APP_KEY)
    return write_sealed(sealed, tmp_path)


class TestVerifyAndOpen:
    def test_what_is_in_it(self, sealed_file: Path) -> None:
        verified = run("verify", sealed_file, "--app-key", sealed_file.with_name("app.key"))
        assert verified["files"]["model.tflite"] == len(tflite())
        assert (verified["model"], verified["tier"], verified["features"]) == ("mine", "app-key", [])
        assert verified["bytes"] == sealed_file.stat().st_size

    def test_open_writes_private_files(self, sealed_file: Path, tmp_path: Path) -> None:
        out = tmp_path / "opened"
        run("open", sealed_file, "--app-key", tmp_path / "app.key", "--out", out)
        assert (out / "model.tflite").read_bytes() == tflite()
        assert sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()) == [
            "bundle.json", "golden/cases.json", "model.tflite",
        ]  # fmt: skip
        if os.name != "nt":
            assert out.stat().st_mode & 0o077 == 0

    def test_open_overwrites_nothing(self, sealed_file: Path, tmp_path: Path) -> None:
        with pytest.raises(ConverterError, match="is not an empty folder"):
            run("open", sealed_file, "--app-key", tmp_path / "app.key", "--out", tmp_path)

    @pytest.mark.parametrize("suffix", ["", ".segments", ".entry.json"])
    def test_one_flipped_bit(self, sealed_file: Path, tmp_path: Path, suffix: str) -> None:
        part = sealed_file.with_name(sealed_file.name + suffix)
        content = bytearray(part.read_bytes())
        content[len(content) // 2] ^= 1
        part.write_bytes(content)
        out = tmp_path / "opened"
        with pytest.raises(EdgeError) as caught:
            run("open", sealed_file, "--app-key", tmp_path / "app.key", "--out", out)
        assert "\n" not in str(caught.value)
        assert not out.exists()

    @pytest.mark.parametrize("at", range(3))
    def test_killed_between_its_files(
        self, sealed_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
    ) -> None:
        """Also over an older bundle of the same name: neither the old nor the new is half there."""
        key, whole, steps = tmp_path / "app.key", os.replace, iter(range(3))

        def dying(source: str, target: Path) -> None:
            if next(steps) == at:
                raise OSError(28, "No space left on device")
            whole(source, target)

        newer = seal_artifact(
            brought(),
            Artifact.of(plan("tflite", "fp32"), tflite(2 * WEIGHTS)),
            name="mine",
            model_version="1.0.0",
        )
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", dying)
            with pytest.raises(OSError, match="No space"):
                write_sealed(newer, tmp_path)
        assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
        with pytest.raises(InputError, match=r"entry\.json is missing"):
            run("verify", sealed_file, "--app-key", key)
        write_sealed(newer, tmp_path)
        assert run("verify", sealed_file)["sha256"] == newer.sha256

    def test_keys_that_do_not_open_it(self, sealed_file: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="pass that key"):
            run("verify", sealed_file)
        (tmp_path / "other.key").write_text(AppKey(bytes(32)).to_text())
        with pytest.raises(InputError, match="and this key is app-"):
            run("verify", sealed_file, "--app-key", tmp_path / "other.key")
        (tmp_path / "no.key").write_bytes(b"\xff not a key")
        with pytest.raises(InputError, match="not base64 text of 32 bytes"):
            run("verify", sealed_file, "--app-key", tmp_path / "no.key")

    @pytest.mark.parametrize(
        ("changes", "error", "message"),
        [
            ({"--tier": "app-key"}, click.UsageError, "needs --app-key"),
            ({"--target": "abacus"}, click.UsageError, "abacus"),
            ({"--release": 0}, click.UsageError, "0 is not in the range"),
            ({"--name": "Not A Name"}, FormatError, "--name 'Not A Name' is not a name"),
            ({"--channel": "-"}, FormatError, "--channel"),
            ({"--model-version": "1"}, FormatError, "not a semantic version"),
            ({}, SourceError, "is not a trained model"),
        ],
    )
    def test_build_refuses_before_it_converts(
        self, tmp_path: Path, changes: Mapping[str, Any], error: type[Exception], message: str
    ) -> None:
        options = {"--name": "m", "--model-version": "1.0.0", "--target": "tflite", "--out": tmp_path / "out"}
        arguments = [part for option in {**options, **changes}.items() for part in option]
        with pytest.raises(error, match=message) as caught:
            run("build", tmp_path, *arguments)
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "out").exists()


@pytest.mark.convert
def test_from_a_model_directory_to_an_opened_bundle(trained: TrainedModel, tmp_path: Path) -> None:
    save_model(trained, tmp_path / "model")
    (tmp_path / "app.key").write_text(APP_KEY.to_text())
    built = run(
        "build", tmp_path / "model", "--name", "goals", "--model-version", "2.0.0", "--target", "tflite",
        "--recipe", "weight-int8", "--app-key", tmp_path / "app.key", "--out", tmp_path / "bundles",
    )  # fmt: skip
    (made,) = built["bundles"]  # float32 was converted too, but not asked for
    stem = "goals-2.0.0-tflite-weight-int8.bundle"
    assert sorted(path.name for path in (tmp_path / "bundles").iterdir()) == [
        stem, stem + ".entry.json", stem + ".segments",
    ]  # fmt: skip
    assert (made["tier"], made["requires"], made["release"]) == ("app-key", "tflite", 1)
    run("open", made["path"], "--app-key", tmp_path / "app.key", "--out", tmp_path / "opened")
    with open_model(tmp_path / "opened" / "model.tflite") as model:
        assert [info.name for info in model.inputs] == ["features"]


@pytest.mark.convert
@pytest.mark.parametrize(("options", "tier"), [([], "app-key"), (["--tier", "none"], "none")])
def test_a_key_in_the_environment(
    trained: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], tier: str
) -> None:
    monkeypatch.setenv("COACH_EDGE_APP_KEY", APP_KEY.to_text())
    save_model(trained, tmp_path / "model")
    built = run(
        "build", tmp_path / "model", "--name", "goals", "--model-version", "2.0.0", "--target", "tflite",
        "--out", tmp_path / "bundles", *options,
    )  # fmt: skip
    assert [made["tier"] for made in built["bundles"]] == [tier]


@pytest.mark.convert
def test_a_bundle_for_enrolled_devices_keeps_its_key_locked_beside_it(
    trained: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_model(trained, tmp_path / "model")
    arguments = (
        "build", tmp_path / "model", "--name", "goals", "--model-version", "2.0.0", "--target", "tflite",
        "--target", "onnx", "--tier", "device-key", "--out", tmp_path / "bundles",
    )  # fmt: skip
    variable = "COACH_EDGE_PASSPHRASE_DATA_KEYS"
    for passphrase, says in ((None, f"set {variable}"), ("", "is empty")):
        if passphrase is not None:
            monkeypatch.setenv(variable, passphrase)
        with pytest.raises(InputError, match=says):
            run(*arguments)
        assert not (tmp_path / "bundles").exists()
    monkeypatch.setenv(variable, "a passphrase")
    made = run(*arguments)["bundles"]
    assert [each["tier"] for each in made] == ["device-key"] * 2
    keys = []
    for each in made:
        path = Path(each["path"])
        lock = path.with_name(path.name + ".key")
        assert lock.stat().st_mode & 0o777 == 0o600
        sealed = read_sealed(path)
        keys.append(read_data_key(path, sealed, lambda name: "a passphrase"))
        assert run("verify", path)["sha256"] == sealed.sha256
        for file in path.parent.iterdir():
            assert keys[-1].secret not in file.read_bytes()
            assert keys[-1].secret.hex().encode() not in file.read_bytes()
    assert keys[0] != keys[1]
    monkeypatch.setenv(variable, "another one")
    with pytest.raises(InputError, match="wrong passphrase or damaged file"):
        run("verify", made[0]["path"])
    again = read_sealed(Path(made[0]["path"]))  # written anew without a key, it leaves no stale one
    assert write_sealed(again, tmp_path / "bundles") == Path(made[0]["path"])
    with pytest.raises(InputError, match="is missing; build the bundle again"):
        run("verify", made[0]["path"])
