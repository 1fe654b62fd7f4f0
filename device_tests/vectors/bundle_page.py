"""Vectors for docs/protocol/bundle.md."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from device_tests.vectors import lax_zip, sample
from device_tests.vectors.keys import text
from device_tests.vectors.lax_zip import Member
from device_tests.vectors.vector import Vector
from edge_sdk.contract import bundle, codec
from edge_sdk.contract.entry import MAX_ENTRY_BYTES
from edge_sdk.contract.record import bundle_files
from edge_sdk.crypto import sealing

PAGE = "bundle"
FILES = {"a.txt": b"first", "b/c.bin": bytes(range(40))}
Edit = Callable[[dict[str, Any]], object]


def vectors() -> Iterator[Vector]:
    """All vectors of the page."""
    yield from _zips()
    yield from _codecs()
    yield from _entries()
    yield from _records()
    yield from _opened()
    yield from _golden()


def digests(files: Mapping[str, bytes | memoryview]) -> dict[str, dict[str, Any]]:
    """Length and SHA-256 by name, as the outputs of vectors list files."""
    return {
        name: {"length": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in files.items()
    }


# --- the container


def _zips() -> Iterator[Vector]:
    for name, files in {
        "two-files": FILES,
        "one-empty-file": {"a": b""},
        "sixty-four-files": {f"f{n:02}": b"" for n in range(64)},
        "longest-name": {"d/" + "n" * 198: b"x"},
        "sample": dict(bundle_files(sample.record(sample.rest()), sample.rest())),
    }.items():
        plain = bundle.write(files)
        yield Vector(PAGE, "zip", name, "a canonical ZIP", {"zip": text(plain)}, {"files": digests(files)})
    for name, (why, data) in _bad_zips().items():
        yield Vector(PAGE, "zip", name, why, {"zip": text(data)}, reason="format")


def _bad_zips() -> dict[str, tuple[str, bytes]]:
    def named(*names: str) -> bytes:
        return lax_zip.write([Member(name.encode(), b"x") for name in names])

    good = bundle.write(FILES)
    first, last = lax_zip.members(FILES)
    descriptor = zlib.crc32(last.data).to_bytes(4, "little") + len(last.data).to_bytes(4, "little") * 2
    deflated = zlib.compressobj(9, wbits=-15)
    packed = deflated.compress(b"x" * 40) + deflated.flush()
    hole = lax_zip.write([replace(first, after=b"hidden"), last])
    # Both directory entries point to the same local header: the second file would be the first one's bytes.
    overlap = bytearray(lax_zip.write([Member(b"a", b"x"), Member(b"b", b"x")]))
    overlap[-22 - 4 - 1 : -22 - 1] = bytes(4)
    return {
        "empty": ("no bytes at all", b""),
        "no-files": ("a bundle has at least one file", lax_zip.write([])),
        "sixty-five-files": ("at most 64 files", named(*(f"f{n:02}" for n in range(65)))),
        "dot-dot": ("a name that leaves the folder", named("../a")),
        "dot-dot-inside": ("a name that climbs", named("a/../b")),
        "dot": ("a part that is a dot", named("./a")),
        "absolute": ("an absolute name", named("/a")),
        "folder-entry": ("folders have no entry of their own", named("a/")),
        "double-slash": ("an empty part", named("a//b")),
        "backslash": ("a separator elsewhere", named("a\\b")),
        "drive": ("a colon is no name character", named("c:a")),
        "space": ("a space is no name character", named("a b")),
        "not-ascii": ("names are ASCII", named("caf\u00e9")),
        "empty-name": ("a name has characters", named("")),
        "name-too-long": ("at most 200 characters", named("n" * 201)),
        "duplicate": ("a name twice", named("a", "a")),
        "case-twins": ("names that collide on some file systems", named("A", "a")),
        "file-and-folder": ("a file that is also a folder", named("a", "a/b")),
        "file-and-folder-by-case": ("a file that is also a folder where case is ignored", named("A", "a/b")),
        "unsorted": ("files stand in the order of their names", named("b", "a")),
        "trailing-byte": ("a byte behind the end", good + b"\0"),
        "leading-byte": ("a byte before the start", b"\0" + good),
        "prefix": ("a prefix with right offsets", lax_zip.write([first, last], prefix=b"#!/bin/sh\n")),
        "comment": ("an archive comment", lax_zip.write([first, last], comment=b"hello")),
        "hole": ("bytes between two files", hole),
        "truncated": ("the last byte is missing", good[:-1]),
        "overlap": ("two files in the same place", bytes(overlap)),
        "data-descriptor": (
            "lengths behind the data",
            lax_zip.changed(FILES, flags=0x0808, after=descriptor),
        ),
        "zip64": ("a ZIP64 extra field", lax_zip.changed(FILES, extra=b"\x01\0\x08\0" + bytes(8))),
        "deflated-member": (
            "files are stored, compression is the codec's",
            lax_zip.changed(FILES, method=8, data=packed, length=40, crc=zlib.crc32(b"x" * 40)),
        ),
        "encrypted-flag": ("ZIP's own encryption", lax_zip.changed(FILES, flags=0x0801)),
        "no-utf8-flag": ("the UTF-8 flag is always set", lax_zip.changed(FILES, flags=0)),
        "other-time": ("times are fixed", lax_zip.changed(FILES, time=1)),
        "other-date": ("dates are fixed", lax_zip.changed(FILES, date=0x5A21)),
        "symbolic-link": (
            "Unix attributes of a link",
            lax_zip.changed(FILES, version_made=0x0314, attributes=0xA1FF0000),
        ),
        "file-comment": ("a comment of a file", lax_zip.changed(FILES, comment=b"hello")),
        "wrong-crc": ("the checksum of other bytes", lax_zip.changed(FILES, crc=0)),
        "wrong-length": ("a length beyond the file", lax_zip.changed(FILES, length=41)),
        "other-local-name": (
            "directory and local header disagree",
            lax_zip.changed(FILES, local_name=b"b/d.bin"),
        ),
    }


# --- the codec


def _deflate(data: bytes, wbits: int = -15) -> bytes:
    compressor = zlib.compressobj(9, wbits=wbits)
    return compressor.compress(data) + compressor.flush()


def _codecs() -> Iterator[Vector]:
    plain = b"the same words, the same words, the same words, and the end" * 3
    packed = _deflate(plain)
    bomb = bytes(codec.MAX_RATIO * 2_000)

    def vector(name: str, why: str, kind: str, data: bytes, length: int, good: bool = False) -> Vector:
        output = {"sha256": hashlib.sha256(plain).hexdigest()} if good else None
        inputs = {"codec": kind, "data": text(data), "plain_length": length}
        return Vector(PAGE, "codec", name, why, inputs, output, None if good else "format")

    yield vector("none", "the bytes as they are", "none", plain, len(plain), True)
    yield vector("deflate", "one raw deflate stream", "deflate", packed, len(plain), True)
    stored = zlib.compressobj(0, wbits=-15)
    yield vector(
        "deflate-stored",
        "stored blocks are deflate too",
        "deflate",
        stored.compress(plain) + stored.flush(),
        len(plain),
        True,
    )
    yield vector("none-short", "fewer bytes than the entry says", "none", plain[:-1], len(plain))
    yield vector("none-long", "more bytes than the entry says", "none", plain + b"!", len(plain))
    yield vector("unknown", "a codec that this page does not fix", "zstd", packed, len(plain))
    yield vector("deflate-short", "the stream ends before the length", "deflate", packed, len(plain) + 1)
    yield vector("deflate-long", "the stream goes on beyond the length", "deflate", packed, len(plain) - 1)
    yield vector("deflate-cut", "the stream has no end", "deflate", packed[:-1], len(plain))
    yield vector("deflate-trailing", "a byte behind the stream", "deflate", packed + b"\0", len(plain))
    yield vector("deflate-two-streams", "a second stream", "deflate", packed + _deflate(b""), len(plain))
    yield vector("zlib-header", "a zlib stream is not a raw one", "deflate", _deflate(plain, 15), len(plain))
    yield vector("broken", "a block type that does not exist", "deflate", b"\x07" + packed[1:], len(plain))
    yield vector("bomb", f"more than {codec.MAX_RATIO} times as long", "deflate", _deflate(bomb), len(bomb))


# --- the entry


def _sealed() -> sealing.Sealed:
    return sealing.seal(sample.plain(), channel="stable", release=7, requires="tflite")


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
    entry = _sealed().entry
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


# --- opening


def open_input(served: bytes, entry: Mapping[str, Any], sha256: str | None = None) -> dict[str, Any]:
    """The input of a vector of kind ``open``."""
    return {
        "served": text(served),
        "sha256": sha256 or hashlib.sha256(served).hexdigest(),
        "entry": dict(entry),
    }


def _resealed(plain: bytes, **change: Any) -> dict[str, Any]:
    """The input for a bundle that :func:`sealing.seal` would refuse to seal: an entry that fits its bytes."""
    record = next((f for n, f in _lenient(plain) if n == "bundle.json"), b"")
    entry = {
        **_sealed().entry.to_json(),
        "codec": "none",
        "plain_length": len(plain),
        "plain_sha256": hashlib.sha256(plain).hexdigest(),
        "record_sha256": hashlib.sha256(record).hexdigest(),
        "segments_sha256": hashlib.sha256(hashlib.sha256(plain).digest()).hexdigest(),
        **change,
    }
    return open_input(plain, entry)


def _lenient(plain: bytes) -> list[tuple[str, bytes]]:
    return [(name, bytes(data)) for name, data in bundle.read(plain).items()]


def _opened() -> Iterator[Vector]:
    for target in sample.PAYLOADS:
        sealed = sealing.seal(sample.plain(target), channel="stable", release=7, requires=target)
        files = bundle.read(sample.plain(target))
        yield Vector(
            PAGE,
            "open",
            target,
            "served bytes to files",
            open_input(sealed.served, sealed.entry.to_json()),
            {"files": digests(files)},
        )
    plain = sample.plain()
    entry = _sealed().entry.to_json()
    files = sample.rest()

    def refused(name: str, reason: str, why: str, inputs: dict[str, Any]) -> Vector:
        return Vector(PAGE, "open", name, why, inputs, reason=reason)

    def holding(record_of: dict[str, bytes], stored: dict[str, bytes]) -> dict[str, Any]:
        return _resealed(bundle.write(bundle_files(sample.record(record_of), stored)))

    served = _sealed().served
    flipped = bytearray(served)
    flipped[-1] ^= 1
    yield refused(
        "other-bytes",
        "digest",
        "one bit of the served bytes is changed",
        open_input(bytes(flipped), entry, hashlib.sha256(served).hexdigest()),
    )
    yield refused(
        "other-plain",
        "digest",
        "the opened bytes are not the signed ones",
        _resealed(plain, plain_sha256="0" * 64),
    )
    yield refused(
        "other-record", "digest", "the record is not the signed one", _resealed(plain, record_sha256="0" * 64)
    )
    for field, value in (
        ("model", "churn"),
        ("model_version", "1.0.1"),
        ("target", "onnx"),
        ("recipe", "int8"),
        ("state", "variables"),
    ):
        yield refused(
            f"other-{field}".replace("_", "-"),
            "mismatch",
            f"record and entry disagree on {field}",
            _resealed(plain, **{field: value}),
        )
    changed = {**files, "model.tflite": sample.noise("another model", 300)}
    yield refused(
        "other-payload", "format", "the payload is not what the record says", holding(files, changed)
    )
    yield refused(
        "unlisted-file",
        "format",
        "a file that the record does not list",
        holding(files, {**files, "golden/more.json": b"{}"}),
    )
    less = {name: data for name, data in files.items() if name != "model.tflite"}
    yield refused("listed-file-missing", "format", "a file that only the record knows", holding(files, less))
    yield refused("no-payload", "format", "neither record nor bundle has a payload", holding(less, less))
    folder = {**less, "model.tflite/a": b"x"}
    yield refused(
        "payload-is-a-folder", "format", "for tflite the payload is one file", holding(folder, folder)
    )
    stray = {**files, "readme.txt": b"x"}
    yield refused(
        "stray-file", "format", "a listed file that has no place in a bundle", holding(stray, stray)
    )
    for missing in (bundle.GOLDEN_NAME, bundle.FEATURE_SPEC_NAME):
        some = {name: data for name, data in files.items() if name != missing}
        name = "no-golden-cases" if missing == bundle.GOLDEN_NAME else "no-feature-spec"
        yield refused(name, "format", f"{missing} is missing", holding(some, some))
    other = {**files, bundle.FEATURE_SPEC_NAME: b"{}"}
    yield refused(
        "other-feature-spec", "format", "not the definition that the record names", holding(other, other)
    )
    yield refused("no-record", "format", "bundle.json is missing", _resealed(bundle.write(files)))


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
