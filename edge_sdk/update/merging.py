"""One piece of work for several callers, each with a control and a progress of its own.

The work has a thread to itself, so that a caller who cancels is free at once, whatever the network does, and the
others lose nothing. It pauses while all who want it do, and ends when nobody wants it any more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from edge_sdk.loading import Progress
from edge_sdk.update.control import Control

T = TypeVar("T")


class _Caller:
    def __init__(self, control: Control, progress: Progress) -> None:
        self.control, self.progress = control, progress
        self.failure: BaseException | None = None
        self.left = False

    @property
    def wants(self) -> bool:
        return not (self.left or self.control.cancelled)


class Shared(Generic[T]):
    """Work that is begun by the first caller.

    Args:
        work: what to do, given a control to obey and a progress to tell.
    """

    def __init__(self, work: Callable[[Control, Progress], T]) -> None:
        self._work = work
        self._control = Control()
        self._changed = threading.Condition()
        self._callers: list[_Caller] = []
        self._done: Future[T] = Future()
        self._highest: dict[str, int] = {}
        # A process that ends takes its updates with it; the cache is made to survive that at any call.
        self._thread = threading.Thread(target=self._run, name="edge-update", daemon=True)

    def join(self, control: Control, progress: Progress) -> Callable[[], T] | None:
        """Take part.

        Args:
            control: of this caller alone.
            progress: told from the thread of the work. What it raises ends the work for its caller.

        Returns:
            What waits for the result, to be called once; it raises what the work raises, or Cancelled. None where
            nobody wanted the work any more and it is ending: begin another.
        """
        with self._changed:
            if self._control.cancelled:
                return None
            caller = _Caller(control, progress)
            self._callers.append(caller)
            self._heed()
            if self._thread.ident is None:
                self._thread.start()
        return lambda: self._wait(caller)

    def cancel(self) -> None:
        """Cancel it for everybody."""
        self._control.cancel()

    @property
    def is_here(self) -> bool:
        """Whether this is the thread of the work: in the progress of a caller."""
        return threading.current_thread() is self._thread

    def ended(self) -> None:
        """Wait until it has ended."""
        self._thread.join()

    def _wait(self, caller: _Caller) -> T:
        try:
            with caller.control.watched(self._heed):
                self._heed()  # of what was said before anybody watched
                with self._changed:
                    self._changed.wait_for(lambda: self._done.done() or not caller.wants)
        finally:
            caller.left = True  # also where the wait was interrupted
            self._heed()
        if caller.failure is not None:
            raise caller.failure
        if not self._done.done():
            caller.control.check()
        return self._done.result()

    def _heed(self) -> None:
        """Do what the controls of all callers come to."""
        with self._changed:
            wanting = [caller.control for caller in self._callers if caller.wants]
            if not wanting:
                self._control.cancel()
            elif all(control.paused for control in wanting):
                self._control.pause()
            else:
                self._control.resume()
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            done = self._work(self._control, self._tell)
        except BaseException as error:
            self._done.set_exception(error)
        else:
            self._done.set_result(done)
        with self._changed:
            self._changed.notify_all()

    def _tell(self, stage: str, done: int, total: int) -> None:
        """Tell everybody, unless it was told already: a segment that is fetched again is no step back."""
        if done <= self._highest.get(stage, -1):
            return
        self._highest[stage] = done
        with self._changed:
            callers = [caller for caller in self._callers if caller.wants]
        for caller in callers:
            try:
                caller.progress(stage, done, total)
            except BaseException as error:
                caller.failure, caller.left = error, True
                self._heed()
