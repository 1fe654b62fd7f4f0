"""Vectors for docs/protocol/bundle.md: entry, record and golden cases."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from device_tests.vectors import sample
from device_tests.vectors.vector import Vector
from edge_sdk.contract.entry import MAX_ENTRY_BYTES

PAGE = "bundle"
Edit = Callable[[dict[str, Any]], object]


def vectors() -> Iterator[Vector]:
    """All vectors of these parts."""
    yield from _entries()
    yield from _records()
    yield from _golden()


_BAD_ENTRIES: dict[str, tuple[str, Edit]] = {
    "field-missing": ("state is missing", lambda e: e.pop("state")),
    "bad-model": ("the model is no name", lambda e: e.update(model="Goal")),
    "bad-version": ("the version is not semantic", lambda e: e.update(model_version="1.0")),
    "release-zero": ("releases start at 1", lambda e: e.update(release=0)),
    "release-text": ("a release is a number", lambda e: e.update(release="7")),
    "fraction": ("no fractions in an entry", lambda e: e.update(loss=1.5)),
    "truth-value": ("strings and integers only", lambda e: e.update(beta=True)),
    "null": ("strings and integers only", lambda e: e.update(note=None)),
    "nested": ("strings and integers only", lambda e: e.update(notes=["a"])),
    "unknown-tier": ("tiers are none, app-key, device-key", lambda e: e.update(tier="secret")),
    "unknown-codec": ("codecs are none, deflate", lambda e: e.update(codec="zstd")),
    "unknown-state": ("states are none, variables", lambda e: e.update(state="cloud")),
    "requires-nothing": ("at least one capability", lambda e: e.update(requires="")),
    "requires-two-spaces": (
        "single spaces between capabilities",
        lambda e: e.update(requires="tflite  int8"),
    ),
    "length-zero": ("a bundle is not empty", lambda e: e.update(plain_length=0)),
    "bad-digest": ("upper-case hex", lambda e: e.update(plain_sha256="A" * 64)),
    "key-without-tier": ("tier none has no key", lambda e: e.update(key_id="app-1")),
    "tier-without-key": ("tier app-key has a key", lambda e: e.update(tier="app-key")),
    "tier-without-wrapped-key": (
        "tier app-key has a wrapped key",
        lambda e: e.update(tier="app-key", key_id="app-1"),
    ),
}


def _padded(entry: dict[str, Any], size: int) -> dict[str, Any]:
    empty = len(json.dumps({**entry, "note": ""}, sort_keys=True, separators=(",", ":")).encode())
    return {**entry, "note": "x" * (size - empty)}


def _entries() -> Iterator[Vector]:
    entry = sample.sealed().entry
    for name, value in {
        "tier-none": entry.to_json(),
        "unknown-fields": {**entry.to_json(), "hint": "later", "zone": 3},
        "longest": _padded(entry.to_json(), MAX_ENTRY_BYTES),
    }.items():
        size = len(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())
        yield Vector(
            PAGE, "entry", name, "a good one", {"entry": value}, {"path": entry.path, "canonical_bytes": size}
        )
    for name, (why, edit) in _BAD_ENTRIES.items():
        value = entry.to_json()
        edit(value)
        yield Vector(PAGE, "entry", name, why, {"entry": value}, reason="format")
    long = _padded(entry.to_json(), MAX_ENTRY_BYTES + 1)
    why = f"more than {MAX_ENTRY_BYTES} bytes"
    yield Vector(PAGE, "entry", "too-long", why, {"entry": long}, reason="format")


# --- the record

_BAD_RECORDS: dict[str, tuple[str, Edit]] = {
    "other-format": (
        "a version that this page does not fix",
        lambda r: r.update(format="coach-edge/record/2"),
    ),
    "field-missing": ("budgets are missing", lambda r: r.pop("budgets")),
    "bad-model": ("the model is no name", lambda r: r.update(model="Goal")),
    "unknown-target": ("targets are tflite, onnx, coreml", lambda r: r.update(target="mnn")),
    "unknown-state": ("states are none, variables", lambda r: r.update(state="cloud")),
    "lists-itself": (
        "no record can hold its own digest",
        lambda r: r["files"].update({"bundle.json": {"length": 1, "sha256": "0" * 64}}),
    ),
    "bad-file-digest": ("upper-case hex", lambda r: r["files"]["model.tflite"].update(sha256="A" * 64)),
    "no-input": ("at least one input", lambda r: r.update(inputs=[])),
    "unknown-dtype": ("dtypes are a closed list", lambda r: r["inputs"][0].update(dtype="float64")),
    "shape-zero": ("sizes are positive, or -1", lambda r: r["inputs"][0].update(shape=[0])),
    "output-twice": ("names of outputs are distinct", lambda r: r["outputs"].append(r["outputs"][0])),
    "feature-twice": ("names of features are distinct", lambda r: r["features"].append(r["features"][0])),
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
    "fallback-of-nothing": ("a fallback of an unknown output", lambda r: r["fallback"].update(churn=0.5)),
    "text-fallback": ("a fallback is a number", lambda r: r["fallback"].update(probability="0.5")),
    "rule-on-unknown-feature": (
        "rules name what the model has",
        lambda r: r["rules"]["risk_factors"][0]["when"][0].update(value="feature:mood"),
    ),
}


def _records() -> Iterator[Vector]:
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
    output = {"model": "goal-success", "payload": "model.tflite", "outputs": ["probability", "contributions"]}
    yield vector(
        "spaces-and-unknown-field",
        "the record need not be canonical",
        json.dumps({**good, "later": [1]}, indent=1),
        output,
    )
    for name, (why, edit) in _BAD_RECORDS.items():
        document = json.loads(json.dumps(good))
        edit(document)
        yield vector(name, why, json.dumps(document))
    honest = json.dumps(good)
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


# --- golden cases


def _answers() -> list[dict[str, Any]]:
    cases = json.loads(sample.GOLDEN)["cases"]
    return [{"id": case["id"], "outputs": case["outputs"]} for case in cases]


def _golden() -> Iterator[Vector]:
    tolerances = {name: tolerance.to_json() for name, tolerance in sample.TOLERANCES.items()}
    document = json.loads(sample.GOLDEN)

    def vector(
        name: str,
        why: str,
        reason: str | None,
        edit: Callable[[dict[str, Any], list[dict[str, Any]]], object],
    ) -> Vector:
        golden, answers = json.loads(json.dumps(document)), json.loads(json.dumps(_answers()))
        edit(golden, answers)
        inputs = {"golden": json.dumps(golden), "tolerances": tolerances, "answers": answers}
        return Vector(PAGE, "golden", name, why, inputs, None if reason else {"comparisons": 4}, reason)

    def set_output(answers: list[dict[str, Any]], value: object) -> None:
        answers[1]["outputs"]["contributions"] = value

    yield vector("exact", "the expected outputs themselves", None, lambda g, a: None)
    yield vector(
        "within",
        "the whole absolute tolerance and a part of the relative one",
        None,
        lambda g, a: set_output(a, [[0.1, -0.1252]]),
    )
    yield vector(
        "extra-output",
        "an output more is not looked at",
        None,
        lambda g, a: a[0]["outputs"].update(more=[[1.0]]),
    )
    yield vector(
        "beyond",
        "more than absolute plus relative tolerance",
        "tolerance",
        lambda g, a: set_output(a, [[0.1, -0.12523]]),
    )
    yield vector(
        "deliberately-wrong",
        "another answer altogether",
        "tolerance",
        lambda g, a: set_output(a, [[-0.1, 0.125]]),
    )
    yield vector(
        "output-missing",
        "an expected output is missing",
        "tolerance",
        lambda g, a: a[1]["outputs"].pop("contributions"),
    )
    yield vector("other-shape", "the shape differs", "tolerance", lambda g, a: set_output(a, [0.1, -0.125]))
    yield vector("answer-missing", "a case has no answer", "tolerance", lambda g, a: a.pop())
    yield vector("no-case", "nothing would be proven", "format", lambda g, a: g.update(cases=[]))
    yield vector("case-twice", "an id is repeated", "format", lambda g, a: g["cases"][1].update(id="case-1"))
    yield vector(
        "no-outputs", "a case expects something", "format", lambda g, a: g["cases"][0].update(outputs={})
    )
    yield vector(
        "text-value",
        "tensors hold numbers",
        "format",
        lambda g, a: g["cases"][0]["outputs"].update(probability=[["0.5"]]),
    )
    yield vector(
        "null-value",
        "tensors hold numbers",
        "format",
        lambda g, a: g["cases"][0]["outputs"].update(probability=[[None]]),
    )
    yield vector(
        "ragged",
        "rows of different length",
        "format",
        lambda g, a: g["cases"][0]["outputs"].update(probability=[[0.5], [0.5, 0.5]]),
    )
    yield vector(
        "beyond-float32",
        "not finite in float32",
        "format",
        lambda g, a: g["cases"][0]["outputs"].update(probability=[[3.5e38]]),
    )
    yield vector(
        "no-tolerance",
        "an output without tolerance",
        "format",
        lambda g, a: g["cases"][0]["outputs"].update(churn=[[0.5]]),
    )
    yield vector(
        "other-format",
        "a version that this page does not fix",
        "format",
        lambda g, a: g.update(format="coach-edge/golden/2"),
    )
