"""Vectors for docs/protocol/telemetry.md."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from device_tests.vectors.vector import Vector
from edge_sdk.contract import sketch
from edge_sdk.contract.telemetry import Report, key_of
from edge_sdk.predict.latency import EDGES_NS

PAGE = "telemetry"

_REPORT: dict[str, Any] = {
    "format": "coach-edge/telemetry/1",
    "sdk": 1,
    "engine": "litert",
    "engine_version": "2.3.0",
    "platform": "android",
    "channel": "stable",
    "model": "goal-success",
    "model_version": "1.0.0",
    "release": 3,
    "start": "2026-03-01T11:00:00Z",
    "end": "2026-03-01T13:00:00Z",
    "counts": {
        "prediction.fresh": 48,
        "prediction.fallback": 2,
        "error.run_failed": 1,
        "result_cache.hit": 40,
    },
    "histograms": {
        "latency.compute": [[20, 40], [193, 10]],
        "feature.completion rate \u00e9": [[0, 30], [19, 1], [22, 19]],
        "score.probability": [[7, 50]],
    },
    "alerts": ["errors", "latency"],
    "nonce": "00112233445566778899aabbccddeeff",
}
_NOISE = {"mechanism": "discrete-laplace", "epsilon_milli": 1000, "sensitivity": 160}


def vectors() -> Iterator[Vector]:
    """All vectors of the page."""
    yield from _reports()
    yield from _sketches()
    edges = [0, 1, 1023, 1024, 1151, 1152, 2047, 2048, 123_456_789, 2**34 - 1, 2**34, 2**40]
    yield _latencies("ends", "around the ends of the range", edges)
    yield _latencies(
        "edges", "every seventh edge, and a nanosecond less", [e - d for e in EDGES_NS[::7] for d in (0, 1)]
    )


def _reports() -> Iterator[Vector]:
    def text(**changes: Any) -> str:
        return json.dumps({**_REPORT, **changes}, ensure_ascii=False)

    def good(name: str, why: str, report: str) -> Vector:
        data = report.encode()
        output = {"key": key_of(data), "predictions": Report.from_bytes(data).window.predictions}
        return Vector(PAGE, "report", name, why, {"report": report}, output)

    def bad(name: str, why: str, report: str) -> Vector:
        return Vector(PAGE, "report", name, why, {"report": report}, reason="format")

    many = {f"prediction.{'a' * (n % 33 + 1)}{'b' * (n // 33)}": 1 for n in range(65)}
    negative = {"prediction.fresh": -7, "prediction.fallback": 3}
    noisy = {
        "privacy": _NOISE,
        "alerts": [],
        "counts": negative,
        "histograms": {"score.p": [[2, -1], [5, 80]]},
    }
    yield good("plain", "as on the page", text())
    yield good("spaces", "other bytes are another report", text() + "\n")
    yield good("noise", "counts may be negative where noise was added", text(**noisy))
    yield good("longest", "31 days", text(end="2026-04-01T11:00:00Z"))
    yield good("no-histograms", "counts alone", text(histograms={}, alerts=[]))
    for name, why, changes in (
        ("install-id", "what is not on the page is not told", {"install_id": "8c5f2f1e-6f0e-4c86-9a34-0f6f2b1c9d10"}),
        ("few", "49 predictions", {"counts": {"prediction.fresh": 49, "error.input": 9}}),
        ("minute", "a time within the hour", {"start": "2026-03-01T11:01:00Z"}),
        ("backwards", "ends when it begins", {"end": "2026-03-01T11:00:00Z"}),
        ("too-long", "more than 31 days", {"end": "2026-04-01T12:00:00Z"}),
        ("phone", "a model of phone is no platform", {"platform": "pixel-8"}),
        ("version-text", "no version", {"engine_version": "2.3 (mine)"}),
        ("count-zero", "a count of nothing", {"counts": {"prediction.fresh": 50, "error.input": 0}}),
        ("count-negative", "less than nothing, without noise", {"counts": {"prediction.fresh": 60, "error.input": -1}}),
        ("count-unknown", "no such kind of count", {"counts": {"prediction.fresh": 50, "user.anna": 1}}),
        ("count-name", "no name of a count", {"counts": {"prediction.fresh": 50, "error.Anna": 1}}),
        ("count-fraction", "half an error", {"counts": {"prediction.fresh": 50, "error.input": 0.5}}),
        ("histogram-unknown", "no such kind of histogram", {"histograms": {"raw.effort": [[1, 1]]}}),
        ("histogram-unnamed", "nothing behind the dot", {"histograms": {"feature.": [[1, 1]]}}),
        ("histogram-empty", "a histogram of nothing", {"histograms": {"feature.effort": []}}),
        ("bin-beyond", "bin 23", {"histograms": {"feature.effort": [[23, 1]]}}),
        ("bin-latency", "bin 194", {"histograms": {"latency.compute": [[194, 1]]}}),
        ("bin-twice", "the same bin twice", {"histograms": {"feature.effort": [[3, 1], [3, 1]]}}),
        ("bin-value", "a value and not a bin", {"histograms": {"feature.effort": [[0.25, 1]]}}),
        ("bin-triple", "not a pair", {"histograms": {"feature.effort": [[3, 1, 1]]}}),
        ("alert-unknown", "no such alert", {"alerts": ["battery"]}),
        ("alert-order", "not sorted", {"alerts": ["latency", "errors"]}),
        ("nonce-short", "31 digits", {"nonce": "0" * 31}),
        ("release-zero", "no release", {"release": 0}),
        ("format-two", "a format of later", {"format": "coach-edge/telemetry/2"}),
        ("noise-alerts", "an alert would see through the noise", {**noisy, "alerts": ["errors"]}),
        ("noise-mechanism", "another mechanism", {**noisy, "privacy": {**_NOISE, "mechanism": "gaussian"}}),
        ("noise-none", "epsilon of 0", {**noisy, "privacy": {**_NOISE, "epsilon_milli": 0}}),
        ("noise-more", "a field that noise does not have", {**noisy, "privacy": {**_NOISE, "seed": 7}}),
        ("many-counts", "65 counts", {"counts": many}),
        ("many-histograms", "257 histograms", {"histograms": {f"feature.{n}": [[0, 1]] for n in range(257)}}),
    ):  # fmt: skip
        yield bad(name, why, text(**changes))
    for field in ("nonce", "counts", "alerts"):
        left = {key: value for key, value in _REPORT.items() if key != field}
        yield bad(f"without-{field}", "a field is missing", json.dumps(left))


def _sketches() -> Iterator[Vector]:
    def vector(name: str, why: str, low: float, high: float, values: list[float | None]) -> Vector:
        bins = sketch.to_json(sketch.sketch_of(values, low, high))
        return Vector(PAGE, "sketch", name, why, {"low": low, "high": high, "values": values}, {"bins": bins})

    yield vector(
        "unit", "ends, and beyond", 0.0, 1.0, [0, 1, 0.05, 0.049, 0.5, 0.95, 0.9499, -1e-9, 1.0000001, None]
    )
    yield vector("rounding", "decided by rounding to doubles", 0.0, 0.3, [0.015 * n for n in range(21)])
    yield vector(
        "shifted", "a range that does not begin with 0", -40.0, 60.0, [-40, -35, 0, 59.9, 60, 61, -41]
    )
    yield vector("point", "a range of no width", 3.0, 3.0, [3, 2, 4, None])
    yield vector("huge", "a width that is no finite double", -1.7e308, 1.7e308, [-1e308, 0, 1.7e308])


def _latencies(name: str, why: str, durations: list[int]) -> Vector:
    bins = sketch.to_json(Counter(map(sketch.latency_bin, durations)))
    return Vector(PAGE, "latency", name, why, {"durations_ns": durations}, {"bins": bins})
