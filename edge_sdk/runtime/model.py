"""The front of a loaded model: checks what callers pass, once, and lends a session to each call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, prod
from types import MappingProxyType, TracebackType
from typing import Any

import numpy as np

from edge_sdk.errors import InputError
from edge_sdk.runtime.checking import InputCheck, rows_that_differ
from edge_sdk.runtime.engine import Array, RunFailed, RunsSignatures, Session, Signature, TensorInfo
from edge_sdk.runtime.memory import process_bytes
from edge_sdk.runtime.pool import Pool, PoolStats
from edge_sdk.runtime.zeros import FREE_SIDES, zeros


@dataclass(frozen=True, slots=True)
class Warmed:
    """What a warm-up did.

    Attributes:
        sessions: how many there are now.
        runs: sessions that have run on zeros; those made before and in use meanwhile have run anyway.
        session_bytes: what a session made by it takes beyond the first, as the growth of the process (proportional
            set size); the model's own bytes, which all share, are not in it. 0 where none was made or nothing is known.
    """

    sessions: int
    runs: int
    session_bytes: int


_FLOAT32 = np.dtype(np.float32)
_FEW = 64  # numbers up to which a Python list is the quicker way to look at all of them


class Model:
    """A model that any number of threads may run; nothing is remembered from one run to the next.

    Attributes:
        inputs, outputs: names, dtypes and shapes.
        signatures: the named entry points of the file; ``run`` uses the first that fits the main graph
            unless it is told another.
        pool: where sessions come from.
        single_row: the model takes exactly one row.
        stateful: it is reset after each run.
    """

    def __init__(self, pool: Pool[Session], like: Session, *, stateful: bool = False) -> None:
        self.inputs: tuple[TensorInfo, ...] = like.inputs
        self.outputs: tuple[TensorInfo, ...] = like.outputs
        self.signatures: Mapping[str, Signature] = MappingProxyType({s.name: s for s in like.signatures})
        self.pool = pool
        self._acquire, self._release, self._clock = pool.acquire, pool.release, pool.clock
        self.stateful = stateful
        self.single_row = bool(like.inputs) and all(
            info.shape[:1] == (1,) for info in (*like.inputs, *like.outputs)
        )
        self._check = InputCheck(like.inputs, rows=self.single_row)
        self._few = prod(self._check.quick_shape or ()) <= _FEW
        self._quick_name, self._quick_shape = self._check.quick_name, self._check.quick_shape

    def run(
        self, inputs: Mapping[str, Any], *, signature: str | None = None, deadline_ns: int | None = None
    ) -> dict[str, Array]:
        """Compute the outputs.

        A model made for exactly one row is run row by row when it is given several.

        Args:
            inputs: an array for each input, of its dtype and shape; what NumPy converts without loss of
                meaning (lists, float64 for float32) is converted.
            signature: which entry point; the main one by default.
            deadline_ns: how long to wait for a session, on the pool's clock.

        Raises:
            InputError: a name, dtype, shape or value is wrong.
            DeadlineExceeded, PoolBusy, PoolClosed: no session to be had.
            RunFailed: the engine failed.
        """
        if signature is not None:
            return self._run_signature(signature, inputs, deadline_ns)
        array = inputs.get(self._quick_name) if type(inputs) is dict and len(inputs) == 1 else None
        if (
            type(array) is np.ndarray
            and array.shape == self._quick_shape
            and array.dtype is _FLOAT32
            and (isfinite(sum(array.ravel().tolist())) if self._few else np.isfinite(array).all())
        ):
            # One row of float32, written out for speed: a sum is finite only if every number is, and for a short
            # row it costs a third of isfinite().all().
            arrays, rows = inputs, 1
        else:
            arrays, rows = self._check(inputs)
        session = self._acquire(deadline_ns)
        try:
            outputs = session.run(arrays) if rows == 1 else self._row_by_row(session, arrays, rows)
            if self.stateful:
                session.reset()
        except BaseException as error:
            self._poisoned(session, error, arrays)
            raise
        self._release(session)
        return outputs

    def run_checked(
        self, arrays: Mapping[str, Array], deadline_ns: int | None, *, one_by_one: bool = False
    ) -> tuple[dict[str, Array], int]:
        """``run`` without the checks, for a caller that made the arrays itself.

        Args:
            arrays: exactly the declared names, dtypes and shapes; finite numbers.
            deadline_ns: on the pool's clock.
            one_by_one: the rows of ``arrays`` are runs of their own.

        Returns:
            The outputs, and when the session was lent, on the pool's clock.
        """
        session = self._acquire(deadline_ns)
        lent = self._clock()
        try:
            if one_by_one:
                outputs = self._row_by_row(session, arrays, len(next(iter(arrays.values()))))
            else:
                outputs = session.run(arrays)
            if self.stateful:
                session.reset()
        except BaseException as error:
            self._poisoned(session, error, arrays)
            raise
        self._release(session)
        return outputs, lent

    def run_lent(self, session: Session, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """``run_checked`` on a session that the caller acquired from the pool, which gets it back.

        Raises:
            RunFailed: the engine failed.
        """
        try:
            outputs = session.run(arrays)
            if self.stateful:
                session.reset()
        except BaseException as error:
            self._poisoned(session, error, arrays)
            raise
        self._release(session)
        return outputs

    def _run_signature(
        self, name: str, inputs: Mapping[str, Any], deadline_ns: int | None
    ) -> dict[str, Array]:
        if name not in self.signatures:
            raise InputError(
                f"no signature is called {name!r}; there are: {', '.join(self.signatures) or 'none'}"
            )
        wanted = self.signatures[name]
        if wanted.inputs == self.inputs and wanted.outputs == self.outputs:
            return self.run(inputs, deadline_ns=deadline_ns)
        arrays, _ = InputCheck(wanted.inputs, rows=False)(inputs)
        session = self._acquire(deadline_ns)
        try:
            if not isinstance(session, RunsSignatures):
                raise TypeError("this engine runs the main signature only")
            outputs = session.run_signature(name, arrays)
            if self.stateful:
                session.reset()
        except BaseException as error:
            self._poisoned(session, error, arrays)
            raise
        self._release(session)
        return outputs

    def _poisoned(self, session: Session, error: BaseException, arrays: Mapping[str, Array]) -> None:
        # Also after an interrupt: the session is half-way through something.
        self.pool.discard(session)
        if isinstance(error, Exception):
            # Only the graph knows whether they may differ, so this comes after the fact.
            hint = rows_that_differ(arrays)
            raise RunFailed(
                f"the engine failed: {' '.join(str(error).split())}{hint and f' ({hint})'}"
            ) from error

    def _row_by_row(self, session: Session, arrays: Mapping[str, Array], rows: int) -> dict[str, Array]:
        answers = []
        for row in range(rows):
            answers.append(session.run({name: array[row : row + 1] for name, array in arrays.items()}))
            if self.stateful:
                session.reset()
        return {info.name: np.concatenate([answer[info.name] for answer in answers]) for info in self.outputs}

    def warm_up(self) -> Warmed:
        """Make all sessions and run each once on zeros, so that no later call pays for that.

        A model to which zeros mean nothing gets its sessions all the same.

        Raises:
            DeadlineExceeded, PoolBusy, PoolClosed: no session to be had.
            RunFailed: the engine failed on what it ran on before.
            Exception: whatever making a session raised.
        """
        made = self._zeros_that_run()
        before, grown, runs = process_bytes(), 0, int(made is not None)
        while (session := self.pool.grow()) is not None:
            grown += 1
            if made is None:
                self._release(session)
            else:
                self.run_lent(session, made)
                runs += 1
        each = max(process_bytes() - before, 0) // grown if grown else 0
        return Warmed(self.pool.stats().sessions, runs, each)

    def _zeros_that_run(self) -> Mapping[str, Array] | None:
        for side in FREE_SIDES:
            made = zeros(self.inputs, side)
            if made is None:
                break
            try:
                self.run_checked(made, None)
            except RunFailed:
                continue
            return made
        return None

    def stats(self) -> PoolStats:
        """How the pool of sessions is doing."""
        return self.pool.stats()

    def close(self) -> None:
        """Wait for the runs in flight, then give the memory back."""
        self.pool.close()

    def __enter__(self) -> Model:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
