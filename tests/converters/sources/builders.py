"""Small ensembles from seeded noise, without scikit-learn: enough structure to convert and compare."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from converters.ensemble import Dense, Ensemble, Forest

NAMES = (
    "completion_rate",
    "streak_length",
    "engagement_score",
    "activity_trend",
    "user_experience",
    "days_since_last_activity",
    "goal_velocity",
    "consistency_score",
    "momentum_score",
    "progress_vs_time",
)
LOW = np.array([0, 0, 0, -1, 0, 0, -5, 0, -1, 0], np.float32)
HIGH = np.array([1, 90, 1, 1, 2000, 90, 5, 1, 1, 3], np.float32)


def random_forest(rng: np.random.Generator, *, trees: int = 7, depth: int = 4) -> Forest:
    """Trees that split at random, at most ``depth`` deep; some ways end earlier."""
    feature, threshold, left, right, value, roots = [], [], [], [], [], []

    def grow(level: int, low: np.ndarray, high: np.ndarray) -> int:
        here = len(feature)
        column = int(rng.integers(len(NAMES)))
        cut = float(rng.uniform(low[column], high[column]))
        for array, item in (
            (feature, column), (threshold, cut), (left, -1), (right, -1), (value, float(rng.uniform())),
        ):  # fmt: skip
            array.append(item)
        if level == depth or (level > 1 and rng.uniform() < 0.25):
            feature[here] = -1
            return here
        below, above = high.copy(), low.copy()
        below[column] = above[column] = cut
        left[here] = grow(level + 1, low, below)
        right[here] = grow(level + 1, above, high)
        return here

    for _ in range(trees):
        roots.append(grow(0, LOW.astype(float), HIGH.astype(float)))
    return Forest(*map(np.array, (feature, threshold, left, right, value, roots)))


def random_layers(rng: np.random.Generator, widths: tuple[int, ...] = (16, 8)) -> tuple[Dense, ...]:
    sizes = (len(NAMES), *widths, 1)
    return tuple(
        Dense(
            (rng.normal(size=(here, there)) * np.sqrt(2 / here)).astype(np.float32),
            (rng.normal(size=there) * 0.1).astype(np.float32),
            "sigmoid" if number == len(widths) else "relu",
        )
        for number, (here, there) in enumerate(pairwise(sizes))
    )


def random_ensemble(
    seed: int = 0, *, trees: int = 7, depth: int = 4, widths: tuple[int, ...] = (16, 8)
) -> Ensemble:
    rng = np.random.default_rng(seed)
    return Ensemble(
        feature_names=NAMES,
        low=LOW,
        high=HIGH,
        mean=(LOW + HIGH) / 2,
        std=(HIGH - LOW) / 4,
        baseline=LOW + (HIGH - LOW) * rng.uniform(size=len(NAMES)).astype(np.float32),
        forest=random_forest(rng, trees=trees, depth=depth),
        layers=random_layers(rng, widths),
        meta_weights=np.array([3.5, 2.5]),
        meta_bias=-3.0,
    )


def random_rows(count: int, seed: int = 1, *, beyond: float = 0.1) -> np.ndarray:
    """float32 rows, some of them outside the clipping range."""
    rng = np.random.default_rng(seed)
    reach = HIGH - LOW
    return rng.uniform(LOW - beyond * reach, HIGH + beyond * reach, (count, len(NAMES))).astype(np.float32)
