"""What was done is counted: nothing is lost between threads, and nothing counted twice after a fork."""

from __future__ import annotations

import os
import signal

import pytest

from edge_sdk.predict.counters import BROKEN, BUSY, FALLBACK, HIT, MISS, REFUSED, STALE, PredictionCounters
from tests.edge_sdk.runtime.fakes import Threads


def test_nothing_happened() -> None:
    counts = PredictionCounters().snapshot()
    assert (counts.answers, counts.fallbacks, counts.failures, counts.hit_rate) == (0, 0, 0, None)


def test_durations_and_events_are_told_apart() -> None:
    counters = PredictionCounters()
    for event in ((1500, 3_000_000), FALLBACK, BROKEN, BUSY, REFUSED, STALE, HIT, HIT, HIT, MISS, (0, 1)):
        counters.count(event)
    counts = counters.snapshot()
    assert (counts.queue.sum_ns, counts.compute.sum_ns, counts.queue.count) == (1500, 3_000_001, 2)
    assert (counts.fallbacks, counts.failures, counts.cache_hits, counts.cache_misses) == (1, 2, 3, 1)
    assert (counts.busy, counts.broken, counts.refused, counts.stale) == (1, 1, 1, 1)
    assert (counts.answers, counts.hit_rate) == (5, 0.75)
    assert counters.snapshot() == counts, "looking changes nothing"


def test_what_waits_to_be_sorted_is_bounded() -> None:
    counters = PredictionCounters()
    for _ in range(10_000):
        counters.count((1, 1))
    assert len(counters._gathered) < 256
    assert counters.snapshot().queue.count == 10_000


def test_nothing_is_lost_between_threads() -> None:
    counters = PredictionCounters()
    threads = Threads()

    def work() -> None:
        for _ in range(5000):
            counters.count((1500, 2500))
            counters.count(HIT)

    for _ in range(4):
        threads.start(work)
    threads.join()
    counts = counters.snapshot()
    assert (counts.queue.count, counts.compute.sum_ns, counts.cache_hits) == (20_000, 20_000 * 2500, 20_000)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_forked_in_the_middle_counts_from_nothing() -> None:
    counters = PredictionCounters()
    counters.count((1, 1))
    with counters._lock:  # as a thread would hold it that the child does not have
        child = os.fork()
        if child == 0:
            signal.alarm(10)  # a deadlock ends as a failure
            counters.count((1, 1))
            os._exit(10 + counters.snapshot().queue.count)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 11
    assert counters.snapshot().queue.count == 1
