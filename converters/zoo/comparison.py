"""Rows on which converted twins are compared with their source: nobody who took part in training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from converters.days import DayInputs
from converters.zoo.catalogue import find
from converters.zoo.model_dir import TrainedModel
from converters.zoo.population import PopulationSettings
from converters.zoo.rows import sampled_rows
from converters.zoo.training import build_table, synthetic_data

ROWS: Final = 1000
_ANOTHER_WORLD: Final = 1_000_003  # added to the seed: other people than any training from a small seed has


@dataclass(frozen=True, eq=False)
class ComparisonRows:
    """float32 [n, F], and how many of them are those of people and how many are made up."""

    rows: NDArray[np.float32]
    people: int
    made_up: int


def comparison_days(model: TrainedModel, n: int = ROWS) -> DayInputs:
    """Day inputs of ``n`` people who never were, always the same for the same model.

    They come from the synthetic population whatever the model was trained on: nobody's days are kept.
    """
    others = synthetic_data(model.training.seed + _ANOTHER_WORLD, settings=PopulationSettings(people=n))
    snapshot = others.dataset.snapshot(None)
    return DayInputs(model.spec, snapshot.daily, snapshot.context)


def comparison_rows(model: TrainedModel, n: int = ROWS) -> ComparisonRows:
    """Rows for a model, always the same for the same model.

    Of a synthetic population there are as many new people as one likes. Of real people there are those set
    aside in training; the rest is drawn like the training rows, and a quarter of it from the whole range
    (see `sampled_rows`).
    """
    training = model.training
    if training.data.source == "synthetic":
        others = synthetic_data(training.seed + _ANOTHER_WORLD, settings=PopulationSettings(people=n))
        table, _ = build_table(others, find(training.model), model.spec)
        return ComparisonRows(table.features, people=n, made_up=0)
    people = model.held_out_features[:n]
    rng = np.random.default_rng([training.seed, _ANOTHER_WORLD])
    made_up = sampled_rows(model.ensemble, training.quantiles, rng, n - len(people))
    return ComparisonRows(np.concatenate([people, made_up]), people=len(people), made_up=len(made_up))
