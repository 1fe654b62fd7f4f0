"""Vectors for docs/protocol/manifest.md: a whole refresh, from the pinned root to the directives."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from device_tests.vectors import keys, manifest_roots
from device_tests.vectors.manifest_roots import FULL, NEW, Refusals
from device_tests.vectors.manifest_scene import (
    CHANNEL,
    DIRECTIVE,
    MODEL,
    NOW,
    PAGE,
    Edit,
    Scene,
    key_id,
    marks,
    root,
)
from device_tests.vectors.vector import Vector


def _first(**change: Any) -> Edit:
    return lambda m: m["artifacts"][0].update(change)


def _first_entry(**change: Any) -> Edit:
    return lambda m: m["artifacts"][0]["entry"].update(change)


_LEFT_OUT: dict[str, tuple[str, Edit]] = {
    "artifact-of-later-codec": ("an artifact that only a later reader can open", _first_entry(codec="zstd")),
    "artifact-of-later-tier": ("an artifact that only a later reader can open", _first_entry(tier="enclave")),
    "artifact-with-bad-entry": ("an entry that is not well-formed", _first_entry(loss=1.5)),
    "artifact-with-bad-length": ("a length that is not positive", _first(length=0)),
    "artifact-with-bad-digest": ("a digest that is none", _first(sha256="0" * 63)),
    "artifact-moved": ("an entry that stands under the path of another", _first_entry(release=5)),
}
"""What makes a device leave out the first artifact, and nothing else."""


_ABOUT_ARTIFACTS = ("manifest-artifact-twice", "manifest-unsorted", "manifest-path-number")


def vectors() -> Iterator[Vector]:
    """All vectors of this part."""
    rotated = root(2, NEW, FULL)
    third = root(3, NEW, ["root-4", "root-5"])
    expired_between = root(2, NEW, FULL, expires="2026-02-01T00:00:00Z")
    latest = "2026-06-15T11:30:00Z"
    accepted: dict[str, tuple[str, Scene, int]] = {
        "plain": ("a newer manifest and newer directives", Scene(), 1),
        "first-time": (
            "a device that has seen nothing yet",
            Scene(
                marks=marks(
                    manifest=0, targets_keys=[], directives=0, director="", time="1970-01-01T00:00:00Z"
                )
            ),
            1,
        ),
        "same-again": (
            "the versions that the device has",
            Scene(marks=marks(manifest=5, directives=12, time=latest)),
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
        "other-director-begins-anew": (
            "the mark of directives was set under another director",
            Scene(marks=marks(directives=99, director=keys.public("director-2"))),
            1,
        ),
        "other-targets-keys-begin-anew": (
            "the mark of manifests was set under other keys",
            Scene(marks=marks(manifest=99, targets_keys=[key_id("targets-1")])),
            1,
        ),
        "root-spellings": (
            "hex in a root may be of either case, and a key id that is not listed signs for nobody",
            Scene(roots=(manifest_roots.respelled(rotated),)),
            2,
        ),
        "root-bad-signature-beside": (
            "what is not 128 hex digits counts for nothing",
            Scene(roots=(manifest_roots.signed_also(rotated, key_id("root-3"), "not hex"),)),
            2,
        ),
        **{name: (why, Scene(manifest_edit=edit), 1) for name, (why, edit) in _LEFT_OUT.items()},
    }
    for name, (why, scene, root_version) in accepted.items():
        inputs = scene.input()
        offer = json.loads(_payload(inputs["manifest"]))
        orders = json.loads(_payload(inputs["directives"]))
        output = {
            "root_version": root_version,
            "manifest_version": offer["version"],
            "directives_version": orders["version"],
            "paths": [artifact["path"] for artifact in offer["artifacts"]][name in _LEFT_OUT :],
            "floors": offer["floors"],
            "marks": marks(manifest=5, directives=12, time=latest),
        }
        yield Vector(PAGE, "update", name, why, inputs, output)
    for name, (reason, why, scene) in {
        **manifest_roots.refusals(),
        **_bad_manifests(),
        **_bad_directives(),
    }.items():
        scene = replace(scene, bare=name not in _ABOUT_ARTIFACTS)
        yield Vector(PAGE, "update", name, why, scene.input(), reason=reason)


def _payload(envelope: str) -> bytes:
    return base64.b64decode(json.loads(envelope)["payload"])


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
            Scene(marks=marks(manifest=6, directives=11, time="2026-06-15T11:00:00Z")),
        ),
        "manifest-expired": edit("expired", "it expires right now", lambda m: m.update(expires=NOW)),
        "manifest-from-the-future": edit(
            "clock", "issued 301 seconds ahead", lambda m: m.update(issued="2026-06-15T12:05:01Z")
        ),
        "clock-set-back": (
            "clock",
            "a later time was signed before",
            Scene(marks=marks(manifest=4, directives=11, time="2026-06-15T12:05:01Z")),
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
        "manifest-director-without-id": edit(
            "format", "a key id is not empty", lambda m: m["director"].update(key_id="")
        ),
        "manifest-path-number": edit("format", "a path is text, or order has no sense", _first(path=7)),
        "manifest-bad-floor": edit(
            "format", "a floor is a release", lambda m: m["floors"].update({f"{MODEL}/{CHANNEL}": 0})
        ),
        "manifest-bad-floor-key": edit(
            "format", "a floor stands under model/channel", lambda m: m["floors"].update({MODEL: 1})
        ),
        "manifest-artifact-twice": edit(
            "format", "a path stands once", lambda m: m["artifacts"].append(m["artifacts"][-1])
        ),
        "manifest-unsorted": edit("format", "artifacts are sorted by path", unsorted),
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
            Scene(marks=marks(manifest=4, directives=13, time="2026-06-15T11:00:00Z")),
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
        "directives-version-zero": edit("format", "versions start at 1", lambda d: d.update(version=0)),
        "directives-bad-issued": edit("format", "times are texts", lambda d: d.update(issued=1781523000)),
        "directives-bad-expires": edit(
            "format", "times are UTC with Z", lambda d: d.update(expires="2026-06-16T11:30:00+00:00")
        ),
        "directives-manifest-version-text": edit(
            "format", "a version is a number", lambda d: d["manifest"].update(version="5")
        ),
        "directives-manifest-digest-upper-case": edit(
            "format", "hex is lower case", lambda d: d["manifest"].update(sha256="A" * 64)
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
        "directive-base-negative": directive("a base is 0 or a release", base_release=-1),
        "directive-runtime-zero": directive("levels start at 1", min_runtime=0),
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
        "directive-bad-arm-name": directive(
            "an arm is a name", variants={"experiment": "tone", "arms": [{**arm, "name": "Warm"}]}
        ),
        "directive-bad-arm-weight": directive(
            "a weight is a share", variants={"experiment": "tone", "arms": [{**arm, "weight_bp": -1}]}
        ),
        "directive-bad-arm-release": directive(
            "an arm has a release", variants={"experiment": "tone", "arms": [{**arm, "release": 0}]}
        ),
        "directive-bad-experiment": directive(
            "an experiment is a name", variants={"experiment": "", "arms": [arm]}
        ),
    }
