"""The synthetic population: reproducible, plausible, and honest about what can be known."""

from __future__ import annotations

import numpy as np
import pytest

from converters import metrics
from converters.zoo.population import Population, PopulationSettings, synthesise
from feature_spec.numpy_evaluator import evaluate
from feature_spec.prebuilt import PREBUILT
from feature_spec.vocabulary import EVENT_TYPES


@pytest.fixture(scope="module")
def population() -> Population:
    return synthesise(np.random.default_rng(0))


def test_the_same_seed_gives_the_same_people() -> None:
    settings = PopulationSettings(people=50)
    first, second, other = (synthesise(np.random.default_rng(seed), settings) for seed in (1, 1, 2))
    for name, column in vars(first).items():
        assert np.array_equal(column, getattr(second, name), equal_nan=name == "event_value"), name
    assert not np.array_equal(first.event_day, other.event_day)


def test_it_looks_like_a_coaching_product(population: Population) -> None:
    events = np.bincount(population.event_user, weights=population.event_count)
    assert 40 <= np.percentile(events, 25) < np.percentile(events, 75) <= 120
    assert 0.4 < population.success.mean() < 0.6
    assert set(population.event_type) == set(EVENT_TYPES)
    assert population.event_day.min() == 0
    assert population.event_day.max() == PopulationSettings().observed_days - 1
    assert (population.event_count > 0).all()


def test_values_are_where_they_belong(population: Population) -> None:
    for kind, low, high in (
        ("task_done", 0.05, 1.0),
        ("progress", 0.0, 1.0),
        ("check_in", 1, 10),
        ("feedback", 1, 5),
    ):
        values = population.event_value[population.event_type == kind]
        assert low <= values.min() <= values.max() <= high, kind
    for kind in ("session", "message", "content_view", "task_due"):
        assert np.isnan(population.event_value[population.event_type == kind]).all(), kind


def test_features_of_it_spread_over_their_ranges(population: Population) -> None:
    snapshot = population.dataset().snapshot(None)
    assert snapshot.notices == ()
    features = evaluate(PREBUILT, snapshot.daily, snapshot.context)
    assert (features.std(axis=0) > 0).all()
    assert len(np.unique(features, axis=0)) > 0.9 * len(features)


def test_outcomes_can_be_guessed_but_not_read_off(population: Population) -> None:
    """No feature alone knows the outcome, and each of the strong ones knows something."""
    snapshot = population.dataset().snapshot(None)
    features = evaluate(PREBUILT, snapshot.daily, snapshot.context).astype(float)
    labels = snapshot.labels["goal_success"].astype(float)
    weights = np.ones((1, len(labels)))
    one_by_one = [float(metrics.auc(labels, column, weights)[0]) for column in features.T]
    assert max(one_by_one) < 0.85
    assert one_by_one[PREBUILT.names.index("completion_rate")] > 0.65
    assert one_by_one[PREBUILT.names.index("days_since_last_activity")] < 0.4


def test_an_earlier_day_can_be_looked_at(population: Population) -> None:
    snapshot = population.dataset().snapshot(20)
    assert (snapshot.context[:, 0] == 21).all()
