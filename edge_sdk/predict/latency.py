"""How long predictions take: a histogram with fixed edges, so that any two of them can be added."""

from __future__ import annotations

import threading
from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate

from edge_sdk.errors import InputError

# 1 us to about 10 s in steps of 2^(1/4), about 19 %: fine enough for a p99, and 95 numbers in all.
EDGES_NS = tuple(round(1000 * 2 ** (step / 4)) for step in range(94))


@dataclass(frozen=True, slots=True)
class LatencyHistogram:
    """Counts between fixed edges.

    Attributes:
        counts: calls with EDGES_NS[i - 1] < duration <= EDGES_NS[i]; the last counts everything longer.
        sum_ns: of all durations, exact.
    """

    counts: tuple[int, ...] = (0,) * (len(EDGES_NS) + 1)
    sum_ns: int = 0

    def __post_init__(self) -> None:
        if len(self.counts) != len(EDGES_NS) + 1 or min(self.counts) < 0 or self.sum_ns < 0:
            raise InputError(f"a latency histogram has {len(EDGES_NS) + 1} counts, none of them negative")

    @property
    def count(self) -> int:
        """Number of calls."""
        return sum(self.counts)

    def merge(self, other: LatencyHistogram) -> LatencyHistogram:
        """Both together."""
        counts = tuple(mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True))
        return LatencyHistogram(counts, self.sum_ns + other.sum_ns)

    def quantile_ms(self, share: float) -> float | None:
        """Upper edge of the bucket that holds this share of the calls; None without calls.

        The true quantile is at most 19 % smaller. Beyond the last edge: infinity.
        """
        if not 0 < share <= 1:
            raise InputError(f"a quantile lies in (0, 1], not {share}")
        if not self.count:
            return None
        rank = share * self.count
        bucket = next(at for at, so_far in enumerate(accumulate(self.counts)) if so_far >= rank)
        return EDGES_NS[bucket] / 1e6 if bucket < len(EDGES_NS) else float("inf")

    @property
    def p50_ms(self) -> float | None:
        """Median."""
        return self.quantile_ms(0.5)

    @property
    def p95_ms(self) -> float | None:
        """95 % of the calls take at most this long."""
        return self.quantile_ms(0.95)

    @property
    def p99_ms(self) -> float | None:
        """99 % of the calls take at most this long."""
        return self.quantile_ms(0.99)


class LatencyRecorder:
    """Counts durations; any thread may record. About 0.2 us a call."""

    __slots__ = ("_counts", "_lock", "_sum_ns")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = [0] * (len(EDGES_NS) + 1)
        self._sum_ns = 0

    def record(self, duration_ns: int) -> None:
        """Count one call."""
        bucket = bisect_left(EDGES_NS, duration_ns)
        self._lock.acquire()  # without `with`, which costs as much again; nothing in between can raise
        self._counts[bucket] += 1
        self._sum_ns += duration_ns
        self._lock.release()

    def snapshot(self) -> LatencyHistogram:
        """What was counted so far."""
        with self._lock:
            return LatencyHistogram(tuple(self._counts), max(self._sum_ns, 0))
