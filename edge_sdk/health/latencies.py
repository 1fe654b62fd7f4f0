"""Latencies as sketches: what :mod:`edge_sdk.predict.latency` counts, sparse, so that it can be added and told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from edge_sdk.contract.sketch import LATENCY_BINS, Sketch
from edge_sdk.predict.latency import EDGES_NS, LatencyHistogram

LONGEST_MS = EDGES_NS[-1] / 1e6
"""Longer latencies are not told apart."""


def sketch_of(histogram: LatencyHistogram) -> Sketch:
    """The same counts, without those that are 0."""
    return Counter({at: count for at, count in enumerate(histogram.counts) if count})


def quantile_ms(counts: Mapping[int, int], share: float) -> float | None:
    """See :meth:`LatencyHistogram.quantile_ms`."""
    return LatencyHistogram(tuple(counts.get(at, 0) for at in range(LATENCY_BINS))).quantile_ms(share)
