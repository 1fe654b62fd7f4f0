"""Vectors for docs/protocol/manifest.md: roots that are to be refused, and how to spoil one."""

from __future__ import annotations

import json
from typing import Any

from device_tests.vectors.manifest_scene import NOW, ROOT_1, ROOTS, Scene, key_id, key_object, root

Refusals = dict[str, tuple[str, str, Scene]]

NEW = ("root-3", "root-4", "root-5")
"""The root keys of version 2."""

FULL = ("root-1", "root-2", "root-4", "root-5")
"""Two old keys and two new ones, as version 2 needs."""


def respelled(text: str) -> str:
    document = json.loads(text)
    for signature in document["signatures"]:
        signature["sig"] = signature["sig"].upper()
    return signed_also(json.dumps(document), "nobody", "00" * 64)


def signed_also(text: str, keyid: str, sig: str) -> str:
    document = json.loads(text)
    document["signatures"].append({"keyid": keyid, "sig": sig})
    return json.dumps(document)


def _spaced(text: str) -> str:
    document = json.loads(text)
    document["signatures"][0]["sig"] = bytes.fromhex(document["signatures"][0]["sig"]).hex(" ")
    return json.dumps(document)


def _keys(**change: Any) -> dict[str, Any]:
    """The keys of the pinned root, one of the root role changed."""
    listed: dict[str, Any] = json.loads(ROOT_1)["signed"]["keys"]
    listed[key_id("root-3")] |= change
    return listed


def _pinned(version: int = 1, **change: Any) -> str:
    return root(version, ROOTS, ROOTS[:2], **change)


def _roles(**change: Any) -> dict[str, Any]:
    """The roles of the pinned root, that of the targets changed."""
    roles: dict[str, Any] = json.loads(ROOT_1)["signed"]["roles"]
    roles["targets"] |= change
    return roles


_BAD_PINNED_ROOTS: dict[str, tuple[str, dict[str, Any]]] = {
    "large-integer": ("an integer beyond 2^53 - 1, in a field that nobody knows", {"x-later": [2**53]}),
    "bad-time": ("times are UTC with Z", {"expires": "2027-01-01"}),
    "version-zero": ("versions start at 1", {"version": 0}),
    "other-keytype": ("a key type that does not go with the scheme", {"keys": _keys(keytype="rsa")}),
    "other-scheme": ("a scheme that does not go with the key type", {"keys": _keys(scheme="ed448")}),
    "short-key": ("a public key has 64 hex digits", {"keys": _keys(keyval={"public": "00" * 31})}),
    "unknown-key": ("a role lists a key id that keys does not have", {"roles": _roles(keyids=["nobody"])}),
    "threshold-zero": ("a threshold is at least 1", {"roles": _roles(threshold=0)}),
}


def refusals() -> Refusals:
    """By name: the reason, why, and the refresh."""
    rotated = root(2, NEW, FULL)
    tampered = rotated.replace('"threshold": 2', '"threshold": 1', 1)
    listed = {**json.loads(rotated)["signed"]["keys"], "alias": key_object("root-4")}
    foreign = json.loads(rotated)["signed"]["keys"]
    foreign[key_id("root-3")] |= {"keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256"}
    roles = json.loads(rotated)["signed"]["roles"]
    roles["root"]["keyids"].append("alias")
    return {
        "root-without-old-keys": (
            "signature",
            "only one old key signed the new root",
            Scene(roots=(root(2, NEW, FULL[1:]),)),
        ),
        "root-without-new-keys": (
            "signature",
            "only one new key signed the new root",
            Scene(roots=(root(2, NEW, FULL[:3]),)),
        ),
        "root-tampered": ("signature", "a threshold was lowered after signing", Scene(roots=(tampered,))),
        "root-skipped": (
            "mismatch",
            "version 3 stands where version 2 belongs",
            Scene(roots=(root(3, NEW, FULL),)),
        ),
        "root-repeated": ("mismatch", "version 1 stands where version 2 belongs", Scene(roots=(ROOT_1,))),
        "root-expired": (
            "expired",
            "the last root has expired",
            Scene(roots=(root(2, NEW, FULL, expires=NOW),)),
        ),
        "pinned-root-expired": (
            "expired",
            "the pinned root has expired",
            Scene(pinned=root(1, ROOTS, ROOTS[:2], expires="2026-06-15T11:59:59Z")),
        ),
        "root-is-no-root": (
            "format",
            "another role's metadata",
            Scene(roots=(root(2, NEW, FULL, _type="timestamp"),)),
        ),
        "root-other-spec": (
            "format",
            "another major version of TUF",
            Scene(roots=(root(2, NEW, FULL, spec_version="2.0.0"),)),
        ),
        "root-other-scheme": (
            "format",
            "a key of the root role that is not Ed25519",
            Scene(roots=(root(2, NEW, FULL, keys=foreign),)),
        ),
        "root-same-key-twice": (
            "format",
            "a role lists one public key under two ids",
            Scene(roots=(root(2, NEW, FULL, keys=listed, roles=roles),)),
        ),
        **{
            f"pinned-root-{name}": ("format", why, Scene(pinned=_pinned(**change)))
            for name, (why, change) in _BAD_PINNED_ROOTS.items()
        },
        "pinned-root-fraction": (
            "format",
            "no fractions, not even in a field that nobody knows",
            Scene(pinned=ROOT_1.replace('"signed": {', '"signed": {"x-later": 1.5, ')),
        ),
        "root-key-id-signs-twice": (
            "format",
            "a key id signs once",
            Scene(
                roots=(signed_also(rotated, key_id("root-1"), "00" * 64),),
            ),
        ),
        "root-sig-with-spaces": (
            "signature",
            "a signature of two that are needed is not 128 hex digits",
            Scene(roots=(_spaced(rotated),)),
        ),
        "root-no-json": ("format", "a brace is missing", Scene(roots=(rotated[:-1],))),
    }
