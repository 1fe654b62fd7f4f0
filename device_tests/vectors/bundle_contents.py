"""Vectors for docs/protocol/bundle.md: entry and golden cases."""

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
    yield from _golden()


_BAD_ENTRIES: dict[str, tuple[str, Edit]] = {
    "field-missing": ("state is missing", lambda e: e.pop("state")),
    "bad-model": ("the model is no name", lambda e: e.update(model="Goal")),
    "bad-version": ("the version is not semantic", lambda e: e.update(model_version="1.0")),
    "bad-channel": ("the channel is no name", lambda e: e.update(channel="")),
    "bad-target": ("the target is no name", lambda e: e.update(target="TFLite")),
    "bad-recipe": ("the recipe is no name", lambda e: e.update(recipe="int8_static")),
    "bad-record-digest": ("63 digits", lambda e: e.update(record_sha256="0" * 63)),
    "bad-segments-digest": ("upper-case hex", lambda e: e.update(segments_sha256="A" * 64)),
    "release-zero": ("releases start at 1", lambda e: e.update(release=0)),
    "release-text": ("a release is a number", lambda e: e.update(release="7")),
    "fraction": ("no fractions in an entry", lambda e: e.update(loss=1.5)),
    "truth-value": ("strings and integers only", lambda e: e.update(beta=True)),
    "null": ("strings and integers only", lambda e: e.update(note=None)),
    "nested": ("strings and integers only", lambda e: e.update(notes=["a"])),
    "unknown-tier": ("tiers are none, app-key, device-key", lambda e: e.update(tier="secret", key_id="k")),
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
        "rounded-first",
        "beyond as a double, within as the float32 nearest to it",
        None,
        lambda g, a: set_output(a, [[0.1, -0.12522500004]]),
    )
    yield vector(
        "actual-not-finite",
        "an actual value that is infinite in float32",
        "tolerance",
        lambda g, a: set_output(a, [[0.1, -3.5e38]]),
    )

    def without_values(golden: dict[str, Any], answers: list[dict[str, Any]]) -> None:
        golden["cases"][1]["outputs"]["contributions"] = [[]]
        set_output(answers, [[]])

    yield vector("no-values", "equal, but nothing was compared", "tolerance", without_values)
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
        "output-not-expected",
        "a case that leaves out an output of the record proves nothing of it",
        "format",
        lambda g, a: g["cases"][1]["outputs"].pop("contributions"),
    )
    yield vector(
        "other-format",
        "a version that this page does not fix",
        "format",
        lambda g, a: g.update(format="coach-edge/golden/2"),
    )
