"""Kept keys when the disk fails or the process ends: a model predicts, old or new, and the next update heals."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from device_tests.simulator.models import ROW, FakeEngine
from device_tests.simulator.repository import Network, Repository
from edge_sdk import EdgeError, StoreError, UpdateStatus
from edge_sdk.keyring import Keyring
from edge_sdk.store import Cache, System
from tests.edge_sdk.conftest import MODEL, Device
from tests.edge_sdk.test_lent_keys import Phone, lent_model

PATHS = ("open", "replace", "stat", "unlink", "names", "mkdir", "sync_folder", "link")
"""Calls that name a path; those on its handles follow from ``open``."""
HANDLES = ("write", "read", "fsync", "length", "close")


class Died(BaseException):
    """The process ended; nothing catches it."""


class Failing(System):
    """Ends, or refuses, at the n-th call that has to do with the folder ``keys``.

    Attributes:
        at: the number of the call; 0 for never.
        seen: how many there were.
    """

    def __init__(self, at: int = 0, error: Callable[[], BaseException] = Died) -> None:
        self.at, self.seen, self._error, self._keys = at, 0, error, set[int]()

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in PATHS + HANDLES:
            return found

        def call(*arguments: Any) -> Any:
            first = arguments[0]
            ours = first in self._keys if name in HANDLES else "keys" in Path(first).parts
            if ours:
                self.seen += 1
                if self.seen == self.at:
                    raise self._error()
            done = found(*arguments)
            if name == "open" and ours:
                self._keys.add(done)
            elif name == "open":
                self._keys.discard(done)  # the number of a closed one, taken again
            return done

        return call

    def owner(self) -> str:
        return "failing_1"

    def is_alive(self, owner: str) -> bool:
        return owner != "failing_1"


def update(phone: Phone, system: System) -> str:
    """What the app is told of an update, or that the process ended."""
    try:
        client = phone.client(system=system)
        return client.update(MODEL).status.value
    except Died:
        return "died"
    except EdgeError as error:
        return type(error).__name__


@pytest.fixture
def prepare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Phone]:
    """Makes devices on which release 1 is installed, both of the tier; release 2 is there to be had."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    stack, made = ExitStack(), iter(range(10_000))

    def prepare() -> Phone:
        repository = Repository()
        phone = Phone(
            Device(tmp_path / f"cache-{next(made)}", repository, Network(repository), FakeEngine(), stack)
        )
        repository.publish(lent_model(repository, 0.1, 1))
        assert phone.client().update(MODEL).status is UpdateStatus.INSTALLED
        phone.pass_days(20)  # so that the update renews as well
        repository.publish(lent_model(repository, 0.2, 2))
        return phone

    return prepare


def judge(phone: Phone, told: str) -> None:
    """The old release or the new one predicts without a network; the next update brings the new one."""
    release, _reason = phone.predicts()
    assert release == 2 if told == "installed" else release in (1, 2)
    assert phone.client().update(MODEL).release == 2
    assert phone.predicts()[0] == 2
    assert len(phone.kept) == 2
    assert set(phone.kept) <= {path.name for path in (phone.device.folder / "blobs").iterdir()}
    answer = phone.client(server=None, transport=None).model(MODEL).predict(ROW, deadline_ms=60_000)
    assert answer.values["probability"] == pytest.approx(0.2 * 0.875)


@pytest.mark.sampled
def test_whatever_call_on_the_keys_fails(prepare: Callable[[], Phone]) -> None:
    whole = Failing()
    assert update(prepare(), whole) == "installed"
    assert whole.seen > 20  # two keys are written, and both are read
    told: set[str] = set()
    for at in range(1, whole.seen + 1):
        for error in (Died, lambda: OSError(errno.EIO, "made to fail")):
            phone, system = prepare(), Failing(at, error)
            said = update(phone, system)
            assert system.seen >= at
            judge(phone, said)
            told.add(said)
    assert told == {"died", "installed", "StoreError"}


def test_the_fault_suite_here_can_fail(prepare: Callable[[], Phone], monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that is written in place, and not under a private name first, is lost at some call."""

    def in_place(keyring: Keyring, artifact: Any, loan: Any) -> None:
        cache = keyring._cache
        cache.disk.make_folder(cache.folder / "keys")
        handle = cache.disk.system.open(
            cache.keys.path(artifact.sha256), os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        )
        cache.disk.system.write(handle, loan.to_bytes(), 0)
        cache.disk.system.close(handle)

    monkeypatch.setattr(Keyring, "keep", in_place)
    whole = Failing()
    assert update(prepare(), whole) == "installed"
    lost = 0
    for at in range(1, whole.seen + 1):
        phone = prepare()
        update(phone, Failing(at))
        try:
            phone.predicts()
        except EdgeError:
            lost += 1
    assert lost


def test_who_is_at_work_keeps_keys_that_no_state_names_yet(prepare: Callable[[], Phone]) -> None:
    phone = prepare()
    cache, other = (Cache(phone.device.folder) for _ in range(2))
    with cache.blobs.holding():
        cache.keys.write("ab" * 32, b"of a bundle that is being installed")
        other.tidy()
        assert cache.keys.read("ab" * 32) is not None
    other.tidy()
    assert cache.keys.read("ab" * 32) is None
    assert len(phone.kept) == 1


def test_a_disk_that_refuses_a_renewal_is_told_and_no_failure(prepare: Callable[[], Phone]) -> None:
    phone = prepare()
    before = phone.kept

    class Full(System):
        def write(self, handle: int, data: bytes | memoryview, offset: int) -> int:
            if b"coach-edge/kept-key/1" in bytes(data):
                raise OSError(errno.ENOSPC, "full")
            return super().write(handle, data, offset)

    client = phone.client(system=Full())
    (line,) = client.refresh().not_renewed
    assert "check free space" in line
    assert phone.kept == before
    with pytest.raises(StoreError, match="check free space"):
        client.update(MODEL)
    assert phone.predicts()[0] == 1
