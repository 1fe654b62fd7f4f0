"""Vectors for docs/protocol/device-keys.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from device_tests.vectors import hpke_seal, keys
from device_tests.vectors.keys import text
from device_tests.vectors.manifest_scene import key_id, sign
from device_tests.vectors.vector import Vector
from edge_sdk.contract import identifiers, key_blob
from edge_sdk.contract.key_blob import KeyBlob, Lease, Statement
from edge_sdk.crypto.hpke import encode_public

PAGE = "device-keys"
BUNDLE = keys.secret("bundle").hex()  # 64 hexadecimal digits like any digest
OTHER_BUNDLE = keys.secret("bundle-2").hex()
ISSUED = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
EXPIRES = datetime(2026, 3, 31, 12, 0, 0, tzinfo=UTC)


def vectors() -> Iterator[Vector]:
    """All vectors of the page."""
    yield from _blobs()
    yield from _enrolments()


def _public(name: str) -> bytes:
    return encode_public(hpke_seal.private(name).public_key())


def _lease(bundle: str = BUNDLE, device: str = "device") -> Lease:
    return Lease(bundle, key_blob.thumbprint(_public(device)), ISSUED, EXPIRES)


def _sealed(lease: Lease, device: str = "device", plain: bytes = keys.secret("data")) -> bytes:
    return hpke_seal.seal(plain, _public(device), lease.info, hpke_seal.private("ephemeral"))


def _blobs() -> Iterator[Vector]:
    good = KeyBlob(_lease(), _sealed(_lease()))
    fields = json.loads(good.to_bytes())
    opened = {"info": _lease().info.hex(), "data_key": keys.secret("data").hex()}

    def vector(
        name: str,
        why: str,
        payload: bytes = good.to_bytes(),
        reason: str | None = None,
        *,
        signer: str = "director",
        kind: str = key_blob.PAYLOAD_TYPE,
        device: str = "device",
        bundle: str = BUNDLE,
        now: str = "2026-03-02T12:00:00Z",
    ) -> Vector:
        inputs = {
            "envelope": json.dumps(sign([signer], payload, kind)),
            "director": {"keyid": key_id("director"), "public": keys.public("director")},
            "device": {
                "private": hpke_seal.private(device)
                .private_numbers()
                .private_value.to_bytes(32, "big")
                .hex(),
                "public": _public(device).hex(),
                "thumbprint": key_blob.thumbprint(_public(device)),
            },
            "bundle": bundle,
            "now": now,
        }
        return Vector(PAGE, "key-blob", name, why, inputs, None if reason else opened, reason)

    def changed(**fields_changed: Any) -> bytes:
        return json.dumps({**fields, **fields_changed}).encode()

    yield vector("plain", "signed, for this device and bundle, in force")
    yield vector("unknown-field", "a field of later versions", changed(later=1))
    yield vector("first-second", "the lease has begun, but for the skew", now="2026-03-01T11:55:00Z")
    yield vector("last-second", "the lease is about to end", now="2026-03-31T11:59:59Z")
    yield vector("too-early", "begins 301 s ahead of the clock", now="2026-03-01T11:54:59Z", reason="clock")
    yield vector("ended", "a lease that ends now is over", now="2026-03-31T12:00:00Z", reason="expired")
    yield vector("other-director", "signed by nobody we know", signer="director-2", reason="signature")
    yield vector("targets-key", "signed by a key of another role", signer="targets-1", reason="signature")
    directives = "application/vnd.coach-edge.directives.v1+json"
    yield vector("other-type", "signed as another kind of document", kind=directives, reason="format")
    yield vector("other-device", "of another device", device="device-2", reason="mismatch")
    yield vector("other-bundle", "of another bundle", bundle=OTHER_BUNDLE, reason="mismatch")
    # Signed by the director, so that only HPKE's own binding is left to refuse them.
    moved = {
        "moved-bundle": (OTHER_BUNDLE, changed(bundle=OTHER_BUNDLE), "another bundle"),
        "moved-start": (BUNDLE, changed(issued="2026-03-01T12:00:01Z"), "another beginning"),
        "moved-end": (BUNDLE, changed(expires="2027-03-31T12:00:00Z"), "a longer lease"),
    }
    for name, (bundle, payload, why) in moved.items():
        yield vector(name, f"signed, but sealed under {why}", payload, "key", bundle=bundle)
    other = KeyBlob(_lease(), _sealed(_lease(), "device-2"))
    yield vector("sealed-for-other", "names this device, sealed for another", other.to_bytes(), "key")
    for name, at in (("point", 30), ("ciphertext", 70), ("tag", 112)):
        flipped = bytearray(good.sealed)
        flipped[at] ^= 1
        yield vector(f"flipped-{name}", f"a bit of the {name}", changed(sealed=text(bytes(flipped))), "key")
    for name, why, payload in (
        ("short", "a byte of the sealed key is missing", changed(sealed=text(good.sealed[:-1]))),
        ("format", "of a later format", changed(format="coach-edge/key-blob/2")),
        ("ends-first", "ends before it begins", changed(expires="2026-03-01T12:00:00Z")),
        ("upper-case-bundle", "no digest", changed(bundle=BUNDLE.upper())),
        ("not-a-time", "no time", changed(issued="2026-03-01")),
    ):
        yield vector(name, why, payload, "format")


def _enrolments() -> Iterator[Vector]:
    token = "a token that only vectors use"
    good = Statement(
        "https://models.example", _public("device"), key_blob.credential_sha256(token), ISSUED,
        keys.secret("nonce")[: key_blob.NONCE_BYTES],
    )  # fmt: skip
    algorithm = ec.ECDSA(SHA256(), deterministic_signing=True)
    signature = hpke_seal.private("device").sign(good.to_bytes(), algorithm)

    def vector(name: str, why: str, reason: str | None = None, **change: Any) -> Vector:
        inputs = {
            "origin": good.origin,
            "public_key": text(good.public_key),
            "credential": token,
            "issued": identifiers.format_time(good.issued),
            "nonce": text(good.nonce),
            "signature": text(signature),
            **change,
        }
        output = {"thumbprint": key_blob.thumbprint(good.public_key), "statement": good.to_bytes().hex()}
        return Vector(PAGE, "enrolment", name, why, inputs, None if reason else output, reason)

    yield vector("plain", "a proof of possession")
    for name, change in {
        "origin": {"origin": "https://models.example:8443"},
        "public-key": {"public_key": text(_public("device-2"))},
        "credential": {"credential": token + "."},
        "time": {"issued": "2026-03-01T12:00:01Z"},
        "nonce": {"nonce": text(keys.secret("nonce-2")[: key_blob.NONCE_BYTES])},
    }.items():
        yield vector(f"other-{name}", "signed for another one", "signature", **change)
    yield vector("not-on-curve", "no point of the curve", "format", public_key=text(b"\4" + b"\1" * 64))
    yield vector("short-nonce", "a byte is missing", "format", nonce=text(good.nonce[1:]))
    compressed = bytes([2 + good.public_key[-1] % 2]) + good.public_key[1:33]
    yield vector("compressed", "the other form of the same point", "format", public_key=text(compressed))
