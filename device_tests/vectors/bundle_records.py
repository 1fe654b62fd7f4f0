"""Vectors for docs/protocol/bundle.md: the record."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from device_tests.vectors import sample
from device_tests.vectors.vector import Vector
from edge_sdk.contract.document import MAX_DEPTH

PAGE = "bundle"
Edit = Callable[[dict[str, Any]], object]

_POSITIVE = "a budget is positive"
_BAD_RECORDS: dict[str, tuple[str, Edit]] = {
    "other-format": (
        "a version that this page does not fix",
        lambda r: r.update(format="coach-edge/record/2"),
    ),
    "field-missing": ("budgets are missing", lambda r: r.pop("budgets")),
    "bad-model": ("the model is no name", lambda r: r.update(model="Goal")),
    "bad-version": ("the version is not semantic", lambda r: r.update(model_version="1")),
    "bad-recipe": ("the recipe is no name", lambda r: r.update(recipe="Float32")),
    "unknown-target": ("targets are tflite, onnx, coreml", lambda r: r.update(target="mnn")),
    "unknown-state": ("states are none, variables", lambda r: r.update(state="cloud")),
    "lists-itself": (
        "no record can hold its own digest",
        lambda r: r["files"].update({"bundle.json": {"length": 1, "sha256": "0" * 64}}),
    ),
    "bad-file-digest": ("upper-case hex", lambda r: r["files"]["model.tflite"].update(sha256="A" * 64)),
    "negative-file-length": (
        "a length is not negative",
        lambda r: r["files"]["model.tflite"].update(length=-1),
    ),
    "large-file-length": (
        "an integer is at most 2^53 - 1",
        lambda r: r["files"]["model.tflite"].update(length=2**53),
    ),
    "no-input": ("at least one input", lambda r: r.update(inputs=[])),
    "unknown-dtype": ("dtypes are a closed list", lambda r: r["inputs"][0].update(dtype="float64")),
    "shape-zero": ("sizes are positive, or -1", lambda r: r["inputs"][0].update(shape=[0])),
    "tensor-without-name": ("a tensor has a name", lambda r: r["inputs"][0].update(name="")),
    "per-feature-number": ("a truth value", lambda r: r["inputs"][0].update(per_feature=1)),
    "output-twice": ("names of outputs are distinct", lambda r: r["outputs"].append(r["outputs"][0])),
    "feature-twice": ("names of features are distinct", lambda r: r["features"].append(r["features"][0])),
    "feature-name-number": ("a name is text", lambda r: r["features"][0].update(name=1)),
    "feature-unit-null": ("a unit is text", lambda r: r["features"][0].update(unit=None)),
    "feature-bound-text": ("a bound is a number", lambda r: r["features"][0].update(low="0")),
    "default-outside": ("the default lies in the range", lambda r: r["features"][0].update(default=2)),
    "features-without-spec": ("features need their definition", lambda r: r.update(feature_spec_sha256="")),
    "bad-feature-spec-digest": ("upper-case hex", lambda r: r.update(feature_spec_sha256="A" * 64)),
    "tolerance-missing": ("one tolerance for each output", lambda r: r["tolerances"].pop("probability")),
    "tolerance-of-nothing": (
        "a tolerance of an output that is not there",
        lambda r: r["tolerances"].update(churn={"absolute": 0, "relative": 0}),
    ),
    "tolerance-too-wide": (
        "tolerances are at most 1",
        lambda r: r["tolerances"]["probability"].update(absolute=2),
    ),
    "relative-tolerance-too-wide": (
        "tolerances are at most 1",
        lambda r: r["tolerances"]["probability"].update(relative=1.5),
    ),
    "negative-tolerance": (
        "tolerances are at least 0",
        lambda r: r["tolerances"]["probability"].update(absolute=-1e-9),
    ),
    "budget-bundle-bytes": (_POSITIVE, lambda r: r["budgets"].update(bundle_bytes=0)),
    "budget-load-ms": (_POSITIVE, lambda r: r["budgets"].update(load_ms=0)),
    "budget-p99-ms": (_POSITIVE, lambda r: r["budgets"].update(p99_ms=-0.5)),
    "budget-session-bytes": ("bytes are whole", lambda r: r["budgets"].update(session_bytes=1.5)),
    "fallback-of-nothing": ("a fallback of an unknown output", lambda r: r["fallback"].update(churn=0.5)),
    "text-fallback": ("a fallback is a number", lambda r: r["fallback"].update(probability="0.5")),
    "rule-on-unknown-feature": (
        "rules name what the model has",
        lambda r: r["rules"]["risk_factors"][0]["when"][0].update(value="feature:mood"),
    ),
}


def vectors() -> Iterator[Vector]:
    """All vectors of this part."""

    def vector(name: str, why: str, document: str, output: dict[str, Any] | None = None) -> Vector:
        return Vector(PAGE, "record", name, why, {"record": document}, output, None if output else "format")

    for target in sample.PAYLOADS:
        record = sample.record(sample.rest(target), target)
        output = {
            "model": record.model,
            "payload": record.payload,
            "outputs": [t.name for t in record.outputs],
        }
        yield vector(target, "a good one", record.to_bytes().decode(), output)
    good = json.loads(sample.record(sample.rest()).to_bytes())
    honest = json.dumps(good)
    output = {"model": "goal-success", "payload": "model.tflite", "outputs": ["probability", "contributions"]}
    yield vector(
        "spaces-and-unknown-field",
        "the record need not be canonical",
        json.dumps({**good, "later": [1]}, indent=1),
        output,
    )
    any_number = {**good, "later": 10**20, "fallback": {"probability": 10**17}}
    yield vector("large-numbers", "a number may be an integer of any size", json.dumps(any_number), output)
    for name, lists, outcome in (("deepest", MAX_DEPTH - 1, output), ("too-deep", MAX_DEPTH, None)):
        nested = honest[:-1] + ', "later": ' + "[" * lists + "]" * lists + "}"
        yield vector(name, f"at most {MAX_DEPTH} levels of objects and lists", nested, outcome)
    for name, (why, edit) in _BAD_RECORDS.items():
        document = json.loads(json.dumps(good))
        edit(document)
        yield vector(name, why, json.dumps(document))
    yield vector("no-json", "a brace is missing", honest[:-1])
    yield vector("list", "a record is an object", "[]")
    yield vector("field-twice", "a field name is repeated", '{"state": "none", ' + honest[1:])
    yield vector(
        "field-twice-inside",
        "a field name is repeated",
        honest.replace('{"absolute": ', '{"absolute": 0, "absolute": ', 1),
    )
    yield vector(
        "nan",
        "JSON has no NaN",
        honest.replace('"fallback": {"probability": 0.5', '"fallback": {"probability": NaN'),
    )
    yield vector(
        "infinite",
        "no finite double",
        honest.replace('"fallback": {"probability": 0.5', '"fallback": {"probability": 1e999'),
    )
    yield vector("byte-order-mark", "no mark in front", "\ufeff" + honest)
    yield vector("lone-surrogate", "half a character", honest.replace("Apache-2.0", "\\ud800"))
