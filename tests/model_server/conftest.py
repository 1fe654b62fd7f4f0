"""A server over an empty store in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy

from model_server.catalogue import Catalogue
from model_server.services import Services, create_services
from tests.model_server import fleet
from tests.model_server.fleet import FakeClock, MemoryStore

MakeServer = Callable[..., Services]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store() -> MemoryStore:
    """With all bundles uploaded and nothing published."""
    store = MemoryStore()
    fleet.upload(store)
    return store


@pytest.fixture(scope="session")
def without_disk_waits() -> Iterator[None]:
    """Hundreds of small databases need not survive a power cut."""

    def off(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    sqlalchemy.event.listen(sqlalchemy.Engine, "connect", off)
    yield
    sqlalchemy.event.remove(sqlalchemy.Engine, "connect", off)


@pytest.fixture
def make_server(
    store: MemoryStore, clock: FakeClock, tmp_path: Path, without_disk_waits: None
) -> Iterator[MakeServer]:
    """Make servers over the same store, each with its own catalogue, as in several places."""
    with ExitStack() as closing:

        def make(**options: Any) -> Services:
            catalogue = Catalogue(f"sqlite:///{tmp_path}/{uuid4()}.sqlite")
            closing.callback(catalogue.close)
            options = {
                "root": fleet.make_root(),
                "keys": fleet.ONLINE,
                "store": store,
                "clock": clock,
                **options,
            }
            return create_services(catalogue=catalogue, token=fleet.TOKEN, **options)

        yield make


@pytest.fixture
def server(make_server: MakeServer) -> Services:
    return make_server()
