"""A small pool of sessions: one to three, made when calls meet, lent to one thread at a time.

The path nearly every call takes is one ``list.pop`` and one ``list.append``: both are atomic, so no lock is
touched. Everything else (growing, waiting, closing) happens under one lock and announces itself in the flag
``_attention``, which the fast path reads. The one race that matters is a session put back just while a caller
starts to wait. Each side therefore acts first and looks second: the caller enters the queue, sets the flag and
then looks at the idle list; the returner appends and then looks at the flag. Whichever is later sees the other.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from edge_sdk.errors import DeadlineExceeded, InputError, NotAvailable, RetryLater

Clock = Callable[[], int]


class PoolBusy(RetryLater):
    """The queue for a session is full. Shed load, or call less often: waiting longer cannot help."""


class PoolClosed(NotAvailable):
    """The model was closed, or replaced by a newer one: ask for the model again."""


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """How far a pool may grow and how long a caller may wait.

    Attributes:
        max_sessions: sessions of one model, 1 to 3; each holds its own working memory and packed weights.
        max_waiting: callers in the queue before further ones are turned away.
        max_wait_s: how long a caller without a deadline of its own waits.
    """

    max_sessions: int = 3
    max_waiting: int = 64
    max_wait_s: float = 30.0

    def __post_init__(self) -> None:
        if not 1 <= self.max_sessions <= 3:
            raise InputError(f"max_sessions must be 1, 2 or 3, not {self.max_sessions}")
        if self.max_waiting < 0:
            raise InputError(f"max_waiting must not be negative: {self.max_waiting}")
        if not self.max_wait_s >= 0:
            raise InputError(f"max_wait_s must not be negative: {self.max_wait_s}")


@dataclass(frozen=True, slots=True)
class PoolStats:
    """What a pool has and has been through.

    Attributes:
        sessions: sessions that exist or are being made.
        idle: of those, ready to lend.
        waiting: callers in the queue.
        created, failed: sessions made, and attempts that raised.
        poisoned: sessions thrown away because a run on them raised.
        queued: calls that had to wait; of those ``expired`` gave up at their deadline.
        rejected: calls turned away because the queue was full.
    """

    sessions: int = 0
    idle: int = 0
    waiting: int = 0
    created: int = 0
    failed: int = 0
    poisoned: int = 0
    queued: int = 0
    expired: int = 0
    rejected: int = 0


class Closable(Protocol):
    """What a pool needs of the things it holds."""

    def close(self) -> None: ...


T = TypeVar("T", bound=Closable)


class _Waiter(Generic[T]):
    """A caller in the queue, woken through a lock of its own so that nobody else wakes with it."""

    __slots__ = ("item", "served", "wake")

    def __init__(self) -> None:
        self.wake = threading.Lock()
        self.wake.acquire()
        self.served = False
        self.item: T | None = None  # served without an item: the right to make one

    def serve(self, item: T | None) -> None:
        self.item = item
        self.served = True
        self.wake.release()


class Pool(Generic[T]):
    """Lends sessions.

    Args:
        make: makes a session; called outside of all locks, by the thread that needs it.
        settings: limits.
        clock: nanoseconds, monotonic.
        first: a session that exists already (making it showed what the model looks like).
    """

    def __init__(
        self,
        make: Callable[[], T],
        settings: PoolSettings | None = None,
        *,
        clock: Clock = time.perf_counter_ns,
        first: T | None = None,
    ) -> None:
        self._make = make
        self.settings = settings or PoolSettings()
        self.clock = clock
        self._max_wait_ns = int(self.settings.max_wait_s * 1e9)
        self._closing = False
        self._abandoned: list[T] = []
        self._stats = PoolStats()
        self._start_over()
        if first is not None:
            self._idle.append(first)
            self._size = 1
            self._stats = replace(self._stats, created=1)
        remake_after_fork(self)

    def _start_over(self) -> None:
        self._lock = threading.Lock()
        self._drained = threading.Condition(self._lock)
        self._idle: list[T] = []
        self._waiters: deque[_Waiter[T]] = deque()
        self._attention = self._closing
        self._size = 0
        self._stats = PoolStats()

    # -- lending ---------------------------------------------------------------------------------------

    def acquire(self, deadline_ns: int | None = None) -> T:
        """A session for this thread alone, to be handed to ``release`` or ``discard``.

        Args:
            deadline_ns: on the pool's clock; without one, ``max_wait_s`` from now.

        Raises:
            DeadlineExceeded: none became free in time.
            PoolBusy: too many callers wait already.
            PoolClosed: the pool was closed.
            Exception: whatever making a session raised.
        """
        if not self._attention:  # callers that wait come first
            try:
                return self._idle.pop()
            except IndexError:
                pass
        return self._acquire_slowly(deadline_ns)

    def grow(self) -> T | None:
        """A session more for this thread, to be handed to ``release``; None where there are as many as may be.

        Raises:
            PoolClosed: the pool was closed.
            Exception: whatever making a session raised.
        """
        with self._lock:
            if self._closing:
                raise PoolClosed("the model was closed; ask for it again")
            if self._size >= self.settings.max_sessions:
                return None
            self._size += 1
        try:
            item = self._make()
        except BaseException:
            with self._lock:
                self._count("failed")
                self._free_place()
            raise
        with self._lock:
            self._count("created")
        return item

    def release(self, item: T) -> None:
        """Take a session back that is fit for the next caller."""
        self._idle.append(item)
        if self._attention:
            self._settle()

    def discard(self, item: T) -> None:
        """Take a session back that must not be lent again; its place is free for a new one."""
        try:
            item.close()
        finally:
            with self._lock:
                self._count("poisoned")
                self._free_place()

    def _acquire_slowly(self, deadline_ns: int | None, *, grow: bool = True) -> T:
        now = self.clock()
        deadline = now + self._max_wait_ns if deadline_ns is None else deadline_ns
        with self._lock:
            if self._closing:
                raise PoolClosed("the model was closed; ask for it again")
            if not self._waiters:
                with suppress(
                    IndexError
                ):  # one may have come back meanwhile; the fast path needs no lock to take it
                    return self._idle.pop()
            waiter: _Waiter[T] | None = None
            may_grow = grow and not self._waiters and self._size < self.settings.max_sessions
            if may_grow or self._size == 0:
                self._size += 1
            elif now >= deadline:
                self._count("expired")
                raise DeadlineExceeded("no session was free and the deadline has passed")
            elif len(self._waiters) >= self.settings.max_waiting:
                self._count("rejected")
                raise PoolBusy(f"{len(self._waiters)} calls already wait for this model; try again later")
            else:
                waiter = _Waiter()
                self._waiters.append(waiter)
                self._attention = True
                self._count("queued")
                self._match()
        item = None if waiter is None else self._wait(waiter, deadline, now)
        return self._fill_place(deadline) if item is None else item

    def _wait(self, waiter: _Waiter[T], deadline: int, now: int) -> T | None:
        try:
            waiter.wake.acquire(timeout=min(max(deadline - now, 0) / 1e9, threading.TIMEOUT_MAX))
        except BaseException:
            # Interrupted (Ctrl-C): leave the queue, and lose nothing that was handed over meanwhile.
            with self._lock:
                if not waiter.served:
                    self._waiters.remove(waiter)
                elif waiter.item is None:
                    self._free_place()
                else:
                    self._idle.append(waiter.item)
                self._match()
            raise
        with self._lock:
            if not waiter.served:
                self._waiters.remove(waiter)
                self._count("expired")
                self._match()
                raise DeadlineExceeded(f"no session became free within {(deadline - now) / 1e6:.0f} ms")
        return waiter.item

    def _fill_place(self, deadline: int) -> T:
        """Make a session for a place that is already counted."""
        try:
            item = self._make()
        except BaseException as error:
            with self._lock:
                self._count("failed")
                self._free_place()
                alone = self._size == 0
            if alone or not isinstance(error, Exception):
                raise
            # No memory for one more, perhaps: those that exist still serve everybody.
            return self._acquire_slowly(deadline, grow=False)
        with self._lock:
            self._count("created")
            late = self.clock() > deadline
            if late:
                self._count("expired")
        if late:
            self.release(item)  # the next caller finds it ready
            raise DeadlineExceeded("making a further session took longer than the deadline allows")
        return item

    # -- under the lock --------------------------------------------------------------------------------

    def _settle(self) -> None:
        with self._lock:
            self._match()
            unwanted = self._take_idle_when_closing()
        for item in unwanted:
            item.close()

    def _match(self) -> None:
        while self._waiters:
            try:
                item = self._idle.pop()
            except IndexError:  # a caller on the fast path was quicker
                break
            self._waiters.popleft().serve(item)
        self._attention = self._closing or bool(self._waiters)

    def _free_place(self) -> None:
        """One session fewer. Who waits longest may make the next: nobody else would wake it."""
        if self._waiters:
            self._waiters.popleft().serve(None)
            self._attention = self._closing or bool(self._waiters)
        else:
            self._size -= 1
            self._drained.notify_all()

    def _take_idle_when_closing(self) -> list[T]:
        if not self._closing:
            return []
        unwanted: list[T] = []
        with suppress(
            IndexError
        ):  # until there is none; a caller on the fast path may be quicker with the last
            while True:
                unwanted.append(self._idle.pop())
        self._size -= len(unwanted)
        self._drained.notify_all()
        return unwanted

    def _count(self, field: str) -> None:
        self._stats = replace(self._stats, **{field: getattr(self._stats, field) + 1})

    # -- the end ---------------------------------------------------------------------------------------

    def close(self, timeout_s: float = 30.0) -> bool:
        """Refuse new calls, let those in flight and in the queue finish, close the sessions.

        Closing twice is fine. A session that outlives the timeout is closed when its run ends.

        Returns:
            Whether everything had finished within ``timeout_s``.
        """
        with self._lock:
            self._closing = self._attention = True
        self._settle()
        with self._lock:
            return self._drained.wait_for(lambda: self._size == 0, timeout_s)

    def stats(self) -> PoolStats:
        """A consistent snapshot."""
        with self._lock:
            stats: PoolStats = self._stats
            return replace(stats, sessions=self._size, idle=len(self._idle), waiting=len(self._waiters))

    def _after_fork(self) -> None:
        # In the child the threads that hold sessions are gone, locks may be held for ever, and a session may be
        # in the middle of a run: begin again. The old ones are kept, because tearing down what native threads
        # of the parent made can hang; their memory is shared with the parent until written.
        self._abandoned.extend(self._idle)
        self._start_over()


class _Forked(Protocol):
    def _after_fork(self) -> None: ...


_pools: weakref.WeakSet[_Forked] = weakref.WeakSet()
_hook_lock = threading.Lock()
_hooked = False


def remake_after_fork(pool: _Forked) -> None:
    """Have ``pool`` begin again in every child process that this one forks."""
    global _hooked
    with _hook_lock:
        if not _hooked and hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_in_child)
            _hooked = True
        _pools.add(pool)


def _in_child() -> None:
    global _hook_lock
    _hook_lock = threading.Lock()
    for pool in list(_pools):
        pool._after_fork()
