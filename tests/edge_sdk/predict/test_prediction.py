"""What can be read off a prediction."""

from __future__ import annotations

import pytest

from edge_sdk.predict.prediction import Prediction, Reason


def prediction(values: dict[str, float], reason: Reason = Reason.FRESH) -> Prediction:
    return Prediction(values, {}, (), (), (), reason, "1.0.0", 1, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(("p", "confidence"), [(0.0, 1.0), (0.25, 0.75), (0.5, 0.5), (0.9, 0.9), (1.0, 1.0)])
@pytest.mark.parametrize("reason", [Reason.FRESH, Reason.STALE_FEATURES, Reason.LAST_KNOWN_GOOD])
def test_confidence_is_that_of_the_likelier_outcome(p: float, confidence: float, reason: Reason) -> None:
    made = prediction({"spread": 0.3, "probability": p}, reason)
    assert (made.probability, made.confidence) == (p, confidence)


def test_a_fallback_is_not_sure_of_anything() -> None:
    made = prediction({"probability": 0.9}, Reason.FALLBACK)
    assert (made.probability, made.confidence) == (0.9, None)


@pytest.mark.parametrize("reason", [Reason.FRESH, Reason.FALLBACK])
def test_a_model_speaks_for_itself(reason: Reason) -> None:
    assert prediction({"probability": 0.9, "confidence": 0.0}, reason).confidence == 0.0


def test_a_model_without_a_probability() -> None:
    made = prediction({"score": 0.9})
    assert (made.probability, made.confidence) == (None, None)
