"""How often a store had an answer, and how long it took to compute one. Numbers of users are in none of it."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass
from typing import Any

from edge_sdk.features.receipts import Dropped
from edge_sdk.predict.latency import LatencyHistogram, LatencyRecorder
from edge_sdk.runtime.pool import remake_after_fork


@dataclass(frozen=True, slots=True)
class FeatureStats:
    """What a store did since it was opened, and what lies there.

    Attributes:
        hits, misses: vectors that were there, and such as had to be computed.
        failures: of the misses, how many could not be.
        compute: how long computing took, reading what it is computed from included.
        clock_jumps: how often the wall clock was seen to be set back.
        users, bytes: on the disk.
        dropped: what was given up since the store was made.
    """

    hits: int
    misses: int
    failures: int
    compute: LatencyHistogram
    clock_jumps: int
    users: int
    bytes: int
    dropped: Dropped

    @property
    def hit_rate(self) -> float | None:
        """Share of the vectors that were there; None before any was asked for."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else None

    def to_json(self) -> dict[str, Any]:
        """For the status of a client; nothing in it is anybody's."""
        return {
            "users": self.users,
            "bytes": self.bytes,
            "dropped": asdict(self.dropped),
            "hits": self.hits,
            "misses": self.misses,
            "failures": self.failures,
            "hit_rate": self.hit_rate,
            "compute_ms": {
                "p50": self.compute.p50_ms,
                "p95": self.compute.p95_ms,
                "p99": self.compute.p99_ms,
            },
            "clock_jumps": self.clock_jumps,
        }


class Measures:
    """Counts of one store; any thread may count. A forked child begins at nothing."""

    def __init__(self) -> None:
        self._after_fork()
        remake_after_fork(self)

    def _after_fork(self) -> None:
        self._lock = threading.Lock()
        self.hits = self.misses = self.failures = 0
        self._compute = LatencyRecorder()

    def hit(self) -> None:
        """One more that was there. Two threads at once may count as one: no lock, 0.1 us."""
        self.hits += 1

    def miss(self, compute_ns: int, *, failed: bool) -> None:
        """One more that was not."""
        with self._lock:
            self.misses += 1
            self.failures += failed
            self._compute.record([compute_ns])

    @property
    def compute(self) -> LatencyHistogram:
        """How long computing took."""
        with self._lock:
            return self._compute.snapshot()
