"""Vectors for docs/protocol/bundle.md: from served bytes to files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from device_tests.vectors import sample
from device_tests.vectors.keys import text
from device_tests.vectors.vector import Vector
from edge_sdk.contract import bundle
from edge_sdk.contract.record import bundle_files

PAGE = "bundle"


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
        **sample.sealed().entry.to_json(),
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


def vectors() -> Iterator[Vector]:
    """All vectors of this part."""
    for target in sample.PAYLOADS:
        sealed = sample.sealed(target)
        yield Vector(
            PAGE,
            "open",
            target,
            "served bytes to files",
            open_input(sealed.served, sealed.entry.to_json()),
            {"files": sample.digests(bundle.read(sample.plain(target)))},
        )
    plain = sample.plain()
    entry = sample.sealed().entry.to_json()
    files = sample.rest()

    def refused(name: str, reason: str, why: str, inputs: dict[str, Any]) -> Vector:
        return Vector(PAGE, "open", name, why, inputs, reason=reason)

    def holding(record_of: dict[str, bytes], stored: dict[str, bytes]) -> dict[str, Any]:
        return _resealed(bundle.write(bundle_files(sample.record(record_of), stored)))

    served = sample.sealed().served
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
    yield refused("bad-entry", "format", "an entry that is not well-formed", _resealed(plain, state="cloud"))
    yield refused("no-record", "format", "bundle.json is missing", _resealed(bundle.write(files)))
