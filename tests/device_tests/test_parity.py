"""The verdict: passes on equal devices, and fails on everything that could hide behind a pass."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from coach_edge.cli import run as edge
from device_tests import parity
from device_tests.device import Arrays, Device
from device_tests.devices import open_device
from device_tests.errors import ParityError
from device_tests.recording import RecordedArtifact, RecordedCase, RecordedDevice, Recording
from edge_sdk.contract import bundle, golden
from edge_sdk.contract.record import BundleContent
from edge_sdk.crypto.sealed_files import write_sealed
from edge_sdk.crypto.sealing import seal
from tests.device_tests.bundles import affine_bundle, affine_content

Maker = Callable[..., bytes]


def ticking(step_ns: int) -> Callable[[], int]:
    """A timer that goes on by ``step_ns`` at every look."""
    ticks: Iterator[int] = count(0, step_ns)
    return lambda: next(ticks)


class Spoilt:
    """A device whose outputs go through ``spoil``."""

    def __init__(self, inner: Device, spoil: Callable[[Arrays], Arrays]) -> None:
        self._inner, self._spoil = inner, spoil

    def run(self, inputs: Arrays) -> Arrays:
        return self._spoil(self._inner.run(inputs))

    def close(self) -> None:
        self._inner.close()


def judged(content: BundleContent, spoil: Callable[[Arrays], Arrays]) -> parity.Verdict:
    return parity.run(
        [content],
        ["litert"],
        timer=ticking(1),
        open_device=lambda name, c: Spoilt(open_device(name, c), spoil),
    )


def test_equal_devices_pass(affine: Maker, affine_onnx: Maker) -> None:
    contents = [affine_content(affine), affine_content(affine_onnx, target="onnx")]
    verdict = parity.run(contents, ["litert", "onnxruntime"], timer=ticking(1_000_000))
    assert verdict.failures == []
    # Each device on its own cases and on those of the other target: 2 x 2 cells of 4 cases with 1 output.
    assert [(cell.device, cell.cases_of.split()[-1]) for cell in verdict.cells] == [
        ("litert", "tflite-fp32"),
        ("litert", "onnx-fp32"),
        ("onnxruntime", "tflite-fp32"),
        ("onnxruntime", "onnx-fp32"),
    ]
    report = verdict.to_json()
    assert report["comparisons"] == 16
    assert {cell["p99_ms"] for cell in report["cells"]} == {1.0, None}


def test_one_wrong_golden_fails(affine: Maker) -> None:
    verdict = parity.run([affine_content(affine, wrong_case="case-2")], ["litert"], timer=ticking(1))
    assert len(verdict.failures) == 1
    assert "case case-2, output score: off by 0.0001" in verdict.failures[0]


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda out: {"score": out["score"] + np.float32(3e-5)}, "off by"),
        (lambda out: {"score": np.full_like(out["score"], np.nan)}, "not finite"),
        (lambda out: {"score": out["score"].astype(np.float64)}, "dtype"),
        (lambda out: {"score": out["score"][:, :2]}, "shape"),
        (lambda out: {"other": out["score"]}, "no such output"),
    ],
)
def test_a_device_that_differs_fails(affine: Maker, spoil: Callable[[Arrays], Arrays], why: str) -> None:
    verdict = judged(affine_content(affine), spoil)
    assert len(verdict.failures) == 4
    assert why in verdict.failures[0]


def test_within_tolerance_passes(affine: Maker) -> None:
    assert not judged(affine_content(affine), lambda out: {"score": out["score"] + np.float32(2e-6)}).failures


@pytest.mark.parametrize(("milliseconds", "fails"), [(99, False), (101, True)])
def test_p99_over_the_budget_fails(affine: Maker, milliseconds: int, fails: bool) -> None:
    verdict = parity.run([affine_content(affine)], ["litert"], timer=ticking(milliseconds * 1_000_000))
    assert bool(verdict.failures) is fails
    assert not fails or "p99 101 ms exceeds the budget of 100 ms" in verdict.failures[0]


def test_nothing_compared_is_a_failure() -> None:
    assert parity.Verdict(()).failures == ["nothing was compared"]
    assert parity.Cell("litert", "a", "a", (), 1.0, 100.0).failures == ["litert: nothing was compared"]


def test_a_device_without_a_bundle_is_an_error(affine: Maker) -> None:
    with pytest.raises(ParityError, match="onnxruntime runs onnx, and no such bundle was given"):
        parity.run([affine_content(affine)], ["litert", "onnxruntime"])
    with pytest.raises(ParityError, match="name at least one bundle"):
        parity.run([], ["litert"])


def recorded(content: BundleContent, sha256: str, latency_ms: float = 2.0) -> Recording:
    cases = golden.from_bytes(bytes(content.files[bundle.GOLDEN_NAME]))
    record = content.record
    return Recording(
        RecordedDevice("Pixel 9", "android", "16", "litert", "2.3.0"),
        RecordedArtifact(record.model, record.model_version, record.target, record.recipe, sha256),
        tuple(RecordedCase(case.id, case.outputs, (latency_ms,)) for case in cases),
    )


def with_first(recording: Recording, **changes: object) -> Recording:
    return replace(
        recording,
        cases=(replace(recording.cases[0], **changes), *recording.cases[1:]),  # type: ignore[arg-type]
    )


def test_recordings_are_judged(affine: Maker) -> None:
    content, sha256 = affine_content(affine), "0" * 64
    good = recorded(content, sha256)
    assert not parity.compare_recording(content, good, sha256).failures
    off = {"score": good.cases[0].outputs["score"] + np.float32(1e-3)}
    wrong = parity.compare_recording(content, with_first(good, outputs=off), sha256)
    assert "Pixel 9: case case-0" in wrong.failures[0]
    crashed = parity.compare_recording(
        content, with_first(good, outputs={}, latency_ms=(), error="out of memory"), sha256
    )
    assert "the device reported: out of memory" in crashed.failures[0]
    slow = parity.compare_recording(content, recorded(content, sha256, latency_ms=150.0), sha256)
    assert "exceeds the budget" in slow.failures[0]
    with pytest.raises(ParityError, match="compare it with the bundle that the phone ran"):
        parity.compare_recording(content, good, "1" * 64)
    for field in ("model", "model_version", "target", "recipe"):
        other = replace(good.artifact, **{field: "2.0.0" if field == "model_version" else "other"})
        with pytest.raises(ParityError, match=f"the recording has {field} "):
            parity.compare_recording(content, replace(good, artifact=other), sha256)
    with pytest.raises(ParityError, match="disagree"):
        parity.compare_recording(content, replace(good, cases=good.cases[1:]), sha256)


def test_the_exit_status_is_the_verdict(
    affine: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sealed = seal(affine_bundle(affine), channel="stable", release=1, requires="tflite")
    path = write_sealed(sealed, tmp_path / "good")
    assert edge(["parity", "run", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "pass"

    spoilt = seal(affine_bundle(affine, wrong_case="case-1"), channel="stable", release=1, requires="tflite")
    bad = write_sealed(spoilt, tmp_path / "bad")
    assert edge(["parity", "run", str(bad), "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["verdict"] == "fail"
    assert err.startswith("edge: parity failed: litert: case case-1")
    assert err.count("\n") == 1

    recording = tmp_path / "phone.json"
    recording.write_bytes(recorded(affine_content(affine), sealed.sha256).to_bytes())
    assert edge(["parity", "compare", str(path), "--recorded", str(recording)]) == 0
    assert edge(["parity", "compare", str(bad), "--recorded", str(recording)]) == 1
    assert edge(["parity", "run", str(path), "--device", "coreml-eval"]) == 1
    assert edge(["parity", "run", str(path), "--device", "toaster"]) == 2
    recording.write_text("{}")
    capsys.readouterr()
    assert edge(["parity", "compare", str(path), "--recorded", str(recording)]) == 1
    assert "phone.json" in capsys.readouterr().err
