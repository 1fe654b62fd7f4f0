"""Dynamic batching: what is merged, who waits for whom, and what one caller may do to the others."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from edge_sdk.errors import DeadlineExceeded, InputError
from edge_sdk.runtime import (
    Batcher,
    BatchSettings,
    Model,
    PoolBusy,
    PoolClosed,
    PoolSettings,
    RunFailed,
    open_model,
)
from tests.edge_sdk.runtime import tflite_models as models
from tests.edge_sdk.runtime.fakes import FakeEngine, FakeSession, Threads, expected, until

POISON = 13.0


class Counting(FakeEngine):
    """Negates rows; notes the first number of each row, run by run; fails on POISON; can be held up."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[list[float]] = []
        self.gate = threading.Event()
        self.gate.set()

    def load(self, model: bytes, threads: int = 1) -> FakeSession:
        session, outer = super().load(model, threads), self
        negate = session.run

        def run(inputs: Mapping[str, Any]) -> dict[str, Any]:
            outer.runs.append(inputs["x"][:, 0].tolist())
            assert outer.gate.wait(30)
            if (inputs["x"] == POISON).any():
                raise RuntimeError("poison")
            return negate(inputs)

        session.run = run  # type: ignore[method-assign]
        return session


@pytest.fixture
def engine() -> Counting:
    return Counting()


@pytest.fixture
def model(engine: Counting) -> Iterator[Model]:
    with open_model(b"", engine=engine, settings=PoolSettings(max_sessions=1)) as opened:
        yield opened


def batcher(engine: Counting, model: Model, max_rows: int, max_wait_s: float = 1.0, **more: int) -> Batcher:
    made = Batcher(model, BatchSettings(max_rows, max_wait_s, **more))
    engine.runs.clear()  # the rows that were tried out
    return made


def row(number: float, rows: int = 1) -> dict[str, Any]:
    return {"x": np.full((rows, 2), number, np.float32)}


def call(runs: Batcher, number: float, **options: Any) -> Callable[[], object]:
    return lambda: runs.run(row(number), **options)["y"].tolist()


def waiting(runs: Batcher) -> int:
    return len(runs._queue)


@contextmanager
def session_taken(model: Model) -> Iterator[None]:
    """Nobody can run, so that all who come are waiting when it ends."""
    session = model.pool.acquire()
    try:
        yield
    finally:
        model.pool.release(session)


def test_calls_that_meet_are_one_run(engine: Counting, model: Model) -> None:
    runs, threads = batcher(engine, model, 4), Threads()
    with session_taken(model):
        for number in range(4):
            threads.start(call(runs, number))
        until(lambda: waiting(runs) == 4)
    threads.join()
    assert threads.errors == []
    assert sorted(threads.results) == [[[-n, -n]] for n in (3, 2, 1, 0)]  # type: ignore[type-var]
    assert len(engine.runs) == 1
    assert sorted(engine.runs[0]) == [0, 1, 2, 3]
    assert (runs.stats().batches, runs.stats().merged, runs.stats().alone) == (1, 4, 0)


def test_a_call_that_meets_nobody_is_its_own(engine: Counting, model: Model) -> None:
    runs = batcher(engine, model, 4, max_wait_s=0.001)
    for number in (1, 2):
        assert runs.run(row(number))["y"].tolist() == [[-number, -number]]
    assert (engine.runs, runs.stats().alone) == ([[1], [2]], 2)


def test_a_call_as_large_as_a_batch_waits_for_nobody(engine: Counting, model: Model) -> None:
    runs = batcher(engine, model, 4)
    assert runs.run(row(5, rows=9))["y"].shape == (9, 2)
    assert runs.stats().alone == 1


def test_the_queue_is_served_in_order_in_batches_that_form_meanwhile(engine: Counting, model: Model) -> None:
    runs, threads = batcher(engine, model, 2, max_wait_s=0), Threads()
    engine.gate.clear()
    threads.start(call(runs, 0))
    until(lambda: engine.runs == [[0]])
    for number in range(1, 6):  # the first of them leads, and waits for the only session
        threads.start(call(runs, number))
        until(lambda count=number: waiting(runs) == count)  # type: ignore[misc]
    engine.gate.set()
    threads.join()
    assert threads.errors == []
    assert engine.runs == [[0], [1, 2], [3, 4], [5]]
    assert (runs.stats().batches, runs.stats().merged, runs.stats().alone) == (2, 4, 2)


def test_an_error_is_that_of_its_row_alone(engine: Counting, model: Model) -> None:
    runs, threads = batcher(engine, model, 3), Threads()
    with session_taken(model):
        for number in (1, POISON, 2):
            threads.start(call(runs, number))
        until(lambda: waiting(runs) == 3)
    threads.join()
    assert sorted(threads.results) == [[[-2, -2]], [[-1, -1]]]  # type: ignore[type-var]
    (error,) = threads.errors
    assert isinstance(error, RunFailed)
    assert str(error) == "the engine failed: poison"
    assert (runs.stats().batches, runs.stats().alone) == (0, 3)


def test_a_wrong_input_disturbs_nobody(engine: Counting, model: Model) -> None:
    runs = batcher(engine, model, 3)
    with pytest.raises(InputError, match="finite numbers only"):
        runs.run(row(float("nan")))
    with pytest.raises(InputError, match="missing x"):
        runs.run({})
    assert waiting(runs) == 0
    assert engine.runs == []


def test_a_deadline_is_not_waited_away(engine: Counting, model: Model) -> None:
    runs, threads = batcher(engine, model, 10, max_wait_s=0), Threads()
    with session_taken(model):
        threads.start(call(runs, 1))
        until(lambda: waiting(runs) == 1)
        with pytest.raises(DeadlineExceeded, match="while waiting to be batched"):
            runs.run(row(2), deadline_ns=model.pool.clock() + 1_000_000)
        assert (waiting(runs), runs.stats().expired) == (1, 1)
    threads.join()
    assert threads.results == [[[-1, -1]]]
    assert engine.runs == [[1]]


def test_a_leader_with_a_deadline_does_not_wait_for_others_beyond_it(engine: Counting, model: Model) -> None:
    runs = batcher(engine, model, 10, max_wait_s=1)
    begun = model.pool.clock()
    assert runs.run(row(1), deadline_ns=begun)["y"].tolist() == [[-1, -1]], "a session is free all the same"


@pytest.mark.parametrize("hurried", [1, 2], ids=["the leader", "one behind it"])
def test_who_runs_out_of_time_goes_and_the_others_go_on(engine: Counting, model: Model, hurried: int) -> None:
    runs, threads = batcher(engine, model, 3, max_wait_s=0), Threads()
    with session_taken(model):
        for number in (1, 2, 3):
            soon = {"deadline_ns": model.pool.clock() + 200_000_000} if number == hurried else {}
            threads.start(call(runs, number, **soon))
            until(lambda count=number: waiting(runs) + len(threads.errors) == count)  # type: ignore[misc]
        until(lambda: bool(threads.errors))
        assert isinstance(threads.errors[0], DeadlineExceeded)
        assert engine.runs == []
    threads.join()
    others = [number for number in (1, 2, 3) if number != hurried]
    assert engine.runs == [others]
    assert len(threads.results) == 2


def test_a_full_queue_turns_callers_away(engine: Counting, model: Model) -> None:
    runs, threads = batcher(engine, model, 3, max_wait_s=0, max_waiting=2), Threads()
    with session_taken(model):
        threads.start(call(runs, 1))
        threads.start(call(runs, 2))
        until(lambda: waiting(runs) == 2)
        with pytest.raises(PoolBusy, match="2 calls already wait to be batched"):
            runs.run(row(3))
    threads.join()
    assert len(threads.results) == 2


def test_a_closed_model_says_so_to_all(engine: Counting, model: Model) -> None:
    runs, threads = batcher(engine, model, 2, max_wait_s=0.01), Threads()
    model.close()
    for number in (1, 2):
        threads.start(call(runs, number))
    threads.join()
    assert [type(error) for error in threads.errors] == [PoolClosed, PoolClosed]
    assert threads.errors[0] is not threads.errors[1]


def test_an_interrupted_leader_leaves_the_lead_to_the_next(engine: Counting, model: Model) -> None:
    runs, threads = batcher(engine, model, 3), Threads()
    wait_for, begun = runs._came.wait_for, threading.Event()

    def interrupt(condition: Callable[[], bool], timeout: float) -> bool:
        runs._came.wait_for = wait_for  # type: ignore[method-assign]
        begun.set()
        wait_for(lambda: waiting(runs) == 2, 30)
        raise KeyboardInterrupt

    runs._came.wait_for = interrupt  # type: ignore[method-assign,assignment]
    with session_taken(model):
        threads.start(call(runs, 1))
        assert begun.wait(30)
        threads.start(call(runs, 2))
        until(lambda: len(threads.errors) == 1)
        threads.start(lambda: runs.run(row(3, rows=2))["y"][0].tolist())
        until(lambda: waiting(runs) == 2)
    threads.join()
    assert isinstance(threads.errors[0], KeyboardInterrupt)
    assert sorted(map(str, threads.results)) == ["[-3.0, -3.0]", "[[-2.0, -2.0]]"]
    assert runs.stats().batches == 1


@pytest.mark.parametrize("where", ["_take", "_call_next"])
def test_a_leader_that_is_interrupted_with_its_batch_in_hand(
    engine: Counting, model: Model, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would lead ever after, and every further call would wait until its deadline."""
    runs = batcher(engine, model, 2, max_wait_s=0)

    def interrupt() -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, where, interrupt)
    with pytest.raises(KeyboardInterrupt):
        runs.run(row(1))
    assert runs.run(row(2), deadline_ns=model.pool.clock() + 10**10)["y"].tolist() == [[-2, -2]]
    assert model.stats().idle == 1


def test_many_threads_get_their_own_answers(affine: Callable[..., bytes]) -> None:
    """Within a tolerance: rows in a batch may differ in their last bits from rows alone."""
    threads = Threads()
    with open_model(affine(), proven=True) as opened:
        runs = Batcher(opened, BatchSettings(max_rows=8, max_wait_s=0.0005))

        def work(seed: int) -> Callable[[], None]:
            def body() -> None:
                rng = np.random.default_rng(seed)
                for turn in range(60):
                    rows = rng.normal(size=(1 + turn % 3, 3)).astype(np.float32)
                    score = runs.run({"features": rows})["score"]
                    assert score.base is None, "nobody else's rows"
                    np.testing.assert_allclose(score, expected(rows), rtol=1e-5, atol=1e-5)

            return body

        for seed in range(8):
            threads.start(work(seed))
        threads.join()
        stats = runs.stats()
    assert threads.errors == []
    assert stats.merged + stats.alone == 8 * 60
    assert stats.batches > 0


def test_only_like_shapes_are_merged() -> None:
    free = models.one("ADD", [("float32", (-1, -1)), np.ones(1, np.float32)], [("float32", (-1, -1))])
    threads = Threads()
    with open_model(free, proven=True, max_sessions=1) as opened:
        runs = Batcher(opened, BatchSettings(max_rows=4, max_wait_s=0))
        with session_taken(opened):
            for width in (2, 3, 2, 3):
                threads.start(lambda w=width: runs.run({"x0": np.zeros((1, w))})["y0"].tolist())  # type: ignore[misc]
            until(lambda: waiting(runs) == 4)
        threads.join()
        assert sorted(threads.results) == [[[1, 1]], [[1, 1]], [[1, 1, 1]], [[1, 1, 1]]]  # type: ignore[type-var]
        assert (runs.stats().merged, runs.stats().alone) == (4, 0)


CUMULATIVE = (np.array(0, np.int32),)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: models.echo("float32", (1, 2)), "begin with a free dimension"),
        (lambda: models.echo("float32", ()), "begin with a free dimension"),
        (
            lambda: models.one("CUMSUM", [("float32", (-1, 2)), *CUMULATIVE], [("float32", (-1, 2))]),
            "y0 of a row depends on the rows beside it",
        ),
        (
            lambda: models.one(
                "SUM", [("float32", (-1, 2)), *CUMULATIVE], [("float32", (2,))], kind="Reducer"
            ),
            "y0 of a row depends on the rows beside it",
        ),
        (
            lambda: models.one(
                "GATHER", [np.ones((1, 2), np.float32), ("int32", (-1,))], [("float32", (-1, 2))]
            ),
            "cannot be shown that the model can be batched: the engine failed",
        ),
    ],
    ids=["one row", "a number", "sums over rows", "one answer for all", "fails on what was made up"],
)
def test_what_cannot_be_batched_is_refused(make: Callable[[], bytes], message: str) -> None:
    with open_model(make(), proven=True) as opened, pytest.raises(InputError, match=message):
        Batcher(opened)


def test_a_model_with_a_state_is_refused(counter: bytes) -> None:
    with open_model(counter, proven=True) as opened, pytest.raises(InputError, match="without state"):
        Batcher(opened)


@pytest.mark.parametrize(
    "settings",
    [
        {"max_rows": 1},
        {"max_wait_s": -1},
        {"max_wait_s": 2},
        {"max_wait_s": float("nan")},
        {"max_waiting": 0},
    ],
)
def test_settings_out_of_range(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(settings))):
        BatchSettings(**settings)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_forked_child_begins_again(engine: Counting, model: Model) -> None:
    runs, threads = batcher(engine, model, 2, max_wait_s=0.3), Threads()
    threads.start(call(runs, 1))
    until(lambda: waiting(runs) == 1)
    child = os.fork()
    if child == 0:
        ok = False
        try:
            ok = runs.run(row(7), deadline_ns=model.pool.clock() + 10**9)["y"].tolist() == [[-7, -7]]
        finally:
            os._exit(0 if ok else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert runs.run(row(2))["y"].tolist() == [[-2, -2]]
    threads.join()
    assert threads.results == [[[-1, -1]]]
