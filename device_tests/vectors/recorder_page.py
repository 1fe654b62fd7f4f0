"""Vectors for docs/protocol/recorder.md."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

from device_tests.vectors.vector import Vector

PAGE = "recorder"
GOLDEN_IDS = ["case-1", "case-2"]

RECORDING: dict[str, Any] = {
    "format": "coach-edge/recording/1",
    "device": {
        "name": "Pixel 8 of the test shelf",
        "platform": "android",
        "os_version": "16",
        "runtime": "litert",
        "runtime_version": "2.3.0",
    },
    "artifact": {
        "model": "goal-success",
        "model_version": "1.0.0",
        "target": "tflite",
        "recipe": "fp32",
        "sha256": "5" * 64,
    },
    "cases": [
        {
            "id": "case-1",
            "outputs": {"probability": [[0.699999988079071]], "contributions": [[0.125, -1e-45]]},
            "latency_ms": [0.051, 0.049, 0.05],
        },
        {"id": "case-2", "error": "probability is NaN"},
    ],
}

Edit = Callable[[dict[str, Any]], object]


def _first(document: dict[str, Any], **change: object) -> None:
    document["cases"][0].update(change)


_TEXT = "a device text has 1 to 200 characters"
_REFUSED: dict[str, tuple[str, str, Edit]] = {
    "other-format": (
        "format",
        "a version that this page does not fix",
        lambda d: d.update(format="coach-edge/recording/2"),
    ),
    "no-device": ("format", "the device is missing", lambda d: d.pop("device")),
    "empty-runtime": (
        "format",
        _TEXT,
        lambda d: d["device"].update(runtime=""),
    ),
    "long-name": (
        "format",
        _TEXT,
        lambda d: d["device"].update(name="x" * 201),
    ),
    "empty-platform": ("format", _TEXT, lambda d: d["device"].update(platform="")),
    "empty-os-version": ("format", _TEXT, lambda d: d["device"].update(os_version="")),
    "number-runtime-version": ("format", _TEXT, lambda d: d["device"].update(runtime_version=2.3)),
    "bad-target": ("format", "the target is no name", lambda d: d["artifact"].update(target="TFLite")),
    "bad-recipe": ("format", "the recipe is no name", lambda d: d["artifact"].update(recipe="")),
    "bad-model": ("format", "the model is no name", lambda d: d["artifact"].update(model="Goal")),
    "bad-version": (
        "format",
        "the model version is not semantic",
        lambda d: d["artifact"].update(model_version="1"),
    ),
    "bad-digest": ("format", "upper-case hex", lambda d: d["artifact"].update(sha256="A" * 64)),
    "no-cases": ("format", "a recording of nothing proves nothing", lambda d: d.update(cases=[])),
    "case-twice": ("format", "a case is recorded once", lambda d: _first(d, id="case-2")),
    "case-id-number": ("format", "an id is text", lambda d: _first(d, id=1)),
    "no-latency": ("format", "at least one measured run", lambda d: _first(d, latency_ms=[])),
    "negative-latency": ("format", "time does not run backwards", lambda d: _first(d, latency_ms=[-1.0])),
    "text-latency": ("format", "a latency is a number", lambda d: _first(d, latency_ms=["1"])),
    "no-outputs": ("format", "an answer has at least one output", lambda d: _first(d, outputs={})),
    "text-value": ("format", "tensors hold numbers", lambda d: _first(d, outputs={"probability": [["0.7"]]})),
    "null-value": (
        "format",
        "null is not a way to write NaN",
        lambda d: _first(d, outputs={"probability": [[None]]}),
    ),
    "ragged": (
        "format",
        "rows of different length",
        lambda d: _first(d, outputs={"probability": [[0.5], [0.5, 0.5]]}),
    ),
    "beyond-float32": (
        "format",
        "not finite in float32",
        lambda d: _first(d, outputs={"probability": [[3.5e38]]}),
    ),
    "error-with-outputs": ("format", "either outputs or an error", lambda d: _first(d, error="late")),
    "empty-error": ("format", "an error says something", lambda d: d["cases"][1].update(error="")),
    "case-missing": ("mismatch", "a golden case was left out", lambda d: d["cases"].pop()),
    "case-too-many": (
        "mismatch",
        "a case that the bundle does not have",
        lambda d: d["cases"].append({"id": "case-3", "error": "not asked for"}),
    ),
}


def vectors() -> Iterator[Vector]:
    """All vectors of the page."""

    def vector(
        name: str, why: str, text: str, output: dict[str, Any] | None, reason: str | None = None
    ) -> Vector:
        return Vector(
            PAGE, "recording", name, why, {"recording": text, "golden_ids": GOLDEN_IDS}, output, reason
        )

    good = {"cases": 2, "errors": 1, "values": 3}
    yield vector("plain", "one answer, one error", json.dumps(RECORDING), good)
    later = {**RECORDING, "battery": 0.8}
    yield vector("unknown-field", "unknown fields are ignored", json.dumps(later), good)
    device = {**RECORDING["device"], "name": "\U0001f4f1" * 200}
    why = "200 characters are 200 code points, of however many bytes or UTF-16 units"
    yield vector("code-points", why, json.dumps({**RECORDING, "device": device}, ensure_ascii=False), good)
    document = copy.deepcopy(RECORDING)
    document["cases"][0]["outputs"]["more"] = [[], []]
    yield vector("no-values", "a further output may be empty", json.dumps(document), good)
    for name, (reason, why, edit) in _REFUSED.items():
        document = copy.deepcopy(RECORDING)
        edit(document)
        yield vector(name, why, json.dumps(document), None, reason)
    nan = json.dumps(RECORDING).replace("0.125", "NaN")
    yield vector("nan", "JSON has no NaN", nan, None, "format")
    twice = json.dumps(RECORDING).replace('"error":', '"id": "case-2", "error":')
    yield vector("field-twice", "a field name is repeated", twice, None, "format")
