"""Vectors for docs/protocol/encryption.md."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from device_tests.vectors import keys, sample
from device_tests.vectors.bundle_opening import open_input
from device_tests.vectors.keys import text
from device_tests.vectors.vector import Vector
from edge_sdk.contract import bundle, framing
from edge_sdk.crypto import sealing, streaming

PAGE = "encryption"
NAMES: dict[str, str] = {
    "model": "goal-success",
    "model_version": "1.0.0",
    "target": "tflite",
    "recipe": "fp32",
    "key_id": "app-0123456789abcdef",
}
SALT = keys.secret("salt")
PREFIX = keys.secret("nonce prefix")[: streaming.PREFIX_BYTES]
SEGMENT = framing.SEGMENT_BYTES
FIRST = SEGMENT - streaming.HEADER_BYTES - streaming.TAG_BYTES
"""Plain bytes in the first segment."""
NEXT = SEGMENT - streaming.TAG_BYTES


def vectors() -> Iterator[Vector]:
    """All vectors of the page."""
    yield from _associated_data()
    yield from _segment_lists()
    yield from _streams()
    yield from _wrapped_keys()
    yield from _sealed_bundles()


def pattern(length: int) -> bytes:
    """Byte i is i mod 251: long plaintexts that a vector need not hold."""
    return (bytes(range(251)) * (length // 251 + 1))[:length]


def _associated_data() -> Iterator[Vector]:
    for name, fields in {
        "plain": NAMES,
        "empty-key-id": {**NAMES, "key_id": ""},
        "two-byte-character": {**NAMES, "key_id": "caf\u00e9"},
    }.items():
        data = framing.associated_data(**fields)
        yield Vector(PAGE, "associated-data", name, "length-prefixed fields", fields, {"hex": data.hex()})


def _segment_lists() -> Iterator[Vector]:
    for length in (1, SEGMENT, SEGMENT + 1, 3 * SEGMENT):
        listed = framing.segment_list(pattern(length))
        yield Vector(
            PAGE,
            "segment-list",
            f"{length}-bytes",
            "digests of the served bytes, byte i of which is i mod 251",
            {"length": length},
            {"segments": text(listed), "segments_sha256": hashlib.sha256(listed).hexdigest()},
        )


def apply(ciphertext: bytes, edit: dict[str, Any]) -> bytes:
    """What the ``edit`` of a stream vector does to the ciphertext."""
    match edit["op"]:
        case "cut":
            return ciphertext[: edit["length"]] + bytes.fromhex(edit["append"])
        case "flip":
            at = edit["offset"]
            return ciphertext[:at] + bytes([ciphertext[at] ^ edit["mask"]]) + ciphertext[at + 1 :]
        case "swap":
            parts = [bytes(part) for part in framing.segments(ciphertext)]
            a, b = edit["segments"]
            parts[a], parts[b] = parts[b], parts[a]
            return b"".join(parts)
        case other:
            raise ValueError(f"no edit {other!r}")


def _cut(length: int, append: str = "") -> dict[str, Any]:
    return {"op": "cut", "length": length, "append": append}


def _streams() -> Iterator[Vector]:
    def vector(name: str, why: str, length: int, edit: dict[str, Any] | None = None, **other: str) -> Vector:
        plain = pattern(length)
        bound = framing.associated_data(**NAMES)
        served = streaming.encrypt(plain, keys.secret("data"), bound, SALT, PREFIX)
        served = apply(served, edit) if edit else served
        inputs: dict[str, Any] = {
            "plain_length": length,
            "data_key": keys.secret("data").hex(),
            "salt": SALT.hex(),
            "nonce_prefix": PREFIX.hex(),
            "bound_to": NAMES,
            "edit": edit,
            "ciphertext_length": len(served),
            "ciphertext_sha256": hashlib.sha256(served).hexdigest(),
            "open_with": {
                "data_key": keys.secret(other.pop("key", "data")).hex(),
                "bound_to": {**NAMES, **other},
            },
        }
        inputs |= {"ciphertext": text(served)} if len(served) < 1_000 else {}
        if edit or inputs["open_with"] != {"data_key": inputs["data_key"], "bound_to": NAMES}:
            return Vector(PAGE, "stream", name, why, inputs, reason="key")
        return Vector(PAGE, "stream", name, why, inputs, {"plain_sha256": hashlib.sha256(plain).hexdigest()})

    yield vector("empty", "one segment of nothing", 0)
    yield vector("one-byte", "one short segment", 1)
    yield vector("short", "one short segment", 300)
    yield vector("one-segment", "exactly one full segment", FIRST)
    yield vector("one-more", "a second segment of one byte", FIRST + 1)
    yield vector("two-segments", "exactly two full segments", FIRST + NEXT)
    yield vector("three-segments", "two full segments and a short one", FIRST + NEXT + 1_000)
    for field in NAMES:
        value = {"model_version": "1.0.1"}.get(field, "other")
        name = f"bound-to-other-{field}".replace("_", "-")
        yield vector(name, f"another {field}", 300, None, **{field: value})
    yield vector("other-key", "another data key", 300, key="app")
    for name, why, offset in (
        ("header-length", "the header says another length", 0),
        ("salt", "a bit of the salt", 1),
        ("nonce-prefix", "a bit of the nonce prefix", 33),
        ("first-byte", "a bit of the first ciphertext byte", 40),
        ("tag", "a bit of the tag", 355),
    ):
        yield vector(f"flipped-{name}", why, 300, {"op": "flip", "offset": offset, "mask": 1})
    yield vector(
        "flipped-in-last-segment",
        "good segments before a bad one",
        FIRST + NEXT + 9,
        {"op": "flip", "offset": 2 * SEGMENT, "mask": 128},
    )
    yield vector("no-bytes", "nothing at all", 1, _cut(0))
    yield vector("header-only", "the header without a segment", 1, _cut(40))
    yield vector("cut-in-tag", "the last byte is missing", 1, _cut(56))
    yield vector(
        "cut-at-segment",
        "the last segment is missing",
        FIRST + NEXT + 9,
        _cut(2 * SEGMENT),
    )
    yield vector(
        "swapped-segments",
        "two segments in the other order",
        FIRST + 2 * NEXT,
        {"op": "swap", "segments": [1, 2]},
    )
    yield vector("trailing-byte", "a byte behind the last segment", 300, _cut(356, "00"))
    yield vector(
        "trailing-16-bytes",
        "bytes behind a full segment, too few to be another",
        FIRST,
        _cut(SEGMENT, "00" * 16),
    )
    yield vector(
        "trailing-segment",
        "bytes behind a full segment that could be another",
        FIRST,
        _cut(SEGMENT, "00" * 17),
    )
    cipher = streaming._cipher(keys.secret("data"), SALT, framing.associated_data(**NAMES))
    empty = cipher.encrypt(PREFIX + bytes([0, 0, 0, 1, 1]), b"", None)
    yield vector(
        "empty-last-segment",
        "all tags are good, but no writer puts an empty segment behind a full one",
        FIRST + 1,
        _cut(SEGMENT, empty.hex()),
    )


def _wrapped_keys() -> Iterator[Vector]:
    app = sealing.AppKey(keys.secret("app"))
    names = {**NAMES, "key_id": app.key_id}
    bound = framing.associated_data(**names)
    nonce = keys.secret("nonce")[: sealing.NONCE_BYTES]
    wrapped = nonce + sealing._aes_gcm(app).encrypt(nonce, keys.secret("data"), bound)
    good = {"app_key": app.to_text().strip(), "bound_to": names, "wrapped_key": text(wrapped)}
    yield Vector(
        PAGE,
        "app-key",
        "plain",
        "the data key unwrapped",
        good,
        {"key_id": app.key_id, "data_key": keys.secret("data").hex()},
    )

    def refused(name: str, why: str, **change: Any) -> Vector:
        return Vector(PAGE, "app-key", name, why, {**good, **change}, reason="key")

    other = sealing.AppKey(keys.secret("app-2"))
    yield refused("other-key", "the entry names another key", app_key=other.to_text().strip())
    yield refused(
        "bound-to-other-recipe", "the data key of another artifact", bound_to={**names, "recipe": "int8"}
    )
    yield refused(
        "flipped", "a bit of the wrapped key", wrapped_key=text(wrapped[:-1] + bytes([wrapped[-1] ^ 1]))
    )
    yield refused("short", "a byte is missing", wrapped_key=text(wrapped[:-1]))
    yield refused("not-base64", "not base64", wrapped_key="*" + text(wrapped)[1:])


def _sealed_bundles() -> Iterator[Vector]:
    app = sealing.AppKey(keys.secret("app"))
    sealed = sample.sealed(app_key=app)
    entry, key = sealed.entry.to_json(), {"app_key": app.to_text().strip()}

    def vector(name: str, why: str, inputs: dict[str, Any], reason: str | None) -> Vector:
        files = sample.digests(bundle.read(sample.plain()))
        return Vector(
            PAGE, "open", name, why, {**inputs, **key}, None if reason else {"files": files}, reason
        )

    flipped = sealed.served[:-1] + bytes([sealed.served[-1] ^ 1])
    moved = {**entry, "recipe": "int8"}
    yield vector("app-key", "a sealed bundle to its files", open_input(sealed.served, entry), None)
    yield vector("other-tag", "a changed tag, well signed", open_input(flipped, entry), "key")
    yield vector(
        "moved-to-other-recipe", "an entry for another recipe", open_input(sealed.served, moved), "key"
    )
    yield Vector(
        PAGE,
        "open",
        "no-app-key",
        "a sealed bundle, and no key at hand",
        open_input(sealed.served, entry),
        reason="key",
    )
    enrolled = {**entry, "tier": "device-key", "wrapped_key": ""}
    yield vector("device-key", "no device is enrolled yet", open_input(sealed.served, enrolled), "key")
    late = open_input(flipped, entry, sealed.sha256)
    yield vector("other-bytes", "the digest comes before any key", late, "digest")
