"""The ensemble's trees: fitted by scikit-learn, handed on as plain arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from converters.ensemble import Forest
from converters.zoo.goal_success.settings import Settings
from feature_spec.extras import require


def fit_forest(
    features: NDArray[np.float32], labels: NDArray[np.float32], settings: Settings, rng: np.random.Generator
) -> Forest:
    """Fit a random forest on float32 rows [n, F] with labels [n].

    scikit-learn compares float32 rows with float64 thresholds; `Forest` keeps those thresholds.
    """
    ensemble = require("sklearn.ensemble", extra="convert")
    fitted = ensemble.RandomForestClassifier(
        n_estimators=settings.trees,
        max_depth=settings.depth,
        min_samples_split=settings.min_samples_split,
        random_state=int(rng.integers(2**31)),
    ).fit(features, labels > 0.5)
    trees = [estimator.tree_ for estimator in fitted.estimators_]
    sizes = np.array([tree.node_count for tree in trees])
    roots = np.cumsum(sizes) - sizes
    # Inside a tree scikit-learn counts nodes from 0 and marks leaves with -1 (children) and -2 (feature).
    leaf = np.concatenate([tree.children_left < 0 for tree in trees])
    moved = np.repeat(roots, sizes)
    shares = [tree.value[:, 0, :] for tree in trees]
    return Forest(
        feature=np.where(leaf, -1, np.concatenate([tree.feature for tree in trees])).astype(np.int32),
        threshold=np.where(leaf, 0.0, np.concatenate([tree.threshold for tree in trees])),
        left=np.where(leaf, -1, np.concatenate([tree.children_left for tree in trees]) + moved).astype(
            np.int32
        ),
        right=np.where(leaf, -1, np.concatenate([tree.children_right for tree in trees]) + moved).astype(
            np.int32
        ),
        value=np.concatenate([share[:, 1] / share.sum(axis=1) for share in shares]),
        roots=roots.astype(np.int32),
    )
