"""One updater of a cache at a time, across processes. Predicting never asks for the lock."""

from __future__ import annotations

import errno
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Final

from edge_sdk.errors import RetryLater, StoreError

try:
    import fcntl as _fcntl
except ImportError:  # not a POSIX system
    fcntl: ModuleType | None = None
else:
    fcntl = _fcntl

WAIT_S: Final = 5.0
STALE_S: Final = 900.0
"""Where the system has no flock, a lock file this old is taken for one that a crash left behind."""
BEAT_S = 60.0
"""How often whoever holds such a file makes it young again, so that a long download is not taken for a crash."""

_STEP_S = 0.05
Release = Callable[[], None]
TryLock = Callable[[Path], Release | None]


@contextmanager
def locked(path: Path, *, wait_s: float, try_lock: TryLock | None = None) -> Iterator[None]:
    """Hold the lock for the block.

    Args:
        path: of the lock file, in an existing folder.
        wait_s: how long to wait for whoever holds it.
        try_lock: takes the lock or returns None at once; by default what the system offers.

    Raises:
        RetryLater: another update is at it.
        StoreError: the lock file cannot be made.
    """
    attempt = try_lock or (by_flock if fcntl else by_existence)
    deadline = time.monotonic() + wait_s
    pause = threading.Event()
    try:
        while (release := attempt(path)) is None:
            if time.monotonic() >= deadline:
                raise RetryLater(f"another update of {path.parent} is running; try again when it is done")
            pause.wait(_STEP_S)
    except OSError as error:
        raise StoreError(f"cannot lock {path}: {error.strerror}; check permissions") from error
    try:
        yield
    finally:
        release()


def by_flock(path: Path) -> Release | None:
    """``flock``: the system lets go of it when the process ends, however it ends."""
    assert fcntl is not None
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return None
        raise
    return lambda: os.close(handle)


def by_existence(path: Path) -> Release | None:
    """The fallback: a file that only one process can make, and that must not be ours if it is very old."""
    mine, token = path.with_name(path.name + ".held"), secrets.token_bytes(16)
    try:
        handle = os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    except FileExistsError:
        _break_if_stale(mine)
        return None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(token)
    except OSError:  # a full disk: without a token nobody would know that it is ours to remove
        os.unlink(mine)
        raise
    released = threading.Event()
    beats = threading.Thread(target=_beat, args=(mine, token, released), name="edge-lock", daemon=True)
    beats.start()

    def release() -> None:
        released.set()
        beats.join()
        if _is_held_by(mine, token):
            os.unlink(mine)

    return release


def _beat(held: Path, token: bytes, released: threading.Event) -> None:
    while not released.wait(BEAT_S) and _is_held_by(held, token):
        with suppress(OSError):  # a beat may fail, several in a row make us look dead
            os.utime(held)


def _is_held_by(held: Path, token: bytes) -> bool:
    """False once somebody who took us for dead (a machine that slept, say) has broken it or holds it."""
    try:
        return held.read_bytes() == token
    except OSError:
        return False


def _break_if_stale(held: Path) -> None:
    with suppress(FileNotFoundError):
        if time.time() - held.stat().st_mtime > STALE_S:
            # Renamed first: of several who find it stale, one succeeds, and none removes a fresh one later.
            broken = held.with_name(f"{held.name}.{os.getpid()}.{threading.get_ident()}")
            os.rename(held, broken)
            os.unlink(broken)
