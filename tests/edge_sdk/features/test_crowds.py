"""Eight threads and two processes on one store: every event that was confirmed is there, once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edge_sdk.features.columns import digest
from tests.edge_sdk.features.conftest import World

pytestmark = pytest.mark.sampled

THREADS, PROCESSES, EVENTS, USERS = 8, 2, 12, 3

PROGRAM = """
import os, sys, threading
from datetime import UTC, datetime
from pathlib import Path
sys.path[:] = sys.argv[6:]
os.fsync = lambda handle: None
from device_tests.simulator.features import stub
from edge_sdk.features import FeatureSettings, FeatureStore
from edge_sdk.store import Disk, System
me, threads, events, users = map(int, sys.argv[2:6])
system = System()
store = FeatureStore(Path(sys.argv[1]), Disk(system), system.now, FeatureSettings(zone="UTC"), lambda name: stub())
model = stub()
failed = []
def work(thread):
    try:
        for number in range(events):
            user = f"u{(thread + number) % users}"
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            name = f"{me}-{thread}-{number}"
            done = store.record({"timestamp": now, "event_type": "session", "event_id": name}, user=user)
            assert done.kept == 1, done
            vector = store.vector(model, user)
            assert vector.used["effort"] >= 0.0099, vector
            assert not vector.problem, vector
    except BaseException as error:
        failed.append(error)
running = [threading.Thread(target=work, args=(thread,)) for thread in range(threads)]
for thread in running: thread.start()
for thread in running: thread.join()
if failed: raise failed[0]
"""


def crowd(folder: Path) -> list[bytes]:
    path = [entry or os.getcwd() for entry in sys.path]
    numbers = [str(number) for number in (THREADS, EVENTS, USERS)]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(folder), str(me), *numbers, *path],
            stderr=subprocess.PIPE,
        )
        for me in range(PROCESSES)
    ]
    return [process.communicate(timeout=200)[1] for process in running]


def test_eight_threads_and_two_processes(world: World) -> None:
    assert crowd(world.folder) == [b""] * PROCESSES
    store = world.open()
    salt = store._users.salt()
    assert salt is not None
    expected: dict[str, set[int]] = {f"u{user}": set() for user in range(USERS)}
    for me in range(PROCESSES):
        for thread in range(THREADS):
            for number in range(EVENTS):
                expected[f"u{(thread + number) % USERS}"].add(digest(f"{me}-{thread}-{number}", salt))
    for user, ids in expected.items():
        known = store._users.read(store._users.label(user, salt))
        assert known is not None
        assert sorted(known.events["event"].tolist()) == sorted(ids)
    assert not list((world.folder / "features").glob(".part-*"))


def test_readers_see_whole_states_while_others_write(world: World) -> None:
    """Events come in pairs; no vector is computed from half of one."""
    store, other = world.open(), world.open()
    store.record(world.event(ago=1), world.event(ago=1))
    over, odd = threading.Event(), []

    def read() -> None:
        while not over.is_set():
            sessions = other.vector(world.model, "u1").values["effort"] * 100
            if round(sessions) % 2:
                odd.append(sessions)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(40):
        store.record(world.event(ago=number), world.event(ago=number))
    over.set()
    for reader in readers:
        reader.join()
    assert odd == []
    assert other.vector(world.model, "u1").values["effort"] == pytest.approx(0.82)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_goes_on(world: World) -> None:
    store = world.open()
    store.record(world.event(ago=5))
    with store._users._thread:  # as if another thread were writing
        child = os.fork()
        if child == 0:
            done = store.record(world.event(ago=4)).kept
            os._exit(0 if done == 1 and store.stats().misses == 0 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert store.vector(world.model, "u1").values["effort"] == pytest.approx(0.02)
