"""Fitting the ensemble: out-of-fold members, the meta-learner on top, then members on all rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from converters.ensemble import Ensemble, Forest
from converters.zoo.folds import by_person
from converters.zoo.goal_success.forest import fit_forest
from converters.zoo.goal_success.network import FittedNetwork, NetworkTrainer, Rows
from converters.zoo.goal_success.settings import Settings
from converters.zoo.progress import Progress, silent
from converters.zoo.table import F32, Table
from feature_spec.extras import require


@dataclass(frozen=True, eq=False)
class Scale:
    """Mean and standard deviation of each column, taken from the rows in training and from no others."""

    mean: F32
    std: F32

    @classmethod
    def of(cls, features: F32) -> Scale:
        """Measure float32 [n, F]; a column that never changes is divided by one."""
        std = features.std(axis=0, dtype=np.float64)
        return cls(
            features.mean(axis=0, dtype=np.float64).astype(np.float32),
            np.where(std > 1e-6, std, 1.0).astype(np.float32),
        )

    def apply(self, features: F32) -> F32:
        """Standardise float32 [n, F]."""
        return ((features - self.mean) / self.std).astype(np.float32)


class EnsembleFitter:
    """Fits ensembles of one shape; the network is compiled once for all of them."""

    def __init__(self, feature_count: int, settings: Settings) -> None:
        self._settings = settings
        self._trainer = NetworkTrainer(feature_count, settings)

    def fit(
        self, table: Table, rng: np.random.Generator, *, stage: str = "fit", progress: Progress = silent
    ) -> Ensemble:
        """Fit forest, network and meta-learner on all rows of ``table``.

        1. Cut the rows into folds by person. For each fold, fit both members on the other folds (inside
           them, one person in ``stop_folds`` decides when the network stops) and predict the fold.
        2. Fit the meta-learner, a logistic regression, on these out-of-fold predictions: it never sees what
           a member says about its own training rows, which a forest knows nearly by heart.
        3. Fit both members again on all rows, the network for the median of the passes found in step 1.

        The baseline of a contribution is the median of the feature over these rows.

        Raises:
            ConverterError: too few persons of one outcome for the folds.
        """
        low, high = table.low, table.high
        features = np.clip(table.features, low, high)
        table_rows = Rows(features, table.labels)
        folds = by_person(table.people, table.labels, self._settings.inner_folds, rng)
        steps = len(folds) + 1
        predicted = np.empty((len(table), 2))
        epochs = []
        for number, fold in enumerate(folds):
            progress(stage, number, steps)
            forest, network, scale = self._members(table, table_rows, fold.train, rng)
            tested = features[fold.test]
            predicted[fold.test, 0] = forest.leaf_values(tested).mean(axis=1)
            predicted[fold.test, 1] = _answer(network, scale.apply(tested))
            epochs.append(network.epochs)
        progress(stage, steps - 1, steps)
        linear = require("sklearn.linear_model", extra="convert")
        meta = linear.LogisticRegression().fit(predicted, table.labels > 0.5)
        scale = Scale.of(features)
        forest = fit_forest(features, table.labels, self._settings, rng)
        network = self._trainer.fit(
            Rows(scale.apply(features), table.labels), rng, epochs=max(1, round(float(np.median(epochs))))
        )
        progress(stage, steps, steps)
        return Ensemble(
            feature_names=table.feature_names,
            low=low,
            high=high,
            mean=scale.mean,
            std=scale.std,
            baseline=np.median(features, axis=0).astype(np.float32),
            forest=forest,
            layers=network.layers,
            meta_weights=meta.coef_[0],
            meta_bias=float(meta.intercept_[0]),
        )

    def _members(
        self, table: Table, rows: Rows, train: NDArray[np.intp], rng: np.random.Generator
    ) -> tuple[Forest, FittedNetwork, Scale]:
        """Both members fitted on the rows ``train``, as they will answer for others."""
        features, labels = rows.features[train], rows.labels[train]
        forest = fit_forest(features, labels, self._settings, rng)
        scale = Scale.of(features)
        stop = by_person(table.people[train], labels, self._settings.stop_folds, rng)[0]
        scaled = scale.apply(features)
        network = self._trainer.fit_until(
            Rows(scaled[stop.train], labels[stop.train]), Rows(scaled[stop.test], labels[stop.test]), rng
        )
        return forest, network, scale


def _answer(network: FittedNetwork, scaled: F32) -> NDArray[np.float64]:
    """The network's probability [n] for standardised rows."""
    hidden = scaled.astype(np.float64)
    for layer in network.layers:
        hidden = hidden @ layer.kernel + layer.bias
        hidden = np.maximum(hidden, 0) if layer.activation == "relu" else 0.5 * (1 + np.tanh(0.5 * hidden))
    return hidden[:, 0]
