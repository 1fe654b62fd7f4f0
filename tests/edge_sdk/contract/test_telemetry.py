"""Sketches add up, and a report says what its window says and no more; the vectors do the rest."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.contract import sketch
from edge_sdk.contract.telemetry import (
    COUNTS,
    HISTOGRAMS,
    MAX_BYTES,
    Privacy,
    Report,
    Subject,
    Tally,
    Window,
    hour_of,
    key_of,
)
from edge_sdk.errors import FormatError
from edge_sdk.predict.latency import EDGES_NS
from edge_sdk.predict.prediction import Reason

SUBJECT = Subject(1, "litert", "2.3.0", "linux", "stable", "focus", "1.0.0", 1)
START = datetime(2026, 3, 1, 11, tzinfo=UTC)
NONCE = "0" * 32


def window(predictions: int = 60, start: datetime = START, **histograms: Counter[int]) -> Window:
    named = {name.replace("_", "."): counts for name, counts in histograms.items()}
    tally = Tally(Counter({"prediction.fresh": predictions}), named)
    return Window(SUBJECT, start, start + timedelta(hours=1), tally)


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.lists(st.none() | NUMBERS)


@given(VALUES, VALUES, NUMBERS, NUMBERS)
def test_sketches_add_up_and_lose_nothing(one: list[float], other: list[float], a: float, b: float) -> None:
    low, high = sorted((a, b))
    together = sketch.sketch_of([*one, *other], low, high)
    assert together == sketch.sketch_of(one, low, high) + sketch.sketch_of(other, low, high)
    assert together.total() == len(one) + len(other)
    assert sketch.from_json(sketch.to_json(together), sketch.VALUE_BINS, "it") == together


def test_bins_are_a_twentieth_wide() -> None:
    assert [sketch.bin_of(n + 0.5, 0.0, 20.0) for n in range(-1, 21)] == [20, *range(20), 21]
    assert (sketch.bin_of(20.0, 0.0, 20.0), sketch.bin_of(None, 0.0, 1.0)) == (19, sketch.MISSING)


def test_latency_bins_are_those_of_the_recorder() -> None:
    assert HISTOGRAMS["latency"] == len(EDGES_NS) + 1
    for duration in (0, *(edge + d for edge in EDGES_NS for d in (-1, 0, 1)), 10**15):
        assert sketch.latency_bin(duration) == bisect_right(EDGES_NS, duration), duration


def test_windows_of_one_subject_merge() -> None:
    later = window(7, START + timedelta(hours=3), feature_effort=Counter({3: 2, 22: 1}))
    merged = window(60, feature_effort=Counter({3: 5}), score_p=Counter({1: 1})).merge(later)
    assert (merged.start, merged.end) == (START, START + timedelta(hours=4))
    assert merged.predictions == 67
    assert merged.tally.histograms == {"feature.effort": {3: 7, 22: 1}, "score.p": {1: 1}}
    with pytest.raises(FormatError, match="31 days"):
        merged.merge(window(1, START + timedelta(days=31)))


def test_a_report_survives_its_bytes() -> None:
    report = Report(window(50, latency_queue=Counter({0: 50})), NONCE, ("errors", "hits"))
    assert Report.from_bytes(report.to_bytes()) == report
    noisy = Report(window(1), NONCE, (), Privacy(500, 40))
    assert Report.from_bytes(noisy.to_bytes()) == noisy
    other = replace(report, nonce="1" * 32)
    assert key_of(report.to_bytes()) == key_of(Report.from_bytes(report.to_bytes()).to_bytes())
    assert key_of(report.to_bytes()) != key_of(other.to_bytes())


def test_it_knows_no_time_within_an_hour() -> None:
    moment = datetime(2026, 3, 1, 11, 59, 59, 999, tzinfo=UTC)
    assert hour_of(moment) == START
    with pytest.raises(FormatError, match="whole hour"):
        replace(window(), start=moment)


def test_too_few_predictions_make_no_report() -> None:
    with pytest.raises(FormatError, match="fewer than 50"):
        Report(window(49), NONCE)


def test_what_nobody_declared_is_refused() -> None:
    value = json.loads(Report(window(), NONCE).to_bytes())
    for where in (
        value,
        value | {"privacy": {"mechanism": "discrete-laplace", "epsilon_milli": 1, "sensitivity": 1}},
    ):
        changed = json.loads(json.dumps(where))
        Report.from_bytes(json.dumps(changed).encode())
        changed.get("privacy", changed)["install_id"] = "8c5f2f1e-6f0e-4c86-9a34-0f6f2b1c9d10"
        with pytest.raises(FormatError, match="'install_id' is no field"):
            Report.from_bytes(json.dumps(changed).encode())


@pytest.mark.parametrize(
    "name", ["latency.total", "latency.", "input.effort", "feature.", "feature." + 101 * "x"]
)
def test_a_histogram_that_nobody_declared_is_refused(name: str) -> None:
    data = Report(window(latency_queue=Counter({0: 60})), NONCE).to_bytes()
    Report.from_bytes(data)
    with pytest.raises(FormatError, match="no histogram is called"):
        Report.from_bytes(data.replace(b"latency.queue", name.encode()))


def test_the_fixed_names_are_those_that_are_counted() -> None:
    assert {name for name in COUNTS if name.startswith("prediction.")} == {f"prediction.{r}" for r in Reason}


def test_a_report_has_a_largest_length() -> None:
    data = Report(window(), NONCE).to_bytes()
    Report.from_bytes(data.ljust(MAX_BYTES))
    with pytest.raises(FormatError, match="at most"):
        Report.from_bytes(data.ljust(MAX_BYTES + 1))
