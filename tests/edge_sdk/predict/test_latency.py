"""The latency histogram: exact counts, honest quantiles, addition."""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.errors import InputError
from edge_sdk.predict.latency import EDGES_NS, LatencyHistogram, LatencyRecorder

durations = st.lists(st.integers(0, EDGES_NS[-1] - 1), min_size=1, max_size=60)


def recorded(values: list[int]) -> LatencyHistogram:
    recorder = LatencyRecorder()
    recorder.record(values[::2])
    recorder.record(values[1::2])
    return recorder.snapshot()


def test_edges_are_fixed() -> None:
    """Histograms of different releases are added up: changing an edge changes a protocol."""
    assert len(EDGES_NS) == 193
    assert EDGES_NS[:9] == (1024, 1152, 1280, 1408, 1536, 1664, 1792, 1920, 2048)
    assert EDGES_NS[-2:] == (16_106_127_360, 17_179_869_184)
    assert all(low < high for low, high in pairwise(EDGES_NS))


@given(
    st.integers(0, 2 * EDGES_NS[-1]) | st.sampled_from(EDGES_NS) | st.sampled_from([e - 1 for e in EDGES_NS])
)
def test_a_bucket_lies_between_its_edges(duration: int) -> None:
    assert recorded([duration]).counts.index(1) == bisect_right(EDGES_NS, duration)


def test_nothing_recorded() -> None:
    empty = LatencyHistogram()
    assert (empty.count, empty.p50_ms, empty.p95_ms, empty.p99_ms) == (0, None, None, None)


@given(durations)
def test_counts_and_sum_are_exact(values: list[int]) -> None:
    histogram = recorded(values)
    assert histogram.count == len(values)
    assert histogram.sum_ns == sum(values)


@given(durations, st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_a_quantile_is_at_most_an_eighth_too_high(values: list[int], share: float) -> None:
    told = recorded(values).quantile_ms(share)
    assert told is not None
    true = sorted(values)[math.ceil(share * len(values)) - 1] / 1e6
    assert true <= told <= max(true * 1.1251, EDGES_NS[0] / 1e6)


@given(durations, durations)
def test_merging_is_recording_together(some: list[int], others: list[int]) -> None:
    assert recorded(some).merge(recorded(others)) == recorded(some + others)


def test_longer_than_the_last_edge() -> None:
    assert recorded([EDGES_NS[-1] * more // 8 for more in range(8, 40)]).counts[-1] == 32
    assert recorded([EDGES_NS[-1]]).p50_ms == math.inf


@pytest.mark.parametrize("share", [0, -0.1, 1.01, math.nan])
def test_a_quantile_out_of_range(share: float) -> None:
    with pytest.raises(InputError, match="a quantile lies in"):
        recorded([1]).quantile_ms(share)


@pytest.mark.parametrize(
    ("counts", "total"),
    [((1,), 0), ((-1,) + (0,) * len(EDGES_NS), 0), ((0,) * (len(EDGES_NS) + 1), -1)],
)
def test_histograms_are_valid(counts: tuple[int, ...], total: int) -> None:
    with pytest.raises(InputError):
        LatencyHistogram(counts, total)
