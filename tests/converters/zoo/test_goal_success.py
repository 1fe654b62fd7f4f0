"""The ensemble's training: the members are what they claim, nothing leaks, and the same seed repeats."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from converters.zoo import training
from converters.zoo.goal_success import evaluate, fit
from converters.zoo.goal_success.fit import EnsembleFitter, Scale
from converters.zoo.goal_success.forest import fit_forest
from converters.zoo.goal_success.network import NetworkTrainer, Rows
from converters.zoo.goal_success.settings import Settings
from converters.zoo.table import Table
from tests.converters.conftest import TINY

pytestmark = pytest.mark.convert


@pytest.fixture(scope="module")
def table(tiny_training: training.Training) -> Table:
    return tiny_training.table


@pytest.fixture(scope="module")
def fitter(table: Table) -> EnsembleFitter:
    return EnsembleFitter(len(table.feature_names), TINY)


def test_settings_are_those_of_the_source() -> None:
    settings = Settings()
    assert (settings.trees, settings.depth, settings.min_samples_split) == (100, 10, 5)
    assert settings.hidden == (256, 128, 64)
    assert settings.dropout == (0.3, 0.2, 0.0)


def test_the_forest_answers_as_scikit_learn_does(table: Table) -> None:
    ensemble = pytest.importorskip("sklearn.ensemble")
    ours = fit_forest(table.features, table.labels, TINY, np.random.default_rng(5))
    theirs = ensemble.RandomForestClassifier(
        TINY.trees,
        max_depth=TINY.depth,
        min_samples_split=TINY.min_samples_split,
        random_state=int(np.random.default_rng(5).integers(2**31)),
    ).fit(table.features, table.labels > 0.5)
    expected = theirs.predict_proba(table.features)[:, 1]
    assert ours.leaf_values(table.features).mean(axis=1) == pytest.approx(expected, abs=1e-12)
    assert ours.trees == TINY.trees
    assert ours.depth <= TINY.depth


def test_the_network_learns_and_stops_at_its_best() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(600, 4)).astype(np.float32)
    labels = (features[:, 0] * features[:, 1] > 0).astype(np.float32)
    trainer = NetworkTrainer(4, replace(TINY, epochs=40, hidden=(32, 16), learning_rate=1e-2))
    rows, stop = Rows(features[:400], labels[:400]), Rows(features[400:], labels[400:])
    fitted = trainer.fit_until(rows, stop, np.random.default_rng(1))
    assert 1 <= fitted.epochs <= 40
    right = (fit._answer(fitted, features[400:]) > 0.5) == (labels[400:] == 1)
    assert right.mean() > 0.85  # an exclusive or: no linear model gets beyond a half


def test_the_same_seed_gives_the_same_ensemble_whatever_was_fitted_before(
    table: Table, fitter: EnsembleFitter
) -> None:
    first = fitter.fit(table, np.random.default_rng(1))
    other = fitter.fit(table, np.random.default_rng(2))
    again = fitter.fit(table, np.random.default_rng(1))
    fresh = EnsembleFitter(len(table.feature_names), TINY).fit(table, np.random.default_rng(1))
    assert np.array_equal(first.forest.threshold, again.forest.threshold)
    for same in (again, fresh):
        for left, right in zip(first.layers, same.layers, strict=True):
            assert np.array_equal(left.kernel, right.kernel)
            assert np.array_equal(left.bias, right.bias)
        assert np.array_equal(first.meta_weights, same.meta_weights)
    assert not np.array_equal(first.layers[0].kernel, other.layers[0].kernel)


def test_baseline_is_the_median_and_scale_comes_from_the_rows(table: Table, fitter: EnsembleFitter) -> None:
    fitted = fitter.fit(table, np.random.default_rng(1))
    assert np.array_equal(fitted.baseline, np.median(table.features, axis=0).astype(np.float32))
    assert fitted.mean == pytest.approx(table.features.mean(axis=0), rel=1e-5)
    assert np.array_equal(fitted.low, table.low)


def test_a_feature_that_never_changes_is_not_divided_by_nothing() -> None:
    scale = Scale.of(np.full((5, 1), 3.0, np.float32))
    assert scale.apply(np.full((1, 1), 3.0, np.float32)) == 0


class Watching:
    """Stands in for the fitter and notes whom it was shown."""

    def __init__(self, fitter: EnsembleFitter) -> None:
        self.fitter = fitter
        self.shown: list[set[Any]] = []

    def fit(self, table: Table, rng: np.random.Generator, **about: Any) -> Any:
        self.shown.append(set(table.people.tolist()))
        return self.fitter.fit(table, rng, **about)


def test_nobody_is_measured_by_a_model_that_saw_them(table: Table, fitter: EnsembleFitter) -> None:
    twice = table.rows(np.concatenate([np.arange(len(table)), np.arange(len(table))]))
    watching = Watching(fitter)
    predictions = evaluate.cross_predict(
        watching,  # type: ignore[arg-type]
        twice,
        3,
        np.random.default_rng(0),
    )
    assert len(watching.shown) == 3
    for shown, split in zip(watching.shown, predictions.folds, strict=True):
        assert not shown & set(twice.people[split.test].tolist())
    assert sorted(np.concatenate([split.test for split in predictions.folds])) == list(range(len(twice)))


def test_noise_cannot_be_predicted_unless_people_leak(table: Table, fitter: EnsembleFitter) -> None:
    """Labels drawn at random, every person with four equal rows: only a leak could score above a half."""
    rng = np.random.default_rng(0)
    some = table.rows(np.arange(150))
    noise = replace(some, labels=rng.permutation((np.arange(150) < 75).astype(np.float32)))
    copies = noise.rows(np.tile(np.arange(150), 4))
    honest = evaluate.cross_predict(fitter, copies, 3, np.random.default_rng(1))
    strangers = replace(copies, people=np.arange(len(copies)))
    leaking = evaluate.cross_predict(fitter, strangers, 3, np.random.default_rng(1))
    scores = [
        evaluate.measure(copies, predictions, np.random.default_rng(2))["none"]["auc"]["value"]
        for predictions in (honest, leaking)
    ]
    assert scores[0] < 0.62
    assert scores[1] > 0.8


def test_the_meta_learner_does_not_trust_what_a_forest_knows_by_heart(table: Table) -> None:
    """Labels at random and deep trees: in their own training rows they look right, out of fold they do not."""
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    noise = replace(table, labels=rng.permutation((np.arange(len(table)) % 2).astype(np.float32)))
    deep = replace(TINY, depth=12)
    fitted = EnsembleFitter(len(table.feature_names), deep).fit(noise, np.random.default_rng(1))
    seen = fitted.forest.leaf_values(noise.features).mean(axis=1, keepdims=True)
    mistaken = linear.LogisticRegression().fit(seen, noise.labels).coef_[0, 0]
    assert abs(fitted.meta_weights[0]) < 1.5
    assert mistaken > 3


def test_figures_have_the_published_shape(tiny_training: training.Training) -> None:
    figures = tiny_training.model.training.metrics["goal-success"]["none"]
    names = {"auc", "accuracy", "precision", "recall", "f1", "brier", "calibration_error"}
    assert set(figures) == names | {"control", "paired_auc_difference"}
    assert set(figures["control"]) == names
    leaves = [figures[name] for name in names] + list(figures["control"].values())
    for leaf in [*leaves, figures["paired_auc_difference"]]:
        assert set(leaf) == {"value", "low", "high", "n"}
        assert leaf["low"] <= leaf["high"]
        assert leaf["n"] == 290


def test_on_the_real_log_it_holds_what_the_project_promises(oulad: Any) -> None:
    """Day 100 of a course of 1,401 learners: AUC, and no worse than logistic regression on the same features."""
    from converters.zoo.catalogue import GOAL_SUCCESS
    from feature_spec.dataset import DataFiles

    files = DataFiles(
        oulad / "events_bbb_2013b.csv",
        oulad / "labels_bbb_2013b.csv",
        oulad / "assessments_bbb_2013b.csv",
        "oulad",
    )
    data = training.file_data(files, (100,), "UTC", "CC BY 4.0")
    rows, _ = training.build_table(data, GOAL_SUCCESS)
    fitter = EnsembleFitter(len(rows.feature_names), Settings())
    predictions = evaluate.cross_predict(fitter, rows, 5, np.random.default_rng(0))
    figures = evaluate.measure(rows, predictions, np.random.default_rng(1))["100"]
    assert figures["auc"]["value"] >= 0.86
    assert figures["paired_auc_difference"]["low"] >= -0.03
