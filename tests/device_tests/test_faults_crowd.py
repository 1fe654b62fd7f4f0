"""Eight threads and eight processes update one cache with locks that do not work, and clocks that are wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from device_tests.faults import invariants
from device_tests.faults.invariants import Promise, kept, reached
from device_tests.faults.process import serve
from device_tests.faults.scenarios import SCENARIOS
from device_tests.faults.site import MODEL, Site, cache_of, state_of, tree
from device_tests.simulator.models import ROW
from edge_sdk.erasing import EraseScope
from edge_sdk.errors import EdgeError, NotAvailable, RetryLater
from edge_sdk.store import Cache, State, System, lock
from edge_sdk.store.blobs import Blobs
from edge_sdk.update import UpdateStatus

CROWD = 8
DONE = {UpdateStatus.INSTALLED, UpdateStatus.CURRENT}


class Unsynced(System):
    def fsync(self, handle: int) -> None:
        """No power goes here."""

    def sync_folder(self, path: Path) -> None:
        """No power goes here."""


def site_of(name: str) -> Site:
    return next(scenario for scenario in SCENARIOS if scenario.name == name).site()


def judged(site: Site, folder: Path, promise: Promise) -> None:
    assert invariants.judged(site, folder, promise) == []


def unlocked(*_: object, **__: object) -> AbstractContextManager[None]:
    return nullcontext()


@pytest.mark.parametrize("name", ["first-install", "collection-encrypted", "rollback"])
@pytest.mark.parametrize("turns", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_threads(name: str, turns: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "locked", unlocked)
    site, wrong = site_of(name), []
    start = threading.Barrier(CROWD)
    site.lay_out(tmp_path / "cache")

    def work(number: int) -> None:
        start.wait()
        for _ in range(turns):
            try:
                with site.open(tmp_path / "cache", Unsynced()) as client:
                    done = client.update(MODEL)
                if done.status not in DONE:
                    continue  # others try the same bytes at this moment: it is put off, and says so
                with site.open(tmp_path / "cache", Unsynced(), online=False) as client:
                    if client.model(MODEL).predict(ROW, deadline_ms=60_000).release != site.goal:
                        wrong.append(f"{number}: another release than was told")
            except RetryLater:
                continue  # it says so itself
            except EdgeError as error:
                wrong.append(f"{number}: {error!r}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(CROWD)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    judged(site, tmp_path / "cache", Promise(state_of(tmp_path / "cache")))


def erased_alone(site: Site, folder: Path) -> None:
    """Erase when nobody else is there, and find nothing of it; then all is well again after an update."""
    before = dict(site.before)
    with site.open(folder) as client:
        client.update(MODEL)
        site.before, site.erases = tree(folder), EraseScope.ALL
        receipt = client.erase(EraseScope.ALL)
    assert receipt.models == (MODEL,)
    judged(site, folder, Promise(state_of(folder), receipt))
    site.before, site.erases = before, None


@pytest.mark.parametrize("turns", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_threads_some_of_which_erase_and_collect(
    turns: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "locked", unlocked)
    site, wrong, did = site_of("collection-encrypted"), [], Counter[str]()
    folder, start = tmp_path / "cache", threading.Barrier(CROWD)
    site.lay_out(folder)
    marks = state_of(folder).marks

    def work(number: int) -> None:
        start.wait()
        for _ in range(turns):
            try:
                with site.open(folder, Unsynced()) as client:
                    if number % 4 == 0:
                        client.erase(EraseScope.ALL if number else EraseScope.MODELS)
                        did["erased"] += 1
                    elif number % 4 == 1:
                        Cache(folder).tidy()
                        did["collected"] += 1
                    else:
                        release = client.update(MODEL).release
                        if release is not None and client.model(MODEL).release not in (2, site.goal):
                            wrong.append(f"{number}: {release}, which nobody published last")
                        did["updated"] += 1
            except (RetryLater, NotAvailable):
                did["put off"] += 1  # somebody erases, or has erased: it says so itself
            except EdgeError as error:
                wrong.append(f"{number}: {error!r}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(CROWD)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert did.total() == CROWD * turns
    with site.open(folder) as client:  # finishes an erase that others had put off
        client.update(MODEL)
    assert reached(state_of(folder).marks, marks) == ""
    judged(site, folder, Promise(state_of(folder)))
    erased_alone(site, folder)


PROGRAM = """
import json, sys
from contextlib import nullcontext
from pathlib import Path
sys.path[:] = json.loads(sys.stdin.readline())
from device_tests.faults.process import main
from edge_sdk.client import EdgeClient
from edge_sdk.erasing import EraseScope
from edge_sdk.errors import RetryLater
from edge_sdk.store import Cache, lock
lock.locked = lambda *_, **__: nullcontext()
cache, served, turns, number = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
for _ in range(turns):
    try:
        if number == 0:
            Cache(cache).tidy()
            EdgeClient.open(cache).erase(EraseScope.MODELS)
        else:
            main(cache, served)
    except RetryLater:
        pass
"""


@pytest.mark.sampled
@pytest.mark.parametrize(("crowd", "turns"), [(3, 2), pytest.param(CROWD, 10, marks=pytest.mark.slow)])
@pytest.mark.parametrize("erasing", [False, True])
def test_processes(crowd: int, turns: int, erasing: bool, tmp_path: Path) -> None:
    """They update; one of them erases and collects all the time, or none does."""
    site, folder = site_of("collection-encrypted"), tmp_path / "cache"
    site.lay_out(folder)
    marks = state_of(folder).marks
    serve(site, tmp_path / "served")
    command = [sys.executable, "-c", PROGRAM, str(folder), str(tmp_path / "served"), str(turns)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    running = [subprocess.Popen([*command, str(n if erasing else 1)], **pipes) for n in range(crowd)]
    path = json.dumps([entry or os.getcwd() for entry in sys.path]).encode() + b"\n"
    said = [process.communicate(path, timeout=240)[1] for process in running]
    assert said == [b""] * crowd
    assert reached(state_of(folder).marks, marks) == ""
    if erasing:
        with site.open(folder) as client:
            client.update(MODEL)
    judged(site, folder, Promise(state_of(folder)))
    if erasing:
        erased_alone(site, folder)


class Wrong(System):
    """Its wall clock shows these times in turn, then the last one for ever."""

    def __init__(self, *times: datetime) -> None:
        self.times = list(times)

    def now(self) -> datetime:
        return self.times.pop(0) if len(self.times) > 1 else self.times[0]


PRESENT = datetime.now(UTC)
EPOCH, PAST, FUTURE = datetime(1970, 1, 1, tzinfo=UTC), PRESENT - timedelta(400), PRESENT + timedelta(60)


@pytest.mark.parametrize("name", ["first-install", "upgrade-encrypted", "rollback", "recall"])
@pytest.mark.parametrize(
    "times",
    [(EPOCH,), (PAST,), (FUTURE,), (PRESENT, EPOCH), (FUTURE, PAST), (PAST, PRESENT, FUTURE, EPOCH)],
    ids=["1970", "-400d", "+60d", "jumps to 1970", "jumps back", "jumps to and fro"],
)
def test_wrong_clocks(name: str, times: tuple[datetime, ...], tmp_path: Path) -> None:
    site, folder = site_of(name), tmp_path / "cache"
    site.lay_out(folder)
    before = state_of(folder).marks if site.had else None
    promise = Promise()
    try:
        with site.open(folder, Wrong(*times)) as client:
            client.update(MODEL)
            promise = Promise(state_of(folder))
    except EdgeError:
        pass
    try:
        after = state_of(folder).marks
    except NotAvailable:
        after = None
    if before is not None:
        assert after is not None
        assert reached(after, before) == ""
    if after is not None and after.signed_time is not None:
        assert after.signed_time <= site.repository.now, "a signed time that nobody signed"
    judged(site, folder, promise)


@pytest.mark.parametrize("holds", [True, False])
def test_a_collector_that_comes_before_every_change(
    holds: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the control: one that does not look for holds takes what was just received and is not named yet."""
    site, folder = site_of("collection-encrypted"), tmp_path / "cache"
    site.lay_out(folder)
    monkeypatch.setattr(lock, "locked", unlocked)
    change = Cache.change

    def raced(cache: Cache, step: Callable[[State], State]) -> State:
        Cache(folder).tidy()
        return change(cache, step)

    with monkeypatch.context() as patch:
        patch.setattr(Cache, "change", raced)
        if not holds:
            patch.setattr(Blobs, "_held", lambda blobs: False)
        with site.open(folder) as client:
            client.update(MODEL)
    found = kept(site, folder, Promise(state_of(folder)))
    assert [violation.invariant for violation in found] == ([] if holds else ["usable"])


class Raced(System):
    """Just before it takes the number of its first new state, somebody else takes it."""

    def __init__(self, meanwhile: Callable[[], None], exclusive: bool) -> None:
        self._meanwhile: list[Callable[[], None]] = [meanwhile]
        self._exclusive = exclusive

    def link(self, source: Path, target: Path) -> None:
        if self._meanwhile:
            self._meanwhile.pop()()
        if self._exclusive:
            super().link(source, target)
        else:
            os.replace(source, target)


@pytest.mark.parametrize("exclusive", [True, False])
def test_somebody_is_quicker(exclusive: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the control: where a number can be taken twice, what the quicker one was told is gone."""
    monkeypatch.setattr(lock, "locked", unlocked)
    site, folder, promises = site_of("upgrade"), tmp_path / "cache", list[Promise]()
    site.lay_out(folder)

    def change() -> None:
        marked = cache_of(folder).change(
            lambda state: replace(state, marks=state.marks.with_release(MODEL, "stable", 7))
        )
        promises.append(Promise(marked))

    with site.open(folder, Raced(change, exclusive)) as client:
        client.refresh()
    [promise] = promises
    found = {violation.invariant for violation in kept(site, folder, promise)}
    assert found == (set() if exclusive else {"truthful"})
