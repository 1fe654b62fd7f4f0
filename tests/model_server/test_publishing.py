"""Publishing as others see it: order of writes, crashes between them, races, and directives afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from edge_sdk.contract.directives import Directive, Directives
from model_server import layout, tuf_metadata
from model_server.errors import Conflict, NotFound, Refused, StartError, StateError, StorageError
from model_server.publication import Publication
from model_server.services import Services
from model_server.tuf_metadata import Published
from tests.model_server import fleet
from tests.model_server.conftest import MakeServer
from tests.model_server.fleet import FIRST, SECOND, START, FakeClock, MemoryStore
from tests.model_server.storage_contract import together

WRITES = [
    "objects/",  # targets under their digest
    "metadata/2.targets.json",
    "objects/",  # manifest
    "metadata/2.snapshot.json",
    "metadata/timestamp.json",
    "directives.json",
]


def directives(services: Services) -> Directives:
    return services.repository.directives(services.repository.store.get(layout.DIRECTIVES))


def version(services: Services) -> int:
    state = services.repository.current()
    return state.version if state else 0


def consistent(services: Services) -> tuple[int, int]:
    """The targets and manifest versions that clients see, all of it verified on the way."""
    state = services.repository.current()
    assert state is not None
    document = directives(services)
    manifest = services.repository.store.get(layout.object_key(document.manifest_sha256))
    assert layout.digest(manifest) == document.manifest_sha256
    for name in state.objects:
        assert services.repository.store.head(layout.object_key(name)) is not None
    assert services.repository.store.get(layout.targets_key(state.version)) == state.targets
    for channel, models in document.channels.items():
        for model, directive in models.items():
            signed = {a.entry.release for a in state.manifest.artifacts if a.entry.channel == channel}
            assert directive.release in signed, model
    return state.version, document.manifest_version


def test_writes_come_in_order_pointers_last(server: Services, store: MemoryStore) -> None:
    server.publisher.publish(FIRST.publication())
    store.writes.clear()
    receipt = server.publisher.publish(SECOND.publication())
    assert [name[: len(expected)] for name, expected in zip(store.writes, WRITES, strict=True)] == WRITES
    assert (receipt.targets_version, receipt.directives_version) == (2, 2)
    assert receipt.manifest_sha256 == layout.digest(SECOND.envelope())
    assert consistent(server) == (2, 2)


@pytest.mark.parametrize("again", ["same bytes", "signed again", "restart", "tick"])
@pytest.mark.parametrize("fail_at", range(len(WRITES)))
def test_a_crash_between_any_two_writes(
    make_server: MakeServer, fail_at: int, again: str, server: Services, store: MemoryStore, clock: FakeClock
) -> None:
    server.publisher.publish(FIRST.publication())
    store.writes.clear()
    store.fail_at = fail_at
    publication = replace(SECOND, ramp_bp=100).publication()
    with pytest.raises(StorageError, match="made to fail"):
        server.publisher.publish(publication)
    assert len(store.writes) == fail_at
    store.fail_at = None
    visible = fail_at == WRITES.index("directives.json")
    assert consistent(server) == ((2, 1) if visible else (1, 1))

    if again == "restart":
        server = make_server()
        assert consistent(server) == ((2, 2) if visible else (1, 1))
        publish_again = publication
    elif again == "tick":
        assert server.resigner.tick(clock()) == (("directives",) if visible else ())
        assert consistent(server) == ((2, 2) if visible else (1, 1))
        publish_again = publication
    elif again == "signed again" and not visible:
        publish_again = replace(
            SECOND, issued=SECOND.issued + timedelta(seconds=5), ramp_bp=100
        ).publication()
    else:
        publish_again = publication
    assert server.publisher.publish(publish_again).targets_version == 2
    assert consistent(server) == (2, 2)
    directive = directives(server).directive("goal", "stable")
    assert directive == Directive(release=2, ramp_bp=100, base_release=1)
    assert [each["release"] for each in server.publisher.releases()] == [2, 1]


def test_a_failing_catalogue_is_repaired(server: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise StorageError("the catalogue cannot be used: made to fail")

    monkeypatch.setattr(server.catalogue, "rebuild", fail)
    with pytest.raises(StorageError, match="catalogue"):
        server.publisher.publish(FIRST.publication())
    assert consistent(server) == (1, 1)
    monkeypatch.undo()
    assert [each["release"] for each in server.publisher.releases()] == [1]
    assert server.publisher.publish(FIRST.publication()).targets_version == 1


def test_publishing_the_same_bytes_again_changes_nothing(server: Services, store: MemoryStore) -> None:
    first = server.publisher.publish(FIRST.publication())
    before = fleet.listing(store)
    assert server.publisher.publish(FIRST.publication()) == first
    assert fleet.listing(store) == before


def test_one_of_many_publications_wins(make_server: MakeServer, store: MemoryStore, clock: FakeClock) -> None:
    """Several servers over one store, each handed another publication of the same version."""
    servers = [make_server() for _ in range(6)]
    drafts = [replace(FIRST, issued=FIRST.issued + timedelta(seconds=index)) for index in range(6)]
    publications = [draft.publication() for draft in drafts]

    def act(index: int) -> bool:
        try:
            servers[index].publisher.publish(publications[index])
        except Conflict:
            return False
        return True

    won = together(6, act)
    assert won.count(True) == 1
    winner = publications[won.index(True)]
    for server in servers:
        server.resigner.tick(clock())
        assert consistent(server) == (1, 1)
        state = server.repository.current()
        assert state is not None
        assert state.targets == winner.targets
        assert state.published.manifest_sha256 == layout.digest(winner.manifest)


def test_losing_the_last_swap_leaves_the_winner_whole(
    make_server: MakeServer, server: Services, store: MemoryStore, clock: FakeClock
) -> None:
    """The winner comes exactly between our snapshot and our timestamp, after we overwrote its targets' name."""
    other = make_server()
    winning = replace(FIRST, issued=FIRST.issued + timedelta(seconds=1)).publication()
    true = store.replace_if_match

    def interrupted(key: str, data: bytes, etag: str | None) -> str:
        if key == layout.TIMESTAMP:
            store.replace_if_match = true  # type: ignore[method-assign]
            other.publisher.publish(winning)
            store.objects[layout.targets_key(1)] = FIRST.targets()
        return true(key, data, etag)

    store.replace_if_match = interrupted  # type: ignore[method-assign]
    with pytest.raises(Conflict, match="somebody else published"):
        server.publisher.publish(FIRST.publication())
    assert consistent(server) == (1, 1)
    state = server.repository.current()
    assert state is not None
    assert state.targets == winning.targets


def test_signing_again_in_between_is_no_conflict(
    server: Services, store: MemoryStore, clock: FakeClock
) -> None:
    server.publisher.publish(FIRST.publication())
    clock.advance(hours=13)
    true = store.replace_if_match

    def interrupted(key: str, data: bytes, etag: str | None) -> str:
        if key == layout.TIMESTAMP:
            store.replace_if_match = true  # type: ignore[method-assign]
            assert "timestamp" in server.resigner.tick(clock())
        return true(key, data, etag)

    store.replace_if_match = interrupted  # type: ignore[method-assign]
    assert server.publisher.publish(SECOND.publication()).targets_version == 2
    assert consistent(server) == (2, 2)


# Directives.


def test_directives_after_the_first_publication(server: Services) -> None:
    server.publisher.publish(FIRST.publication())
    document = directives(server)
    assert document.channels == {"stable": {"goal": Directive(release=1, ramp_bp=10_000)}}
    assert (document.issued, document.expires) == (START, START + timedelta(days=1))


@pytest.mark.parametrize(("ramp", "base"), [(10_000, 1), (500, 0)])
def test_a_new_release_falls_back_on_what_everybody_has(ramp: int, base: int, server: Services) -> None:
    server.publisher.publish(replace(FIRST, ramp_bp=ramp).publication())
    server.publisher.set_directive("stable", "goal", {"paused": True, "holdout_bp": 7, "recalled": [1]})
    server.publisher.publish(replace(SECOND, ramp_bp=1000).publication())
    assert directives(server).directive("goal", "stable") == Directive(
        release=2, ramp_bp=1000, base_release=base, paused=True, holdout_bp=7, recalled=(1,)
    )


def test_a_floor_takes_the_fallback_away(server: Services) -> None:
    server.publisher.publish(FIRST.publication())
    server.publisher.publish(replace(SECOND, floors={"goal/stable": 2}, ramp_bp=1).publication())
    assert directives(server).directive("goal", "stable") == Directive(release=2, ramp_bp=1, base_release=0)


def test_an_operator_changes_a_directive(server: Services) -> None:
    server.publisher.publish(FIRST.publication())
    server.publisher.publish(SECOND.publication())
    assert server.publisher.set_directive("stable", "goal", {"ramp_bp": 2500}).ramp_bp == 2500
    assert server.publisher.set_directive("stable", "goal", {"paused": True}).ramp_bp == 2500
    document = directives(server)
    assert document.version == 4
    assert document.directive("goal", "stable") == Directive(
        release=2, ramp_bp=2500, base_release=1, paused=True
    )
    server.publisher.set_directive("stable", "goal", {"paused": True})
    assert directives(server).version == 4  # says nothing new
    assert [each["action"] for each in server.catalogue.audited()] == ["publish"] * 2 + ["directive"] * 3


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, "give some of"),
        ({"ramp": 5}, "not ramp"),
        ({"ramp_bp": 10_001}, "10000 basis points"),
        ({"ramp_bp": -1}, "'ramp_bp' is not an integer"),
        ({"ramp_bp": 0.5}, "'ramp_bp' is not an integer"),
        ({"ramp_bp": True}, "'ramp_bp' is not an integer"),
        ({"paused": 1}, "'paused' is not true or false"),
        ({"release": 1, "base_release": 0}, "release 1 is lower than 2"),
        ({"release": 3}, "release 3 is not a signed release"),
        ({"base_release": 2}, "base_release must be 0 or a release below"),
        ({"recalled": [2, 1]}, "not a sorted list"),
        ({"recalled": "1"}, "'recalled' is not a list"),
        ({"min_runtime": 0}, "'min_runtime' is not an integer"),
        ({"variants": None}, "not variants"),
    ],
)
def test_wrong_changes_are_refused(changes: dict[str, Any], reason: str, server: Services) -> None:
    server.publisher.publish(FIRST.publication())
    server.publisher.publish(SECOND.publication())
    before = server.repository.store.get(layout.DIRECTIVES)
    with pytest.raises(Refused, match=reason):
        server.publisher.set_directive("stable", "goal", changes)
    assert server.repository.store.get(layout.DIRECTIVES) == before


@pytest.mark.parametrize(("channel", "model"), [("beta", "goal"), ("stable", "other")])
def test_directives_of_what_is_not_published(channel: str, model: str, server: Services) -> None:
    with pytest.raises(NotFound, match="nothing is published yet"):
        server.publisher.set_directive(channel, model, {"paused": True})
    server.publisher.publish(FIRST.publication())
    with pytest.raises(NotFound, match=f"{model} has no release in channel {channel}"):
        server.publisher.set_directive(channel, model, {"paused": True})


def test_no_change_of_many_is_lost(make_server: MakeServer, store: MemoryStore, clock: FakeClock) -> None:
    servers = [make_server() for _ in range(3)]
    servers[0].publisher.publish(FIRST.publication())
    changes: list[dict[str, Any]] = [{"paused": True}, {"holdout_bp": 5}, {"recalled": [1]}]
    together(3, lambda index: servers[index].publisher.set_directive("stable", "goal", changes[index]))
    assert directives(servers[0]).directive("goal", "stable") == Directive(
        release=1, ramp_bp=10_000, paused=True, holdout_bp=5, recalled=(1,)
    )


def test_a_change_in_the_middle_of_a_publication_keeps_its_ramp(server: Services, store: MemoryStore) -> None:
    """TUF clients see release 2 already, the directives do not know it yet, and an operator pauses."""
    server.publisher.publish(FIRST.publication())
    store.writes.clear()
    store.fail_at = WRITES.index("directives.json")
    with pytest.raises(StorageError):
        server.publisher.publish(replace(SECOND, ramp_bp=50).publication())
    store.fail_at = None
    server.publisher.set_directive("stable", "goal", {"paused": True})
    assert directives(server).directive("goal", "stable") == Directive(
        release=2, ramp_bp=50, base_release=1, paused=True
    )
    assert consistent(server) == (2, 2)


# A store that somebody else wrote to.


Spoil = Callable[[MemoryStore], None]


def _foreign_directives(store: MemoryStore) -> None:
    store.objects[layout.DIRECTIVES] = FIRST.envelope()


def _swapped_targets(store: MemoryStore) -> None:
    name = layout.object_key(layout.digest(FIRST.targets()))
    store.objects[name] = SECOND.targets()


def _flip(name: str) -> Callable[[MemoryStore], None]:
    def flip(store: MemoryStore) -> None:
        store.objects[name] = store.objects[name].replace(b'"version":1', b'"version":2')

    return flip


def _vanished(store: MemoryStore) -> None:
    del store.objects[layout.snapshot_key(1)]


# Each of these is consistent but for the one thing that it is about.


def _another_publication_of_the_same_version(store: MemoryStore) -> None:
    other = replace(FIRST, issued=FIRST.issued + timedelta(seconds=1))
    store.objects[layout.object_key(layout.digest(FIRST.targets()))] = other.targets()


def _snapshot(key: str, ramp_bp: int = 10_000) -> bytes:
    published = Published(1, layout.digest(FIRST.envelope()), ramp_bp)
    expires = START + timedelta(days=7)
    return tuf_metadata.sign_snapshot(fleet.key(key), 1, 1, FIRST.targets(), published, START, expires)


def _timestamp(key: str, snapshot: bytes) -> bytes:
    return tuf_metadata.sign_timestamp(fleet.key(key), 1, 1, snapshot, START, START + timedelta(days=1))


def _another_snapshot_of_the_same_version(store: MemoryStore) -> None:
    store.objects[layout.snapshot_key(1)] = _snapshot("snapshot", ramp_bp=5)


def _snapshot_of_another_key(store: MemoryStore) -> None:
    snapshot = _snapshot("attacker")
    store.objects[layout.snapshot_key(1)] = snapshot
    store.objects[layout.TIMESTAMP] = _timestamp("timestamp", snapshot)


def _timestamp_of_another_key(store: MemoryStore) -> None:
    store.objects[layout.TIMESTAMP] = _timestamp("attacker", store.objects[layout.snapshot_key(1)])


def test_the_spoiling_starts_from_what_is_good(
    make_server: MakeServer, server: Services, store: MemoryStore
) -> None:
    server.publisher.publish(FIRST.publication())
    snapshot = _snapshot("snapshot")
    assert store.objects[layout.snapshot_key(1)] == snapshot
    assert store.objects[layout.TIMESTAMP] == _timestamp("timestamp", snapshot)
    assert consistent(make_server()) == (1, 1)


@pytest.mark.parametrize(
    "spoil",
    [
        _foreign_directives,
        _swapped_targets,
        _flip(layout.TIMESTAMP),
        _flip(layout.snapshot_key(1)),
        _vanished,
        _another_publication_of_the_same_version,
        _another_snapshot_of_the_same_version,
        _snapshot_of_another_key,
        _timestamp_of_another_key,
    ],
)
def test_a_changed_store_is_noticed_at_the_start(
    make_server: MakeServer, spoil: Spoil, server: Services, store: MemoryStore
) -> None:
    server.publisher.publish(FIRST.publication())
    spoil(store)
    before = fleet.listing(store)
    with pytest.raises(StateError, match="restore"):
        make_server()
    assert fleet.listing(store) == before


def test_a_store_of_another_root_is_refused(make_server: MakeServer, server: Services) -> None:
    with pytest.raises(StartError, match="another root version 1"):
        make_server(root=make_other_root())


def test_another_director_is_refused(make_server: MakeServer, server: Services) -> None:
    server.publisher.publish(FIRST.publication())
    keys = replace(fleet.ONLINE, director=fleet.key("other"))
    with pytest.raises(StartError, match="names the director"):
        make_server(keys=keys)


def make_other_root() -> bytes:
    return fleet.make_root(names={"root": ("x-1", "x-2")}, thresholds={"root": 1}, signed_by=("x-1",))


def test_a_pointer_is_read_together_with_its_version(store: MemoryStore) -> None:
    store.objects["p"] = b"old"
    true = store.get

    def changing(key: str, start: int = 0, length: int | None = None) -> bytes:
        store.get = true  # type: ignore[method-assign]
        store.objects["p"] = b"new"
        return b"old"

    store.get = changing  # type: ignore[method-assign]
    stat = store.head("p")
    data = layout.read_pointer(store, "p")
    assert stat is not None
    assert data is not None
    assert (data[0], data[1] == stat.etag) == (b"new", False)


@pytest.mark.parametrize("field", [{"base_version": -1}, {"base_version": True}, {"ramp_bp": 10_001}])
def test_a_publication_is_valid_by_construction(field: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        Publication(b"", b"", **field)
