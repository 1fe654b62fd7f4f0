"""The queue: what was counted is told once, wherever a process ends or the disk fails, and it never grows."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Thread

import pytest

from device_tests.faults.power import Image, PowerSystem
from edge_sdk.contract.telemetry import Report, key_of
from edge_sdk.errors import StoreError
from edge_sdk.health.queue import Limits, Queue
from tests.edge_sdk.health.windows import Faulty, make, queue_in, window

Told = dict[str, int]
"""Predictions by key, as a server that knows what came before counts them."""


@pytest.fixture(autouse=True)
def without_disk_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What survives a power cut is tested with the store."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def tell(queue: Queue, told: Told) -> None:
    """Upload all there is to a server that takes it."""
    queue.seal(make)
    while (taken := queue.take()) is not None:
        told[key_of(taken.body)] = Report.from_bytes(taken.body).window.predictions
        queue.acknowledge(taken)


def test_windows_become_reports_and_are_gone(tmp_path: Path) -> None:
    queue, told = queue_in(tmp_path), Told()
    epoch = queue.begin()
    assert all(queue.enqueue(window(20, hours), epoch) for hours in (2, 0, 1))
    assert queue.enqueue(window(49, model="other"), epoch)
    queue.seal(make)
    taken = queue.take()
    assert taken is not None
    report = Report.from_bytes(taken.body)
    assert (report.window.predictions, report.window.end - report.window.start) == (60, timedelta(hours=3))
    assert queue.take() is None  # it is in hand
    queue.give_back(taken)
    tell(queue, told)
    assert sum(told.values()) == 60
    assert [w.predictions for w in queue.windows()] == [49]  # too few to be told
    queue.enqueue(window(1, model="other"), epoch)
    tell(queue, told)
    assert sum(told.values()) == 110
    assert sorted(path.name for path in queue.folder.iterdir()) == ["epoch"]


def test_a_report_keeps_its_bytes(tmp_path: Path) -> None:
    queue = queue_in(tmp_path)
    queue.enqueue(window(50), queue.begin())
    queue.seal(make)
    first = queue.take()
    assert first is not None
    queue.give_back(first)
    queue.seal(make)
    again = queue.take()
    assert again is not None
    assert again.body == first.body


def life(folder: Path, system: Faulty, told: Told) -> int:
    """Counts, tells, counts more; how many predictions were kept for sure."""
    queue, kept = queue_in(folder, system), 0
    epoch = queue.begin()
    for round_ in range(2):
        for hours in range(2):
            kept += 30 * queue.enqueue(window(30, hours), epoch)
            life.kept = kept  # type: ignore[attr-defined]
        if round_ == 0:
            tell(queue, told)
    return kept


def faults(folder: Path, make_system: Callable[[int], Faulty], check: Callable[[int, Told], None]) -> int:
    """The same life with a fault at each call; how many calls it has."""
    for at in range(1, 2000):
        copy = folder / "copy"
        copy.mkdir()
        system, told = make_system(at), Told()
        life.kept = 0  # type: ignore[attr-defined]
        with suppress(Faulty.Died, StoreError):
            life(copy, system, told)
        for _ in range(2):
            after = queue_in(copy)
            after.begin()
            tell(after, told)
            after.enqueue(window(50, 5), after.begin())  # so that what waits is enough to be told
        tell(after, told)
        check(at, told)
        assert sorted(path.name for path in (copy / "telemetry").iterdir()) == ["epoch"], at
        shutil.rmtree(copy)
        if system.calls < at:
            return at
    raise AssertionError("it never ends")


def sums(told: Told) -> int:
    return sum(told.values()) - 100  # the two windows of 50 that came after


def test_a_death_at_every_call(tmp_path: Path) -> None:
    def check(at: int, told: Told) -> None:
        kept = life.kept  # type: ignore[attr-defined]
        # A window may be on the disk although the process did not live to learn it; none is told twice or lost.
        assert sums(told) in (kept, kept + 30), at

    assert faults(tmp_path, Faulty, check) > 100


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_an_error_at_every_call(tmp_path: Path, error: int) -> None:
    def check(at: int, told: Told) -> None:
        kept = life.kept  # type: ignore[attr-defined]
        assert sums(told) in (kept, kept + 30), at

    assert faults(tmp_path, lambda at: Faulty(at, error), check) > 100


class Powered(Faulty, PowerSystem):
    """A process that dies, and with it the power."""

    def __init__(self, at: int, base: Path) -> None:
        PowerSystem.__init__(self, base)
        Faulty.__init__(self, at)


def power_cuts(tmp_path: Path, every: int) -> list[str]:
    """The same life with a power cut at a call and each of what that may leave; what was told wrongly."""
    wrong = []
    for at in range(1, 2000, every):
        base = tmp_path / "powered"
        base.mkdir()
        system, told = Powered(at, base), Told()
        life.kept = 0  # type: ignore[attr-defined]
        with suppress(Faulty.Died):
            life(base, system, told)
        kept, calls = life.kept, system.calls  # type: ignore[attr-defined]
        for kind in Image:
            copy = tmp_path / "copy"
            system.cut(kind, copy)
            later = dict(told)
            after = queue_in(copy)
            after.enqueue(window(50, 5), after.begin())
            tell(after, later)
            if sum(later.values()) - 50 not in (kept, kept + 30):
                wrong.append(f"{kind.value} at {at}: {sum(later.values()) - 50} of {kept}")
            shutil.rmtree(copy)
        shutil.rmtree(base)
        if calls < at:
            return wrong
    raise AssertionError("it never ends")


@pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_a_power_cut(tmp_path: Path, every: int) -> None:
    assert power_cuts(tmp_path, every) == []


def test_without_syncing_folders_it_is_told_wrongly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the test above."""
    monkeypatch.setattr(PowerSystem, "sync_folder", lambda self, path: None)
    assert power_cuts(tmp_path, 7)


def test_windows_that_stay_are_told_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the tests above."""
    monkeypatch.setattr(Queue, "_remove_windows", lambda self, windows: None)
    wrong = []

    def check(at: int, told: Told) -> None:
        if sums(told) not in (life.kept, life.kept + 30):  # type: ignore[attr-defined]
            wrong.append(at)

    faults(tmp_path, Faulty, check)
    assert wrong


def test_several_processes_tell_everything_once(tmp_path: Path) -> None:
    start, told, threads = Barrier(4), [Told() for _ in range(4)], []
    queue_in(tmp_path).begin()

    def run(number: int) -> None:
        queue = queue_in(tmp_path, Faulty(name=f"p_{number}", alive=True))
        epoch = queue.begin()
        start.wait()
        for hours in range(6):
            queue.enqueue(window(25, hours), epoch)
            tell(queue, told[number])

    for number in range(4):
        threads.append(Thread(target=run, args=(number,)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    rest = Told()
    tell(queue_in(tmp_path), rest)
    left = sum(w.predictions for w in queue_in(tmp_path).windows())
    keys = [key for one in (*told, rest) for key in one]
    assert len(keys) == len(set(keys))
    assert sum(sum(one.values()) for one in (*told, rest)) + left == 4 * 6 * 25


def test_it_is_bounded(tmp_path: Path) -> None:
    queue = queue_in(tmp_path, limits=Limits(files=5))
    epoch = queue.begin()
    for hours in range(12):
        queue.enqueue(window(hours + 1, hours), epoch)
    assert [w.predictions for w in queue.windows()] == [8, 9, 10, 11, 12]  # the newest
    assert queue.dropped() == {"full": 7}
    small = queue_in(tmp_path, limits=Limits(bytes=1000))
    small.enqueue(window(1, 20), epoch)
    assert sum(path.stat().st_size for path in queue.folder.glob("window-*")) <= 1000
    left = len(queue.windows())
    later = queue_in(tmp_path, days=14.9)
    later.seal(make)
    assert later.windows() == []
    assert later.dropped()["old"] == left


@pytest.mark.parametrize("damage", [b"", b"\0" * 50, b"{", b'{"format": "coach-edge/telemetry-window/9"}'])
@pytest.mark.parametrize("kind", ["window", "report"])
def test_what_is_damaged_is_dropped_and_counted(tmp_path: Path, kind: str, damage: bytes) -> None:
    queue, told = queue_in(tmp_path), Told()
    epoch = queue.begin()
    queue.enqueue(window(50), epoch)
    if kind == "report":
        queue.seal(make)
    (path,) = queue.folder.glob(f"{kind}-*")
    path.write_bytes(damage)
    queue.enqueue(window(51, 1), epoch)
    tell(queue, told)
    assert list(told.values()) == [51]
    assert queue.dropped() == {"corrupt": 1}
    (queue.folder / "dropped.json").write_bytes(damage)
    assert queue.dropped() == {}


def test_what_was_counted_before_an_erase_does_not_come_back(tmp_path: Path) -> None:
    queue = queue_in(tmp_path)
    epoch = queue.begin()
    shutil.rmtree(queue.folder)
    assert not queue.enqueue(window(50), epoch)
    assert not queue.folder.exists()
    assert queue.begin() != epoch
    assert not queue.enqueue(window(50), epoch)
    assert queue.windows() == []


def test_a_report_that_the_server_does_not_want(tmp_path: Path) -> None:
    queue = queue_in(tmp_path)
    queue.enqueue(window(50), queue.begin())
    queue.seal(make)
    taken = queue.take()
    assert taken is not None
    queue.refuse(taken)
    assert (queue.reports(), queue.dropped()) == (0, {"refused": 1})
