"""How a feature's values are spread over the users of a log, coarse enough to show to everybody.

A histogram of few people shows single ones. So the axis ends at the 1 % and 99 % quantiles or at the declared range and
not at somebody's extreme, counts below ``SMALL`` are neither printed nor drawn apart, and a log of fewer than
``LEAST_USERS`` users gets no histogram at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feature_spec.definition import Feature, FeatureSpec
from feature_spec.expression import less, where
from feature_spec.numpy_evaluator import evaluate

LEAST_USERS: Final = 20
SMALL: Final = 5
_BINS: Final = 30
_FEW_VALUES: Final = 31
"""Whole numbers get a bar each where the axis has at most so many."""


@dataclass(frozen=True)
class Distribution:
    """The values of one feature over the users of a log.

    Attributes:
        users: how many users the log has.
        known: how many of them have a value and not the one for missing.
        edges: where the bars begin and end, one more than there are bars; bars of whole numbers lie around them.
        counts: users in each bar; the first and the last hold what lies beyond the axis too.
        whole: whether each bar is one whole number.
        beyond: whether the last bar holds larger values than the axis shows, and the first smaller ones.
        median: of the known values; None where there are fewer than ``LEAST_USERS``.
        mean: likewise.
    """

    users: int
    known: int
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    whole: bool = False
    beyond: tuple[bool, bool] = (False, False)
    median: float | None = None
    mean: float | None = None

    @property
    def alike(self) -> bool:
        """Whether all known values are one whole number: there is nothing to draw."""
        return self.whole and not any(self.beyond) and sum(count > 0 for count in self.counts) == 1


def distributions(
    features: Sequence[Feature], daily: npt.NDArray[np.float32], context: npt.NDArray[np.float32]
) -> dict[str, Distribution]:
    """The distribution of each feature, by name.

    Args:
        features: what to compute.
        daily: [n, 90, 8, 3], as the evaluators take it.
        context: [n, 14].
    """
    values = evaluate(FeatureSpec(tuple(features)), daily, context)
    known = evaluate(FeatureSpec(tuple(_is_known(feature) for feature in features)), daily, context) > 0
    return {
        feature.name: distribution(feature, values[known[:, column], column], len(values))
        for column, feature in enumerate(features)
    }


def _is_known(feature: Feature) -> Feature:
    """1 where ``feature`` has a value, 0 where it says ``missing``."""
    flag = less(0, 1) if feature.known is None else where(feature.known, 1, 0)
    return replace(feature, unit="flag", dtype="flag", low=0, high=1, missing=0, expression=flag, known=None)


def distribution(feature: Feature, values: npt.NDArray[np.float32], users: int) -> Distribution:
    """Of ``values``, the known ones of ``users`` users."""
    if len(values) < LEAST_USERS:
        return Distribution(users, len(values))
    exact = values.astype(np.float64)
    edges, whole = _axis(feature, exact)
    inside = np.clip(exact, edges[0], edges[-1])
    counts, _ = np.histogram(inside, edges)
    return Distribution(
        users=users,
        known=len(values),
        edges=tuple(edges.tolist()),
        counts=tuple(int(count) for count in counts),
        whole=whole,
        beyond=(bool((exact < edges[0]).any()), bool((exact > edges[-1]).any())),
        median=float(np.median(exact)),
        mean=float(exact.mean()),
    )


def _axis(feature: Feature, values: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.floating[Any]], bool]:
    low, high = (float(bound) for bound in np.quantile(values, (0.01, 0.99)))
    # The declared range where the data fill a good part of it: then pages of different logs compare at a glance.
    if high - low >= (feature.high - feature.low) / 4 or feature.dtype == "flag":
        low, high = feature.low, feature.high
    whole = feature.dtype != "float32"
    if whole:
        low, high = math.floor(low), math.ceil(high)
        step = max(1, math.ceil((high - low + 1) / _FEW_VALUES))
        count = math.ceil((high - low + 1) / step)
        edges = low - 0.5 + step * np.arange(count + 1)
        return np.minimum(edges, high + 0.5), step == 1
    if high <= low:
        low, high = (low - 0.5, low + 0.5) if low else (0.0, 1.0)
    return np.linspace(low, high, _BINS + 1), False
