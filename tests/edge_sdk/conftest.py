"""A device that has the first release of a model, and the repository behind it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from device_tests.simulator.models import ROW, FakeEngine, fake_model
from device_tests.simulator.repository import SERVER, Network, Repository
from edge_sdk.client import EdgeClient
from edge_sdk.update import UpdateStatus
from edge_sdk.update.retrying import RetryPolicy

MODEL = "focus"


@dataclass
class Device:
    """A cache folder, how it reaches the repository, and a client on it."""

    folder: Path
    repository: Repository
    network: Network
    engine: FakeEngine
    stack: ExitStack
    now: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.now = self.repository.now

    def open(self, **options: Any) -> EdgeClient:
        """Another client on the same cache."""
        settings: dict[str, Any] = {
            "server": SERVER,
            "engine": self.engine,
            "capabilities": frozenset({"tflite"}),
            "clock": lambda: self.now,
            "transport": self.network,
            "retry": RetryPolicy(rest=lambda control, seconds: None),
        }
        return self.stack.enter_context(EdgeClient.open(self.folder, **{**settings, **options}))

    @property
    def state(self) -> bytes:
        """The pointer as it lies on the disk."""
        return max((self.folder / "states").glob("*.json")).read_bytes()

    def predicts(self) -> tuple[int, float]:
        """Release and answer of a freshly opened cache, without any network."""
        answer = self.open(server=None, transport=None).model(MODEL).predict(ROW, deadline_ms=60_000)
        return answer.release, answer.values["probability"]


@pytest.fixture
def repository() -> Repository:
    return Repository()


@pytest.fixture
def make_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Repository], Device]]:
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # durability is tested with the store
    with ExitStack() as stack:
        yield lambda repository: Device(
            tmp_path / "cache", repository, Network(repository), FakeEngine(), stack
        )


@pytest.fixture
def device(make_device: Callable[[Repository], Device], repository: Repository) -> Device:
    """Release 1 is installed: probability is 0.1 times the sum of the features."""
    repository.publish(fake_model(0.1, 1))
    device = make_device(repository)
    done = device.open(root=repository.root).update(MODEL)
    assert done.status is UpdateStatus.INSTALLED
    return device
