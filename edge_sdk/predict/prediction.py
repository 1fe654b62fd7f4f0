"""What a prediction says, and why it says it."""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

PROBABILITY: Final = "probability"
CONFIDENCE: Final = "confidence"


class Reason(enum.StrEnum):
    """Why the values are what they are."""

    FRESH = "fresh"
    """The active model on features young enough."""
    STALE_FEATURES = "stale_features"
    """Computed, but the features are older than the model may rely on."""
    LAST_KNOWN_GOOD = "last_known_good"
    """Computed by an earlier release, because the newest one does not work here; told before stale features."""
    BASELINE = "baseline"
    """Computed by the model that the app ships inside itself, because nothing that was fetched works here."""
    FALLBACK = "fallback"
    """Not computed, in time or at all: the values that the record declares for this case."""


class Prediction(NamedTuple):
    """One answer; immutable. A named tuple, because making a frozen dataclass takes five times as long.

    Attributes:
        values: the model's scalar outputs by name.
        contributions: what each feature adds to the probability, where the model says so; else empty.
        risk_factors, actions: keys of the rules that apply, in the record's order; none for a fallback.
        filled: features that were not given, and got the record's default.
        reason: why the values are what they are.
        model_version, release: which model answered.
        feature_age_s: age of the features, as the caller gave it, seconds.
        queue_ms: from the call to the start of the computation: checking and waiting for a session.
        compute_ms: in the engine.
        cached: whether it comes from the result cache; then nothing was computed, and ``compute_ms`` is 0.
    """

    values: dict[str, float]
    contributions: dict[str, float]
    risk_factors: tuple[str, ...]
    actions: tuple[str, ...]
    filled: tuple[str, ...]
    reason: Reason
    model_version: str
    release: int
    feature_age_s: float
    queue_ms: float
    compute_ms: float
    cached: bool = False

    @property
    def probability(self) -> float | None:
        """The output that the model calls ``probability``; None where it has none of that name."""
        return self.values.get(PROBABILITY)

    @property
    def confidence(self) -> float | None:
        """How sure the model is, as it says itself; else of the likelier outcome: max(p, 1 - p), from 0.5 to 1.

        The second is only as good as the probability is calibrated (the record's metrics tell). None without
        either, and for a fallback that declares none: it says nothing about anybody.
        """
        own = self.values.get(CONFIDENCE)
        if own is not None:
            return own
        p = self.probability
        return None if p is None or self.reason is Reason.FALLBACK else max(p, 1.0 - p)
