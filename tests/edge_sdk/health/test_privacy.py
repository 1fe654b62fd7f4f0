"""Noise: its distribution, computed from the code that makes it, and the bound that it is there for."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from threading import Barrier, Thread
from typing import TypeVar

import pytest

from edge_sdk.contract.telemetry import COUNTS, HISTOGRAMS, LATENCIES, MAX_BYTES, Report, Tally, Window
from edge_sdk.errors import InputError
from edge_sdk.health import noise
from edge_sdk.health.noise import BitDice, Dice, chance_exp, discrete_laplace
from edge_sdk.health.privacy import Budget, PrivacySettings, Shape, bounded, privatise
from edge_sdk.health.source import MOST_NAMED
from edge_sdk.store.disk import Disk
from tests.edge_sdk.health.windows import START, Faulty, subject

T = TypeVar("T")


class Undecided(Exception):
    """The next throw is not in the script."""

    def __init__(self, odds: list[Fraction]) -> None:
        self.odds = odds


class Scripted:
    """Dice that show what a script says, and stop where it ends."""

    def __init__(self, script: tuple[int, ...]) -> None:
        self.script, self.at = script, 0

    def _throw(self, odds: list[Fraction]) -> int:
        if self.at == len(self.script):
            raise Undecided(odds)
        self.at += 1
        return self.script[self.at - 1]

    def below(self, bound: int) -> int:
        return self._throw([Fraction(1, bound)] * bound)

    def chance(self, part: int, whole: int) -> bool:
        return bool(self._throw([1 - Fraction(part, whole), Fraction(part, whole)]))


def distribution(sample: Callable[[Dice], T], within: Fraction) -> dict[T, Fraction]:
    """The probability of every outcome, by following every throw; what is less likely than ``within`` is left out."""
    found: defaultdict[T, Fraction] = defaultdict(Fraction)
    open_: list[tuple[tuple[int, ...], Fraction]] = [((), Fraction(1))]
    while open_:
        script, likely = open_.pop()
        try:
            found[sample(Scripted(script))] += likely
        except Undecided as undecided:
            for shown, odds in enumerate(undecided.odds):
                if likely * odds >= within:
                    open_.append(((*script, shown), likely * odds))
    return dict(found)


@pytest.mark.parametrize(("part", "whole"), [(0, 1), (1, 3), (1, 2), (1, 1)])
def test_the_probability_of_exp(part: int, whole: int) -> None:
    found = distribution(lambda dice: chance_exp(part, whole, dice), Fraction(1, 10**12))
    assert float(found[True]) == pytest.approx(math.exp(-part / whole), abs=1e-10)


@pytest.mark.parametrize(("part", "whole"), [(1, 1), (2, 1), (3, 2)])
def test_the_probability_of_every_noise(part: int, whole: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As computed from the code, and so the ratio of neighbours is exp(-1 / scale).

    What was computed above is one throw here, or the tree of throws would be too large.
    """

    def one_throw(part: int, whole: int, dice: Scripted) -> bool:
        odds = Fraction(math.exp(-part / whole))
        return bool(dice._throw([1 - odds, odds]))

    monkeypatch.setattr(noise, "chance_exp", one_throw)
    found = distribution(lambda dice: discrete_laplace(part, whole, dice), Fraction(1, 10**6))
    missing = float(1 - sum(found.values()))
    assert missing < 0.015
    a = math.exp(-whole / part)
    for z in range(-5, 6):
        exact = (1 - a) / (1 + a) * a ** abs(z)
        # What is missing belongs to some outcome or other.
        assert float(found[z]) <= exact <= float(found[z]) + missing, z


def test_whatever_was_counted_a_report_is_about_as_likely() -> None:
    """The bound itself, in exact exponents: P(report | one) / P(report | other) = exp(k epsilon / S), abs(k) <= S.

    Of a bounded tally, the probability of a report is the product over its places of a^|report - count|, times a
    constant; so k is a difference of sums of distances, which no report makes larger than the distance of the two.
    """
    shape, most = Shape(("prediction.fresh", "error.input"), {"feature.a": 3, "score.p": 2}), 4
    sensitivity = shape.sensitivity(most)
    chance = random.Random(5)
    worst = 0

    def any_counts(places: int) -> list[int]:
        drawn = Counter(chance.choices(range(places), k=chance.randint(0, most)))
        return [drawn[at] for at in range(places)]

    def any_tally() -> list[int]:
        return any_counts(2) + any_counts(3) + any_counts(2)

    extremes = [[most, 0, most, 0, 0, most, 0], [0, most, 0, most, 0, 0, most]]
    for _ in range(3000):
        one, other = (chance.choice([any_tally(), *extremes]) for _ in range(2))
        report = [chance.choice([count, chance.randint(-9, 9)]) for count in one]
        distance = [sum(abs(r - c) for r, c in zip(report, counts, strict=True)) for counts in (one, other)]
        worst = max(worst, abs(distance[0] - distance[1]))
        assert abs(distance[0] - distance[1]) <= sensitivity
    assert worst == sensitivity  # and no smaller S would do


def test_the_bound_is_that_of_bounded_tallies() -> None:
    counts = Counter({"a": 1000, "b": 5, "c": 0})
    dice = BitDice(random.Random(1).randbytes)
    kept = bounded(counts, 100, dice)
    assert kept.total() == 100
    assert kept["a"] > 90
    assert bounded(Counter({"a": 100}), 100, dice) == {"a": 100}
    assert bounded({}, 100, dice) == {}
    every = Counter(key for _ in range(600) for key in bounded({"a": 2, "b": 1}, 1, dice))
    assert every["a"] / 600 == pytest.approx(2 / 3, abs=0.06)


def test_the_noise_of_seeded_dice() -> None:
    """A thousand draws against the distribution: chi-square below the 99.9th percentile of 10 degrees of freedom."""
    dice, scale, n = BitDice(random.Random(7).randbytes), 3, 2000
    drawn = Counter(discrete_laplace(scale, 1, dice) for _ in range(n))
    a = math.exp(-1 / scale)
    expected = {z: n * (1 - a) / (1 + a) * a ** abs(z) for z in range(-5, 6)}
    assert sum((drawn[z] - e) ** 2 / e for z, e in expected.items()) < 29.6
    wrong = Counter(discrete_laplace(scale, 2, dice) for _ in range(n))  # the control: of half the scale
    assert sum((wrong[z] - e) ** 2 / e for z, e in expected.items()) > 100


def test_fair_dice() -> None:
    dice = BitDice(random.Random(3).randbytes)
    drawn = Counter(dice.below(6) for _ in range(6000))
    assert sorted(drawn) == list(range(6))
    assert sum((n - 1000) ** 2 / 1000 for n in drawn.values()) < 20.5  # 99.9 % of 5 degrees of freedom
    assert dice.below(1) == 0
    assert max(dice.below(1000) for _ in range(5000)) > 990


def test_a_report_with_noise_has_a_place_for_everything() -> None:
    shape = Shape(("prediction.fresh", "error.input"), {"feature.effort": 23})
    settings = PrivacySettings(epsilon_milli=500_000, daily_epsilon_milli=500_000, contribution=10)
    tally = Tally(Counter({"prediction.fresh": 40, "unknown.name": 9}), {"feature.effort": Counter({3: 8})})
    made, privacy = privatise(tally, shape, settings, BitDice(random.Random(2).randbytes))
    assert (privacy.epsilon_milli, privacy.sensitivity) == (500_000, 40)
    assert set(made.counts) == set(shape.counts)
    assert set(made.histograms["feature.effort"]) == set(range(23))
    assert made.counts["prediction.fresh"] == 10  # bounded; at so large an epsilon there is next to no noise
    assert made.histograms["feature.effort"][3] == 8


def test_a_day_has_a_budget(tmp_path: Path) -> None:
    now = [START]
    budget = Budget(tmp_path, Disk(), lambda: now[0])
    settings = PrivacySettings(1000, 2500)
    assert [budget.spend(settings) for _ in range(4)] == [True, True, False, False]
    assert budget.spend(PrivacySettings(500, 2500))  # what is left
    now[0] = START.replace(day=2)
    assert budget.spend(settings)
    assert len(list(tmp_path.iterdir())) == 1
    now[0] = START  # set back: it is still the 2nd
    assert [budget.spend(settings) for _ in range(2)] == [True, False]
    next(tmp_path.iterdir()).write_bytes(b"damaged")
    now[0] = START.replace(day=2)
    assert not budget.spend(PrivacySettings(1, 2500))


def test_processes_share_the_budget(tmp_path: Path) -> None:
    start, got = Barrier(4), []
    settings = PrivacySettings(1000, 10_000)

    def run(number: int) -> None:
        budget = Budget(tmp_path, Disk(Faulty(name=f"p_{number}", alive=True)), lambda: START)
        start.wait()
        got.extend(budget.spend(settings) for _ in range(5))

    threads = [Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(got) == {True: 10, False: 10}


def test_the_widest_model_fits_into_a_report_with_noise() -> None:
    """One that is too long would be dropped, and its budget spent for nothing, day after day."""
    name, dice = f"feature.{'n' * 97}", BitDice(random.Random(1).randbytes)
    bins = dict.fromkeys(LATENCIES, HISTOGRAMS["latency"])
    bins |= {f"{name}{number:03}": HISTOGRAMS["feature"] for number in range(MOST_NAMED)}
    tally, privacy = privatise(Tally(), Shape(COUNTS, bins), PrivacySettings(), dice)
    report = Report(Window(subject(), START, START + timedelta(hours=1), tally), "0" * 32, (), privacy)
    assert len(report.to_bytes()) <= MAX_BYTES
    assert Report.from_bytes(report.to_bytes()) == report


@pytest.mark.parametrize("wrong", [(0, 1000, 1), (2000, 1000, 1), (1, 1, 0)])
def test_settings_that_promise_nothing(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match="epsilon_milli"):
        PrivacySettings(*wrong)
