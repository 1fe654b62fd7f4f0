"""Erasing: nothing is left of what was erased, wherever the process ends, and nothing is forgotten that guards."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from device_tests.simulator.models import ROW, fake_model
from edge_sdk import EdgeClient, EraseScope, NotAvailable, RetryLater, UpdateStatus, commands, erasing
from edge_sdk.erasing import INTENT
from edge_sdk.store import Cache, State, System, lock
from edge_sdk.store.state import Failure
from tests.edge_sdk.conftest import MODEL, Device

UNFINISHED, KEY, LEFT = b"half of a bundle", b"a device's key", b"who left this here?"
CALLS = frozenset(
    name
    for name in vars(System)
    if name[0] != "_" and name not in ("now", "monotonic", "owner", "is_alive", "started", "random", "locks")
)


class Mortal(System):
    """A process of its own, which ends at its ``dies_at``-th call, and makes none after that."""

    class Died(BaseException):
        """Nothing catches it."""

    def __init__(self, dies_at: int) -> None:
        self.left = dies_at
        self.lock: int | None = None

    def try_lock(self, path: Path) -> int | None:
        self.lock = super().try_lock(path)
        return self.lock

    def end(self) -> None:
        """The operating system lets go of what it held."""
        if self.lock is not None:
            os.close(self.lock)

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name in CALLS:
            self.left -= 1
            if self.left <= 0:
                raise Mortal.Died
        return found

    def owner(self) -> str:
        return "mortal_1"


@pytest.fixture
def used(device: Device) -> Device:
    """Release 2 is active and 1 stands in; and there is all that a cache may hold besides."""
    device.repository.publish(fake_model(0.2, 2))
    with device.open() as client:
        assert client.update(MODEL).release == 2
    other = "ab" * 32
    cache = open_cache(device.folder)
    cache.change(
        lambda state: replace(state, wanted={"next": other}, failures={other: Failure(1, "it broke")})
    )
    files = {f"partial/{other}": UNFINISHED, f"keys/{other}": KEY, "left": LEFT, "old/deep/left": LEFT}
    for name, data in files.items():
        (device.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (device.folder / name).write_bytes(data)
    return device


def open_cache(folder: Path) -> Cache:
    return Cache.open(folder, None, os.urandom)


def state_of(folder: Path) -> State:
    return open_cache(folder).state()


def open_offline(folder: Path, system: System | None = None) -> EdgeClient:
    return EdgeClient.open(folder, system=system)


def bundles(state: State) -> dict[str, bytes]:
    artifacts = [a for slot in state.models.values() for a in (slot.active, slot.previous) if a]
    return {artifact.sha256: b"" for artifact in artifacts}


def canaries(folder: Path) -> list[bytes]:
    """What must not be found any more."""
    state = state_of(folder)
    digests = [*bundles(state), *state.wanted.values()]
    served = [(folder / "blobs" / digest).read_bytes() for digest in bundles(state)]
    assert len(served) == 2
    return [
        *(data[start : start + 64] for data in served for start in (0, len(data) // 2, len(data) - 64)),
        *(digest.encode() for digest in digests),
        state.install_id.encode(),
        UNFINISHED,
        KEY,
        LEFT,
    ]


def found(folder: Path, wanted: list[bytes]) -> list[bytes]:
    """Those that are in a name or in a file; the publisher's signed list names every bundle and does not count."""
    public = set(state_of(folder).trust.values())
    contents = [
        path.name.encode() + b"\n" + (path.read_bytes() if path.is_file() else b"")
        for path in folder.rglob("*")
        if path.name not in public
    ]
    return [canary for canary in wanted if any(canary in content for content in contents)]


def test_nothing_is_left(used: Device) -> None:
    wanted, before = canaries(used.folder), state_of(used.folder)
    assert found(used.folder, wanted) == wanted  # control: the search finds them
    size = sum((used.folder / "blobs" / digest).stat().st_size for digest in bundles(before))
    receipt = used.open().erase(EraseScope.ALL)
    assert found(used.folder, wanted) == []
    assert (receipt.scope, receipt.models, receipt.finished) == (EraseScope.ALL, (MODEL,), used.now)
    assert receipt.bytes > size
    assert receipt.files >= 2 + 4
    after = state_of(used.folder)
    assert (after.marks, after.trust, after.pinned_root) == (before.marks, before.trust, before.pinned_root)
    assert sorted(path.name for path in used.folder.iterdir()) == [
        "blobs",
        "holds",
        "lock",
        "partial",
        "states",
    ]
    assert used.open().erase(EraseScope.MODELS).models == ()  # again, of nothing


def test_the_models_alone(used: Device) -> None:
    wanted, before = canaries(used.folder), state_of(used.folder)
    used.open().erase()
    assert found(used.folder, wanted) == [before.install_id.encode()]


def test_what_was_handed_out_stops(used: Device) -> None:
    client = used.open()
    model = client.model(MODEL)
    model.predict(ROW, deadline_ms=60_000)
    client.erase()
    with pytest.raises(NotAvailable):
        client.model(MODEL)
    with pytest.raises(NotAvailable):
        model.predict(ROW, deadline_ms=60_000)
    assert state_of(used.folder).reverted(MODEL, "it broke").models == {}  # by who was loading it meanwhile
    done = client.update(MODEL)  # the same client goes on
    assert (done.status, done.release) == (UpdateStatus.INSTALLED, 2)
    assert used.predicts()[0] == 2


def test_it_is_no_way_to_roll_back(used: Device) -> None:
    """The publisher's keys sign an older release; the mark refuses it, and without the mark it is installed."""
    used.repository.publish(fake_model(0.1, 1))
    client = used.open()
    client.erase(EraseScope.ALL)
    done = client.update(MODEL)
    assert done.status is not UpdateStatus.INSTALLED
    assert done.release is None
    cache = open_cache(used.folder)
    cache.change(lambda state: replace(state, marks=replace(state.marks, releases={})))
    assert client.update(MODEL).release == 1


def crashes(folder: Path, check: Callable[[Path, int], None]) -> int:
    """Erase copies of a cache, each by a process that ends one call later; how many calls a whole erase takes."""
    for dies_at in range(1, 2000):
        copy = folder.with_name("copy")
        shutil.copytree(folder, copy)
        client = open_offline(copy, mortal := Mortal(10**9))
        mortal.left = dies_at
        ended = True
        with suppress(Mortal.Died):
            client.erase(EraseScope.ALL)
            ended = False
        if ended:
            mortal.end()
            check(copy, dies_at)
        shutil.rmtree(copy)
        if not ended:
            return dies_at
    raise AssertionError("it never ends")


def test_a_crash_at_every_call(used: Device) -> None:
    wanted, before = canaries(used.folder), state_of(used.folder)
    untouched = []

    def check(copy: Path, dies_at: int) -> None:
        began = (copy / INTENT).exists()
        partly = found(copy, wanted)
        open_offline(copy)
        after = state_of(copy)
        assert not (copy / INTENT).exists()
        if began or not partly:
            assert found(copy, wanted) == [], dies_at
            assert (after.marks, after.trust) == (before.marks, before.trust)
        else:
            assert (after, partly) == (before, wanted), dies_at
            untouched.append(dies_at)

    calls = crashes(used.folder, check)
    assert 0 < len(untouched) < 20 < calls


def test_without_an_intent_a_crash_leaves_some(used: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the test above."""
    wanted, torn = canaries(used.folder), []
    monkeypatch.setattr(erasing, "_write_intent", lambda cache, scope: None)

    def check(copy: Path, dies_at: int) -> None:
        open_offline(copy)
        if found(copy, wanted) not in ([], wanted):
            torn.append(dies_at)

    crashes(used.folder, check)
    assert torn


def test_an_intent_that_cannot_be_read_erases_all(used: Device) -> None:
    wanted = canaries(used.folder)
    (used.folder / INTENT).write_bytes(b"\0" * 20)
    open_offline(used.folder)
    assert found(used.folder, wanted) == []


def test_not_while_an_update_is_running(used: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "WAIT_S", 0.0)
    before = canaries(used.folder)
    with open_cache(used.folder).updating(), pytest.raises(RetryLater):
        used.open().erase()
    assert set(found(used.folder, before)) >= set(before) - {UNFINISHED}


def test_an_update_that_keeps_its_blobs_where_locks_do_not_work(used: Device) -> None:
    """The erase does not say that it is done; the next open finishes it."""
    wanted = canaries(used.folder)
    with open_cache(used.folder).blobs.holding(), pytest.raises(RetryLater, match="to finish erasing"):
        used.open().erase(EraseScope.ALL)
    open_offline(used.folder)
    assert found(used.folder, wanted) == []


def test_the_command(used: Device) -> None:
    done = commands.erase.main(["--cache", str(used.folder), "--models"], standalone_mode=False)
    assert (done["scope"], done["models"]) == ("models", [MODEL])
    with pytest.raises(click.UsageError, match="--models or --all"):
        commands.erase.main(["--cache", str(used.folder)], standalone_mode=False)
