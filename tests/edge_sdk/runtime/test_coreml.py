"""Core ML: what a package says, the private folder, the way from a signed bundle, and the framework's stand-in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from device_tests.coreml_device import EvaluatedModel
from edge_sdk.errors import FormatError, InputError, NotAvailable
from edge_sdk.runtime import RunFailed, open_model
from edge_sdk.runtime.coreml import CoreML
from edge_sdk.runtime.coreml_file import described
from edge_sdk.runtime.coreml_framework import Framework
from tests.converters.coreml_eval.packages import block, feature, number, package, program
from tests.edge_sdk.runtime.fakes import expected

ROWS = np.random.default_rng(9).normal(size=(3, 3)).astype(np.float32)
F32 = np.dtype(np.float32)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    return tmp_path / "temporary"


def test_runs_a_package_from_memory_and_from_a_folder(
    affine_coreml: Callable[..., dict[str, bytes]], tmp_path: Path
) -> None:
    files, folder = affine_coreml(), tmp_path / "affine.mlpackage"
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    for source in (files, folder, str(folder)):
        with open_model(source, engine=CoreML(EvaluatedModel)) as model:
            assert model.run({"features": ROWS})["score"] == pytest.approx(expected(ROWS), abs=1e-6)
            with pytest.raises(InputError, match=r"features: float32\[any x 3\] was given 3 x 2"):
                model.run({"features": ROWS[:, :2]})


def test_a_package_for_one_row_takes_many(affine_coreml: Callable[..., dict[str, bytes]]) -> None:
    with open_model(affine_coreml(batch=1), engine=CoreML(EvaluatedModel)) as model:
        assert model.run({"features": ROWS})["score"] == pytest.approx(expected(ROWS), abs=1e-6)


class Looking:
    """Opens a package, and notes what an onlooker would see at that moment."""

    def __init__(self, fail: type[BaseException] | None = None) -> None:
        self.fail = fail
        self.folders: list[Path] = []
        self.modes: list[int] = []
        self.seen: list[dict[str, bytes]] = []

    def __call__(self, folder: Path) -> EvaluatedModel:
        self.folders.append(folder)
        self.modes.append(folder.parent.stat().st_mode & 0o777)
        files = [path for path in folder.rglob("*") if path.is_file()]
        self.seen.append({path.relative_to(folder).as_posix(): path.read_bytes() for path in files})
        if self.fail:
            raise self.fail("no such operator\nin iOS15")
        return EvaluatedModel(folder)


def test_the_plain_package_is_private_and_gone_after_loading(
    affine_coreml: Callable[..., dict[str, bytes]], temporary: Path
) -> None:
    opener, files = Looking(), affine_coreml()
    with open_model(files, engine=CoreML(opener)) as model:
        assert opener.seen == [files], "whole, at the moment of opening"
        assert opener.modes == [0o700]
        assert list(temporary.iterdir()) == []
        model.run({"features": ROWS})


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_it_is_gone_after_a_failure_too(
    affine_coreml: Callable[..., dict[str, bytes]], temporary: Path, failure: type[BaseException]
) -> None:
    opener = Looking(failure)
    with pytest.raises(FormatError if failure is ValueError else failure, match="no such operator"):
        open_model(affine_coreml(), engine=CoreML(opener))
    assert len(opener.folders) == 1
    assert list(temporary.iterdir()) == []


def test_what_a_dead_process_left_goes_at_the_next_load(
    affine_coreml: Callable[..., dict[str, bytes]], temporary: Path
) -> None:
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    for owner in (int(dead.stdout), os.getpid(), "x"):
        (temporary / f"coach-edge-coreml-{owner}-abc").mkdir()
        (temporary / f"coach-edge-coreml-{owner}-abc" / "secret").write_bytes(b"plain")
    open_model(affine_coreml(), engine=CoreML(EvaluatedModel)).close()
    kept = {path.name for path in temporary.iterdir()}
    assert kept == {f"coach-edge-coreml-{os.getpid()}-abc", "coach-edge-coreml-x-abc"}


def test_no_room_for_the_folder_is_one_clear_error(
    affine_coreml: Callable[..., dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/no/such/folder")
    with pytest.raises(NotAvailable, match="temporary folder for Core ML: No such file"):
        open_model(affine_coreml(), engine=CoreML(EvaluatedModel))


def test_engine_and_payload_must_fit(affine: Callable[..., bytes], affine_coreml: Any) -> None:
    with pytest.raises(NotAvailable, match="litert runs no models that are folders; coreml does"):
        open_model(affine_coreml(), proven=True)
    with pytest.raises(FormatError, match="a Core ML model is a folder"):
        open_model(affine(), engine=CoreML(EvaluatedModel))
    with pytest.raises(FormatError, match="not a plain relative path"):
        open_model({**affine_coreml(), "../evil": b""}, engine=CoreML(EvaluatedModel))


@pytest.mark.skipif(sys.platform == "darwin", reason="Core ML is there")
def test_elsewhere_there_is_no_core_ml(affine_coreml: Callable[..., dict[str, bytes]]) -> None:
    with pytest.raises(NotAvailable, match="part of macOS"):
        open_model(affine_coreml(), engine="coreml")


def model_with(features: bytes) -> dict[str, bytes]:
    return package(program([], features=features))


GOOD = block(1, feature("x", "float32", (1, 3))) + block(10, feature("y", "float16", (1, 3)))
ENUMERATED = block(21, block(1, number(1, 1) + number(1, 3)) + block(1, number(1, 2) + number(1, 3)))


def raw(name: str, kind: bytes) -> bytes:
    return block(1, name) + block(3, kind)


def test_reads_kinds_ranges_and_enumerated_shapes() -> None:
    array = number(1, 1) + number(1, 3) + number(2, 131104) + ENUMERATED
    features = GOOD + block(1, feature("z", "int32", (-1, 4, -1))) + block(1, raw("e", block(5, array)))
    inputs, outputs = described(model_with(features))
    assert [str(info) for info in inputs] == [
        "x: float32[1 x 3]",
        "z: int32[any x 4 x any]",
        "e: int32[any x 3]",
    ]
    assert [str(info) for info in outputs] == ["y: float16[1 x 3]"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "not a Core ML package: KeyError 'Manifest.json'"),
        ({"Manifest.json": b"{"}, "not a Core ML package: JSONDecodeError"),
        ({"Manifest.json": json.dumps({"rootModelIdentifier": []}).encode()}, "not a Core ML package"),
        (model_with(block(1, feature("x", "float32", (1, 3)))), "with 1 inputs and 0 outputs"),
        (model_with(GOOD + block(13, feature("s", "float32", (1,)))), "keeps state"),
        (model_with(block(1, raw("picture", block(4, b"")))), "picture is not an array"),
        (model_with(block(1, raw("x", block(5, number(2, 7))))), "x is of the unknown number type 7"),
        (model_with(block(1, raw("x", block(5, number(2, 65568))))), "x has no declared shape"),
        (
            model_with(block(1, raw("x", block(5, number(1, 1) + number(2, 65568) + ENUMERATED)))),
            "several ranks",
        ),
        (package(b"\xff" * 20), "damaged"),
    ],
)
def test_what_is_not_supported_is_one_clear_error(files: Mapping[str, bytes], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        described(files)


def test_an_answer_without_an_output_is_a_failed_run(affine_coreml: Callable[..., dict[str, bytes]]) -> None:
    class Mute:
        def predict(self, data: dict[str, Any]) -> dict[str, Any]:
            return {}

    with (
        open_model(affine_coreml(), engine=CoreML(lambda folder: Mute())) as model,
        pytest.raises(RunFailed, match="score"),
    ):
        model.run({"features": ROWS})


def test_an_answer_in_another_width_becomes_what_is_declared(
    affine_coreml: Callable[..., dict[str, bytes]],
) -> None:
    class Wide:
        def predict(self, data: dict[str, Any]) -> dict[str, Any]:
            return {"score": expected(data["features"]).astype(np.float64)}

    with open_model(affine_coreml(), engine=CoreML(lambda folder: Wide())) as model:
        assert model.run({"features": ROWS})["score"].dtype == np.float32


class StandIn:
    """The part of the framework that is used, as pyobjc shows it: pairs of result and error, rows with padding."""

    def __init__(self, broken: str = "") -> None:
        self.broken = broken
        self.MLModel = self
        self.MLFeatureValue = self
        self.removed = Path()

    class MLMultiArray:
        @classmethod
        def alloc(cls) -> Any:
            return cls()

        def initWithShape_dataType_error_(self, shape: list[int], code: int, none: None) -> Any:
            self._shape, self._code = shape, code
            self.memory = np.full((shape[0], 8), np.nan, F32)  # eight numbers apart, whatever the width
            return self, None

        def shape(self) -> list[int]:
            return self._shape

        def dataType(self) -> int:
            return self._code

        def strides(self) -> list[int]:
            return [8, 1]

        def getMutableBytesWithHandler_(self, handler: Callable[..., None]) -> None:
            handler(memoryview(self.memory).cast("B"), self.memory.nbytes, self.strides())

        def getBytesWithHandler_(self, handler: Callable[..., None]) -> None:
            varlist = SimpleNamespace(as_buffer=lambda length: memoryview(self.memory).cast("B")[:length])
            handler(varlist, self.memory.nbytes)

    class MLDictionaryFeatureProvider:
        @classmethod
        def alloc(cls) -> Any:
            return cls()

        def initWithDictionary_error_(self, values: dict[str, Any], none: None) -> Any:
            self.values = values
            return self, None

    def fileURLWithPath_(self, path: str) -> str:
        return path

    def compileModelAtURL_error_(self, url: str, none: None) -> Any:
        if self.broken == "compile":
            return None, "no such operator"
        self.removed = Path(url).parent.parent / "compiled.mlmodelc"
        self.removed.mkdir()
        return SimpleNamespace(path=lambda: str(self.removed)), None

    def modelWithContentsOfURL_error_(self, url: Any, none: None) -> Any:
        assert self.removed.is_dir()
        return (None, "no memory") if self.broken == "open" else (self, None)

    def featureValueWithMultiArray_(self, array: Any) -> Any:
        return SimpleNamespace(multiArrayValue=lambda: array)

    def predictionFromFeatures_error_(self, provider: Any, none: None) -> Any:
        if self.broken == "run":
            return None, "no engine"
        given = provider.values["features"].multiArrayValue()
        made, _ = self.MLMultiArray.alloc().initWithShape_dataType_error_([given.shape()[0], 4], 65568, None)
        made.memory[:, :4] = expected(given.memory[:, :3])
        return SimpleNamespace(
            featureNames=lambda: ["score"],
            featureValueForName_=lambda name: self.featureValueWithMultiArray_(made),
        ), None


@pytest.fixture
def framework(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    stand_in = StandIn()
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setitem(sys.modules, "CoreML", stand_in)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "Foundation", SimpleNamespace(NSURL=stand_in))  # type: ignore[arg-type]
    return stand_in


def test_the_framework_is_called_as_documented(
    framework: StandIn, affine_coreml: Any, temporary: Path
) -> None:
    with open_model(affine_coreml(), engine="coreml") as model:
        assert framework.removed.name == "compiled.mlmodelc"
        assert list(temporary.iterdir()) == [], "neither the package nor what was compiled of it"
        for rows in (ROWS, ROWS[:1]):
            assert model.run({"features": rows})["score"] == pytest.approx(expected(rows), abs=1e-6)


@pytest.mark.parametrize(
    ("broken", "error", "message"),
    [
        ("compile", FormatError, "cannot compile the model: no such operator"),
        ("open", FormatError, "cannot load the model: no memory"),
        ("run", RunFailed, "Core ML failed: no engine"),
    ],
)
def test_what_the_framework_refuses_is_one_clear_error(
    framework: StandIn, affine_coreml: Any, broken: str, error: type[Exception], message: str, temporary: Path
) -> None:
    framework.broken = broken
    with pytest.raises(error, match=message):
        open_model(affine_coreml(), engine="coreml").run({"features": ROWS})
    assert list(temporary.iterdir()) == []


def test_pyobjc_missing_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setitem(sys.modules, "CoreML", None)
    with pytest.raises(NotAvailable, match="pip install pyobjc-framework-CoreML"):
        Framework()
