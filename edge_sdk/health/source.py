"""What one loaded model has done since it was last asked."""

from __future__ import annotations

import weakref
from collections import Counter
from typing import TYPE_CHECKING, Final

from edge_sdk.contract import sketch
from edge_sdk.contract.sketch import Sketch
from edge_sdk.contract.telemetry import MAX_HISTOGRAMS, Tally
from edge_sdk.health.latencies import sketch_of
from edge_sdk.predict.counters import PredictionCounts
from edge_sdk.predict.prediction import Reason

if TYPE_CHECKING:
    from edge_sdk.contract.record import Record
    from edge_sdk.loading import LoadedModel

LATENCIES: Final = ("latency.compute", "latency.load", "latency.queue")
COUNTS: Final = (
    *(f"prediction.{reason.value}" for reason in Reason),
    "error.busy",
    "error.broken",
    "error.refused",
    "result_cache.hit",
    "result_cache.miss",
)
_MOST_NAMED: Final = MAX_HISTOGRAMS - len(LATENCIES)
_LONGEST_NAME: Final = 100


class Source:
    """The counters of one loaded model; they outlive it until they are asked.

    Args:
        loaded: the model; it has named features.
        load_ns: how long loading took, where somebody measured it.
    """

    def __init__(self, loaded: LoadedModel, load_ns: int | None) -> None:
        self._loaded = weakref.ref(loaded)
        self._counters = loaded.counters
        self._reason = loaded.reason
        self._features = {
            f"feature.{f.name}": (at, f.name, f.low, f.high) for at, f in enumerate(loaded.record.features)
        }
        self._shape = shape_of(loaded.record)
        self._loads: Sketch = Counter() if load_ns is None else Counter([sketch.latency_bin(load_ns)])
        self._before = self._counters.snapshot()

    @property
    def is_over(self) -> bool:
        """Whether nothing more can come."""
        return self._loaded() is None

    def since(self) -> Tally:
        """What was done since this was last called; the sketches are of the latest thousand predictions at most."""
        now, before = self._counters.snapshot(), self._before
        self._before = now
        histograms = self._sketched()
        histograms["latency.load"], self._loads = self._loads, Counter()
        for stage in ("queue", "compute"):
            later, earlier = sketch_of(getattr(now, stage)), sketch_of(getattr(before, stage))
            histograms[f"latency.{stage}"] = later - earlier
        return Tally(
            _counts(now, self._reason) - _counts(before, self._reason),
            {name: counts for name, counts in histograms.items() if counts},
        )

    def _sketched(self) -> dict[str, Sketch]:
        recent = self._counters.recent
        seen = [recent.popleft() for _ in range(len(recent))]
        made: dict[str, Sketch] = {}
        for name in self._shape:
            if name in self._features:
                at, feature, low, high = self._features[name]
                values = (None if feature in answer.filled else given[at] for given, answer in seen)
                made[name] = sketch.sketch_of(values, low, high)
            else:
                output = name.partition(".")[2]
                made[name] = sketch.sketch_of((answer.values[output] for _, answer in seen), 0.0, 1.0)
        return made


def shape_of(record: Record) -> tuple[str, ...]:
    """Names of the sketches of a model: its features and scores, as many as a report has room for."""
    scores = [
        t.name for t in record.outputs if not t.per_feature and t.shape in ((-1, 1), (1, 1), (-1,), (1,))
    ]
    names = [*(f"feature.{f.name}" for f in record.features), *(f"score.{name}" for name in scores)]
    return tuple(name for name in names if len(name.partition(".")[2]) <= _LONGEST_NAME)[:_MOST_NAMED]


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
        }
    )
