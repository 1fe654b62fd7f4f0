"""A real log: do the features mean something on data nobody here made? Skips where the files are absent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from feature_spec import PREBUILT
from feature_spec.dataset import DataFiles, Dataset, load
from feature_spec.numpy_evaluator import evaluate
from feature_spec.vocabulary import CONTEXT, EVENT_TYPES
from feature_spec.warehouse.cohort import snapshot_features
from feature_spec.warehouse.duckdb_engine import DuckDB


@pytest.fixture(scope="module")
def dataset(oulad: Path) -> Dataset:
    names = ("events", "labels", "assessments")
    return load(DataFiles(*(oulad / f"{name}_bbb_2013b.csv" for name in names), mapping="oulad"))


def test_who_is_there_at_day_100(dataset: Dataset) -> None:
    snapshot = dataset.snapshot(100)
    assert len(snapshot.users) == 1401
    assert "230 of 1767 labelled users have no event: their history is empty" in snapshot.notices
    assert (snapshot.daily.sum(axis=(1, 2, 3)) == 5).sum() >= 51, "only what fell due"
    assert (snapshot.labels["goal_success"].sum(), snapshot.labels["churned"].sum()) == (803, 139)


def test_due_items_fall_on_their_days(dataset: Dataset) -> None:
    due = dataset.snapshot(100).daily[..., EVENT_TYPES.index("task_due"), 0]
    days = [19, 47, 54, 89, 89]
    assert due[0].nonzero()[0].tolist() == sorted({100 - day for day in days})
    assert due[0, 11] == 2


def test_a_later_cutoff_never_changes_the_past(dataset: Dataset) -> None:
    early, late = dataset.snapshot(60), dataset.snapshot(70)
    common = [(early.users.index(user), late.users.index(user)) for user in late.users]
    left, right = (np.array(part) for part in zip(*common, strict=True))
    assert np.array_equal(early.daily[left, :80], late.daily[right, 10:])
    age = CONTEXT.index("goal_age_days")
    assert (late.context[:, age] == 70).all()


# Logistic regression on the ten features, five folds by person: goal AUC by cut-off day.
PROMISED = {30: 0.76, 60: 0.81, 100: 0.865}


@pytest.mark.parametrize("cutoff", [30, 100])
def test_the_warehouse_computes_the_same(dataset: Dataset, cutoff: int) -> None:
    snapshot = dataset.snapshot(cutoff)
    expected = evaluate(PREBUILT, snapshot.daily, snapshot.context)
    with DuckDB() as engine:
        found, notices = snapshot_features(PREBUILT, engine, dataset, cutoff)
    assert tuple(found["user_id"].to_pylist()) == snapshot.users
    assert notices == snapshot.notices
    columns = np.stack([found[name].to_numpy() for name in PREBUILT.names], axis=1)
    assert np.abs(columns - expected).max() <= 1e-6
    assert len(np.unique(expected, axis=0)) > 1000, "users that differ"


@pytest.mark.convert
@pytest.mark.parametrize("day", PROMISED)
def test_ten_features_predict_success(dataset: Dataset, day: int) -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    metrics = pytest.importorskip("sklearn.metrics")
    selection = pytest.importorskip("sklearn.model_selection")
    pipeline = pytest.importorskip("sklearn.pipeline")
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    snapshot = dataset.snapshot(day)
    features = evaluate(PREBUILT, snapshot.daily, snapshot.context)

    def auc(label: str, rows: np.ndarray) -> float:
        model = pipeline.make_pipeline(
            preprocessing.StandardScaler(), linear.LogisticRegression(max_iter=1000)
        )
        folds = selection.GroupKFold(5)
        chances = selection.cross_val_predict(
            model, rows, snapshot.labels[label], groups=snapshot.groups, cv=folds, method="predict_proba"
        )
        return float(metrics.roc_auc_score(snapshot.labels[label], chances[:, 1]))

    assert auc("goal_success", features) >= PROMISED[day]
    assert 0.5 <= auc("churned", features) <= 0.85, "near 0.9 it would be a leak"
    shuffled = np.random.default_rng(0).permutation(features)
    assert auc("goal_success", shuffled) < 0.6, "the control: other people's features say nothing"
