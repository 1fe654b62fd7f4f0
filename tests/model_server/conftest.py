"""A server over an empty store in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from model_server.app import Services
from tests.model_server import fleet
from tests.model_server.fleet import FakeClock, MemoryStore


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store() -> MemoryStore:
    """With all bundles uploaded and nothing published."""
    store = MemoryStore()
    fleet.upload(store)
    return store


@pytest.fixture
def server(store: MemoryStore, clock: FakeClock) -> Iterator[Services]:
    services = fleet.services(store, clock)
    yield services
    services.catalogue.close()
