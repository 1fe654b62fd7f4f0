"""A feature store on a folder, with clocks that tests set."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from device_tests.simulator.features import stub
from edge_sdk.features import FeatureSettings, FeatureStore
from edge_sdk.loading import LoadedModel
from edge_sdk.store import Disk, System

START = datetime(2026, 3, 27, 9, tzinfo=UTC)
"""Two days before Europe puts its clocks forward."""


class Clocks(System):
    """Both clocks, set by a test.

    Attributes:
        wall: what the wall clock shows.
        running: what the monotonic clock shows, seconds.
        start: of the machine.
    """

    def __init__(self) -> None:
        self.wall, self.running, self.start = START, 1000.0, 1

    def now(self) -> datetime:
        return self.wall

    def uptime(self) -> float:
        return self.running

    def boot(self) -> str:
        return f"boot-{self.start}"

    def pass_(self, seconds: float) -> None:
        """Time passes."""
        self.wall += timedelta(seconds=seconds)
        self.running += seconds

    def reboot(self, seconds: float = 60) -> None:
        """The machine is off for a while."""
        self.wall += timedelta(seconds=seconds)
        self.running, self.start = 5.0, self.start + 1


class World:
    """A cache folder, and the stores that are opened on it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clocks, self.model = folder, Clocks(), stub()

    def open(self, model: LoadedModel | None = None, **settings: Any) -> FeatureStore:
        """A store, as a process that starts has it."""
        given = FeatureSettings(**{"zone": "Europe/Berlin", **settings})
        chosen = model or self.model
        return FeatureStore(self.folder, Disk(self.clocks), self.clocks.now, given, lambda name: chosen)

    def at(self, **ago: float) -> str:
        """A timestamp so long ago."""
        return (self.clocks.wall - timedelta(**ago)).isoformat(timespec="milliseconds")

    def event(
        self, user: str = "u1", event_type: str = "session", *, ago: float = 0, **more: Any
    ) -> dict[str, Any]:
        """A row of a log, so many seconds ago."""
        return {"user_id": user, "timestamp": self.at(seconds=ago), "event_type": event_type, **more}

    @property
    def content(self) -> dict[str, bytes]:
        """All files of the cache."""
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in files}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # durability is tested with the fault suite
    (tmp_path / "cache").mkdir()
    return World(tmp_path / "cache")
