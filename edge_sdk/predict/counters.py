"""What a predictor has done: how long answers waited and computed, and how many were not computed.

The path of a prediction only appends to a queue, and every few hundred calls one of them sorts what has gathered:
less work than counting under a lock, and no thread ever waits for another.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_sdk.predict.latency import LatencyHistogram, LatencyRecorder
from edge_sdk.runtime.pool import remake_after_fork

FALLBACK: Final = "fallbacks"
STALE: Final = "stale"
BUSY: Final = "busy"
BROKEN: Final = "broken"
REFUSED: Final = "refused"
HIT: Final = "cache_hits"
MISS: Final = "cache_misses"
FEATURE_HIT: Final = "feature_hits"
FEATURE_MISS: Final = "feature_misses"

Event = tuple[int, int] | str
"""An answer, as nanoseconds of waiting and of computing; or one of the words above."""

Seen = bytes
"""What a prediction was made from and what came of it: doubles, the features in order (NaN for what was filled), then
the scalar outputs. Packed, since to keep a thousand answers whole would cost every prediction 0.7 us."""

_WORDS: Final = (FALLBACK, STALE, BUSY, BROKEN, REFUSED, HIT, MISS, FEATURE_HIT, FEATURE_MISS)
RECENT: Final = 1000
_GATHER: Final = 256  # sorting them takes some 50 us: one call in 256, beyond the 99th percentile


@dataclass(frozen=True, slots=True)
class PredictionCounts:
    """What happened so far.

    Attributes:
        queue, compute: how long answers waited, and how long the engine took; those that came too late as well.
        fallbacks: of the answers, how many are the record's fallback.
        stale: of the answers, how many were computed from features too old.
        busy: calls that raised because there was no session, or no time.
        broken: calls that raised because the engine failed.
        refused: calls that raised because of their input.
        cache_hits, cache_misses: where the predictor has a result cache; a hit is in no histogram.
        feature_hits, feature_misses: vectors of features for this model that were there, and such as were computed.
    """

    queue: LatencyHistogram
    compute: LatencyHistogram
    fallbacks: int
    stale: int
    busy: int
    broken: int
    refused: int
    cache_hits: int
    cache_misses: int
    feature_hits: int
    feature_misses: int

    @property
    def answers(self) -> int:
        """How many calls got an answer of whatever kind; a batch is one call."""
        return self.queue.count + self.cache_hits

    @property
    def failures(self) -> int:
        """Calls that raised although nothing was wrong with their input."""
        return self.busy + self.broken

    @property
    def hit_rate(self) -> float | None:
        """Share of the look-ups in the result cache that found something; None without any."""
        looked = self.cache_hits + self.cache_misses
        return self.cache_hits / looked if looked else None


class PredictionCounters:
    """Counts; any thread may. About 0.15 us a call. A forked child begins at nothing: its parent tells the rest.

    Attributes:
        recent: the latest single predictions that were computed, until somebody takes them out. They stay in memory.
        saw: adds one to them.
    """

    def __init__(self) -> None:
        self._gathered: deque[Event] = deque()
        self._append = self._gathered.append
        self.recent: deque[Seen] = deque(maxlen=RECENT)
        self.saw = self.recent.append
        self._after_fork()
        remake_after_fork(self)

    def _after_fork(self) -> None:
        # In the child of a fork the thread that held the lock may be gone.
        self._lock = threading.Lock()
        self._gathered.clear()
        self.recent.clear()
        self._queue, self._compute = LatencyRecorder(), LatencyRecorder()
        self._others: Counter[str] = Counter()

    def count(self, event: Event) -> None:
        """One event more."""
        self._append(event)
        if len(self._gathered) >= _GATHER:
            self._sort()

    def take_recent(self, width: int) -> NDArray[np.float64]:
        """Take the latest predictions out.

        Args:
            width: features and scalar outputs of the model.

        Returns:
            [predictions][width], oldest first; see :data:`Seen`.
        """
        seen = [self.recent.popleft() for _ in range(len(self.recent))]
        return np.frombuffer(b"".join(seen), np.float64).reshape(-1, width)

    def snapshot(self) -> PredictionCounts:
        """What was counted so far."""
        self._sort()
        with self._lock:
            counts = {word: self._others[word] for word in _WORDS}
            return PredictionCounts(self._queue.snapshot(), self._compute.snapshot(), **counts)

    def _sort(self) -> None:
        with self._lock:
            # Others go on appending: take as many as there are now, no more.
            taken = [self._gathered.popleft() for _ in range(len(self._gathered))]
            durations = [event for event in taken if isinstance(event, tuple)]
            if durations:
                queue, compute = zip(*durations, strict=True)
                self._queue.record(queue)
                self._compute.record(compute)
            self._others.update(event for event in taken if isinstance(event, str))
