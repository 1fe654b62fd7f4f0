"""Vectors for docs/protocol/manifest.md."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from device_tests.vectors import keys, sample
from device_tests.vectors.identifiers_page import installs
from device_tests.vectors.keys import text
from device_tests.vectors.vector import Vector
from edge_sdk.contract import buckets, identifiers
from edge_sdk.contract import directives as directives_module
from edge_sdk.contract import manifest as manifest_module
from edge_sdk.contract.directives import RUNTIME
from edge_sdk.crypto import dsse, sealing
from feature_spec.canonical import canonical_json

PAGE = "manifest"
NOW = "2026-06-15T12:00:00Z"
MODEL, CHANNEL = "goal-success", "stable"
Edit = Callable[[dict[str, Any]], object]


def vectors() -> Iterator[Vector]:
    """All vectors of the page."""
    yield from _canonical()
    yield from _envelopes()
    yield from _updates()
    yield from _decisions()


# --- TUF's canonical JSON


def canonical(value: Any) -> bytes:
    """TUF's canonical JSON of a value, by the library that TUF clients use."""
    from securesystemslib.formats import encode_canonical

    result = encode_canonical(value)
    assert result is not None
    return result.encode()


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


# --- envelopes

KIND = "application/vnd.coach-edge.test+json"
BODY = b'{"hello":"world"}'


def _sign(names: Sequence[str], payload: bytes = BODY, kind: str = KIND) -> dict[str, Any]:
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
        first(sig=text(__import__("base64").b64decode(short)[:63])),
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


# --- roots, manifest, directives together


def root(version: int, root_keys: Sequence[str], signers: Sequence[str], **change: Any) -> str:
    """A root.json as text; ``change`` replaces fields of its signed part."""
    roles = {
        "root": (root_keys, 2),
        "targets": (["targets-1", "targets-2"], 2),
        "snapshot": (["snapshot"], 1),
        "timestamp": (["timestamp"], 1),
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
    marks: Mapping[str, Any] = field(
        default_factory=lambda: {"manifest": 4, "directives": 11, "time": "2026-06-15T11:00:00Z"}
    )

    def input(self) -> dict[str, Any]:
        """The input of the vector."""
        offer = manifest_payload()
        self.manifest_edit(offer)
        kind = manifest_module.PAYLOAD_TYPE
        manifest = json.dumps(
            _sign(self.manifest_signers, self.manifest_text(_compact(offer)).encode(), kind)
        )
        orders = directives_payload(manifest, offer.get("version", 0))
        self.directives_edit(orders)
        kind = directives_module.PAYLOAD_TYPE
        directives = json.dumps(
            _sign(self.directives_signers, self.directives_text(_compact(orders)).encode(), kind)
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
        sealed = sealing.seal(sample.plain(), channel=CHANNEL, release=release, requires="tflite")
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


def _updates() -> Iterator[Vector]:
    new = ("root-3", "root-4", "root-5")
    rotated = root(2, new, ["root-1", "root-2", "root-4", "root-5"])
    third = root(3, new, ["root-4", "root-5"])
    expired_between = root(2, new, ["root-1", "root-2", "root-4", "root-5"], expires="2026-02-01T00:00:00Z")
    latest = "2026-06-15T11:30:00Z"
    accepted: dict[str, tuple[str, Scene, int]] = {
        "plain": ("a newer manifest and newer directives", Scene(), 1),
        "first-time": (
            "a device that has seen nothing yet",
            Scene(marks={"manifest": 0, "directives": 0, "time": "1970-01-01T00:00:00Z"}),
            1,
        ),
        "same-again": (
            "the versions that the device has",
            Scene(marks={"manifest": 5, "directives": 12, "time": latest}),
            1,
        ),
        "new-root": ("root keys were exchanged by 2 old and 2 new ones", Scene(roots=(rotated,)), 2),
        "two-new-roots": ("roots are followed one by one", Scene(roots=(rotated, third)), 3),
        "expired-root-between": (
            "only the last root must not have expired",
            Scene(roots=(expired_between, third)),
            3,
        ),
        "pinned-later-root": ("a device that pinned version 2", Scene(pinned=rotated), 2),
        "clock-300-seconds-behind": (
            "signed times may lie 300 seconds ahead",
            Scene(now="2026-06-15T11:25:00Z"),
            1,
        ),
        "unknown-fields": (
            "fields of later versions are ignored",
            Scene(manifest_edit=lambda m: m.update(later=[1]), directives_edit=lambda d: d.update(later=[1])),
            1,
        ),
        "unknown-field-in-entry": (
            "so they are in an entry",
            Scene(manifest_edit=lambda m: m["artifacts"][0]["entry"].update(later=1)),
            1,
        ),
        "no-channels": (
            "directives that say nothing",
            Scene(directives_edit=lambda d: d.update(channels={})),
            1,
        ),
        "no-artifacts": (
            "a manifest without artifacts",
            Scene(manifest_edit=lambda m: m.update(artifacts=[])),
            1,
        ),
    }
    for name, (why, scene, root_version) in accepted.items():
        inputs = scene.input()
        offer = json.loads(_payload(inputs["manifest"]))
        orders = json.loads(_payload(inputs["directives"]))
        output = {
            "root_version": root_version,
            "manifest_version": offer["version"],
            "directives_version": orders["version"],
            "paths": [artifact["path"] for artifact in offer["artifacts"]],
            "floors": offer["floors"],
            "marks": {"manifest": 5, "directives": 12, "time": latest},
        }
        yield Vector(PAGE, "update", name, why, inputs, output)
    for name, (reason, why, scene) in {**_bad_roots(), **_bad_manifests(), **_bad_directives()}.items():
        yield Vector(PAGE, "update", name, why, scene.input(), reason=reason)


def _payload(envelope: str) -> bytes:
    import base64

    return base64.b64decode(json.loads(envelope)["payload"])


Refusals = dict[str, tuple[str, str, Scene]]


def _bad_roots() -> Refusals:
    new = ("root-3", "root-4", "root-5")
    full = ["root-1", "root-2", "root-4", "root-5"]
    rotated = root(2, new, full)
    tampered = rotated.replace('"threshold": 2', '"threshold": 1', 1)
    return {
        "root-without-old-keys": (
            "signature",
            "only one old key signed the new root",
            Scene(roots=(root(2, new, full[1:]),)),
        ),
        "root-without-new-keys": (
            "signature",
            "only one new key signed the new root",
            Scene(roots=(root(2, new, full[:3]),)),
        ),
        "root-tampered": ("signature", "a threshold was lowered after signing", Scene(roots=(tampered,))),
        "root-skipped": (
            "mismatch",
            "version 3 stands where version 2 belongs",
            Scene(roots=(root(3, new, full),)),
        ),
        "root-repeated": ("mismatch", "version 1 stands where version 2 belongs", Scene(roots=(ROOT_1,))),
        "root-expired": (
            "expired",
            "the last root has expired",
            Scene(roots=(root(2, new, full, expires=NOW),)),
        ),
        "pinned-root-expired": (
            "expired",
            "the pinned root has expired",
            Scene(pinned=root(1, ROOTS, ROOTS[:2], expires="2026-06-15T11:59:59Z")),
        ),
        "root-is-no-root": (
            "format",
            "another role's metadata",
            Scene(roots=(root(2, new, full, _type="timestamp"),)),
        ),
        "root-other-spec": (
            "format",
            "another major version of TUF",
            Scene(roots=(root(2, new, full, spec_version="2.0.0"),)),
        ),
        "root-no-json": ("format", "a brace is missing", Scene(roots=(rotated[:-1],))),
    }


def _bad_manifests() -> Refusals:
    def edit(reason: str, why: str, change: Edit) -> tuple[str, str, Scene]:
        return reason, why, Scene(manifest_edit=change)

    def unsorted(m: dict[str, Any]) -> None:
        m["artifacts"].reverse()

    return {
        "manifest-one-signature": (
            "signature",
            "the targets role of root asks for two",
            Scene(manifest_signers=("targets-1",)),
        ),
        "manifest-by-director": (
            "signature",
            "an online key must not sign manifests",
            Scene(manifest_signers=("director", "snapshot")),
        ),
        "manifest-older": (
            "rollback",
            "version 6 was seen before",
            Scene(marks={"manifest": 6, "directives": 11, "time": "2026-06-15T11:00:00Z"}),
        ),
        "manifest-expired": edit("expired", "it expires right now", lambda m: m.update(expires=NOW)),
        "manifest-from-the-future": edit(
            "clock", "issued 301 seconds ahead", lambda m: m.update(issued="2026-06-15T12:05:01Z")
        ),
        "clock-set-back": (
            "clock",
            "a later time was signed before",
            Scene(marks={"manifest": 4, "directives": 11, "time": "2026-06-15T12:05:01Z"}),
        ),
        "manifest-other-format": edit(
            "format",
            "a version that this page does not fix",
            lambda m: m.update(format="coach-edge/manifest/2"),
        ),
        "manifest-no-director": edit("format", "the director is missing", lambda m: m.pop("director")),
        "manifest-version-zero": edit("format", "versions start at 1", lambda m: m.update(version=0)),
        "manifest-bad-time": edit(
            "format", "times are UTC with Z", lambda m: m.update(issued="2026-06-01T00:00:00+00:00")
        ),
        "manifest-expires-first": edit(
            "format",
            "it expires before it is issued",
            lambda m: m.update(issued="2026-06-01T00:00:00Z", expires="2026-06-01T00:00:00Z"),
        ),
        "manifest-bad-director-key": edit(
            "format", "the key is 64 hex digits", lambda m: m["director"].update(public_key="00")
        ),
        "manifest-bad-floor": edit(
            "format", "a floor is a release", lambda m: m["floors"].update({f"{MODEL}/{CHANNEL}": 0})
        ),
        "manifest-bad-floor-key": edit(
            "format", "a floor stands under model/channel", lambda m: m["floors"].update({MODEL: 1})
        ),
        "manifest-moved-artifact": edit(
            "format",
            "the path is not the one of its entry",
            lambda m: m["artifacts"][0].update(path=f"{MODEL}/{CHANNEL}/5/tflite-float32.bundle"),
        ),
        "manifest-artifact-twice": edit(
            "format", "a path stands once", lambda m: m["artifacts"].append(m["artifacts"][-1])
        ),
        "manifest-unsorted": edit("format", "artifacts are sorted by path", unsorted),
        "manifest-bad-length": edit(
            "format", "a length is positive", lambda m: m["artifacts"][0].update(length=0)
        ),
        "manifest-bad-entry": edit(
            "format", "the entry is not well-formed", lambda m: m["artifacts"][0]["entry"].pop("tier")
        ),
        "manifest-field-twice": (
            "format",
            "a field name is repeated",
            Scene(manifest_text=lambda t: '{"version":5,' + t[1:]),
        ),
    }


def _bad_directives() -> Refusals:
    def edit(reason: str, why: str, change: Edit) -> tuple[str, str, Scene]:
        return reason, why, Scene(directives_edit=change)

    def directive(why: str, **change: Any) -> tuple[str, str, Scene]:
        return edit("format", why, lambda d: d["channels"][CHANNEL][MODEL].update(change))

    arm = {"name": "warm", "weight_bp": 5_000, "release": 7}
    return {
        "directives-by-other-key": (
            "signature",
            "the manifest names another director",
            Scene(directives_signers=("director-2",)),
        ),
        "directives-by-targets-key": (
            "signature",
            "only the director signs directives",
            Scene(directives_signers=("targets-1",)),
        ),
        "directives-older": (
            "rollback",
            "version 13 was seen before",
            Scene(marks={"manifest": 4, "directives": 13, "time": "2026-06-15T11:00:00Z"}),
        ),
        "directives-expired": edit("expired", "they expire right now", lambda d: d.update(expires=NOW)),
        "directives-from-the-future": edit(
            "clock", "issued 301 seconds ahead", lambda d: d.update(issued="2026-06-15T12:05:01Z")
        ),
        "directives-of-other-version": edit(
            "mismatch", "they name another manifest version", lambda d: d["manifest"].update(version=4)
        ),
        "directives-of-other-bytes": edit(
            "mismatch", "they name another manifest digest", lambda d: d["manifest"].update(sha256="0" * 64)
        ),
        "directives-other-format": edit(
            "format",
            "a version that this page does not fix",
            lambda d: d.update(format="coach-edge/directives/2"),
        ),
        "directives-bad-channel": edit(
            "format", "a channel is a name", lambda d: d["channels"].update({"Stable": {}})
        ),
        "directives-bad-model": edit(
            "format", "a model is a name", lambda d: d["channels"][CHANNEL].update({"Goal": DIRECTIVE})
        ),
        "directive-field-missing": edit(
            "format", "every field is there", lambda d: d["channels"][CHANNEL][MODEL].pop("paused")
        ),
        "directive-share-too-large": directive("at most 10000 basis points", ramp_bp=10_001),
        "directive-share-fraction": directive("shares are integers", holdout_bp=0.5),
        "directive-base-not-below": directive("the base is below the release", base_release=7),
        "directive-release-zero": directive("releases start at 1", release=0),
        "directive-recalled-unsorted": directive("recalled is sorted", recalled=[3, 2]),
        "directive-recalled-twice": directive("recalled repeats nothing", recalled=[2, 2]),
        "directive-paused-number": directive("paused is true or false", paused=0),
        "directive-no-arms": directive(
            "an experiment has an arm", variants={"experiment": "tone", "arms": []}
        ),
        "directive-arms-too-heavy": directive(
            "at most 10000 basis points in all",
            variants={"experiment": "tone", "arms": [arm, {**arm, "name": "cool", "weight_bp": 5_001}]},
        ),
        "directive-bad-experiment": directive(
            "an experiment is a name", variants={"experiment": "", "arms": [arm]}
        ),
    }


# --- decisions


def _decisions() -> Iterator[Vector]:
    fleet = installs(12)
    split = {
        "experiment": "tone",
        "arms": [
            {"name": "warm", "weight_bp": 2_500, "release": 6},
            {"name": "cool", "weight_bp": 2_500, "release": 7},
        ],
    }
    cases: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
        "half-ramp": ("half get the new release, the rest the base", {}, {}),
        "full-ramp": ("everybody", {"ramp_bp": 10_000}, {}),
        "no-ramp": ("nobody; the base for all", {"ramp_bp": 0}, {}),
        "no-base": ("outside the ramp nothing new", {"base_release": 0}, {}),
        "paused": ("nothing is installed", {"ramp_bp": 10_000, "paused": True}, {}),
        "recalled": ("the recalled release is not installed", {"recalled": [7]}, {}),
        "base-recalled": ("nor is a recalled base", {"recalled": [6]}, {}),
        "holdout": ("who is held out gets nothing", {"ramp_bp": 10_000, "holdout_bp": 5_000}, {}),
        "variants": ("arms first, the ramp for the rest", {"variants": split}, {}),
        "newer-reader-needed": ("level 2 is asked for", {"ramp_bp": 10_000, "min_runtime": RUNTIME + 1}, {}),
        "below-floor": ("the base is below the signed floor", {}, {"floor": 7}),
        "never-backwards": ("7 was active once, so 6 is not installed", {}, {"installed": 7}),
        "installed-already": ("the release that is active", {"ramp_bp": 10_000}, {"installed": 7}),
        "not-signed": ("release 7 is not in the manifest", {"ramp_bp": 10_000}, {"signed_releases": [6]}),
    }
    for name, (why, change, around) in cases.items():
        inputs = {
            "model": MODEL,
            "channel": CHANNEL,
            "level": RUNTIME,
            "directive": {**DIRECTIVE, **change},
            "signed_releases": [6, 7],
            "floor": 6,
            "installed": 0,
            "install_ids": fleet,
            **around,
        }
        releases = [_expected(inputs, install) for install in fleet]
        yield Vector(PAGE, "decision", name, why, inputs, {"releases": releases})


def _expected(inputs: Mapping[str, Any], install: str) -> int | None:
    """The page's steps, spelled out once more beside the code that ships; a test compares the two."""
    d = inputs["directive"]
    if d["min_runtime"] > inputs["level"] or d["paused"]:
        return None
    if buckets.bucket("holdout", CHANNEL, install) < d["holdout_bp"]:
        return None
    release = d["base_release"]
    if buckets.bucket("ramp", f"{MODEL}/{CHANNEL}/{d['release']}", install) < d["ramp_bp"]:
        release = d["release"]
    if d["variants"]:
        arms = d["variants"]["arms"]
        position = buckets.bucket("variant", d["variants"]["experiment"], install)
        for index in range(len(arms) - 1, -1, -1):
            if position < sum(arm["weight_bp"] for arm in arms[: index + 1]):
                release = arms[index]["release"]
    low = max(1, inputs["floor"], inputs["installed"])
    good = release >= low and release not in d["recalled"] and release in inputs["signed_releases"]
    return identifiers.release(release) if good else None
