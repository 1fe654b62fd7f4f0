"""One updater of a cache at a time, across processes. Predicting never asks for the lock."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from edge_sdk.errors import RetryLater, StoreError
from edge_sdk.store.system import System

WAIT_S: Final = 5.0
STALE_S: Final = 900.0
"""Where the system has no flock, a lock file this old is taken for one that a crash left behind."""
BEAT_S = 60.0
"""How often whoever holds such a file makes it young again, so that a long download is not taken for a crash."""

_STEP_S = 0.05
_TOKEN: Final = 16
Release = Callable[[], None]
TryLock = Callable[[System, Path], Release | None]


@contextmanager
def locked(
    path: Path,
    system: System,
    *,
    wait_s: float,
    try_lock: TryLock | None = None,
    step_s: float = _STEP_S,
    holder: str = "another update of",
) -> Iterator[None]:
    """Hold the lock for the block.

    Args:
        path: of the lock file, in an existing folder.
        system: every call goes through it.
        wait_s: how long to wait for whoever holds it.
        try_lock: takes the lock or returns None at once; by default what the system offers.
        step_s: after how long it is tried again.
        holder: who has it, for the error.

    Raises:
        RetryLater: another has it, all the time.
        StoreError: the lock file cannot be made.
    """
    attempt = try_lock or (by_flock if system.locks else by_existence)
    deadline = system.monotonic() + wait_s
    pause = threading.Event()
    try:
        while (release := attempt(system, path)) is None:
            if system.monotonic() >= deadline:
                raise RetryLater(f"{holder} {path.parent} is running; try again when it is done")
            pause.wait(step_s)
    except OSError as error:
        raise StoreError(f"cannot lock {path}: {error.strerror}; check permissions") from error
    try:
        yield
    finally:
        with suppress(OSError):  # a close that fails has closed all the same; a file that stays gets stale
            release()


def by_flock(system: System, path: Path) -> Release | None:
    """``flock``: the system lets go of it when the process ends, however it ends."""
    handle = system.try_lock(path)
    if handle is None:
        return None
    owner = os.getpid()

    def release() -> None:
        try:
            if os.getpid() == owner:  # a child that was forked inside of the block has nothing to let go of
                system.unlock(handle)
        finally:
            system.close(handle)

    return release


def by_existence(system: System, path: Path) -> Release | None:
    """The fallback: a file that only one process can make, and that must not be ours if it is very old."""
    mine, token = path.with_name(path.name + ".held"), system.random(_TOKEN)
    try:
        handle = system.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    except FileExistsError:
        _break_if_stale(system, mine)
        return None
    try:
        try:
            if system.write(handle, token, 0) < _TOKEN:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            system.close(handle)
    except OSError:  # a full disk: without a token nobody would know that it is ours to remove
        system.unlink(mine)
        raise
    released = threading.Event()
    beats = threading.Thread(
        target=_beat, args=(system, mine, token, released), name="edge-lock", daemon=True
    )
    beats.start()

    def release() -> None:
        released.set()
        beats.join()
        if _is_held_by(system, mine, token):
            system.unlink(mine)

    return release


def _beat(system: System, held: Path, token: bytes, released: threading.Event) -> None:
    while not released.wait(BEAT_S) and _is_held_by(system, held, token):
        with suppress(OSError):  # a beat may fail, several in a row make us look dead
            system.touch(held)


def _is_held_by(system: System, held: Path, token: bytes) -> bool:
    """False once somebody who took us for dead (a machine that slept, say) has broken it or holds it."""
    try:
        handle = system.open(held, os.O_RDONLY)
        try:
            return system.read(handle, _TOKEN + 1, 0) == token
        finally:
            system.close(handle)
    except OSError:
        return False


def _break_if_stale(system: System, held: Path) -> None:
    with suppress(FileNotFoundError):
        if system.now().timestamp() - system.stat(held).st_mtime > STALE_S:
            # Renamed first: of several who find it stale, one succeeds, and none removes a fresh one later.
            broken = held.with_name(f"{held.name}.{system.random(8).hex()}")
            system.replace(held, broken)
            system.unlink(broken)
