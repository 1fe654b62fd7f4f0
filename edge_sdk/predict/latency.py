"""How long predictions take: a histogram with fixed edges, so that any two of them can be added.

Every power of two of nanoseconds is cut into eight equal parts (as HdrHistogram does): integers only, the same on
every platform.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from edge_sdk.errors import InputError

_FIRST = 10  # durations below 2^10 ns, about 1 us, are not told apart
_LAST = 34  # nor those from 2^34 ns, about 17 s
_PARTS = 3  # bits: eight parts
EDGES_NS = (
    *(
        ((1 << _PARTS) + part) << power - _PARTS
        for power in range(_FIRST, _LAST)
        for part in range(1 << _PARTS)
    ),
    1 << _LAST,
)
"""Bucket ``i`` counts EDGES_NS[i - 1] <= duration < EDGES_NS[i]; the first has no lower, the last no upper end."""

_EDGES = np.array(EDGES_NS)


@dataclass(frozen=True, slots=True)
class LatencyHistogram:
    """Counts between fixed edges.

    Attributes:
        counts: calls in each bucket.
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

        The true quantile is at most an eighth smaller. Beyond the last edge: infinity.
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
    """Counts durations; for one thread at a time."""

    def __init__(self) -> None:
        self._counts = np.zeros(len(EDGES_NS) + 1, np.int64)
        self._sum_ns = 0

    def record(self, durations_ns: Sequence[int]) -> None:
        """Count some more."""
        buckets = np.searchsorted(_EDGES, np.array(durations_ns, np.int64), side="right")
        self._counts += np.bincount(buckets, minlength=len(EDGES_NS) + 1)
        self._sum_ns += sum(durations_ns)

    def snapshot(self) -> LatencyHistogram:
        """What was counted so far."""
        return LatencyHistogram(tuple(self._counts.tolist()), max(self._sum_ns, 0))
