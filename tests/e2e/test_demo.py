"""The whole way, once, for real."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters.zoo.model_dir import load_model
from tests.e2e.conftest import Shell

pytestmark = pytest.mark.e2e
Demo = tuple[Path, dict[str, Any]]


def test_every_stage_ran_and_says_how_long(demo: Demo) -> None:
    _, report = demo
    stages = [row["stage"] for row in report["stages"]]
    assert stages == ["train", "convert", "seal", "parity", "sign", "publish", "fetch", "predict"]
    assert all(row["seconds"] > 0 for row in report["stages"])


def test_the_figures_are_there(demo: Demo) -> None:
    _, report = demo
    metrics = report["metrics"]["goal-success"]["none"]
    for name in ("auc", "accuracy", "precision", "recall", "f1", "brier", "calibration_error"):
        assert metrics[name]["low"] <= metrics[name]["value"] <= metrics[name]["high"]
        assert name in metrics["control"]
    assert metrics["auc"]["value"] > 0.7
    made = {(row["target"], row["recipe"]) for row in report["artifacts"]}
    assert made == {("tflite", "fp32"), ("tflite", "weight-int8"), ("onnx", "fp32"), ("coreml", "fp32")}
    assert all(0 < row["bundle_kb"] < 10_000 for row in report["artifacts"])
    assert [row["what"] for row in report["latency"]] == ["predict", "bare interpreter"]
    assert all(row["p50_us"] <= row["p95_us"] <= row["p99_us"] for row in report["latency"])
    assert 0 < report["memory_mb"] < 50


def test_the_devices_agree(demo: Demo) -> None:
    _, report = demo
    assert report["parity"]["verdict"] == "pass"
    assert {cell["device"] for cell in report["parity"]["cells"]} == {"litert", "onnxruntime", "coreml-eval"}
    assert report["parity"]["comparisons"] > 300


def test_the_answers_on_the_phone_are_those_of_the_trained_model(demo: Demo) -> None:
    folder, report = demo
    model = load_model(folder / "edge-demo" / "model")
    expected = model.ensemble.predict(model.held_out_features)["probability"][:, 0]
    got = [row["probability"] for row in report["predictions"]]
    assert len(got) == 10
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)
    assert {row["reason"] for row in report["predictions"]} == {"fresh"}
    assert {row["user"] for row in report["predictions"]} == {row.user for row in model.training.held_out}


def test_what_it_says_to_try_next_works(demo: Demo, shell: Shell) -> None:
    folder, report = demo
    assert len(report["next"]) == 4
    for command in report["next"]:
        done = shell(command, folder)
        assert done.returncode == 0, (command, done.stderr)
        assert done.stdout
        # The engine itself tells standard error that it made its delegate; nothing of ours may be there.
        assert all(line.startswith("INFO: ") for line in done.stderr.splitlines()), done.stderr


def test_it_can_be_run_again_but_never_empties_a_foreign_folder(demo: Demo, shell: Shell) -> None:
    folder, _ = demo
    (folder / "mine").mkdir()
    (folder / "mine" / "thesis.txt").write_text("years of work")
    (folder / "mine" / "demo.json").write_text("{}")
    done = shell("edge demo --workdir mine", folder)
    assert done.returncode == 1
    assert done.stderr == "edge: mine holds something else; name a new folder with --workdir\n"
    assert (folder / "mine" / "thesis.txt").read_text() == "years of work"


def test_a_demo_that_fails_leaves_the_earlier_one(demo: Demo, shell: Shell) -> None:
    folder, report = demo
    before = {str(path): path.stat().st_mtime_ns for path in (folder / "edge-demo").rglob("*")}
    (folder / "bad.csv").write_text("user_id,day\n")
    done = shell("edge demo --workdir edge-demo --events bad.csv", folder)
    assert done.returncode == 1
    assert done.stderr.startswith("edge: bad.csv")
    assert {str(path): path.stat().st_mtime_ns for path in (folder / "edge-demo").rglob("*")} == before
    assert not list(folder.glob(".edge-demo.*"))
    assert json.loads((folder / "edge-demo" / "demo.json").read_text()) == {
        "format": "coach-edge/demo/1",
        **report,
    }


def test_on_a_real_log(oulad: Path, shell: Shell, tmp_path: Path) -> None:
    data = [f"--{name} {oulad}/{name}_bbb_2013b.csv" for name in ("events", "labels", "assessments")]
    mapping = Path(__file__).parent.parent.parent / "feature_spec" / "mappings" / "oulad.toml"
    done = shell(f"edge demo --json {' '.join(data)} --mapping {mapping} --cutoff-day 100", tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    metrics = report["metrics"]["goal-success"]["100"]
    assert metrics["auc"]["value"] >= 0.86
    assert metrics["paired_auc_difference"]["low"] >= -0.03
    assert len(report["predictions"]) == 10
    assert report["parity"]["verdict"] == "pass"
