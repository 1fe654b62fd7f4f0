"""Stopping an update from another thread, for good or for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edge_sdk.errors import RetryLater


class Cancelled(RetryLater):
    """The app cancelled it. What was received is kept, and the next attempt goes on from there."""


class Control:
    """Handed to an update by one thread and used by any other; cancelled once, it stays so."""

    def __init__(self) -> None:
        self._cancelled = threading.Event()
        self._may_go_on = threading.Event()
        self._may_go_on.set()
        self._watching = threading.Lock()
        self._watchers: list[Callable[[], None]] = []

    def cancel(self) -> None:
        """End it with :class:`Cancelled`, also where it is paused or waits to try again."""
        self._cancelled.set()
        self._may_go_on.set()
        self._tell()

    def pause(self) -> None:
        """Let go of the connection, and wait."""
        self._may_go_on.clear()
        if self._cancelled.is_set():  # perhaps just now: nobody would wake it again
            self._may_go_on.set()
        self._tell()

    def resume(self) -> None:
        """Go on where it was paused."""
        self._may_go_on.set()
        self._tell()

    @property
    def paused(self) -> bool:
        """Whether it is to wait."""
        return not self._may_go_on.is_set()

    @property
    def cancelled(self) -> bool:
        """Whether it is to end."""
        return self._cancelled.is_set()

    def check(self) -> None:
        """Wait as long as it is paused.

        Raises:
            Cancelled: it is cancelled.
        """
        self._may_go_on.wait()
        if self._cancelled.is_set():
            raise Cancelled("the update was cancelled; what came is kept for the next time")

    def rest(self, seconds: float) -> None:
        """Spend so many seconds, or fewer where it is cancelled meanwhile."""
        self._cancelled.wait(seconds)

    @contextmanager
    def watched(self, told: Callable[[], None]) -> Iterator[None]:
        """For the length of the block, call ``told`` after each cancel, pause and resume, from whoever's thread."""
        with self._watching:
            self._watchers.append(told)
        try:
            yield
        finally:
            with self._watching:
                self._watchers.remove(told)

    def _tell(self) -> None:
        with self._watching:
            watchers = list(self._watchers)
        for told in watchers:
            told()
