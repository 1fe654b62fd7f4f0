"""Measuring the fitting procedure on people it never saw, beside logistic regression on the same rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters import metrics
from converters.zoo.folds import Split, by_person
from converters.zoo.goal_success.fit import EnsembleFitter, Scale
from converters.zoo.progress import Progress, silent
from converters.zoo.table import Table
from feature_spec.extras import require


@dataclass(frozen=True, eq=False)
class Predictions:
    """What ensemble and control said about each row of a table, always from a fit without that person."""

    ensemble: NDArray[np.float64]
    control: NDArray[np.float64]
    folds: tuple[Split, ...]


def cross_predict(
    fitter: EnsembleFitter,
    table: Table,
    folds: int,
    rng: np.random.Generator,
    progress: Progress = silent,
) -> Predictions:
    """Predict every row by an ensemble fitted without its person.

    The whole procedure runs anew in each fold: scaling, inner folds, members and meta-learner see the other
    folds only (nested cross-validation). The control is scikit-learn's logistic regression on the same
    features, standardised on the same rows, in the same folds.
    """
    ensemble = np.empty(len(table))
    control = np.empty(len(table))
    splits = by_person(table.people, table.labels, folds, rng)
    for number, split in enumerate(splits, start=1):
        train, test = table.rows(split.train), table.rows(split.test)
        fitted = fitter.fit(train, rng, stage=f"evaluate {number}/{folds}", progress=progress)
        ensemble[split.test] = fitted.probability(test.features)[:, 0]
        control[split.test] = logistic_regression(train, test)
    return Predictions(ensemble, control, splits)


def logistic_regression(train: Table, test: Table) -> NDArray[np.float64]:
    """The control: probabilities [n] for ``test`` of a logistic regression fitted on ``train``."""
    linear = require("sklearn.linear_model", extra="convert")
    scale = Scale.of(train.features)
    fitted = linear.LogisticRegression(max_iter=1000).fit(scale.apply(train.features), train.labels > 0.5)
    answers: NDArray[np.float64] = fitted.predict_proba(scale.apply(test.features))[:, 1]
    return answers


def measure(table: Table, predictions: Predictions, rng: np.random.Generator) -> dict[str, Any]:
    """Metrics with intervals by cut-off day, as ``docs/protocol`` fixes them for results.

    Returns:
        ``{cutoff: {metric: figure, "control": {metric: figure}, "paired_auc_difference": figure}}``, a figure
        being ``{"value", "low", "high", "n"}``.
    """
    result: dict[str, Any] = {}
    for cutoff in dict.fromkeys(table.cutoffs.tolist()):
        at = table.cutoffs == cutoff
        labels, people = table.labels[at], table.people[at]
        ours, control = predictions.ensemble[at], predictions.control[at]
        result[str(cutoff)] = {
            **metrics.as_json(metrics.evaluate(labels, ours, people, rng)),
            "control": metrics.as_json(metrics.evaluate(labels, control, people, rng)),
            "paired_auc_difference": metrics.paired_auc_difference(
                labels, ours, control, people, rng
            ).as_json(),
        }
    return result
