"""Nobody is on both sides of a split."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from converters.errors import ConverterError
from converters.zoo import folds


@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_people_stay_together_and_every_row_is_tested_once(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    people = rng.integers(0, 60, 300)
    labels = (people % 2 == 0).astype(np.float32)
    splits = folds.by_person(people, labels, count, rng)
    assert np.array_equal(np.sort(np.concatenate([split.test for split in splits])), np.arange(300))
    for split in splits:
        assert not set(people[split.train]) & set(people[split.test])
        assert len(split.train) + len(split.test) == 300


def test_splitting_by_row_would_be_noticed() -> None:
    people = np.repeat(np.arange(50), 4)
    by_row = folds.by_person(np.arange(200), np.tile([0, 1], 100), 5, np.random.default_rng(0))
    assert any(set(people[split.train]) & set(people[split.test]) for split in by_row)


def test_both_outcomes_are_spread_over_the_folds() -> None:
    labels = (np.arange(1000) < 200).astype(np.float32)
    for split in folds.by_person(np.arange(1000), labels, 5, np.random.default_rng(3)):
        assert labels[split.test].mean() == pytest.approx(0.2, abs=0.01)


def test_too_few_of_one_outcome() -> None:
    labels = np.array([1, 1, 0, 0, 0, 0, 0])
    with pytest.raises(ConverterError, match="2 persons have the rarer outcome"):
        folds.by_person(np.arange(7), labels, 3, np.random.default_rng(0))


def test_set_aside_takes_whole_people() -> None:
    people = np.repeat(np.array(["a", "b", "c", "d"]), 3)
    split = folds.set_aside(people, 2, np.random.default_rng(0))
    assert len(set(people[split.test])) == 2
    assert len(split.test) == 6
    assert not set(people[split.train]) & set(people[split.test])


def test_set_aside_must_leave_somebody() -> None:
    with pytest.raises(ConverterError, match="too few"):
        folds.set_aside(np.arange(10), 10, np.random.default_rng(0))
