"""Distributions: every known user is in one bar, and no single one can be seen."""

from __future__ import annotations

import re

import numpy as np
import pytest

from feature_spec.catalogue.distribution import Distribution, distribution, distributions
from feature_spec.catalogue.histogram import histogram
from feature_spec.definition import Feature
from feature_spec.registry import REGISTRY
from tests.feature_spec.inputs import random_input


def feature(name: str) -> Feature:
    item = REGISTRY.find(name)[1]
    assert isinstance(item, Feature)
    return item


@pytest.mark.parametrize("seed", [1, 2])
def test_every_known_user_is_in_one_bar(seed: int) -> None:
    daily, context = random_input(seed, 500)
    made = distributions(REGISTRY.computed.features, daily, context)
    assert list(made) == list(REGISTRY.computed.names)
    for name, of in made.items():
        assert of.users == 500, name
        assert sum(of.counts) == of.known, name
        assert len(of.edges) == len(of.counts) + 1, name
        assert list(of.edges) == sorted(set(of.edges)), name
        assert len(of.counts) <= 31, name
    known = (context[:, 8] >= 0).sum()
    assert made["hour_of_day"].known == known < 500


def test_whole_numbers_have_a_bar_each() -> None:
    of = distribution(feature("day_of_week"), np.repeat(np.arange(7, dtype=np.float32), 10), 80)
    assert of.counts == (10,) * 7
    assert of.edges == tuple(n - 0.5 for n in range(8))
    assert (of.users, of.known, of.median, of.mean, of.whole) == (80, 70, 3, 3, True)
    drawing = histogram(of, "weekday")
    assert "<title>0 weekday: 10 users</title>" in drawing
    assert ">6 weekday</text>" in drawing


def test_bars_of_several_whole_numbers_end_where_the_range_ends() -> None:
    of = distribution(feature("login_streak_days"), np.arange(91, dtype=np.float32), 91)
    assert (of.edges[0], of.edges[-1], sum(of.counts)) == (-0.5, 90.5, 91)
    assert ">90 days</text>" in histogram(of, "days")


def test_a_flag_has_two_bars_even_where_all_are_alike() -> None:
    of = distribution(feature("is_weekend"), np.zeros(40, np.float32), 40)
    assert of.counts == (40, 0)
    assert of.alike
    assert not distribution(feature("is_weekend"), np.arange(40, dtype=np.float32) % 2, 40).alike


def test_one_far_away_does_not_stretch_the_axis_nor_show() -> None:
    values = np.append(np.linspace(0, 1, 999), 480).astype(np.float32)
    of = distribution(feature("avg_session_duration_min"), values, 1_000)
    assert of.edges[-1] < 1
    assert of.beyond == (True, True)
    assert sum(of.counts) == 1_000
    assert "480" not in histogram(of, "minutes")


def test_a_constant_still_has_an_axis() -> None:
    for value in (0.0, 0.25):
        of = distribution(feature("goal_velocity"), np.full(30, value, np.float32), 30)
        assert sum(of.counts) == 30
        assert histogram(of, "x").count("<rect") == 1


def test_few_users_are_not_shown() -> None:
    few = distribution(feature("goal_velocity"), np.full(19, 0.1, np.float32), 300)
    assert few == Distribution(300, 19)


def test_a_bar_of_few_does_not_say_how_many() -> None:
    values = np.append(np.zeros(50), np.full(4, 6)).astype(np.float32)
    titles = re.findall(
        "<title>(.*?)</title>", histogram(distribution(feature("day_of_week"), values, 54), "weekday")
    )
    assert titles == ["0 weekday: 50 users", "6 weekday: fewer than 5 users"]


def test_a_bar_of_one_is_as_high_as_one_of_four() -> None:
    def heights(few: int) -> list[str]:
        values = np.append(np.zeros(50), np.full(few, 6)).astype(np.float32)
        return re.findall(
            'height="(.*?)"', histogram(distribution(feature("day_of_week"), values, 60), "weekday")
        )

    assert heights(1)[1] == heights(4)[1] != heights(9)[1]
