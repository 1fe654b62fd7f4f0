"""Metrics against scikit-learn, and intervals against what the bootstrap promises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from converters import metrics
from converters.errors import ConverterError


def one(metric: metrics.Metric, labels: Any, scores: Any) -> float:
    y, p = np.asarray(labels, float), np.asarray(scores, float)
    return float(metric(y, p, np.ones((1, len(y))))[0])


def sample(seed: int, n: int = 400, steps: int = 20) -> tuple[Any, Any, Any]:
    """Labels, scores with many ties, and persons of one to four rows."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, steps + 1, n) / steps
    labels = (rng.random(n) < 0.2 + 0.6 * scores).astype(float)
    return labels, scores, rng.integers(0, n // 2, n)


@pytest.mark.parametrize("seed", range(5))
def test_metrics_are_those_of_scikit_learn(seed: int) -> None:
    oracle = pytest.importorskip("sklearn.metrics")
    labels, scores, _ = sample(seed)
    said = scores >= 0.5
    expected = {
        "auc": oracle.roc_auc_score(labels, scores),
        "accuracy": oracle.accuracy_score(labels, said),
        "precision": oracle.precision_score(labels, said),
        "recall": oracle.recall_score(labels, said),
        "f1": oracle.f1_score(labels, said),
        "brier": oracle.brier_score_loss(labels, scores),
    }
    for name, value in expected.items():
        assert one(metrics.METRICS[name], labels, scores) == pytest.approx(value, abs=1e-12), name


@pytest.mark.parametrize("seed", range(3))
def test_a_weight_is_a_repeated_row(seed: int) -> None:
    labels, scores, _ = sample(seed, n=60)
    times = np.random.default_rng(seed).integers(0, 4, 60)
    for name, metric in metrics.METRICS.items():
        weighted = metric(labels, scores, times[None].astype(float))[0]
        assert weighted == pytest.approx(one(metric, np.repeat(labels, times), np.repeat(scores, times))), (
            name
        )


def test_calibration_error_by_hand() -> None:
    # Bin 0.2-0.3: mean 0.25, half positive. Bin 0.9-1: mean 0.95, all positive, the score 1.0 among them.
    labels = [0, 1, 1, 1]
    scores = [0.2, 0.3 - 1e-9, 0.9, 1.0]
    assert one(metrics.calibration_error, labels, scores) == pytest.approx(0.5 * 0.25 + 0.5 * 0.05, abs=1e-6)


@pytest.mark.parametrize(
    ("labels", "scores", "value"),
    [([0, 1], [0.1, 0.9], 1.0), ([0, 1], [0.9, 0.1], 0.0), ([0, 1, 0, 1], [0.5] * 4, 0.5)],
)
def test_auc_of_extremes(labels: list[int], scores: list[float], value: float) -> None:
    assert one(metrics.auc, labels, scores) == value


def test_nothing_predicted_positive_is_zero_not_an_error() -> None:
    assert one(metrics.precision, [0, 1], [0.1, 0.2]) == 0.0
    assert one(metrics.f1, [0, 1], [0.1, 0.2]) == 0.0


@given(st.integers(0, 2**32 - 1), st.integers(2, 60))
def test_auc_ignores_any_rising_change_of_scores(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    scores = rng.integers(0, 8, n) / 8
    assert one(metrics.auc, labels, scores) == pytest.approx(one(metrics.auc, labels, scores**3 / 2))
    assert one(metrics.auc, labels, scores) == pytest.approx(1 - one(metrics.auc, 1 - labels, scores))


def test_intervals_hold_the_value_and_are_reproducible() -> None:
    labels, scores, people = sample(1)
    first = metrics.evaluate(labels, scores, people, np.random.default_rng(7))
    assert metrics.evaluate(labels, scores, people, np.random.default_rng(7)) == first
    assert set(first) == {"auc", "accuracy", "precision", "recall", "f1", "brier", "calibration_error"}
    for name, figure in first.items():
        assert figure.low < figure.high, name
        assert figure.n == len(labels)
        if name != "calibration_error":
            assert figure.low < figure.value < figure.high, name


def test_rows_of_one_person_are_resampled_together() -> None:
    # Sixteen copies of each row say no more than one. Resampling rows would make the interval four times
    # narrower: that is the mistake this catches.
    labels, scores, _ = sample(2, n=100)
    alone = metrics.evaluate(labels, scores, np.arange(100), np.random.default_rng(0))["auc"]
    many = (np.repeat(labels, 16), np.repeat(scores, 16))
    together = metrics.evaluate(*many, np.repeat(np.arange(100), 16), np.random.default_rng(0))["auc"]
    mistaken = metrics.evaluate(*many, np.arange(1600), np.random.default_rng(0))["auc"]
    width = alone.high - alone.low
    assert together.high - together.low == pytest.approx(width, rel=0.05)
    assert mistaken.high - mistaken.low < 0.4 * width


def test_resamples_in_blocks_are_the_same_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, scores, people = sample(3)
    whole = metrics.evaluate(labels, scores, people, np.random.default_rng(5))
    monkeypatch.setattr(metrics, "_CELLS_AT_ONCE", 3000)
    assert metrics.evaluate(labels, scores, people, np.random.default_rng(5)) == whole


def test_paired_difference_is_narrower_than_the_difference_of_intervals() -> None:
    labels, scores, people = sample(4)
    worse = np.clip(scores + np.random.default_rng(0).normal(0, 0.02, len(scores)), 0, 1)
    difference = metrics.paired_auc_difference(labels, scores, worse, people, np.random.default_rng(1))
    figures = [metrics.evaluate(labels, p, people, np.random.default_rng(1))["auc"] for p in (scores, worse)]
    assert difference.value == pytest.approx(figures[0].value - figures[1].value)
    assert difference.low <= difference.value <= difference.high
    assert difference.high - difference.low < 0.5 * (figures[0].high - figures[0].low)


def test_same_scores_differ_by_nothing() -> None:
    labels, scores, people = sample(5)
    same = metrics.paired_auc_difference(labels, scores, scores, people, np.random.default_rng(1))
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("labels", "scores", "people", "message"),
    [
        ([1, 1], [0.1, 0.9], [0, 1], "one class"),
        ([0, 2], [0.1, 0.9], [0, 1], "0 or 1"),
        ([0, 1], [0.1, 1.5], [0, 1], "between 0 and 1"),
        ([0, 1], [0.1, np.nan], [0, 1], "between 0 and 1"),
        ([0, 1], [0.1], [0, 1], "one value a row"),
        ([0, 1], [0.1, 0.2], [0], "one value a row"),
    ],
)
def test_bad_input_is_refused(labels: Any, scores: Any, people: Any, message: str) -> None:
    with pytest.raises(ConverterError, match=message):
        metrics.evaluate(np.array(labels), np.array(scores), np.array(people), np.random.default_rng(0))


def test_a_figure_as_json() -> None:
    assert metrics.as_json({"auc": metrics.Interval(0.8, 0.7, 0.9, 12)}) == {
        "auc": {"value": 0.8, "low": 0.7, "high": 0.9, "n": 12}
    }
