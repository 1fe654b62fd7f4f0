"""Dynamic batching: runs that meet are merged into one run of many rows.

No thread of its own. The first caller to come leads: it waits a moment for others, then for a session, takes what has
come by then, and runs it for all. As soon as it has taken its batch, the next in the queue leads the next one, so
batches form while others run. The queue is served in order, and a leader is always at its head.
"""

from __future__ import annotations

import enum
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edge_sdk.errors import DeadlineExceeded, InputError
from edge_sdk.runtime.checking import InputCheck, rows_that_differ
from edge_sdk.runtime.engine import Array, RunFailed, Session, TensorInfo
from edge_sdk.runtime.model import Model
from edge_sdk.runtime.pool import PoolBusy, remake_after_fork

_CLOSE = 1e-3  # rows alone and in a batch may differ in the last bits, as engines add in another order


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """How runs are merged.

    Attributes:
        max_rows: of one batch.
        max_wait_s: how long the first of a batch waits for others, before it waits for a session and more may come.
        max_waiting: callers in the queue before further ones are turned away.
    """

    max_rows: int = 32
    max_wait_s: float = 0.002
    max_waiting: int = 1024

    def __post_init__(self) -> None:
        if self.max_rows < 2:
            raise InputError(f"max_rows must be at least 2, not {self.max_rows}")
        if not 0 <= self.max_wait_s <= 1:
            raise InputError(f"max_wait_s must be 0 to 1, not {self.max_wait_s}")
        if self.max_waiting < 1:
            raise InputError(f"max_waiting must be at least 1, not {self.max_waiting}")


@dataclass(frozen=True, slots=True)
class BatchStats:
    """What was merged.

    Attributes:
        batches: runs for several callers.
        merged: callers in them.
        alone: callers whose run was their own: nobody came, or their batch failed.
        expired: callers that gave up at their deadline.
    """

    batches: int = 0
    merged: int = 0
    alone: int = 0
    expired: int = 0


class _Turn(enum.Enum):
    WAIT = "wait"
    LEAD = "lead"
    ALONE = "alone"
    DONE = "done"


class _Ticket:
    """A caller: what it wants, and what came of it. Woken through a lock of its own."""

    __slots__ = ("arrays", "deadline", "kind", "outputs", "rows", "turn", "wake")

    def __init__(self, arrays: Mapping[str, Array], deadline: int) -> None:
        self.arrays, self.deadline = arrays, deadline
        self.rows = len(next(iter(arrays.values())))
        self.kind = tuple(array.shape[1:] for array in arrays.values())  # only like shapes lie in one array
        self.turn = _Turn.WAIT
        self.outputs: dict[str, Array] = {}
        self.wake = threading.Lock()
        self.wake.acquire()

    def tell(self, turn: _Turn) -> None:
        self.turn = turn
        self.wake.release()


class Batcher:
    """Merges runs of a model whose first dimension is free and counts rows. Any number of threads may call it.

    Args:
        model: stays the caller's to close.
        settings: limits.

    Raises:
        InputError: the model cannot be batched, because its first dimension is fixed, it has a state, or a row
            answers something else when another is beside it. The last is tried out on two made-up rows: a model that
            looks across rows but not at those must not be given here.
    """

    def __init__(self, model: Model, settings: BatchSettings | None = None) -> None:
        self._model, self._settings = model, settings or BatchSettings()
        if model.stateful or not model.inputs or any(info.shape[:1] != (-1,) for info in model.inputs):
            raise InputError(
                "only models without state whose inputs all begin with a free dimension can be batched"
            )
        self._check = InputCheck(model.inputs, rows=False)
        self._clock = model.pool.clock
        self._stats = BatchStats()
        _try_rows(model)
        self._after_fork()
        remake_after_fork(self)

    def _after_fork(self) -> None:
        # In the child of a fork the threads that wait and lead are gone.
        self._lock = threading.Lock()
        self._came = threading.Condition(self._lock)
        self._queue: deque[_Ticket] = deque()
        self._leader: _Ticket | None = None

    def run(self, inputs: Mapping[str, Any], *, deadline_ns: int | None = None) -> dict[str, Array]:
        """``Model.run``, perhaps together with others.

        An answer may differ in its last bits from that of the same row alone.

        Args:
            inputs: as of ``Model.run``; all with as many rows.
            deadline_ns: how long to wait for others and for a session, on the pool's clock.

        Raises:
            InputError: a name, dtype, shape or value is wrong; nobody else notices.
            DeadlineExceeded, PoolBusy, PoolClosed: no session to be had.
            RunFailed: the engine failed on these rows alone.
        """
        arrays, _ = self._check(inputs)
        if differing := rows_that_differ(arrays):
            raise InputError(differing)
        wait_ns = int(self._model.pool.settings.max_wait_s * 1e9)
        ticket = _Ticket(arrays, self._clock() + wait_ns if deadline_ns is None else deadline_ns)
        if ticket.rows >= self._settings.max_rows:
            return self._alone(ticket)
        try:
            self._join(ticket)
            if ticket.turn is _Turn.WAIT:
                self._await(ticket)
            if ticket.turn is _Turn.LEAD:
                self._lead(ticket)
        except BaseException:  # an interrupt among them: the others go on without this one
            self._withdraw(ticket)
            raise
        if ticket.turn is _Turn.ALONE:
            return self._alone(ticket)
        return ticket.outputs

    def stats(self) -> BatchStats:
        """A consistent snapshot."""
        with self._lock:
            return self._stats

    def _alone(self, ticket: _Ticket) -> dict[str, Array]:
        self._count(alone=1)
        return self._model.run_checked(ticket.arrays, ticket.deadline)[0]

    def _join(self, ticket: _Ticket) -> None:
        with self._lock:
            if len(self._queue) >= self._settings.max_waiting:
                raise PoolBusy(f"{len(self._queue)} calls already wait to be batched; try again later")
            if self._leader is None:
                self._leader, ticket.turn = ticket, _Turn.LEAD
            self._queue.append(ticket)
            self._came.notify()

    def _await(self, ticket: _Ticket) -> None:
        if ticket.wake.acquire(timeout=self._seconds_to(ticket.deadline)):
            return
        if self._withdraw(ticket):
            self._count(expired=1)
            raise DeadlineExceeded("the deadline passed while waiting to be batched")
        ticket.wake.acquire()  # it is in a batch that has its session: only the run is ahead

    def _withdraw(self, ticket: _Ticket) -> bool:
        """Leave the queue, if still in it; who leads, and was interrupted before it called the next, does so now."""
        with self._lock:
            waited = ticket in self._queue
            if waited:
                self._queue.remove(ticket)
            if self._leader is ticket:
                self._call_next()
            return waited

    def _call_next(self) -> None:
        self._leader = self._queue[0] if self._queue else None
        if self._leader is not None:
            self._leader.tell(_Turn.LEAD)

    def _lead(self, ticket: _Ticket) -> None:
        """Collect a batch and run it; every one in it is told, whatever happens."""
        with self._lock:
            # Half of its time at most, or a deadline would leave none to wait for a session.
            wait_s = min(self._settings.max_wait_s, self._seconds_to(ticket.deadline) / 2)
            self._came.wait_for(self._is_full, wait_s)
        session = self._model.pool.acquire(ticket.deadline)
        batch: list[_Ticket] = []
        turn = _Turn.ALONE
        try:
            arrays = self._collected(batch, session)
            outputs = self._model.run_lent(session, arrays)
            if self._shared(batch, outputs):
                turn = _Turn.DONE
        except RunFailed:
            if len(batch) == 1:
                raise
            # Because of one of them, perhaps: each finds out by itself.
        finally:
            for each in batch:
                each.tell(turn)

    def _collected(self, batch: list[_Ticket], session: Session) -> dict[str, Array]:
        try:
            with self._lock:
                batch += self._take()
                self._call_next()
            return {name: np.concatenate([each.arrays[name] for each in batch]) for name in batch[0].arrays}
        except BaseException:
            self._model.pool.release(session)  # nothing has run on it
            raise

    def _is_full(self) -> bool:
        return sum(ticket.rows for ticket in self._queue) >= self._settings.max_rows

    def _take(self) -> list[_Ticket]:
        """The head of the queue, and those behind it that fit beside it, in order."""
        first, rows = self._queue[0], 0
        batch: list[_Ticket] = []
        for ticket in list(self._queue):
            if ticket.kind == first.kind:
                if rows + ticket.rows > self._settings.max_rows:
                    break  # a smaller one behind it must not overtake
                batch.append(ticket)
                rows += ticket.rows
        for ticket in batch:
            self._queue.remove(ticket)
        return batch

    def _shared(self, batch: list[_Ticket], outputs: dict[str, Array]) -> bool:
        """Give everybody their rows; False where the outputs have others."""
        if len(batch) == 1:
            batch[0].outputs = outputs
            self._count(alone=1)
            return True
        rows = sum(ticket.rows for ticket in batch)
        if any(value.shape[:1] != (rows,) for value in outputs.values()):
            return False
        start = 0
        for ticket in batch:
            stop = start + ticket.rows
            # Copies: a view would hold everybody's rows, for as long as one caller keeps its own.
            ticket.outputs = {name: value[start:stop].copy() for name, value in outputs.items()}
            start = stop
        self._count(batches=1, merged=len(batch))
        return True

    def _seconds_to(self, deadline: int) -> float:
        return min(max(deadline - self._clock(), 0) / 1e9, threading.TIMEOUT_MAX)

    def _count(self, **more: int) -> None:
        with self._lock:
            self._stats = replace(
                self._stats, **{name: getattr(self._stats, name) + count for name, count in more.items()}
            )


def _try_rows(model: Model) -> None:
    """Refuse a model in which a row answers something else when another is beside it."""
    rng = np.random.default_rng(0)
    first, second = ({info.name: _row(info, rng) for info in model.inputs} for _ in range(2))
    both = {name: np.concatenate([array, second[name]]) for name, array in first.items()}
    try:
        together, alone = model.run(both), [model.run(first), model.run(second)]
    except RunFailed as error:
        raise InputError(f"it cannot be shown that the model can be batched: {error}") from error
    for name, value in together.items():
        if value.shape[:1] != (2,) or not all(_like(value[n : n + 1], alone[n][name]) for n in range(2)):
            raise InputError(f"the model cannot be batched: {name} of a row depends on the rows beside it")


def _row(info: TensorInfo, rng: np.random.Generator) -> Array:
    shape = tuple(1 if side < 0 else side for side in info.shape)
    if info.dtype.kind == "S":
        return np.full(shape, rng.bytes(2), object)
    return (
        rng.random(shape).astype(info.dtype)
        if info.dtype.kind in "fc"
        else rng.integers(0, 2, shape).astype(info.dtype)
    )


def _like(left: Array, right: Array) -> bool:
    if left.dtype.kind in "fc":
        return left.shape == right.shape and np.allclose(
            left, right, rtol=_CLOSE, atol=_CLOSE, equal_nan=True
        )
    return np.array_equal(left, right)
