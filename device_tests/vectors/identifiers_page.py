"""Vectors for docs/protocol/identifiers.md."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from device_tests.vectors.vector import Vector
from edge_sdk.contract import buckets, identifiers

PAGE = "identifiers"

_ACCEPTED: dict[str, list[tuple[str, Any]]] = {
    "name": [
        ("one-letter", "a"),
        ("digit-first", "7-day"),
        ("longest", "a" + "-" * 61 + "z"),
        ("dash-last", "a-"),
    ],
    "model-version": [
        ("plain", "1.0.0"),
        ("zeros", "0.0.0"),
        ("pre-release", "1.0.0-rc.1"),
        ("build", "1.0.0+build.007"),
        ("dashes", "1.2.3----RC-SNAPSHOT.12.9.1--.12+788"),
        ("large", "99999999999999999999.0.0"),
    ],
    "release": [("first", 1), ("last", 2**53 - 1)],
    "sha256": [("empty-input", hashlib.sha256(b"").hexdigest())],
    "install-id": [
        ("plain", "8c5f2f1e-6f0e-4c86-9a34-0f6f2b1c9d10"),
        ("nil", "00000000-0000-0000-0000-000000000000"),
    ],
    "time": [
        ("plain", "2026-01-31T12:00:00Z"),
        ("leap-day", "2028-02-29T23:59:59Z"),
        ("epoch", "1970-01-01T00:00:00Z"),
    ],
}

_REFUSED: dict[str, list[tuple[str, str, Any]]] = {
    "name": [
        ("empty", "a name has at least one character", ""),
        ("dash-first", "a name does not start with a dash", "-a"),
        ("upper-case", "names are lower case", "Goal"),
        ("underscore", "an underscore is no name character", "goal_success"),
        ("too-long", "64 characters", "a" * 64),
        ("line-end", "a line feed behind a name is part of it", "goal\n"),
        ("accent", "names are ASCII", "caf\u00e9"),
        ("dot", "a dot is no name character", "a.b"),
    ],
    "model-version": [
        ("two-parts", "three numbers are needed", "1.0"),
        ("leading-zero", "a number has no leading zero", "1.02.0"),
        ("pre-zero", "a numeric pre-release part has no leading zero", "1.0.0-01"),
        ("empty-pre", "the pre-release part is not empty", "1.0.0-"),
        ("prefix", "no letter in front", "v1.0.0"),
        ("other-digits", "digits are ASCII", "1.0.\u0663"),
    ],
    "release": [
        ("zero", "releases start at 1", 0),
        ("negative", "releases are positive", -1),
        ("fraction", "releases are integers", 1.5),
        ("text", "in JSON a release is a number", "1"),
        ("true", "a truth value is no number", True),
        ("too-large", "2^53 is not exact in every JSON reader", 2**53),
    ],
    "sha256": [
        ("short", "63 digits", "0" * 63),
        ("upper-case", "hex is lower case", "A" * 64),
    ],
    "install-id": [
        ("upper-case", "the UUID is lower case", "8C5F2F1E-6F0E-4C86-9A34-0F6F2B1C9D10"),
        ("bare", "hyphens are needed", "8c5f2f1e6f0e4c869a340f6f2b1c9d10"),
        ("braces", "no braces", "{8c5f2f1e-6f0e-4c86-9a34-0f6f2b1c9d10}"),
    ],
    "time": [
        ("offset", "UTC is written Z", "2026-01-31T12:00:00+00:00"),
        ("fraction", "whole seconds only", "2026-01-31T12:00:00.5Z"),
        ("no-such-day", "2026 has no 29 February", "2026-02-29T12:00:00Z"),
        ("year-zero", "there is no year 0000", "0000-01-01T00:00:00Z"),
        ("leap-second", "seconds end at 59", "2016-12-31T23:59:60Z"),
        ("hour-24", "hours end at 23", "2026-01-31T24:00:00Z"),
        ("space", "T stands between day and time", "2026-01-31 12:00:00Z"),
        ("lower-case", "T and Z are upper case", "2026-01-31t12:00:00z"),
    ],
}


def installs(count: int) -> list[str]:
    """Install ids made from SHA-256 of a counter, for reproducible fleets."""
    digests = [hashlib.sha256(f"coach-edge test install: {n}".encode()).hexdigest() for n in range(count)]
    return [f"{d[:8]}-{d[8:12]}-{d[12:16]}-{d[16:20]}-{d[20:32]}" for d in digests]


def vectors() -> Iterator[Vector]:
    """All vectors of the page."""
    for kind, accepted in _ACCEPTED.items():
        for name, value in accepted:
            output = {"value": value}
            if kind == "time":
                output = {"unix": int(identifiers.parse_time(value).timestamp())}
            yield Vector(PAGE, kind, name, "a good one", {"value": value}, output)
    for kind, refused in _REFUSED.items():
        for name, why, value in refused:
            yield Vector(PAGE, kind, name, why, {"value": value}, reason="format")
    yield from _buckets()


def _buckets() -> Iterator[Vector]:
    fleet = installs(12)
    for purpose, salt in (
        ("ramp", "goal-success/stable/7"),
        ("holdout", "stable"),
        ("variant", "tone-of-voice"),
    ):
        yield Vector(
            PAGE,
            "bucket",
            purpose,
            "buckets of twelve installs",
            {"purpose": purpose, "salt": salt, "install_ids": fleet},
            {"buckets": [buckets.bucket(purpose, salt, install) for install in fleet]},
        )
    for share in (0, 1_000, 2_000, 5_000, 10_000):
        yield Vector(
            PAGE,
            "ramp",
            f"{share}bp",
            "who is in the ramp; those of a smaller share are in every larger one",
            {
                "model": "goal-success",
                "channel": "stable",
                "release": 7,
                "ramp_bp": share,
                "install_ids": fleet,
            },
            {"in": [buckets.in_ramp("goal-success", "stable", 7, share, install) for install in fleet]},
        )
    yield Vector(
        PAGE,
        "holdout",
        "half",
        "who is held out of the channel",
        {"channel": "stable", "holdout_bp": 5_000, "install_ids": fleet},
        {"in": [buckets.in_holdout("stable", 5_000, install) for install in fleet]},
    )
    for name, weights in (("halves", [5_000, 5_000]), ("some-in-none", [1_000, 0, 4_000])):
        yield Vector(
            PAGE,
            "variant",
            name,
            "index of the arm of each install; null beyond the last arm",
            {"experiment": "tone-of-voice", "weights_bp": weights, "install_ids": fleet},
            {"arms": [buckets.variant("tone-of-voice", weights, install) for install in fleet]},
        )
