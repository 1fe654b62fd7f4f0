"""The table of wrong publications: each is refused with its reason, and not a byte of the store changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from edge_sdk.contract.manifest import Artifact, Director
from edge_sdk.crypto import keyfiles
from model_server import layout
from model_server.errors import Conflict, Refused
from model_server.publication import Publication
from model_server.services import Services
from tests.model_server import fleet
from tests.model_server.conftest import MakeServer
from tests.model_server.fleet import FIRST, SECOND, START, Draft, MemoryStore, artifact, make_root

NEW = SECOND.artifacts[-1]
ATTACKER = Director(fleet.key_id(fleet.key("attacker")), keyfiles.public_hex(fleet.key("attacker")))


def _spoiled(change: Callable[[Any], None]) -> Publication:
    return replace(SECOND.publication(), targets=SECOND.targets(change))


def _target(change: Callable[[Any], None]) -> Publication:
    return _spoiled(lambda targets: change(targets.targets[NEW.path]))


def _custom(name: str, value: object) -> Publication:
    def change(target: Any) -> None:
        target.unrecognized_fields["custom"][name] = value

    return _target(change)


def _moved(targets: Any) -> None:
    targets.targets["goal/stable/7/tflite-fp32.bundle"] = targets.targets.pop(NEW.path)


def _delegating(targets: Any) -> None:
    from tuf.api.metadata import Delegations

    targets.delegations = Delegations({}, {})


def _without(name: str) -> Publication:
    return _spoiled(lambda targets: targets.unrecognized_fields.pop(name))


def _new(**fields: Any) -> Publication:
    """The second publication, with something else about its new artifact, targets and manifest agreeing."""
    other: Artifact = replace(NEW, **fields)
    return replace(SECOND, artifacts=(*FIRST.artifacts, other)).publication()


def _new_entry(**fields: Any) -> Publication:
    entry = replace(NEW.entry, **fields)
    return _new(entry=entry, path=entry.path)


def _also(*artifacts: Artifact) -> Publication:
    return replace(SECOND, artifacts=(*FIRST.artifacts, *artifacts)).publication()


def _manifest_of(draft: Draft) -> Publication:
    return replace(SECOND.publication(), manifest=draft.envelope())


def _roots(*roots: bytes) -> Publication:
    return replace(SECOND, roots=roots).publication()


def _twice(data: bytes) -> bytes:
    """The same document with a repeated name, which readers may take differently."""
    return data.replace(b'{"signatures"', b'{"signatures":[],"signatures"', 1)


GOOD = SECOND.publication()
ATTACKS: dict[str, tuple[Callable[[], Publication], str]] = {
    "wrong key": (lambda: replace(SECOND, signed_by=("attacker", "root-1")).publication(), "was signed by 0/2"),
    "below the threshold": (lambda: replace(SECOND, signed_by=("targets-3",)).publication(), "signed by 1/2"),
    "one key twice": (
        lambda: replace(SECOND, signed_by=("targets-1", "targets-1")).publication(), "signed by 1/2",
    ),
    "online keys": (lambda: replace(SECOND, signed_by=("snapshot", "timestamp", "director")).publication(), "0/2"),
    "no signature": (lambda: replace(GOOD, targets=replace(SECOND, signed_by=()).targets()), "signed by 0/2"),
    "not JSON": (lambda: replace(GOOD, targets=b"\xff"), "targets is not valid JSON"),
    "not an object": (lambda: replace(GOOD, targets=b"[]"), "targets is not a JSON object"),
    "not TUF": (lambda: replace(GOOD, targets=b"{}"), "targets is refused"),
    "another role": (lambda: replace(GOOD, targets=make_root()), "of type root, not targets"),
    "repeated name": (lambda: replace(GOOD, targets=_twice(GOOD.targets)), "repeats a field name"),
    "replayed version": (lambda: replace(FIRST.publication(), targets=FIRST.targets() + b" ", base_version=1),
                         "version 1, and the next one is 2"),
    "skipped version": (lambda: replace(SECOND, version=3, base_version=1).publication(), "version 3, and the next"),
    "expired": (lambda: replace(SECOND, expires=START).publication(), "targets expired"),
    "from the future": (lambda: replace(SECOND, issued=START + timedelta(hours=2)).publication(), "in the future"),
    "older than published": (lambda: replace(SECOND, issued=START - timedelta(days=1)).publication(), "before the"),
    "foreign director": (lambda: replace(SECOND, director=ATTACKER).publication(), "name the director"),
    "director with another id": (
        lambda: replace(SECOND, director=replace(fleet.DIRECTOR, key_id="0" * 64)).publication(), "name the director",
    ),
    "no director": (lambda: _without("x-director"), "lacks the field 'x-director'"),
    "no floors": (lambda: _without("x-floors"), "lacks the field 'x-floors'"),
    "no time of issue": (lambda: _without("x-issued"), "lacks the field 'x-issued'"),
    "delegations": (lambda: _spoiled(_delegating), "delegates to others"),
    "dropped target": (lambda: replace(SECOND, artifacts=SECOND.artifacts[1:]).publication(), "and missing"),
    "all dropped": (lambda: replace(SECOND, artifacts=()).publication(), "and missing"),
    "changed target": (
        lambda: replace(
            SECOND, artifacts=(artifact(served=fleet.served_bytes(seed=3)), *SECOND.artifacts[1:])
        ).publication(),
        "is published and has changed",
    ),
    "changed entry": (
        lambda: replace(SECOND, artifacts=(artifact(model_version="9.0.0"), *SECOND.artifacts[1:])).publication(),
        "is published and has changed",
    ),
    "release that does not grow": (
        lambda: _also(artifact(target="coreml", served=fleet.served_bytes(seed=3))), "is 2 or higher",
    ),
    "one release, two versions": (
        lambda: _also(NEW, artifact(release=2, target="onnx", model_version="1.2.0", served=fleet.served_bytes())),
        "has two model versions",
    ),
    "path of another entry": (lambda: _spoiled(_moved), "its entry belongs under"),
    "path that climbs": (lambda: _custom("model", "../x"), "is not a name"),
    "no entry": (lambda: _target(lambda target: target.unrecognized_fields.clear()), "entry is not a JSON object"),
    "entry without a field": (lambda: _custom("requires", 5), "'requires' is not a string"),
    "entry too long": (lambda: _custom("note", "x" * 1400), "at most 1400 are allowed"),
    "another digest": (lambda: _target(lambda target: target.hashes.update(md5="0" * 32)), "and no other digest"),
    "fractional length": (lambda: _target(lambda target: setattr(target, "length", True)), "must have a length"),
    "missing object": (lambda: _new(sha256="1" * 64), "was not uploaded"),
    "wrong length": (lambda: _new(length=NEW.length + 1), "signed with 5001 bytes, uploaded with 5000"),
    "wrong segment list": (lambda: _new_entry(segments_sha256="2" * 64), "is not that of its bundle"),
    "floor above everything": (lambda: replace(SECOND, floors={"goal/stable": 3}).publication(), "above its newest"),
    "floor of nothing": (lambda: replace(SECOND, floors={"other/stable": 1}).publication(), "above its newest"),
    "malformed floor": (lambda: replace(GOOD, targets=replace(SECOND, extra={"x-floors": {"goal": 1}}).targets()),
                        "floor '' is not a name"),
    "manifest of other keys": (lambda: _manifest_of(replace(SECOND, signed_by=("attacker", "snapshot"))), "0 of the 2"),
    "manifest below the threshold": (lambda: _manifest_of(replace(SECOND, signed_by=("targets-1",))), "1 of the 2"),
    "manifest of the version before": (lambda: _manifest_of(FIRST), "does not say the same"),
    "changed manifest": (lambda: _manifest_of(replace(SECOND, floors={"goal/stable": 1})), "does not say the same"),
    "manifest with less": (lambda: _manifest_of(replace(SECOND, artifacts=FIRST.artifacts)), "does not say the same"),
    "manifest that lives longer": (
        lambda: _manifest_of(replace(SECOND, expires=START + timedelta(days=91))), "does not say the same",
    ),
    "manifest from another time": (
        lambda: _manifest_of(replace(SECOND, issued=START + timedelta(seconds=1))), "does not say the same",
    ),
    "flipped byte in the manifest": (
        lambda: replace(GOOD, manifest=GOOD.manifest.replace(b'"payload":"ey', b'"payload":"ez')), "0 of the 2",
    ),
    "no manifest": (lambda: replace(GOOD, manifest=b""), "not valid JSON"),
    "directives as manifest": (
        lambda: replace(GOOD, manifest=json.dumps(
            {**json.loads(GOOD.manifest), "payloadType": "application/vnd.coach-edge.directives.v1+json"}
        ).encode()),
        "payload type",
    ),
    "root of the attacker": (
        lambda: _roots(make_root(2, names={"root": ("attacker",)}, thresholds={"root": 1}, signed_by=("attacker",))),
        "root was signed by 0/2",
    ),
    "root below the old threshold": (
        lambda: _roots(make_root(2, thresholds={"root": 1}, signed_by=("root-1",))), "root was signed by 1/2",
    ),
    "root below its own threshold": (
        lambda: _roots(make_root(2, thresholds={"root": 3})), "root was signed by 2/3",
    ),
    "root that skips": (lambda: _roots(make_root(3)), "is version 3, not 2"),
    "root again": (lambda: _roots(make_root(1)), "is version 1, not 2"),
    "expired root": (lambda: _roots(make_root(2, expires=START)), "root version 2 expired"),
    "root without consistent snapshots": (lambda: _roots(make_root(2, consistent_snapshot=False)), "consistent"),
    "root with another snapshot key": (
        lambda: _roots(make_root(2, names={"snapshot": ("other",)})), "does not name this server's snapshot key",
    ),
    "root with another timestamp key": (
        lambda: _roots(make_root(2, names={"timestamp": ("other",)})), "does not name this server's timestamp key",
    ),
    "root with a second snapshot key": (
        lambda: _roots(make_root(2, names={"snapshot": ("snapshot", "other")}, thresholds={"snapshot": 2})),
        "snapshot key",
    ),
    "root that makes the director a targets key": (
        lambda: _roots(make_root(2, names={"targets": ("targets-1", "targets-2", "director")})),
        "names a key of this server as targets key",
    ),
    "targets of keys that a new root drops": (
        lambda: _roots(make_root(2, names={"targets": ("targets-3", "other")})), "targets was signed by 0/2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_is_refused_and_changes_nothing(name: str, server: Services, store: MemoryStore) -> None:
    make, reason = ATTACKS[name]
    server.publisher.publish(FIRST.publication())
    before = fleet.listing(store)
    publication = make()
    with pytest.raises(Refused) as refused:
        server.publisher.publish(publication)
    message = str(refused.value)
    assert reason in message, message
    assert message.startswith("publication refused: ")
    assert "\n" not in message
    assert fleet.listing(store) == before
    # The control: what was refused was the attack, and not everything.
    assert server.publisher.publish(GOOD).targets_version == 2


@pytest.mark.parametrize("part", ["targets", "manifest"])
def test_flipped_bits(part: str, server: Services, store: MemoryStore) -> None:
    """Each is refused, or what was verified is the same in spite of it."""
    server.publisher.publish(FIRST.publication())
    before = fleet.listing(store)
    good: bytes = getattr(GOOD, part)
    random = Random(7)
    refused = 0
    for _ in range(250):
        spoiled = bytearray(good)
        spoiled[random.randrange(len(good))] ^= 1 << random.randrange(8)
        try:
            server.publisher.publish(replace(GOOD, **{part: bytes(spoiled)}))
        except Refused:
            refused += 1
            assert fleet.listing(store) == before
            continue
        state = server.repository.current()
        assert state is not None
        assert state.manifest == SECOND.manifest
        store.objects = dict(before)
    assert refused > 200


@pytest.mark.parametrize("present", ["bundle", "segments"])
def test_objects_that_lie(present: str, server: Services, store: MemoryStore) -> None:
    """Bytes in the store that are not what their name says; uploads cannot do that, a disk can."""
    server.publisher.publish(FIRST.publication())
    sha256 = NEW.sha256 if present == "bundle" else NEW.entry.segments_sha256
    whole = store.objects[layout.object_key(sha256)]
    store.objects[layout.object_key(sha256)] = b"\0" + whole[1:]
    before = fleet.listing(store)
    with pytest.raises(Refused, match="has another digest than the signed one"):
        server.publisher.publish(GOOD)
    del store.objects[layout.object_key(sha256)]
    before.pop(layout.object_key(sha256))
    with pytest.raises(Refused, match="was not uploaded"):
        server.publisher.publish(GOOD)
    assert fleet.listing(store) == before


def test_somebody_else_was_faster(server: Services, store: MemoryStore) -> None:
    server.publisher.publish(FIRST.publication())
    server.publisher.publish(GOOD)
    before = fleet.listing(store)
    late = replace(SECOND, issued=START + timedelta(seconds=1)).publication()
    with pytest.raises(Conflict, match="builds on targets version 1, and version 2 is published"):
        server.publisher.publish(late)
    with pytest.raises(Conflict, match="with another manifest"):
        server.publisher.publish(replace(GOOD, manifest=GOOD.manifest + b"\n"))
    assert fleet.listing(store) == before


def test_floors_never_sink_and_retire_what_is_below(server: Services, store: MemoryStore) -> None:
    server.publisher.publish(FIRST.publication())
    server.publisher.publish(GOOD)
    raised = replace(SECOND, version=3, floors={"goal/stable": 2}, artifacts=(NEW,))
    server.publisher.publish(raised.publication())
    state = server.repository.current()
    assert state is not None
    assert list(state.by_path) == [NEW.path]
    before = fleet.listing(store)
    for floors in ({"goal/stable": 1}, {}):
        sunk = replace(raised, version=4, floors=floors)
        with pytest.raises(Refused, match="sinks from 2"):
            server.publisher.publish(sunk.publication())
    below = replace(raised, version=4, artifacts=(NEW, *FIRST.artifacts))
    with pytest.raises(Refused, match="the next release of goal/stable is 3 or higher"):
        server.publisher.publish(below.publication())
    assert fleet.listing(store) == before


def test_a_new_root_with_new_targets_keys(
    make_server: MakeServer, server: Services, store: MemoryStore
) -> None:
    server.publisher.publish(FIRST.publication())
    second = make_root(2, names={"targets": ("new-1", "new-2")})
    third = make_root(3, names={"targets": ("new-2", "new-3")}, signed_by=("root-2", "root-3"))
    rotated = replace(SECOND, roots=(second, third), signed_by=("new-2", "new-3"))
    server.publisher.publish(rotated.publication())
    assert store.objects[layout.root_key(3)] == third
    # Another process, started with the first root, follows the chain; so does one started with the third.
    for root in (make_root(), third):
        other = make_server(root=root)
        state = other.repository.current()
        assert state is not None
        assert (state.version, state.root.version) == (2, 3)
    old = replace(SECOND, version=3, issued=START + timedelta(seconds=1))
    with pytest.raises(Refused, match="targets was signed by 0/2"):
        server.publisher.publish(old.publication())


def test_only_new_bundles_are_read(
    server: Services, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.publisher.publish(FIRST.publication())
    read: list[str] = []
    true = store.get

    def get(key: str, start: int = 0, length: int | None = None) -> bytes:
        read.append(key)
        return true(key, start, length)

    monkeypatch.setattr(store, "get", get)
    server.publisher.publish(GOOD)
    bundles = {layout.object_key(each.sha256) for each in SECOND.artifacts}
    assert bundles.intersection(read) == {layout.object_key(NEW.sha256)}
