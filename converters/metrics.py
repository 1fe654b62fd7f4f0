"""How good a binary predictor is, with bootstrap intervals that respect persons.

Every metric is written once, on weighted rows: ``metric(labels, scores, weights)`` takes labels [n], scores
[n] and weights [replicates, n] and returns one value a replicate. The value itself is the metric at weight
one; the interval is the 2.5 and 97.5 percentile over resamples. A resample draws persons with replacement
and keeps or repeats all rows of a person together (the cluster bootstrap; Davison and Hinkley, Bootstrap
Methods and their Application, 1997, section 3.8), because rows of one person are not independent.

The interval of the calibration error sits above its value more often than below: resampling adds noise to
the bins and the error takes absolute values. Read its upper end as a cautious bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.errors import ConverterError

Array = NDArray[np.float64]
Metric = Callable[[Array, Array, Array], Array]

RESAMPLES = 1000
CALIBRATION_BINS = 10
_CELLS_AT_ONCE = 4_000_000  # weights are [replicates, n] float64: 32 MB a block


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % bootstrap interval over ``n`` rows."""

    value: float
    low: float
    high: float
    n: int

    def as_json(self) -> dict[str, float | int]:
        """The figure as ``{"value", "low", "high", "n"}``."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}


def _ratio(numerator: Array, denominator: Array, *, empty: float) -> Array:
    """Divide where there is something to divide by, else ``empty``."""
    out = np.full_like(numerator, empty)
    np.divide(numerator, denominator, out=out, where=denominator > 0)
    return out


def auc(labels: Array, scores: Array, weights: Array) -> Array:
    """Area under the ROC curve: P(score of a positive > of a negative) + half of P(equal).

    Mann and Whitney's statistic; rows with equal scores form one step, so ties count half. NaN in a
    replicate that holds one class only.
    """
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    steps = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))
    positive = np.add.reduceat(weights[:, order] * labels[order], steps, axis=1)
    negative = np.add.reduceat(weights[:, order] * (1.0 - labels[order]), steps, axis=1)
    below = np.cumsum(negative, axis=1) - negative
    wins = (positive * (below + 0.5 * negative)).sum(axis=1)
    return _ratio(wins, positive.sum(axis=1) * negative.sum(axis=1), empty=np.nan)


def _decided(labels: Array, scores: Array) -> tuple[Array, Array, Array]:
    """Rows that are true positives, false positives, false negatives at 0.5 (equal counts as positive)."""
    said = (scores >= 0.5).astype(np.float64)
    return said * labels, said * (1.0 - labels), (1.0 - said) * labels


def accuracy(labels: Array, scores: Array, weights: Array) -> Array:
    """Share of rows whose decision at 0.5 is right."""
    right = ((scores >= 0.5) == (labels == 1.0)).astype(np.float64)
    return _ratio(weights @ right, weights.sum(axis=1), empty=np.nan)


def precision(labels: Array, scores: Array, weights: Array) -> Array:
    """True positives / predicted positives at 0.5; 0 where nothing was predicted positive."""
    hit, false_alarm, _ = _decided(labels, scores)
    return _ratio(weights @ hit, weights @ (hit + false_alarm), empty=0.0)


def recall(labels: Array, scores: Array, weights: Array) -> Array:
    """True positives / positives at 0.5; 0 where there is no positive."""
    hit, _, missed = _decided(labels, scores)
    return _ratio(weights @ hit, weights @ (hit + missed), empty=0.0)


def f1(labels: Array, scores: Array, weights: Array) -> Array:
    """Harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN); 0 where all three are 0."""
    hit, false_alarm, missed = _decided(labels, scores)
    return _ratio(2.0 * (weights @ hit), weights @ (2.0 * hit + false_alarm + missed), empty=0.0)


def brier(labels: Array, scores: Array, weights: Array) -> Array:
    """Mean squared difference of probability and outcome (Brier, 1950)."""
    return _ratio(weights @ np.square(scores - labels), weights.sum(axis=1), empty=np.nan)


def calibration_error(labels: Array, scores: Array, weights: Array) -> Array:
    """Expected calibration error over ten bins of equal width.

    Sum over bins of (share of rows) * |mean probability - share of positives| (Guo and others, On
    Calibration of Modern Neural Networks, 2017, formula 3). A bin holds its lower edge; 1.0 is in the last.
    """
    index = np.minimum((scores * CALIBRATION_BINS).astype(np.intp), CALIBRATION_BINS - 1)
    gaps = np.zeros((len(scores), CALIBRATION_BINS))
    gaps[np.arange(len(scores)), index] = scores - labels
    return _ratio(np.abs(weights @ gaps).sum(axis=1), weights.sum(axis=1), empty=np.nan)


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "auc": auc,
        "accuracy": accuracy,
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "brier": brier,
        "calibration_error": calibration_error,
    }
)


def evaluate(
    labels: NDArray[Any],
    scores: NDArray[Any],
    groups: NDArray[Any],
    rng: np.random.Generator,
    *,
    resamples: int = RESAMPLES,
) -> dict[str, Interval]:
    """All of `METRICS` with intervals.

    Args:
        labels: 0 or 1, shape [n].
        scores: Probabilities 0..1, shape [n].
        groups: Who a row belongs to, shape [n]; resampled as a whole.
        rng: Where the resamples come from.
        resamples: How many.

    Raises:
        ConverterError: the three do not fit together, are not finite, or hold one class only.
    """
    y, p = _checked(labels, scores, groups)
    return {
        name: _interval(figures, len(y))
        for name, figures in _replicate(METRICS, y, p, groups, rng, resamples)
    }


def paired_auc_difference(
    labels: NDArray[Any],
    ours: NDArray[Any],
    control: NDArray[Any],
    groups: NDArray[Any],
    rng: np.random.Generator,
    *,
    resamples: int = RESAMPLES,
) -> Interval:
    """AUC of ``ours`` minus AUC of ``control`` on the same rows, both taken in the same resamples.

    Pairing removes what both share (an easy or hard draw of persons), so the interval is that of the
    difference itself.

    Raises:
        ConverterError: as `evaluate`.
    """
    y, first = _checked(labels, ours, groups)
    _, second = _checked(labels, control, groups)

    def difference(labels: Array, scores: Array, weights: Array) -> Array:
        return auc(labels, scores, weights) - auc(labels, second, weights)

    replicated = _replicate({"difference": difference}, y, first, groups, rng, resamples)
    return _interval(next(figures for _, figures in replicated), len(y))


def as_json(intervals: Mapping[str, Interval]) -> dict[str, dict[str, float | int]]:
    """Name -> {"value", "low", "high", "n"}."""
    return {name: interval.as_json() for name, interval in intervals.items()}


def _checked(labels: NDArray[Any], scores: NDArray[Any], groups: NDArray[Any]) -> tuple[Array, Array]:
    y = np.asarray(labels, dtype=np.float64)
    p = np.asarray(scores, dtype=np.float64)
    if y.ndim != 1 or p.shape != y.shape or np.shape(groups) != y.shape:
        raise ConverterError(
            f"labels {y.shape}, scores {p.shape} and groups {np.shape(groups)} must be one value a row each"
        )
    if not np.isin(y, (0.0, 1.0)).all():
        raise ConverterError("labels must be 0 or 1")
    if not (np.isfinite(p).all() and (p >= 0.0).all() and (p <= 1.0).all()):
        raise ConverterError("scores must be probabilities between 0 and 1")
    if len(np.unique(y)) < 2:
        raise ConverterError(
            "all labels are of one class: nothing can be measured; use data with both outcomes"
        )
    return y, p


def _replicate(
    metrics: Mapping[str, Metric],
    labels: Array,
    scores: Array,
    groups: NDArray[Any],
    rng: np.random.Generator,
    resamples: int,
) -> Iterator[tuple[str, Array]]:
    """Each metric's name and its values: first at weight one, then one a resample."""
    blocks: dict[str, list[Array]] = {name: [] for name in metrics}
    for weights in _weights(groups, rng, resamples):
        for name, metric in metrics.items():
            blocks[name].append(metric(labels, scores, weights))
    for name, parts in blocks.items():
        yield name, np.concatenate(parts)


def _weights(groups: NDArray[Any], rng: np.random.Generator, resamples: int) -> Iterator[Array]:
    """Weight one for every row, then how often each row's person was drawn, in blocks of resamples."""
    persons, index = np.unique(groups, return_inverse=True)
    yield np.ones((1, len(index)))
    at_once = max(1, _CELLS_AT_ONCE // len(index))
    for start in range(0, resamples, at_once):
        count = min(at_once, resamples - start)
        draws = rng.multinomial(len(persons), np.full(len(persons), 1.0 / len(persons)), size=count)
        yield draws[:, index].astype(np.float64)


def _interval(figures: Array, n: int) -> Interval:
    low, high = np.nanpercentile(figures[1:], [2.5, 97.5])
    return Interval(float(figures[0]), float(low), float(high), n)
