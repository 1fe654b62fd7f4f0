"""The pool against fake sessions: growth, order, limits, failures, the end."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import pytest

from edge_sdk.errors import DeadlineExceeded, InputError, RetryLater
from edge_sdk.runtime import Pool, PoolBusy, PoolClosed, PoolSettings
from tests.edge_sdk.runtime.fakes import FakeClock, FakeEngine, FakeSession, Threads, until

MS = 1_000_000


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def pool(engine: FakeEngine, clock: FakeClock) -> Pool[FakeSession]:
    return make_pool(engine, clock, PoolSettings(max_sessions=2, max_waiting=2))


def make_pool(engine: FakeEngine, clock: Callable[[], int], settings: PoolSettings) -> Pool[FakeSession]:
    return Pool(lambda: engine.load(b""), settings, clock=clock)


def test_one_caller_at_a_time_needs_one_session(pool: Pool[FakeSession], engine: FakeEngine) -> None:
    for _ in range(5):
        pool.release(pool.acquire())
    assert len(engine.sessions) == 1
    assert pool.stats().sessions == pool.stats().idle == pool.stats().created == 1
    assert pool.stats().queued == 0


def test_grows_only_while_calls_overlap(pool: Pool[FakeSession], engine: FakeEngine) -> None:
    first, second = pool.acquire(), pool.acquire()
    assert first is not second
    pool.release(first)
    pool.release(second)
    assert pool.acquire() in (first, second)
    assert len(engine.sessions) == 2


def test_somebody_is_quicker_with_the_last_one(pool: Pool[FakeSession]) -> None:
    """The fast path takes no lock: between a look at the list and taking from it, the list may have become empty."""

    class Snatched(list[FakeSession]):
        def __len__(self) -> int:
            return 1

    pool._idle = Snatched()
    assert pool.acquire().number == 0
    pool._closing = True
    with pool._lock:
        assert pool._take_idle_when_closing() == []


def test_a_first_session_is_used(engine: FakeEngine) -> None:
    first = engine.load(b"")
    pool = Pool(lambda: engine.load(b""), first=first)
    assert pool.acquire() is first
    assert pool.stats().created == 1


def test_a_passed_deadline_is_refused_at_once(pool: Pool[FakeSession], clock: FakeClock) -> None:
    pool.acquire(), pool.acquire()
    with pytest.raises(DeadlineExceeded):
        pool.acquire(clock.now)
    assert pool.stats().expired == 1
    assert pool.stats().waiting == 0


def test_an_idle_session_is_lent_whatever_the_deadline(pool: Pool[FakeSession], clock: FakeClock) -> None:
    pool.release(pool.acquire())
    pool.acquire(clock.now - 1)


def test_a_deadline_passes_while_waiting(engine: FakeEngine, clock: FakeClock) -> None:
    pool = make_pool(engine, clock, PoolSettings(max_sessions=1))
    held = pool.acquire()
    with pytest.raises(DeadlineExceeded, match="within 2 ms"):
        pool.acquire(clock.now + 2 * MS)
    assert (pool.stats().waiting, pool.stats().queued, pool.stats().expired) == (0, 1, 1)
    pool.release(held)
    assert pool.acquire() is held, "who gave up left nothing behind"


def test_without_a_deadline_the_settings_bound_the_wait(engine: FakeEngine, clock: FakeClock) -> None:
    pool = make_pool(engine, clock, PoolSettings(max_sessions=1, max_wait_s=0.002))
    pool.acquire()
    with pytest.raises(DeadlineExceeded, match="within 2 ms"):
        pool.acquire()


def test_waiters_are_served_in_order(engine: FakeEngine, clock: FakeClock) -> None:
    pool = make_pool(engine, clock, PoolSettings(max_sessions=1))
    held = pool.acquire()
    threads, order = Threads(), []

    def wait(number: int) -> Callable[[], None]:
        def body() -> None:
            session = pool.acquire()
            order.append(number)
            pool.release(session)

        return body

    for number in range(6):
        threads.start(wait(number))
        until(lambda count=number + 1: pool.stats().waiting == count)  # type: ignore[misc]
    pool.release(held)
    threads.join()
    assert threads.errors == []
    assert order == list(range(6))


def test_a_newcomer_does_not_overtake(engine: FakeEngine, clock: FakeClock) -> None:
    pool = make_pool(engine, clock, PoolSettings(max_sessions=1))
    held = pool.acquire()
    threads = Threads()
    threads.start(pool.acquire)
    until(lambda: pool.stats().waiting == 1)
    settle = pool._settle

    def newcomer_then_settle() -> None:
        assert pool._idle == [held], "put back, and not yet handed over"
        with pytest.raises(DeadlineExceeded):
            pool.acquire(clock.now)
        settle()

    pool._settle = newcomer_then_settle  # type: ignore[method-assign]
    pool.release(held)
    threads.join()
    assert threads.results == [held]


def test_a_session_put_back_in_the_moment_of_queueing_is_not_missed(
    engine: FakeEngine, clock: FakeClock
) -> None:
    pool = make_pool(engine, clock, PoolSettings(max_sessions=1))
    held = pool.acquire()
    counting = pool._count

    def put_back(field: str) -> None:
        counting(field)
        if field == "queued":
            pool._idle.append(held)  # what a thread does that looked at the flag before it was set

    pool._count = put_back  # type: ignore[method-assign]
    assert pool.acquire(clock.now + 60_000 * MS) is held


def test_a_full_queue_turns_callers_away(pool: Pool[FakeSession]) -> None:
    held = [pool.acquire(), pool.acquire()]
    threads = Threads()
    threads.start(pool.acquire)
    threads.start(pool.acquire)
    until(lambda: pool.stats().waiting == 2)
    with pytest.raises(PoolBusy, match="2 calls already wait"):
        pool.acquire()
    for session in held:
        pool.release(session)
    threads.join()
    assert pool.stats().rejected == 1


def test_busy_and_late_are_told_apart() -> None:
    assert issubclass(PoolBusy, RetryLater)
    assert not issubclass(PoolBusy, DeadlineExceeded)


def test_a_poisoned_session_is_closed_and_replaced(pool: Pool[FakeSession], engine: FakeEngine) -> None:
    first = pool.acquire()
    pool.discard(first)
    assert first.closed == 1
    assert pool.stats().sessions == 0
    assert pool.acquire() is engine.sessions[1]
    assert pool.stats().poisoned == 1


def test_a_waiter_makes_the_replacement_of_a_poisoned_session(engine: FakeEngine, clock: FakeClock) -> None:
    pool = make_pool(engine, clock, PoolSettings(max_sessions=1))
    held = pool.acquire()
    threads = Threads()
    threads.start(pool.acquire)
    until(lambda: pool.stats().waiting == 1)
    pool.discard(held)
    threads.join()
    assert threads.results == [engine.sessions[1]]
    assert pool.stats().sessions == 1


def test_a_failed_first_session_leaks_no_place(pool: Pool[FakeSession], engine: FakeEngine) -> None:
    def fail() -> None:
        raise MemoryError("no room")

    engine.before_load = fail
    for _ in range(5):
        with pytest.raises(MemoryError):
            pool.acquire()
    engine.before_load = lambda: None
    pool.acquire(), pool.acquire()
    assert pool.stats().failed == 5
    assert pool.stats().sessions == 2


def test_a_failed_first_session_passes_the_right_to_make_one_on(engine: FakeEngine, clock: FakeClock) -> None:
    pool = make_pool(engine, clock, PoolSettings(max_sessions=1))
    entered, go = threading.Event(), threading.Event()

    def fail() -> None:
        entered.set()
        assert go.wait(30)
        engine.before_load = lambda: None
        raise MemoryError("no room")

    engine.before_load = fail
    threads = Threads()
    threads.start(pool.acquire)
    assert entered.wait(30)
    threads.start(pool.acquire)
    until(lambda: pool.stats().waiting == 1)
    go.set()
    # The first loses its place to the waiting one, then waits for that session in its turn.
    until(lambda: len(threads.results) == 1)
    until(lambda: pool.stats().waiting == 1)
    session = threads.results[0]
    assert isinstance(session, FakeSession)
    pool.release(session)
    threads.join()
    assert threads.results == [session, session]
    assert threads.errors == []


def test_a_pool_that_cannot_grow_serves_with_what_it_has(pool: Pool[FakeSession], engine: FakeEngine) -> None:
    held = pool.acquire()

    def fail() -> None:
        raise MemoryError("no room for a second one")

    engine.before_load = fail
    threads = Threads()
    threads.start(pool.acquire)
    until(lambda: pool.stats().waiting == 1)
    assert pool.stats().sessions == 1
    pool.release(held)
    threads.join()
    assert threads.results == [held]


def test_making_a_session_holds_no_lock(pool: Pool[FakeSession], engine: FakeEngine) -> None:
    held = pool.acquire()
    entered, go = threading.Event(), threading.Event()

    def linger() -> None:
        entered.set()
        assert go.wait(30)

    engine.before_load = linger
    threads = Threads()
    threads.start(pool.acquire)
    assert entered.wait(30)
    pool.release(held)
    assert pool.acquire() is held, "lent while another thread makes a session"
    go.set()
    threads.join()
    assert threads.results == [engine.sessions[1]]


def test_a_session_made_too_late_is_kept_for_the_next(
    pool: Pool[FakeSession], engine: FakeEngine, clock: FakeClock
) -> None:
    engine.before_load = lambda: clock.advance_ms(150)
    with pytest.raises(DeadlineExceeded, match="took longer"):
        pool.acquire(clock.now + 100 * MS)
    assert pool.stats().idle == 1
    assert pool.acquire(clock.now) is engine.sessions[0]


def test_an_interrupted_wait_loses_nothing(engine: FakeEngine, clock: FakeClock) -> None:
    pool = make_pool(engine, clock, PoolSettings(max_sessions=1))
    held = pool.acquire()
    waiting = pool._wait

    def interrupted(waiter: object, *rest: int) -> object:
        class Wake:
            def acquire(self, timeout: float) -> bool:
                pool.release(held)  # handed over in the very moment of the interrupt
                raise KeyboardInterrupt

            def release(self) -> None:
                pass

        waiter.wake = Wake()  # type: ignore[attr-defined]
        return waiting(waiter, *rest)  # type: ignore[arg-type]

    pool._wait = interrupted  # type: ignore[method-assign,assignment]
    with pytest.raises(KeyboardInterrupt):
        pool.acquire()
    assert pool.stats().waiting == 0
    assert pool.acquire() is held


def test_close_refuses_new_calls_and_closes_sessions(pool: Pool[FakeSession], engine: FakeEngine) -> None:
    pool.release(pool.acquire())
    assert pool.close()
    assert pool.close(), "twice is fine"
    assert [session.closed for session in engine.sessions] == [1]
    with pytest.raises(PoolClosed, match="ask for it again"):
        pool.acquire()


def test_close_waits_for_lent_sessions(pool: Pool[FakeSession], engine: FakeEngine) -> None:
    held = pool.acquire()
    threads = Threads()
    threads.start(pool.close)
    until(lambda: pool._closing)
    assert held.closed == 0
    with pytest.raises(PoolClosed):
        pool.acquire()
    pool.release(held)
    threads.join()
    assert threads.results == [True]
    assert held.closed == 1


def test_close_lets_the_queue_finish(engine: FakeEngine, clock: FakeClock) -> None:
    pool = make_pool(engine, clock, PoolSettings(max_sessions=1))
    held = pool.acquire()
    waiters, closer = Threads(), Threads()

    def use() -> FakeSession:
        session = pool.acquire()
        assert session.closed == 0
        pool.release(session)
        return session

    waiters.start(use)
    waiters.start(use)
    until(lambda: pool.stats().waiting == 2)
    closer.start(pool.close)
    until(lambda: pool._closing)
    pool.release(held)
    waiters.join()
    closer.join()
    assert waiters.errors == []
    assert waiters.results == [held, held]
    assert closer.results == [True]
    assert held.closed == 1
    assert pool.stats().sessions == 0


def test_close_tells_when_it_gave_up_waiting(pool: Pool[FakeSession]) -> None:
    held = pool.acquire()
    assert pool.close(timeout_s=0) is False
    pool.release(held)
    assert held.closed == 1, "closed when its run ends"


def test_a_session_discarded_while_closing_counts_as_finished(pool: Pool[FakeSession]) -> None:
    held = pool.acquire()
    assert not pool.close(timeout_s=0)
    pool.discard(held)
    assert pool.close(timeout_s=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_sessions": 0}, "max_sessions"),
        ({"max_sessions": 4}, "max_sessions"),
        ({"max_waiting": -1}, "max_waiting"),
        ({"max_wait_s": -0.1}, "max_wait_s"),
        ({"max_wait_s": float("nan")}, "max_wait_s"),
    ],
)
def test_settings_out_of_range(settings: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PoolSettings(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("max_sessions", [1, 2, 3])
def test_many_threads_never_share_a_session(max_sessions: int) -> None:
    engine = FakeEngine()
    pool = Pool(lambda: engine.load(b""), PoolSettings(max_sessions=max_sessions))
    in_use: set[int] = set()
    threads = Threads()

    def work() -> None:
        for turn in range(400):
            session = pool.acquire()
            assert session.number not in in_use
            in_use.add(session.number)
            in_use.remove(session.number)
            pool.discard(session) if turn % 50 == 49 else pool.release(session)

    for _ in range(6):
        threads.start(work)
    threads.join()
    assert threads.errors == []
    stats = pool.stats()
    assert stats.waiting == 0
    assert stats.sessions == stats.idle <= max_sessions
    assert stats.created == len(engine.sessions) == stats.poisoned + stats.sessions
    assert pool.close(timeout_s=0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_forked_child_begins_again(pool: Pool[FakeSession], engine: FakeEngine) -> None:
    kept, lent = pool.acquire(), pool.acquire()
    pool.release(kept)
    with pool._lock:  # as if another thread were just inside: this lock is never released in the child
        child = os.fork()
        if child == 0:
            ok = False
            try:
                fresh = [pool.acquire(), pool.acquire()]
                ok = not {kept.number, lent.number} & {session.number for session in fresh}
                ok = ok and kept.closed == 0
            finally:
                os._exit(0 if ok else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert pool.stats().sessions == 2, "the parent's pool is as it was"
