"""Golden rows and rows to compare twins on."""

from __future__ import annotations

import numpy as np
import pytest

from converters.ensemble import Dense, Ensemble, Forest
from converters.zoo.rows import golden_rows, sampled_rows

LOW, HIGH, BASELINE = np.float32([0, -1, 0]), np.float32([1, 1, 90]), np.float32([0.5, 0.2, 4])


@pytest.fixture
def ensemble() -> Ensemble:
    leaf = Forest(
        feature=np.int32([-1]),
        threshold=np.array([0.0]),
        left=np.int32([-1]),
        right=np.int32([-1]),
        value=np.array([0.5]),
        roots=np.int32([0]),
    )
    return Ensemble(
        feature_names=("a", "b", "c"),
        low=LOW,
        high=HIGH,
        mean=np.zeros(3, np.float32),
        std=np.ones(3, np.float32),
        baseline=BASELINE,
        forest=leaf,
        layers=(Dense(np.ones((3, 1), np.float32), np.zeros(1, np.float32), "sigmoid"),),
        meta_weights=np.array([1.0, 1.0]),
        meta_bias=0.0,
    )


@pytest.mark.parametrize("n", [5, 6, 8, 24])
def test_golden_rows_cover_the_range_and_leave_it(ensemble: Ensemble, n: int) -> None:
    rows = golden_rows(ensemble, np.random.default_rng(0), n)
    assert rows.dtype == np.float32
    assert rows.shape == (n, 3)
    assert np.array_equal(rows[:3], [BASELINE, LOW, HIGH])
    assert (rows[3] < LOW).all()
    assert (rows[4] > HIGH).all()
    inside = rows[5:]
    assert ((inside >= LOW) & (inside <= HIGH)).all()
    assert len(np.unique(rows, axis=0)) == n


def test_golden_rows_come_from_the_generator(ensemble: Ensemble) -> None:
    one, same, other = (golden_rows(ensemble, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_too_few_golden_rows(ensemble: Ensemble) -> None:
    with pytest.raises(ValueError, match="at least 5"):
        golden_rows(ensemble, np.random.default_rng(0), 4)


def test_sampled_rows_follow_the_quantiles(ensemble: Ensemble) -> None:
    quantiles = np.linspace([0.2, -0.1, 10], [0.4, 0.1, 20], 20).astype(np.float32)
    rows = sampled_rows(ensemble, quantiles, np.random.default_rng(0), 1000)
    assert rows.dtype == np.float32
    assert rows.shape == (1000, 3)
    typical, anywhere = rows[:750], rows[750:]
    assert ((typical >= quantiles[0]) & (typical <= quantiles[-1])).all()
    assert ((anywhere >= LOW) & (anywhere <= HIGH)).all()
    assert anywhere[:, 2].max() > 60
