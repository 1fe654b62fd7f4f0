"""What a stolen online key, a mirror or a man in the middle may try, and what a device does about it.

Every case begins with release 1 installed and an honest release 2 published. After the attack the state on the
disk is the same, byte for byte, and release 1 still predicts.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from tuf.api.metadata import DelegatedRole, Delegations, SuccinctRoles

from device_tests.simulator.models import fake_model, renamed
from device_tests.simulator.repository import Repository, key_id
from edge_sdk.crypto.sealing import AppKey
from edge_sdk.errors import EdgeError, FormatError, InputError, RetryLater, UpdateRequired, VerificationError
from edge_sdk.store.state import State
from edge_sdk.trust import ClockError
from edge_sdk.update import UpdateStatus
from tests.edge_sdk.conftest import MODEL, Device

NEW = fake_model(0.2, 2)
BUNDLE = f"/v1/bundles/{NEW.sha256}"
TIMESTAMP, SNAPSHOT = "/metadata/timestamp.json", "/metadata/2.snapshot.json"
TARGETS, DIRECTIVES = "/metadata/2.targets.json", "/v1/directives"
DAY = timedelta(days=1)

Attack = Callable[[Device], None]


def rolled_back(role: str) -> Attack:
    """After the device has seen version 2 of all: version 1 of one role again, under new ones of the others."""

    def attack(device: Device) -> None:
        device.open().refresh()
        versions = device.repository.versions
        for other in ("snapshot", "timestamp", "directives"):
            versions[other] = 3
        versions[role] = 1
        device.repository.write()

    return attack


def expired(role: str) -> Attack:
    def attack(device: Device) -> None:
        repository = device.repository
        repository.issued[role], repository.expires[role] = repository.now - 2 * DAY, repository.now - DAY
        if role == "root":
            repository.versions["root"] = 2
            repository.sign_root()
        repository.write()

    return attack


def from_the_future(role: str) -> Attack:
    def attack(device: Device) -> None:
        device.repository.issued[role] = device.repository.now + timedelta(minutes=6)
        device.repository.write()

    return attack


def signed_by_others(role: str) -> Attack:
    def attack(device: Device) -> None:
        device.repository.signers[role] = Repository().keys[role]
        device.repository.write()

    return attack


def unsigned(role: str) -> Attack:
    def attack(device: Device) -> None:
        device.repository.signers[role] = []
        device.repository.write()

    return attack


def served(path: str, change: Callable[[bytes], bytes]) -> Attack:
    def attack(device: Device) -> None:
        data = device.repository.files[path]
        assert isinstance(data, bytes)
        device.repository.files[path] = change(data)

    return attack


def endless(path: str) -> Attack:
    def pieces() -> Iterator[bytes]:
        for _ in range(100_000):  # far beyond any limit, yet a test that fails ends
            yield b" " * 65_536
        raise AssertionError("read on without a limit")

    def attack(device: Device) -> None:
        device.repository.files[path] = pieces

    return attack


def directed(**changes: Any) -> Attack:
    def attack(device: Device) -> None:
        device.repository.direct(MODEL, **changes)

    return attack


def clock(shift: timedelta) -> Attack:
    def attack(device: Device) -> None:
        device.now += shift

    return attack


def entry(**changes: Any) -> Attack:
    """Sign another entry for the same bytes: a mistake or a lie of the publisher itself."""

    def attack(device: Device) -> None:
        repository = device.repository
        lie = renamed(NEW, **changes)
        del repository.sealed[NEW.entry.path]
        repository.sealed[lie.entry.path] = lie
        repository.write()

    return attack


def rolled_back_root(device: Device) -> None:
    device.repository.files["/metadata/2.root.json"] = device.repository.files["/metadata/1.root.json"]


def root_by_one_key(device: Device) -> None:
    repository = device.repository
    repository.versions["root"] = 2
    repository.signers["root"] = repository.keys["root"][:1]
    repository.sign_root()


def foreign_root(device: Device) -> None:
    other = Repository()
    other.versions["root"] = 2
    device.repository.files["/metadata/2.root.json"] = other.sign_root()


def foreign_repository(device: Device) -> None:
    other = Repository()
    other.publish(NEW)
    other.publish()
    device.repository.files = other.files


def director_changed_by_himself(device: Device) -> None:
    device.repository.director_signs = Repository().director
    device.repository.write()


def directives_by_another_id(device: Device) -> None:
    repository = device.repository
    honest, repository.director = repository.director, Repository().director
    repository.director_signs = repository.director
    envelope = repository.sign_directives()
    repository.director = honest
    assert key_id(honest).encode() not in envelope
    repository.files[DIRECTIVES] = envelope


def directives_of_the_first_day(device: Device) -> None:
    repository = device.repository
    repository.versions["directives"], repository.manifest_version = 1, 1
    repository.files[DIRECTIVES] = repository.sign_directives()


def directives_for_another_manifest(device: Device) -> None:
    device.repository.manifest_version = 1
    device.repository.write()


def old_snapshot_under_the_new_name(device: Device) -> None:
    files = device.repository.files
    files[SNAPSHOT] = files["/metadata/1.snapshot.json"]


def old_targets_under_the_new_name(device: Device) -> None:
    files = device.repository.files
    files[TARGETS] = files["/metadata/1.targets.json"]


def other_targets_of_the_same_version(device: Device) -> None:
    repository = device.repository
    repository.floors["focus/stable"] = 2
    repository.files[TARGETS] = repository.sign_targets()


def delegated(**roles: Any) -> Attack:
    def attack(device: Device) -> None:
        device.repository.delegations = Delegations({}, **roles)
        device.repository.write()

    return attack


def another_bundle(device: Device) -> None:
    device.repository.files[BUNDLE] = fake_model(0.9, 2).served


def wrong_app_key(device: Device) -> None:
    device.repository.publish(fake_model(0.3, 3, app_key=AppKey(b"k" * 32)))


def wrong_golden_case(device: Device) -> None:
    device.repository.publish(fake_model(0.3, 3, golden_shift=1e-3))


def model_that_does_not_load(device: Device) -> None:
    device.repository.publish(fake_model(0.3, 3, stored=b"no model at all"))


REFUSED: dict[str, tuple[Attack, type[EdgeError], str]] = {
    "rollback of root": (rolled_back_root, VerificationError, "Expected root version 2"),
    "rollback of timestamp": (
        rolled_back("timestamp"),
        VerificationError,
        "New timestamp version 1 must be >= 2",
    ),
    "rollback of snapshot": (rolled_back("snapshot"), VerificationError, "New snapshot version must be >= 2"),
    "rollback of targets": (
        rolled_back("targets"),
        VerificationError,
        "Expected targets.json version 1, got 2",
    ),
    "rollback of directives": (
        rolled_back("directives"),
        VerificationError,
        "directives version 1 is older than version 2",
    ),
    "freeze: root expired": (expired("root"), VerificationError, "root.json is expired"),
    "freeze: timestamp expired": (expired("timestamp"), VerificationError, "timestamp.json is expired"),
    "freeze: snapshot expired": (expired("snapshot"), VerificationError, "snapshot.json is expired"),
    "freeze: targets expired": (expired("targets"), VerificationError, "targets is expired"),
    "freeze: directives expired": (expired("directives"), VerificationError, "directives expired at"),
    "freeze: seen on a clock of our own": (clock(1.5 * DAY), VerificationError, "timestamp expired at"),
    "root signed by one of two": (root_by_one_key, VerificationError, "root was signed by 1/2"),
    "root of somebody else": (foreign_root, VerificationError, "root was signed by 0/2"),
    "everything of somebody else": (
        foreign_repository,
        VerificationError,
        "root was signed by 0/2|signed by 0/1",
    ),
    "timestamp by another key": (signed_by_others("timestamp"), VerificationError, "signed by 0/1"),
    "snapshot by another key": (signed_by_others("snapshot"), VerificationError, "signed by 0/1"),
    "targets by another key": (signed_by_others("targets"), VerificationError, "signed by 0/1"),
    "timestamp unsigned": (unsigned("timestamp"), VerificationError, "signed by 0/1"),
    "snapshot unsigned": (unsigned("snapshot"), VerificationError, "signed by 0/1"),
    "targets unsigned": (unsigned("targets"), VerificationError, "signed by 0/1"),
    "directives by another key": (director_changed_by_himself, VerificationError, "signed by 0 of the 1"),
    "directives by another id": (directives_by_another_id, VerificationError, "signed by 0 of the 1"),
    "directives replayed": (directives_of_the_first_day, VerificationError, "manifest version 1"),
    "mix and match: directives": (directives_for_another_manifest, VerificationError, "manifest version 1"),
    "mix and match: snapshot": (old_snapshot_under_the_new_name, VerificationError, "hash"),
    "mix and match: targets": (old_targets_under_the_new_name, VerificationError, "length|hash"),
    "mix and match: other targets": (
        other_targets_of_the_same_version,
        VerificationError,
        "length|hash|more than",
    ),
    "endless timestamp": (endless(TIMESTAMP), VerificationError, "sends more than it may"),
    "endless root": (endless("/metadata/2.root.json"), VerificationError, "sends more than it may"),
    "endless snapshot": (endless(SNAPSHOT), VerificationError, "sends more than it may"),
    "endless targets": (endless(TARGETS), VerificationError, "sends more than it may"),
    "endless directives": (endless(DIRECTIVES), VerificationError, "sends more than it may"),
    "endless bundle": (endless(BUNDLE), VerificationError, "more than the .* signed bytes"),
    "a login page instead of metadata": (
        served(TIMESTAMP, lambda _: b"<html>Welcome to the hotel</html>"),
        VerificationError,
        "Failed to deserialize",
    ),
    "a login page instead of directives": (
        served(DIRECTIVES, lambda _: b"<html>Welcome to the hotel</html>"),
        FormatError,
        "envelope is not valid JSON",
    ),
    "targets delegated": (
        delegated(roles={"others": DelegatedRole("others", [], 1, False, paths=["others/*"])}),
        UpdateRequired,
        "delegate to other roles",
    ),
    "targets delegated to bins": (
        delegated(succinct_roles=SuccinctRoles([], 1, 8, "bin")),
        UpdateRequired,
        "delegate to other roles",
    ),
    "bundle swapped": (another_bundle, VerificationError, "other bytes|more than"),
    "bundle changed": (
        served(BUNDLE, lambda data: data[:50] + bytes([data[50] ^ 1]) + data[51:]),
        VerificationError,
        "other bytes than the signed ones",
    ),
    "bundle extended": (served(BUNDLE, lambda data: data + b"!"), VerificationError, "more than"),
    "bundle truncated": (served(BUNDLE, lambda data: data[:-1]), VerificationError, "has fewer than the"),
    "bundle empty": (served(BUNDLE, lambda data: b""), RetryLater, "the download ended after 0 of"),
    "entry tells another version": (
        entry(model_version="9.9.9"),
        VerificationError,
        "disagree on model_version",
    ),
    "entry tells another recipe": (entry(recipe="weight-int8"), VerificationError, "disagree on recipe"),
    "entry tells another state": (entry(state="variables"), VerificationError, "disagree on state"),
    "entry tells another record": (entry(record_sha256="0" * 64), VerificationError, "record in the bundle"),
    "entry tells another length": (
        entry(plain_length=10),
        VerificationError,
        "does not end exactly at the signed length",
    ),
    "entry tells another codec": (entry(codec="none"), VerificationError, "its entry says"),
    "clock set back": (clock(-DAY), ClockError, "clock: it says"),
    "timestamp from the future": (from_the_future("timestamp"), ClockError, "clock: timestamp was signed at"),
    "directives from the future": (from_the_future("directives"), ClockError, "clock: directives was"),
    "needs a newer SDK": (directed(min_runtime=2), UpdateRequired, "protocol level 2"),
    "wrong app key": (wrong_app_key, InputError, "sealed with app key"),
    "wrong golden case": (
        wrong_golden_case,
        VerificationError,
        "golden case case-0: output probability: off by",
    ),
    "model that does not load": (model_that_does_not_load, FormatError, "not a fake model"),
}


def accepted(device: Device) -> tuple[object, ...]:
    """What the device trusts and uses; what it remembers of failures may change."""
    state = State.from_bytes(device.state)
    return state.trust, state.marks, state.models


@pytest.mark.parametrize("name", REFUSED)
def test_refused(device: Device, name: str) -> None:
    attack, error, message = REFUSED[name]
    device.repository.publish(NEW)
    attack(device)
    client, before = device.open(credential=AppKey(bytes(32))), accepted(device)
    with pytest.raises(error, match=message) as caught:
        client.update(MODEL)
    assert "\n" not in str(caught.value)
    after_refresh = accepted(device)
    if after_refresh != before:  # the metadata was honest, and only the bundle was not
        assert client.status()["models"][MODEL]["active"]["release"] == 1
        with pytest.raises(error, match=message):
            client.update(MODEL)
    assert accepted(device) == after_refresh
    assert device.predicts() == (1, pytest.approx(0.0875))


def test_a_delegation_to_nobody_is_none(device: Device) -> None:
    device.repository.delegations = Delegations({}, {})
    device.repository.publish(NEW)
    assert device.open().update(MODEL).release == NEW.entry.release


def test_the_honest_publication_is_taken(device: Device) -> None:
    """The control: without an attack all of the above would have been installed."""
    device.repository.publish(NEW)
    assert device.open().update(MODEL).release == 2


METADATA = [name for name in REFUSED if "entry" not in name and "bundle" not in name]
AFTER_METADATA = {"needs a newer SDK", "wrong app key", "wrong golden case", "model that does not load"}


@pytest.mark.parametrize("name", [name for name in METADATA if name not in AFTER_METADATA])
def test_refused_metadata_changes_nothing_at_all(device: Device, name: str) -> None:
    attack, error, _ = REFUSED[name]
    device.repository.publish(NEW)
    attack(device)
    before = {path: path.read_bytes() for path in device.folder.rglob("*") if path.is_file()}
    with pytest.raises(error):
        device.open().refresh()
    assert {path: path.read_bytes() for path in device.folder.rglob("*") if path.is_file()} == before


def floor_above(device: Device) -> None:
    device.repository.floor(MODEL, 3)
    device.repository.publish()


def needs_what_we_lack(device: Device) -> None:
    device.repository.publish(fake_model(0.3, 3, requires="tflite telepathy"))


def undirected(device: Device) -> None:
    device.repository.directives.clear()
    device.repository.publish()


def later_format(device: Device) -> None:
    repository = device.repository
    repository.custom[NEW.entry.path] = {**NEW.entry.to_json(), "tier": "quantum"}
    repository.publish()


def below_the_mark(device: Device) -> None:
    device.repository.publish(fake_model(0.3, 3))
    device.open().update(MODEL)
    device.repository.direct(MODEL, release=2)


WITHHELD: dict[str, tuple[Attack, str]] = {
    "paused": (directed(paused=True), "new installs are paused"),
    "held out": (directed(holdout_bp=10_000), "held out"),
    "not in the ramp": (directed(ramp_bp=0), "not been rolled out to this device yet: release 2"),
    "recalled": (directed(recalled=(2,)), "recalled: release 2"),
    "below the floor": (floor_above, "below the floor .*: release 2, floor 3"),
    "capability that we lack": (needs_what_we_lack, "needs tflite telepathy"),
    "undirected": (undirected, "nothing is said"),
    "entry of a later format": (later_format, "nothing this SDK can read"),
}


@pytest.mark.parametrize("name", WITHHELD)
def test_withheld(device: Device, name: str) -> None:
    attack, message = WITHHELD[name]
    device.repository.publish(NEW)
    attack(device)
    done = device.open().update(MODEL)
    assert done.status is UpdateStatus.WITHHELD
    assert done.release == 1
    assert re.search(message, done.detail), done.detail
    assert device.predicts() == (1, pytest.approx(0.0875))


def test_a_release_below_the_devices_own_mark_is_withheld(device: Device) -> None:
    device.repository.publish(NEW)
    below_the_mark(device)
    done = device.open().update(MODEL)
    assert (done.status, done.release) == (UpdateStatus.WITHHELD, 3)
    assert "a higher release was installed here before: release 2, installed 3" in done.detail


def test_base_release_serves_those_outside_the_ramp(device: Device) -> None:
    device.repository.publish(NEW)
    device.repository.publish(fake_model(0.3, 3), ramp_bp=0, base_release=2)
    assert device.open().update(MODEL).release == 2


def test_a_publication_between_two_requests_is_no_attack(device: Device) -> None:
    repository = device.repository
    late = repository.files[DIRECTIVES]
    repository.publish(NEW)
    fresh = repository.files[DIRECTIVES]
    answers = iter([late, fresh])
    repository.files[DIRECTIVES] = lambda: iter([next(answers)])  # type: ignore[list-item]
    assert device.open().update(MODEL).release == 2


class TestMarks:
    def test_outlive_the_metadata_itself(self, device: Device) -> None:
        """Rollback is refused although the local copy, by which TUF would notice, is gone."""
        repository = device.repository
        first = dict(repository.files)
        repository.publish(NEW)
        device.open().update(MODEL)
        for path in (device.folder / "blobs").iterdir():
            path.unlink()
        (device.folder / "blobs").joinpath(_sha(repository.root)).write_bytes(repository.root)
        repository.files = first
        with pytest.raises(VerificationError, match="version 1 is older than version 2"):
            device.open().refresh()

    @pytest.mark.parametrize("role", ["timestamp", "snapshot"])
    def test_a_stolen_key_does_not_lock_the_device_out_for_ever(self, device: Device, role: str) -> None:
        repository = device.repository
        honest = dict(repository.versions)
        repository.versions.update({"timestamp": 2, role: 2**53 - 1})
        repository.write()
        client = device.open()
        client.refresh()
        repository.versions.update({"timestamp": 3, role: honest[role] + 1})
        repository.versions["directives"] += 1
        repository.write()
        with pytest.raises(VerificationError):
            client.refresh()
        repository.rotate(role)
        repository.rotate("timestamp" if role == "snapshot" else "snapshot")
        repository.publish(NEW)
        assert client.update(MODEL).release == 2

    def test_a_new_director_begins_anew(self, device: Device) -> None:
        repository = device.repository
        repository.versions["directives"] = 2**53 - 1
        repository.write()
        client = device.open()
        client.refresh()
        repository.director = repository.director_signs = Repository().director
        repository.versions["directives"] = 0
        repository.publish(NEW)
        assert client.update(MODEL).release == 2

    def test_a_clock_set_back_asks_nobody(self, device: Device) -> None:
        device.now -= DAY
        device.network.requests.clear()
        with pytest.raises(ClockError):
            device.open().refresh()
        assert device.network.requests == []

    def test_a_clock_a_little_behind_is_fine(self, device: Device) -> None:
        device.repository.publish(NEW)
        device.now -= timedelta(minutes=4)
        assert device.open().update(MODEL).release == 2


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
