"""Conversion as a whole: refused early, reported in full, written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from converters.errors import ConversionError, ConverterError, GateError, UnsupportedError
from converters.gates import TwinsReport
from converters.pipeline import Conversion, convert_ensemble, write_conversion
from converters.targets import TARGETS, Artifact, plan
from tests.converters.sources import built
from tests.converters.sources.builders import random_ensemble, random_rows


@pytest.mark.parametrize(
    ("targets", "recipes", "rows", "error"),
    [
        (("vulkan",), ("fp32",), 5, UnsupportedError),
        (("coreml",), ("weight-int8",), 5, UnsupportedError),
        (("tflite",), ("int1",), 5, UnsupportedError),
        ((), ("fp32",), 5, UnsupportedError),
        (("tflite",), ("fp32",), 0, GateError),
    ],
)
def test_what_cannot_succeed_is_refused_before_anything_is_converted(
    targets: tuple[str, ...], recipes: tuple[str, ...], rows: int, error: type[ConverterError]
) -> None:
    told: list[tuple[str, int, int]] = []
    with pytest.raises(error):
        convert_ensemble(
            random_ensemble(),
            targets,
            recipes,
            rows=random_rows(rows),
            progress=lambda *step: told.append(step),
        )
    assert told == []


def small() -> Conversion:
    artifacts = (
        Artifact.of(plan("tflite", "fp32"), b"one"),
        Artifact.of(plan("coreml", "fp32"), {"Manifest.json": b"two", "Data/x/y": b"three"}),
    )
    return Conversion(artifacts, TwinsReport(3, (), {"probability": 1e-7}))


def test_a_conversion_is_written_with_its_report(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    write_conversion(small(), out)
    files = {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    written = json.loads(files.pop("conversion.json"))
    assert written == small().to_json()
    assert files == {
        "tflite-fp32/model.tflite": b"one",
        "coreml-fp32/model.mlpackage/Manifest.json": b"two",
        "coreml-fp32/model.mlpackage/Data/x/y": b"three",
    }
    assert [p.name for p in out.parent.iterdir()] == ["out"]
    assert [(item["path"], item["bytes"]) for item in written["artifacts"]] == [
        ("tflite-fp32/model.tflite", 3),
        ("coreml-fp32/model.mlpackage", 8),
    ]


def test_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("precious")
    (tmp_path / "file").write_text("precious")
    (tmp_path / "empty").mkdir()
    for name in ("full", "file"):
        with pytest.raises(ConversionError, match="exists and is not empty"):
            write_conversion(small(), tmp_path / name)
    with pytest.raises(ConversionError, match="cannot write"):
        write_conversion(small(), tmp_path / "file" / "below")
    write_conversion(small(), tmp_path / "empty")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "file", "full"]
    assert (tmp_path / "full" / "mine").read_text() == "precious"


def test_a_failure_on_the_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ConversionError, match="No space left"):
        write_conversion(small(), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.convert
def test_the_report_names_sizes_and_agreement_of_every_artifact() -> None:
    made = built.conversion()
    printed = json.loads(json.dumps(made.to_json(), allow_nan=False))
    assert [(item["target"], item["recipe"]) for item in printed["artifacts"]] == [
        ("tflite", "fp32"),
        ("coreml", "fp32"),
        ("onnx", "fp32"),
        ("tflite", "weight-int8"),
    ]
    assert [item["bytes"] for item in printed["artifacts"]] == [artifact.size for artifact in made.artifacts]
    twins = printed["twins"]
    assert twins["rows"] == 1000
    assert twins["artifacts"]["coreml-fp32"]["probability"] <= twins["limits"]["probability"] == 1e-5
    assert twins["artifacts"]["onnx-fp32"]["contributions"] <= twins["limits"]["contributions"] == 1e-4
    assert twins["artifacts"]["tflite-weight-int8"]["agreement"] >= twins["limits"]["agreement"] == 0.99


@pytest.mark.convert
def test_progress_counts_artifacts_and_twins() -> None:
    told: list[tuple[str, int, int]] = []
    convert_ensemble(
        random_ensemble(),
        TARGETS[:1],
        ("weight-int8",),
        rows=random_rows(5),
        progress=lambda *step: told.append(step),
    )
    assert told == [("convert", 0, 2), ("convert", 1, 2), ("convert", 2, 2), ("twins", 0, 1), ("twins", 1, 1)]
