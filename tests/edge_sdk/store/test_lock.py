"""The lock, as the system offers it and as the fallback; one contract for both."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edge_sdk.errors import RetryLater, StoreError
from edge_sdk.store import System, lock
from edge_sdk.store.lock import TryLock, by_existence, by_flock, locked

KINDS = [
    pytest.param(by_flock, id="flock", marks=pytest.mark.skipif(not System.locks, reason="no flock here")),
    pytest.param(by_existence, id="existence"),
]
SYSTEM = System()

both = pytest.mark.parametrize("kind", KINDS)


@both
def test_one_at_a_time(tmp_path: Path, kind: TryLock) -> None:
    path = tmp_path / "lock"
    with locked(path, SYSTEM, wait_s=0, try_lock=kind):
        for _ in range(2):
            with (
                pytest.raises(RetryLater, match=r"another update of .* is running"),
                locked(path, SYSTEM, wait_s=0, try_lock=kind),
            ):
                pass
    with locked(path, SYSTEM, wait_s=0, try_lock=kind):
        pass


@both
def test_released_by_an_exception(tmp_path: Path, kind: TryLock) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "lock", SYSTEM, wait_s=0, try_lock=kind):
        raise ZeroDivisionError
    with locked(tmp_path / "lock", SYSTEM, wait_s=0, try_lock=kind):
        pass


@both
def test_waits_for_whoever_holds_it(tmp_path: Path, kind: TryLock) -> None:
    path, held, leave = tmp_path / "lock", threading.Event(), threading.Event()

    def hold() -> None:
        with locked(path, SYSTEM, wait_s=0, try_lock=kind):
            held.set()
            assert leave.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(60)
    tried = []

    def once_it_was_refused(system: System, path: Path) -> lock.Release | None:
        taken = kind(system, path)
        tried.append(taken)
        leave.set()
        return taken

    with locked(path, SYSTEM, wait_s=60, try_lock=once_it_was_refused):
        assert tried[0] is None
    thread.join()


@both
def test_a_folder_that_is_not_there(tmp_path: Path, kind: TryLock) -> None:
    with (
        pytest.raises(StoreError, match="cannot lock"),
        locked(tmp_path / "none" / "lock", SYSTEM, wait_s=0, try_lock=kind),
    ):
        pass


@pytest.mark.skipif(not System.locks, reason="no flock here")
def test_a_killed_process_lets_go(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from edge_sdk.store.lock import by_flock\n"
        "from edge_sdk.store import System; assert by_flock(System(), Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    root = Path(__file__).parents[3]
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path / "lock")], cwd=root, check=False)
    assert ended.returncode == -9
    with locked(tmp_path / "lock", SYSTEM, wait_s=0):
        pass


def age(held: Path) -> None:
    """Make a lock file look as if nobody had touched it for long."""
    old = held.stat().st_mtime - lock.STALE_S - 1
    os.utime(held, (old, old))


def test_the_fallback_outlives_a_crash(tmp_path: Path) -> None:
    path, held = tmp_path / "lock", tmp_path / "lock.held"
    held.write_bytes(b"of a process that is gone")
    assert by_existence(SYSTEM, path) is None
    age(held)
    assert by_existence(SYSTEM, path) is None, "whoever breaks it has not taken it yet"
    release = by_existence(SYSTEM, path)
    assert release is not None
    release()
    assert list(tmp_path.iterdir()) == []


def test_whoever_was_taken_for_dead_leaves_the_lock_to_its_new_holder(tmp_path: Path) -> None:
    path, held = tmp_path / "lock", tmp_path / "lock.held"
    slept = by_existence(SYSTEM, path)
    assert slept is not None
    age(held)
    assert by_existence(SYSTEM, path) is None
    fresh = by_existence(SYSTEM, path)
    assert fresh is not None
    slept()
    assert by_existence(SYSTEM, path) is None, "the new holder's file is still there"
    fresh()
    assert list(tmp_path.iterdir()) == []


def test_a_long_download_is_not_taken_for_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, held, beats = tmp_path / "lock", tmp_path / "lock.held", threading.Semaphore(0)
    touch = os.utime

    def touched(path: Path) -> None:
        touch(path)
        beats.release()

    monkeypatch.setattr(lock, "BEAT_S", 0.001)
    release = by_existence(SYSTEM, path)
    assert release is not None
    age(held)
    monkeypatch.setattr(os, "utime", touched)
    for _ in range(2):  # the first may have begun before
        assert beats.acquire(timeout=60)
    assert by_existence(SYSTEM, path) is None
    assert by_existence(SYSTEM, path) is None, "had it been broken, this would have taken it"
    threads = [thread.name for thread in threading.enumerate()]
    release()
    assert "edge-lock" in threads
    assert "edge-lock" not in [thread.name for thread in threading.enumerate()]
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_no_lock_behind(tmp_path: Path) -> None:
    class Full(System):
        def write(self, handle: int, data: bytes | memoryview, offset: int) -> int:
            return super().write(handle, data[:3], offset)

    with (
        pytest.raises(StoreError, match="No space left"),
        locked(tmp_path / "lock", Full(), wait_s=0, try_lock=by_existence),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not (System.locks and hasattr(os, "fork")), reason="no flock or fork here")
def test_a_child_that_was_forked_meanwhile_does_not_keep_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    read, write = os.pipe()
    with locked(path, SYSTEM, wait_s=0):
        child = os.fork()
        if child == 0:
            os.read(read, 1)
            os._exit(0)
    try:
        with locked(path, SYSTEM, wait_s=0):
            pass
    finally:
        os.write(write, b".")
        os.waitpid(child, 0)


@pytest.mark.skipif(not (System.locks and hasattr(os, "fork")), reason="no flock or fork here")
def test_a_child_that_leaves_the_block_does_not_end_it_for_its_parent(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    release = by_flock(SYSTEM, path)
    assert release is not None
    child = os.fork()
    if child == 0:
        release()
        os._exit(0)
    os.waitpid(child, 0)
    assert by_flock(SYSTEM, path) is None
    release()
