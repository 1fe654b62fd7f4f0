"""A root, a manifest and directives to sign and to spoil: what the vectors of manifest.md are made of."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from device_tests.vectors import keys, sample
from edge_sdk.contract import directives as directives_module
from edge_sdk.contract import manifest as manifest_module
from edge_sdk.crypto import dsse
from feature_spec.canonical import canonical_json

PAGE = "manifest"
NOW = "2026-06-15T12:00:00Z"
MODEL, CHANNEL = "goal-success", "stable"
Edit = Callable[[dict[str, Any]], object]


def canonical(value: Any) -> bytes:
    """TUF's canonical JSON of a value, by the library that TUF clients use."""
    from securesystemslib.formats import encode_canonical

    result = encode_canonical(value)
    assert result is not None
    return result.encode()


def sign(names: Sequence[str], payload: bytes, kind: str) -> dict[str, Any]:
    """An envelope by these test keys, as a value to spoil."""
    envelope: dict[str, Any] = json.loads(
        dsse.sign(kind, payload, {key_id(name): keys.signer(name) for name in names})
    )
    return envelope


def key_id(name: str) -> str:
    """The id under which TUF lists a test key."""
    return hashlib.sha256(canonical_json(key_object(name))).hexdigest()


def key_object(name: str) -> dict[str, Any]:
    """A key as root.json lists it."""
    return {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": keys.public(name)}}


def root(version: int, root_keys: Sequence[str], signers: Sequence[str], **change: Any) -> str:
    """A root.json as text; ``change`` replaces fields of its signed part."""
    roles = {
        "root": (root_keys, 2),
        "targets": (["targets-1", "targets-2"], 2),
        "snapshot": (["snapshot"], 1),
        "timestamp": (["snapshot"], 1),
    }
    names = sorted({name for members, _ in roles.values() for name in members})
    signed: dict[str, Any] = {
        "_type": "root",
        "spec_version": "1.0.31",
        "version": version,
        "expires": "2027-01-01T00:00:00Z",
        "consistent_snapshot": True,
        "keys": {key_id(name): key_object(name) for name in names},
        "roles": {
            role: {"keyids": [key_id(name) for name in members], "threshold": threshold}
            for role, (members, threshold) in roles.items()
        },
        "x-issued": "2026-01-01T00:00:00Z",
        **change,
    }
    message = canonical(signed)
    signatures = [{"keyid": key_id(name), "sig": keys.signer(name).sign(message).hex()} for name in signers]
    return json.dumps({"signatures": signatures, "signed": signed})


ROOTS = ("root-1", "root-2", "root-3")
ROOT_1 = root(1, ROOTS, ROOTS[:2])


def marks(**change: Any) -> dict[str, Any]:
    """What the device of the vectors remembers."""
    return {
        "manifest": 4,
        "targets_keys": sorted(map(key_id, ("targets-1", "targets-2"))),
        "directives": 11,
        "director": keys.public("director"),
        "time": "2026-06-15T11:00:00Z",
        **change,
    }


@dataclass(frozen=True)
class Scene:
    """One refresh; fields are replaced to make it fail."""

    pinned: str = ROOT_1
    roots: tuple[str, ...] = ()
    manifest_edit: Edit = lambda m: None
    directives_edit: Edit = lambda d: None
    manifest_signers: tuple[str, ...] = ("targets-1", "targets-2")
    directives_signers: tuple[str, ...] = ("director",)
    manifest_text: Callable[[str], str] = lambda t: t
    directives_text: Callable[[str], str] = lambda t: t
    now: str = NOW
    marks: Mapping[str, Any] = field(default_factory=lambda: marks())
    bare: bool = False
    """Without artifacts, where nothing depends on them: vectors stay short."""

    def input(self) -> dict[str, Any]:
        """The input of the vector."""
        offer = manifest_payload()
        if self.bare:
            offer["artifacts"] = []
        self.manifest_edit(offer)
        kind = manifest_module.PAYLOAD_TYPE
        manifest = json.dumps(sign(self.manifest_signers, self.manifest_text(_compact(offer)).encode(), kind))
        orders = directives_payload(manifest, offer.get("version", 0))
        self.directives_edit(orders)
        kind = directives_module.PAYLOAD_TYPE
        directives = json.dumps(
            sign(self.directives_signers, self.directives_text(_compact(orders)).encode(), kind)
        )
        return {
            "pinned_root": self.pinned,
            "roots": list(self.roots),
            "manifest": manifest,
            "directives": directives,
            "now": self.now,
            "marks": dict(self.marks),
        }


def _compact(value: Any) -> str:
    return canonical_json(value).decode()


def manifest_payload() -> dict[str, Any]:
    """The manifest of the vectors: releases 6 and 7 of one model."""
    artifacts = []
    for release in (6, 7):
        sealed = sample.sealed(release=release)
        row = {"length": len(sealed.served), "sha256": sealed.sha256, "entry": sealed.entry.to_json()}
        artifacts.append({"path": sealed.entry.path, **row})
    return {
        "format": manifest_module.FORMAT,
        "version": 5,
        "issued": "2026-06-01T00:00:00Z",
        "expires": "2026-08-30T00:00:00Z",
        "director": {"key_id": key_id("director"), "public_key": keys.public("director")},
        "floors": {f"{MODEL}/{CHANNEL}": 6},
        "artifacts": artifacts,
    }


DIRECTIVE: dict[str, Any] = {
    "release": 7,
    "ramp_bp": 5_000,
    "base_release": 6,
    "paused": False,
    "recalled": [],
    "holdout_bp": 0,
    "variants": None,
    "min_runtime": 1,
}


def directives_payload(manifest: str, version: int) -> dict[str, Any]:
    """The directives that go with a manifest envelope."""
    return {
        "format": directives_module.FORMAT,
        "version": 12,
        "issued": "2026-06-15T11:30:00Z",
        "expires": "2026-06-16T11:30:00Z",
        "manifest": {"version": version, "sha256": hashlib.sha256(manifest.encode()).hexdigest()},
        "channels": {CHANNEL: {MODEL: copy.deepcopy(DIRECTIVE)}},
    }
