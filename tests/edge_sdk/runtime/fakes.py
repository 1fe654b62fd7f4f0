"""Simulators: an engine whose sessions do what a test tells them, and a clock that stands still."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import numpy as np

from edge_sdk.runtime.engine import Array, Signature, TensorInfo

WEIGHTS = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)


def expected(features: Array) -> Array:
    """What the affine test models compute: float32 [n][3] -> [n][4]."""
    return np.asarray(features @ WEIGHTS.T + np.float32(0.5), np.float32)


INPUT = TensorInfo("x", np.dtype(np.float32), (-1, 2))
OUTPUT = TensorInfo("y", np.dtype(np.float32), (-1, 2))


class FakeClock:
    """Nanoseconds that pass only when told."""

    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> int:
        return self.now

    def advance_ms(self, milliseconds: float) -> None:
        self.now += int(milliseconds * 1e6)


class FakeSession:
    """Negates its input, and notices when two threads use it at once."""

    def __init__(self, number: int, during: Callable[[], None]) -> None:
        self.number = number
        self.inputs, self.outputs = (INPUT,), (OUTPUT,)
        self.signatures = (Signature("serving_default", self.inputs, self.outputs),)
        self.resets = 0
        self.closed = 0
        self._during = during
        self._in_use = threading.Lock()

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        assert not self.closed, "run on a closed session"
        assert self._in_use.acquire(blocking=False), "two threads in one session"
        try:
            self._during()
            return {"y": -inputs["x"]}
        finally:
            self._in_use.release()

    def reset(self) -> None:
        self.resets += 1

    def close(self) -> None:
        self.closed += 1


class FakeEngine:
    """Makes fake sessions and keeps them for inspection."""

    name = "fake"

    def __init__(self, during: Callable[[], None] = lambda: None) -> None:
        self.sessions: list[FakeSession] = []
        self.during = during
        self.before_load: Callable[[], None] = lambda: None

    def load(self, model: bytes, threads: int = 1) -> FakeSession:
        self.before_load()
        session = FakeSession(len(self.sessions), lambda: self.during())
        self.sessions.append(session)
        return session


class Threads:
    """Starts threads and collects what they return or raise; ``join`` waits for all of them."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self.results: list[object] = []
        self.errors: list[BaseException] = []

    def start(self, call: Callable[[], object]) -> None:
        def body() -> None:
            try:
                self.results.append(call())
            except BaseException as error:
                self.errors.append(error)

        thread = threading.Thread(target=body)
        self._threads.append(thread)
        thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive(), "a thread hangs"


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread is about to do; bounded by the test's own time limit."""
    step = threading.Event()
    while not condition():
        step.wait(0.0005)
