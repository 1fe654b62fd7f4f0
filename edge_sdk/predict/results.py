"""Remembering answers: the same numbers asked again, within a short time, of the same release."""

from __future__ import annotations

import struct
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

from edge_sdk.errors import InputError
from edge_sdk.features.vector import FeatureVector
from edge_sdk.predict.counters import HIT, MISS
from edge_sdk.predict.prediction import Prediction, Reason
from edge_sdk.predict.predictor import Predictor
from edge_sdk.runtime.pool import remake_after_fork


@dataclass(frozen=True, slots=True)
class ResultCache:
    """How many answers are remembered, and for how long; for each model its own.

    Attributes:
        max_entries: answers; the one that was not asked for the longest is forgotten first.
        ttl_s: seconds after which an answer is computed anew.
    """

    max_entries: int = 256
    ttl_s: float = 300.0

    def __post_init__(self) -> None:
        if not 1 <= self.max_entries <= 100_000:
            raise InputError(f"a result cache has 1 to 100,000 entries, not {self.max_entries}")
        if not (self.ttl_s > 0 and isfinite(self.ttl_s)):
            raise InputError(f"ttl_s must be a positive number of seconds, not {self.ttl_s}")


class CachingPredictor:
    """Answers again what was asked before, and lets the predictor answer the rest; any thread may ask.

    The key is every number as it was given, bit for bit (the rules see them so), and with them the row that the model
    gets, which is those numbers rounded; and the names that were filled. Model and release are those of the
    predictor: another release is another predictor, with nothing remembered. Fallbacks are not remembered: they say
    nothing about the numbers.

    Args:
        predictor: computes.
        settings: bounds.
    """

    def __init__(self, predictor: Predictor, settings: ResultCache) -> None:
        self._predictor = predictor
        self._settings = settings
        self._ttl_ns = int(settings.ttl_s * 1e9)
        self._clock = predictor.clock
        self._given = predictor.given
        self._pack = struct.Struct(f"={len(predictor.spec.features)}d").pack
        self._count, self._saw = predictor.counters.count, predictor.counters.saw
        self._closed = False
        self._after_fork()
        remake_after_fork(self)

    def _after_fork(self) -> None:
        # In the child of a fork a thread that held the lock is gone, and what it was doing is half done.
        self._answers: OrderedDict[tuple[bytes, tuple[str, ...]], tuple[int, Prediction]] = OrderedDict()
        self._lock = threading.Lock()

    def close(self) -> None:
        """Forget all answers, and remember no more: what is asked then, the predictor answers or refuses."""
        with self._lock:
            self._closed = True
            self._answers.clear()

    def forget(self) -> None:
        """Forget all answers."""
        with self._lock:
            self._answers.clear()

    def predict(
        self,
        features: Mapping[str, float] | FeatureVector,
        *,
        feature_age_s: float = 0.0,
        stale: bool = False,
        deadline_ms: float = 100.0,
    ) -> Prediction:
        """See :meth:`Predictor.predict`; ``cached`` tells what was remembered. Age and reason are those of this call.

        Raises:
            Whatever :meth:`Predictor.predict` does.
        """
        start = self._clock()
        given, filled = self._given(features)
        if isinstance(features, FeatureVector):
            feature_age_s, stale = max(features.age_s, feature_age_s), stale or features.is_stale
            features = features.used
        key = self._pack(*given), filled
        with self._lock:
            found = self._answers.get(key)
            if found is not None:
                if start - found[0] < self._ttl_ns:
                    self._answers.move_to_end(key)
                else:
                    del self._answers[key]
                    found = None
        if found is None:
            self._count(MISS)
            made = self._predictor.predict(
                features, feature_age_s=feature_age_s, stale=stale, deadline_ms=deadline_ms
            )
            if made.reason is not Reason.FALLBACK:
                self._remember(key, start, made)
            return made
        self._count(HIT)
        kept = found[1]
        made = Prediction(
            kept.values.copy(),  # of its own: who gets an answer may change it
            kept.contributions.copy(),
            kept.risk_factors,
            kept.actions,
            kept.filled,
            self._predictor.reason_for(feature_age_s, stale),
            kept.model_version,
            kept.release,
            feature_age_s,
            (self._clock() - start) / 1e6,
            0.0,
            True,
        )
        self._saw(self._predictor.seen(given, filled, kept.values))
        return made

    def _remember(self, key: tuple[bytes, tuple[str, ...]], start: int, made: Prediction) -> None:
        kept = made._replace(values=made.values.copy(), contributions=made.contributions.copy())
        with self._lock:
            if self._closed:
                return
            self._answers[key] = start, kept
            self._answers.move_to_end(key)
            while len(self._answers) > self._settings.max_entries:
                self._answers.popitem(last=False)
