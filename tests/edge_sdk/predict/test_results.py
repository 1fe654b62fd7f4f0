"""The result cache: the same answer for exactly the same question, bounded in number and time."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.errors import InputError
from edge_sdk.predict import Predictor, Reason, ResultCache
from edge_sdk.predict.results import CachingPredictor
from edge_sdk.runtime import Model, Pool, PoolClosed, PoolSettings, RunFailed
from tests.edge_sdk.predict.test_predictor import SPEC, FakeGoal
from tests.edge_sdk.runtime.fakes import FakeClock, Threads

ROW = {"rate": 0.25, "streak": 4.0}


class World:
    """A caching predictor on a fake engine."""

    def __init__(self, settings: ResultCache) -> None:
        self.clock = FakeClock()
        self.session = FakeGoal(self.clock)
        pool = Pool(lambda: self.session, PoolSettings(max_sessions=1), clock=self.clock, first=self.session)
        self.model = Model(pool, self.session)
        self.predictor = Predictor(self.model, SPEC)
        self.caching = CachingPredictor(self.predictor, settings)
        self.predict = self.caching.predict

    @property
    def runs(self) -> int:
        return len(self.session.batches)


@pytest.fixture
def world() -> World:
    return World(ResultCache(max_entries=3, ttl_s=10))


def test_the_second_time_it_is_remembered(world: World) -> None:
    world.session.takes_ms = 2
    first = world.predict(ROW)
    again = world.predict(dict(reversed(ROW.items())))
    assert (first.cached, again.cached, world.runs) == (False, True, 1)
    assert first._replace(cached=True, compute_ms=0.0) == again
    counts = world.predictor.counters.snapshot()
    assert (counts.cache_hits, counts.cache_misses, counts.hit_rate, counts.answers) == (1, 1, 0.5, 2)
    assert counts.compute.count == 1
    first, second = world.predictor.counters.take_recent(4)
    np.testing.assert_array_equal(first, second, "also what is remembered is seen")


def test_age_and_reason_are_those_of_the_call(world: World) -> None:
    world.predict(ROW)
    old = world.predict(ROW, feature_age_s=3601)
    assert (old.cached, old.reason, old.feature_age_s) == (True, Reason.STALE_FEATURES, 3601)
    assert world.predict(ROW).reason is Reason.FRESH


@pytest.mark.parametrize(
    "other",
    [
        {"rate": math.nextafter(0.25, 1), "streak": 4.0},
        {"rate": 0.25, "streak": math.nextafter(4.0, 0)},
        {"rate": 4.0, "streak": 0.25},
    ],
    ids=["one ulp of a double, none of a float32", "one ulp below", "swapped"],
)
def test_other_numbers_are_another_question(world: World, other: dict[str, float]) -> None:
    world.predict(ROW)
    assert not world.predict(other).cached


def test_a_rule_between_two_numbers_that_round_to_one_row(world: World) -> None:
    """Why the row is not key enough: the rule says rate < 0.5, of the number as it was given."""
    below = {"rate": math.nextafter(0.5, 0), "streak": 4.0}
    at = {"rate": 0.5, "streak": 4.0}
    assert np.float32(below["rate"]) == np.float32(at["rate"])
    assert "low_rate" in world.predict(below).risk_factors
    assert "low_rate" not in world.predict(at).risk_factors


def test_zeros_have_a_sign(world: World) -> None:
    world.predict({"rate": 0.0, "streak": 0.0})
    assert not world.predict({"rate": 0.0, "streak": -0.0}).cached


def test_what_was_filled_is_part_of_the_question(world: World) -> None:
    world.predict({"rate": 0.5, "streak": 3.0})
    filled = world.predict({"streak": 3.0})
    assert (filled.filled, filled.cached) == (("rate",), False)
    assert world.predict({"streak": 3}).cached, "an integer is the same number"


def test_an_answer_grows_old(world: World) -> None:
    world.predict(ROW)
    world.clock.advance_ms(9_999.999)
    assert world.predict(ROW).cached
    world.clock.advance_ms(0.001)
    assert not world.predict(ROW).cached, "also if it was asked for meanwhile"
    assert world.predict(ROW).cached


def test_the_one_not_asked_for_the_longest_is_forgotten(world: World) -> None:
    for rate in (0.1, 0.2, 0.3):
        world.predict({"rate": rate})
    world.predict({"rate": 0.1})
    world.predict({"rate": 0.4})
    assert [world.predict({"rate": rate}).cached for rate in (0.1, 0.3, 0.4)] == [True] * 3
    assert not world.predict({"rate": 0.2}).cached


def test_a_fallback_is_not_remembered(world: World) -> None:
    world.session.takes_ms = 101
    assert world.predict(ROW).reason is Reason.FALLBACK
    world.session.takes_ms = 0
    again = world.predict(ROW)
    assert (again.reason, again.cached) == (Reason.FRESH, False)


def test_nor_is_a_failure(world: World) -> None:
    world.session.answer = math.nan
    with pytest.raises(RunFailed):
        world.predict(ROW)
    world.session.answer = None
    assert not world.predict(ROW).cached


def test_bad_input_is_refused_as_ever(world: World) -> None:
    with pytest.raises(InputError, match="did you mean rate"):
        world.predict({"rte": 1})
    assert world.predictor.counters.snapshot().refused == 1


@pytest.mark.parametrize("at", ["first", "again"])
def test_an_answer_belongs_to_its_caller(world: World, at: str) -> None:
    made = world.predict(ROW)
    if at == "again":
        made = world.predict(ROW)
    made.values["probability"] = 99.0
    made.contributions.clear()
    again = world.predict(ROW)
    assert again.cached
    assert (again.values["probability"], again.contributions["rate"]) == (0.25, 0.25)


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.5, -0.0, 0.0]), st.integers(0, 12_000)), max_size=25))
def test_cached_or_not_the_answer_is_the_same(calls: list[tuple[float, int]]) -> None:
    world = World(ResultCache(max_entries=2, ttl_s=10))
    plain = World(ResultCache()).predictor
    for rate, wait_ms in calls:
        world.clock.advance_ms(wait_ms)
        made = world.predict({"rate": rate, "streak": 1.0})
        assert made._replace(cached=False) == plain.predict({"rate": rate, "streak": 1.0})


def test_a_closed_model_answers_nothing_more_and_remembers_nothing(world: World) -> None:
    world.predict(ROW)
    world.caching.close()
    assert not world.predict(ROW).cached
    assert not world.predict(ROW).cached, "a prediction that was in flight is not remembered either"
    world.model.close()
    with pytest.raises(PoolClosed):
        world.predict(ROW)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_child_that_was_forked_while_a_thread_looked_up(world: World) -> None:
    world.predict(ROW)
    with world.caching._lock:
        child = os.fork()
        if not child:
            signal.alarm(10)
            os._exit(int(world.predict(ROW).cached or not world.predict(ROW).cached))
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert world.predict(ROW).cached


def test_threads_may_share_it() -> None:
    world = World(ResultCache(max_entries=4))
    threads = Threads()

    def work() -> None:
        for number in range(600):
            rate = (number % 8) / 8
            assert world.predict({"rate": rate}, deadline_ms=60_000).values["probability"] == rate

    for _ in range(4):
        threads.start(work)
    threads.join()
    assert not [result for result in threads.results if isinstance(result, BaseException)]
    assert world.predictor.counters.snapshot().answers == 2400


@pytest.mark.parametrize(
    "make",
    [
        lambda: ResultCache(max_entries=0),
        lambda: ResultCache(max_entries=10**6),
        lambda: ResultCache(ttl_s=0),
        lambda: ResultCache(ttl_s=math.inf),
        lambda: ResultCache(ttl_s=math.nan),
    ],
)
def test_bounds(make: Callable[[], ResultCache]) -> None:
    with pytest.raises(InputError):
        make()
