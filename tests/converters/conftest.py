"""One small training for all tests that need a trained model: real members, few people, few passes."""

from __future__ import annotations

import pytest

from converters.zoo import training
from converters.zoo.goal_success.settings import Settings
from converters.zoo.population import PopulationSettings

TINY = Settings(
    trees=10, depth=4, hidden=(16, 8), dropout=(0.3, 0.0), epochs=8, batch=32, inner_folds=3, outer_folds=3
)


@pytest.fixture(scope="session")
def tiny_data() -> training.TrainingData:
    """Three hundred people made from seed 3."""
    return training.synthetic_data(3, settings=PopulationSettings(people=300))


@pytest.fixture(scope="session")
def tiny_training(tiny_data: training.TrainingData) -> training.Training:
    """The ensemble fitted on them in a second or two; tests that use it are marked ``convert``."""
    return training.train("goal-success", tiny_data, seed=3, settings=TINY)
