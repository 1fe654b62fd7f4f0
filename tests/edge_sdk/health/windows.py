"""Windows, and a queue on a disk that may fail."""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from edge_sdk.contract.telemetry import MIN_PREDICTIONS, Report, Subject, Tally, Window
from edge_sdk.health.queue import Limits, Queue
from edge_sdk.store import System
from edge_sdk.store.disk import Disk

START = datetime(2026, 3, 1, 11, tzinfo=UTC)
CALLS = frozenset(
    name
    for name in vars(System)
    if name[0] != "_" and name not in ("now", "monotonic", "owner", "is_alive", "started", "random", "locks")
)


def subject(model: str = "focus", release: int = 1) -> Subject:
    return Subject(1, "litert", "2.3.0", "linux", "stable", model, "1.0.0", release)


def window(predictions: int, hours: int = 0, model: str = "focus") -> Window:
    start = START + timedelta(hours=hours)
    tally = Tally(Counter({"prediction.fresh": predictions}), {"feature.effort": Counter({3: predictions})})
    return Window(subject(model), start, start + timedelta(hours=1), tally)


def make(merged: Window) -> Report | None:
    if merged.predictions < MIN_PREDICTIONS:
        return None
    return Report(merged, os.urandom(16).hex())


class Faulty(System):
    """A process of its own. At its ``at``-th call it dies, or that call fails; ``at`` 0 is never.

    Attributes:
        calls: how many it has made.
    """

    class Died(BaseException):
        """Nothing catches it."""

    def __init__(
        self, at: int = 0, error: int | None = None, name: str = "mortal_1", alive: bool = False
    ) -> None:
        self.at, self.error, self.name, self.alive, self.calls = at, error, name, alive, 0

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name in CALLS:
            self.calls += 1
            if self.error is None and 0 < self.at <= self.calls:
                raise Faulty.Died
            if self.error is not None and self.calls == self.at:
                raise OSError(self.error, os.strerror(self.error))
        return found

    def owner(self) -> str:
        return self.name

    def is_alive(self, owner: str) -> bool:
        return self.alive or owner == self.name


def queue_in(
    folder: Path, system: System | None = None, limits: Limits | None = None, days: float = 0
) -> Queue:
    now = START + timedelta(days=days, hours=1)
    return Queue(folder, Disk(system or Faulty(name="reader_1")), lambda: now, limits)
