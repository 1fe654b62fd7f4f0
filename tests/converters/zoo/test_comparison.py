"""Rows to compare twins on: always the same, and nobody's who was trained on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from converters.zoo import training
from converters.zoo.comparison import comparison_rows

pytestmark = pytest.mark.convert


def test_a_synthetic_model_meets_new_people(tiny_training: training.Training) -> None:
    compared = comparison_rows(tiny_training.model, 500)
    assert (compared.people, compared.made_up) == (500, 0)
    assert compared.rows.shape == (500, 10)
    assert compared.rows.dtype == np.float32
    assert np.array_equal(comparison_rows(tiny_training.model, 500).rows, compared.rows)
    trained_on = {row.tobytes() for row in tiny_training.table.features}
    idle = {row.tobytes() for row in compared.rows if row[5] == 90}  # who never did anything looks alike
    assert not {row.tobytes() for row in compared.rows} & trained_on - idle


def test_a_model_of_real_people_meets_those_set_aside_and_made_up_ones(
    tiny_training: training.Training,
) -> None:
    model = tiny_training.model
    record = replace(model.training, data=replace(model.training.data, source="files"))
    compared = comparison_rows(replace(model, training=record), 1000)
    assert (compared.people, compared.made_up) == (10, 990)
    assert np.array_equal(compared.rows[:10], model.held_out_features)
    assert np.isfinite(compared.rows).all()
    trained_on = {row.tobytes() for row in tiny_training.table.features[tiny_training.split.train]}
    assert not {row.tobytes() for row in compared.rows[10:]} & trained_on
