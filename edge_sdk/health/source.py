"""What one loaded model has done since it was last asked."""

from __future__ import annotations

from collections import Counter
from math import isnan
from typing import TYPE_CHECKING, Final

from edge_sdk.contract import sketch
from edge_sdk.contract.sketch import Sketch
from edge_sdk.contract.telemetry import Tally
from edge_sdk.health.latencies import sketch_of
from edge_sdk.predict.counters import PredictionCounts
from edge_sdk.predict.prediction import Reason

if TYPE_CHECKING:
    from edge_sdk.contract.record import Record
    from edge_sdk.health.noticed import Noticed

_LONGEST_NAME: Final = 100
MOST_NAMED: Final = 128
"""With the longest names, the default noise in every bin and the latencies, so many fill a report."""


class Source:
    """The counters of one loaded model; they outlive it until they are asked.

    Args:
        noticed: the model, as it was when it was loaded.
    """

    def __init__(self, noticed: Noticed) -> None:
        self._loaded, self._counters, self._reason = noticed.loaded, noticed.counters, noticed.reason
        self._features = {
            f"feature.{f.name}": (at, f.low, f.high) for at, f in enumerate(noticed.record.features)
        }
        self._outputs = _scores(noticed.record)
        self._shape = shape_of(noticed.record)
        ns = noticed.load_ns
        self.begin_again()
        self._loads: Sketch = Counter() if ns is None else Counter([sketch.latency_bin(ns)])

    def begin_again(self) -> None:
        """For the child of a fork, whose counters have begun again too."""
        self._loads = Counter()
        self._counts: Counter[str] = Counter()
        self._latencies: dict[str, Sketch] = {"latency.queue": Counter(), "latency.compute": Counter()}

    @property
    def is_over(self) -> bool:
        """Whether nothing more can come."""
        return self._loaded() is None

    def since(self) -> Tally:
        """What was done since this was last called; the sketches are of the latest thousand predictions at most."""
        now = self._counters.snapshot()
        counts = _counts(now, self._reason)
        latencies = {"latency.queue": sketch_of(now.queue), "latency.compute": sketch_of(now.compute)}
        new = {name: later - self._latencies[name] for name, later in latencies.items()}
        histograms = {**self._sketched(), **new, "latency.load": self._loads}
        tally = Tally(counts - self._counts, {name: found for name, found in histograms.items() if found})
        self._counts, self._latencies, self._loads = counts, latencies, Counter()
        return tally

    def _sketched(self) -> dict[str, Sketch]:
        width = len(self._features) + len(self._outputs)
        columns = self._counters.take_recent(width).T.tolist()
        made: dict[str, Sketch] = {}
        for name in self._shape:
            if name in self._features:
                at, low, high = self._features[name]
                values = (None if isnan(value) else value for value in columns[at])
                made[name] = sketch.sketch_of(values, low, high)
            else:
                at = len(self._features) + self._outputs.index(name.partition(".")[2])
                made[name] = sketch.sketch_of(columns[at], 0.0, 1.0)
        return made


def shape_of(record: Record) -> tuple[str, ...]:
    """Names of the sketches of a model: its scores and features, as many as a report has room for."""
    names = [*(f"score.{name}" for name in _scores(record)), *(f"feature.{f.name}" for f in record.features)]
    return tuple(name for name in names if len(name.partition(".")[2]) <= _LONGEST_NAME)[:MOST_NAMED]


def _scores(record: Record) -> list[str]:
    return [t.name for t in record.outputs if not t.per_feature and t.shape in ((-1, 1), (1, 1), (-1,), (1,))]


def _counts(counts: PredictionCounts, reason: Reason) -> Counter[str]:
    answered = counts.answers - counts.fallbacks - counts.stale
    return Counter(
        {
            f"prediction.{reason.value}": answered,
            f"prediction.{Reason.STALE_FEATURES.value}": counts.stale,
            f"prediction.{Reason.FALLBACK.value}": counts.fallbacks,
            "error.busy": counts.busy,
            "error.broken": counts.broken,
            "error.refused": counts.refused,
            "result_cache.hit": counts.cache_hits,
            "result_cache.miss": counts.cache_misses,
            "feature_cache.hit": counts.feature_hits,
            "feature_cache.miss": counts.feature_misses,
        }
    )
