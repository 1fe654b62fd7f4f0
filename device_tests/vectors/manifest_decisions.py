"""Vectors for docs/protocol/manifest.md: which release an install should have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from device_tests.vectors.identifiers_page import installs
from device_tests.vectors.manifest_scene import CHANNEL, DIRECTIVE, MODEL, PAGE
from device_tests.vectors.vector import Vector
from edge_sdk.contract import buckets, identifiers
from edge_sdk.contract.directives import RUNTIME


def vectors() -> Iterator[Vector]:
    """All vectors of this part."""
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
        "level-enough": (
            "a reader of level 2 where 2 is asked for",
            {"ramp_bp": 10_000, "min_runtime": 2},
            {"level": 2},
        ),
        "arm-recalled": (
            "a recalled arm installs nothing, and nobody falls back to the ramp",
            {"ramp_bp": 10_000, "variants": split, "recalled": [6]},
            {},
        ),
        "arm-below-floor": (
            "an arm below the floor installs nothing",
            {"ramp_bp": 10_000, "variants": split},
            {"floor": 7},
        ),
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
    silent = {**inputs, "directive": None}
    nothing = {"releases": [None] * len(fleet)}
    yield Vector(PAGE, "decision", "no-directive", "directives say nothing of the model", silent, nothing)


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
