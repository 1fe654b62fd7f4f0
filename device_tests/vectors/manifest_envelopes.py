"""Vectors for docs/protocol/manifest.md: canonical JSON and envelopes."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from device_tests.vectors import keys
from device_tests.vectors.keys import text
from device_tests.vectors.manifest_scene import PAGE, Edit, canonical, key_id, sign
from device_tests.vectors.vector import Vector

KIND = "application/vnd.coach-edge.test+json"
BODY = b'{"hello":"world"}'


def vectors() -> Iterator[Vector]:
    """All vectors of these parts."""
    yield from _canonical()
    yield from _envelopes()


def _sign(names: Sequence[str]) -> dict[str, Any]:
    return sign(names, BODY, KIND)


def _canonical() -> Iterator[Vector]:
    for name, value in {
        "sorted": {"b": [1, -2, 0], "a": {"z": True, "y": False, "x": None}, "": []},
        "only-two-escapes": {"text": 'quote " backslash \\ tab \t line \n end'},
        "not-ascii": {"caf\u00e9": "\u4f60\u597d"},
    }.items():
        yield Vector(
            PAGE,
            "canonical",
            name,
            "TUF's canonical JSON",
            {"value": value},
            {"canonical": text(canonical(value))},
        )


def _envelopes() -> Iterator[Vector]:
    both = {key_id(name): keys.public(name) for name in ("targets-1", "targets-2")}
    one = {key_id("targets-1"): keys.public("targets-1")}

    def vector(
        name: str,
        why: str,
        envelope: dict[str, Any] | str,
        known: Mapping[str, str],
        threshold: int,
        reason: str | None = None,
    ) -> Vector:
        written = envelope if isinstance(envelope, str) else json.dumps(envelope)
        inputs = {"envelope": written, "payload_type": KIND, "keys": dict(known), "threshold": threshold}
        return Vector(
            PAGE, "envelope", name, why, inputs, None if reason else {"payload": text(BODY)}, reason
        )

    yield vector("one-of-one", "one key, threshold one", _sign(["targets-1"]), one, 1)
    yield vector("two-of-two", "two keys, threshold two", _sign(["targets-1", "targets-2"]), both, 2)
    yield vector("one-of-two", "two keys, threshold one", _sign(["targets-2"]), both, 1)
    strangers = _sign(["director", "targets-1"])
    yield vector("unknown-key-beside", "an unknown key counts for nothing", strangers, one, 1)
    bad = _sign(["targets-1", "targets-2"])
    bad["signatures"][0]["sig"] = text(bytes(64))
    only = {s["keyid"]: both[s["keyid"]] for s in bad["signatures"]}
    yield vector("bad-signature-beside", "a bad signature counts for nothing", bad, only, 1)
    sixteen = _sign(["targets-1"])
    sixteen["signatures"] *= 16
    yield vector("sixteen-signatures", "as many as there may be", sixteen, one, 1)
    yield vector(
        "spaces-and-unknown-field",
        "unknown fields are ignored",
        json.dumps({**_sign(["targets-1"]), "later": 1}, indent=2),
        one,
        1,
    )

    def refused(
        name: str,
        reason: str,
        why: str,
        edit: Edit,
        known: Mapping[str, str] = one,
        threshold: int = 1,
        names: Sequence[str] = ("targets-1",),
    ) -> Vector:
        envelope = _sign(names)
        edit(envelope)
        return vector(name, why, envelope, known, threshold, reason)

    def first(**change: Any) -> Edit:
        return lambda e: e["signatures"][0].update(change)

    yield refused(
        "one-signature-of-two", "signature", "threshold two, one signature", lambda e: None, both, 2
    )
    yield refused(
        "same-signature-twice",
        "signature",
        "a key counts once",
        lambda e: e["signatures"].append(e["signatures"][0]),
        both,
        2,
    )
    alias = {**one, "alias": keys.public("targets-1")}
    yield refused(
        "same-key-two-ids",
        "signature",
        "a key under two ids counts once",
        lambda e: e["signatures"].append({**e["signatures"][0], "keyid": "alias"}),
        alias,
        2,
    )
    shouting = {**one, "alias": keys.public("targets-1").upper()}
    yield refused(
        "same-key-two-spellings",
        "signature",
        "a key in two spellings counts once",
        lambda e: e["signatures"].append({**e["signatures"][0], "keyid": "alias"}),
        shouting,
        2,
    )
    spaced = {key_id("targets-1"): bytes.fromhex(keys.public("targets-1")).hex(" ")}
    yield refused(
        "key-with-spaces",
        "signature",
        "a key that is not 64 hex digits counts for nothing",
        lambda e: None,
        spaced,
    )
    yield refused(
        "unknown-key-only", "signature", "signed by somebody else", lambda e: None, one, 1, ("director",)
    )
    yield refused(
        "key-id-of-another",
        "signature",
        "a known id on another key's signature",
        first(keyid=key_id("targets-1")),
        one,
        1,
        ("director",),
    )
    yield refused("no-signatures", "signature", "nobody signed", lambda e: e.update(signatures=[]))
    yield refused(
        "other-payload",
        "signature",
        "the payload is not what was signed",
        lambda e: e.update(payload=text(BODY.replace(b"w", b"W"))),
    )
    plain = keys.signer("targets-1").sign(BODY)
    yield refused(
        "signed-without-type", "signature", "the signature covers the payload alone", first(sig=text(plain))
    )
    short = _sign(["targets-1"])["signatures"][0]["sig"]
    yield refused(
        "short-signature",
        "signature",
        "63 bytes",
        first(sig=text(base64.b64decode(short)[:63])),
    )
    yield refused(
        "other-type", "format", "another payload type", lambda e: e.update(payloadType=KIND + ".v2")
    )
    yield refused("type-missing", "format", "no payload type", lambda e: e.pop("payloadType"))
    yield refused(
        "url-safe-base64", "format", "the alphabet of standard base64", lambda e: e.update(payload="-_8=")
    )
    yield refused("no-padding", "format", "base64 is padded", first(sig=short.rstrip("=")))
    yield refused("stray-bits", "format", "base64 has one spelling", first(sig=_stray(short)))
    yield refused("line-end-in-base64", "format", "no white space", first(sig=short[:60] + "\n" + short[60:]))
    yield refused(
        "seventeen-signatures",
        "format",
        "at most 16 signatures",
        lambda e: e.update(signatures=e["signatures"] * 17),
    )
    good = json.dumps(_sign(["targets-1"]))
    yield vector(
        "field-twice", "a field name is repeated", '{"payloadType": "x", ' + good[1:], one, 1, "format"
    )
    yield vector("trailing-text", "one object and nothing behind it", good + "{}", one, 1, "format")


def _stray(encoded: str) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    body = encoded.rstrip("=")
    return body[:-1] + alphabet[alphabet.index(body[-1]) + 1] + "=" * (len(encoded) - len(body))
