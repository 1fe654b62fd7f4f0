"""Signing again at half-life, with a clock that the test moves."""

from __future__ import annotations

from datetime import timedelta

import pytest

from model_server import layout
from model_server.errors import StateError, StorageError
from model_server.services import Services
from tests.model_server import fleet
from tests.model_server.conftest import MakeServer
from tests.model_server.fleet import FIRST, FakeClock, MemoryStore
from tests.model_server.storage_contract import together

HALF_DAY = 12 * 3600


def versions(services: Services) -> tuple[int, int, int]:
    state = services.repository.current()
    assert state is not None
    document = services.repository.directives(services.repository.store.get(layout.DIRECTIVES))
    return state.snapshot_version, state.timestamp_version, document.version


def test_nothing_is_due_before_the_first_publication(
    server: Services, store: MemoryStore, clock: FakeClock
) -> None:
    before = fleet.listing(store)
    assert server.resigner.tick(clock.advance(days=400)) == ()
    assert fleet.listing(store) == before


def test_exactly_at_half_of_a_life(server: Services, store: MemoryStore, clock: FakeClock) -> None:
    server.publisher.publish(FIRST.publication())
    before = fleet.listing(store)
    assert server.resigner.tick(clock.advance(seconds=HALF_DAY - 1)) == ()
    assert fleet.listing(store) == before
    assert server.resigner.tick(clock.advance(seconds=1)) == ("timestamp", "directives")
    assert versions(server) == (1, 2, 2)
    assert server.resigner.tick(clock()) == ()
    assert server.resigner.tick(clock.advance(days=3)) == ("snapshot", "timestamp", "directives")
    assert versions(server) == (2, 3, 3)


def test_a_month_of_ticks_never_lets_anything_expire(server: Services, clock: FakeClock) -> None:
    server.publisher.publish(FIRST.publication())
    manifest = server.repository.current()
    assert manifest is not None
    for _ in range(60):
        server.resigner.tick(clock.advance(hours=11, minutes=59))
        state = server.repository.current()
        assert state is not None
        document = server.repository.directives(server.repository.store.get(layout.DIRECTIVES))
        margin = clock() + timedelta(hours=11, minutes=59)
        assert min(state.timestamp_expires, state.snapshot_expires, document.expires) > margin
        assert (state.targets, state.published) == (manifest.targets, manifest.published)


def test_a_server_that_slept_wakes_up(make_server: MakeServer, store: MemoryStore, clock: FakeClock) -> None:
    first = make_server()
    first.publisher.publish(FIRST.publication())
    clock.advance(days=30)
    second = make_server()
    state = second.repository.current()
    assert state is not None
    assert min(state.timestamp_expires, state.snapshot_expires) > clock()


def test_several_servers_agree(make_server: MakeServer, store: MemoryStore, clock: FakeClock) -> None:
    servers = [make_server() for _ in range(6)]
    servers[0].publisher.publish(FIRST.publication())
    clock.advance(days=4)
    done = together(6, lambda index: servers[index].resigner.tick(clock()))
    assert [each.count("timestamp") for each in done].count(1) == 1
    assert sum(each.count("directives") for each in done) <= 1
    for server in servers:
        server.resigner.tick(clock())
    assert len({versions(server) for server in servers}) == 1
    _, timestamp, directives = versions(servers[0])
    assert (timestamp, directives) == (2, 2)


@pytest.mark.parametrize("fail_at", range(3))
def test_a_crash_while_signing_again(
    fail_at: int, server: Services, store: MemoryStore, clock: FakeClock
) -> None:
    server.publisher.publish(FIRST.publication())
    store.writes.clear()
    store.fail_at = fail_at
    clock.advance(days=4)
    with pytest.raises(StorageError, match="made to fail"):
        server.resigner.tick(clock())
    state = server.repository.current()
    assert state is not None
    assert state.version == 1
    store.fail_at = None
    server.resigner.tick(clock())
    state = server.repository.current()
    assert state is not None
    assert min(state.timestamp_expires, state.snapshot_expires) > clock()
    assert server.resigner.tick(clock()) == ()


def test_nothing_is_signed_over_a_changed_store(
    server: Services, store: MemoryStore, clock: FakeClock
) -> None:
    server.publisher.publish(FIRST.publication())
    store.objects[layout.TIMESTAMP] = store.objects[layout.TIMESTAMP].replace(b'"version":1', b'"version":9')
    before = fleet.listing(store)
    with pytest.raises(StateError):
        server.resigner.tick(clock.advance(days=4))
    assert fleet.listing(store) == before
