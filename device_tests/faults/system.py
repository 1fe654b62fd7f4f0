"""A system that fails at one chosen call: it dies there, or the disk refuses, or takes half of what is written."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import ClassVar, Final, TypeVar

from device_tests.faults.power import PowerSystem
from edge_sdk.store import System

T = TypeVar("T")


class Fault(StrEnum):
    """What happens at the chosen call."""

    NONE = "none"
    KILL = "kill"
    """The process ends there; the call is not made."""
    EIO = "eio"
    """This one call fails."""
    ENOSPC = "enospc"
    """From there on the disk is full, until :meth:`FaultySystem.recover`."""
    SHORT = "short"
    """This one write takes half of what it is given."""


_SURE: Final = frozenset({"now", "monotonic", "owner", "is_alive"})
"""Calls that raise nothing."""
_SPACE: Final = frozenset({"create", "lock", "write", "mkdir", "link", "fsync", "sync_folder"})
"""Calls that a full disk refuses; syncing too, where space is allotted late."""


def applies(fault: Fault, call: str) -> bool:
    """Whether a fault means anything at a call of this name."""
    if fault is Fault.KILL:
        return True
    if fault is Fault.EIO:
        return call not in _SURE
    if fault is Fault.ENOSPC:
        return call in _SPACE
    return fault is Fault.SHORT and call == "write"


class Killed(BaseException):
    """The process is gone: nothing catches this, and no call is made after it."""


class FaultySystem(System):
    """One process on a system, which meets ``fault`` at its call number ``at``, counted from 1.

    Args:
        inner: makes the calls.
        fault: what happens.
        at: where.

    Attributes:
        calls: the names of all calls so far; an ``open`` that may make a file is called ``create``.
        died: whether it was killed.
    """

    _names: ClassVar[count[int]] = count(1)
    _living: ClassVar[set[str]] = set()

    def __init__(self, inner: System, fault: Fault = Fault.NONE, at: int = 0) -> None:
        self._inner, self._fault, self._at = inner, fault, at
        self._name = f"simulated_{os.getpid()}_{next(self._names)}"
        self._living.add(self._name)
        self._handles: set[int] = set()
        self._full = False
        self.calls: list[str] = []
        self.died = False

    def exit(self) -> None:
        """The process ends, in good order or not; the system closes what it had open."""
        self.died = True
        self._living.discard(self._name)
        for handle in self._handles:
            os.close(handle)
        self._handles.clear()

    def recover(self) -> None:
        """There is space on the disk again."""
        self._full, self._fault = False, Fault.NONE

    def _call(self, name: str, make: Callable[[], T], path: Path | None = None) -> T:
        if self.died:
            raise Killed
        self.calls.append(name)
        if len(self.calls) == self._at and applies(self._fault, name):
            if self._fault is Fault.KILL:
                self.exit()
                raise Killed
            if self._fault is Fault.EIO:
                raise _refused(errno.EIO, path)
            self._full = self._fault is Fault.ENOSPC
        if self._full and name in _SPACE:
            raise _refused(errno.ENOSPC, path)
        return make()

    # -- clocks ----------------------------------------------------------------------------------------

    def now(self) -> datetime:
        return self._call("now", self._inner.now)

    def monotonic(self) -> float:
        return self._call("monotonic", self._inner.monotonic)

    def uptime(self) -> float:
        return self._inner.uptime()

    def boot(self) -> str:
        return self._inner.boot()

    def random(self, size: int) -> bytes:
        if self.died:
            raise Killed
        return self._inner.random(size)

    # -- files -----------------------------------------------------------------------------------------

    def open(self, path: Path, flags: int) -> int:
        name = "create" if flags & os.O_CREAT else "open"
        handle = self._call(name, lambda: self._inner.open(path, flags), path)
        self._handles.add(handle)
        return handle

    def write(self, handle: int, data: bytes | memoryview, offset: int) -> int:
        def write() -> int:
            short = self._fault is Fault.SHORT and len(self.calls) == self._at and len(data) > 1
            return self._inner.write(handle, memoryview(data)[: len(data) // 2] if short else data, offset)

        return self._call("write", write)

    def read(self, handle: int, size: int, offset: int) -> bytes:
        return self._call("read", lambda: self._inner.read(handle, size, offset))

    def read_into(self, handle: int, target: memoryview, offset: int) -> int:
        return self._call("read", lambda: self._inner.read_into(handle, target, offset))

    def length(self, handle: int) -> int:
        return self._call("length", lambda: self._inner.length(handle))

    def truncate(self, handle: int, length: int) -> None:
        self._call("truncate", lambda: self._inner.truncate(handle, length))

    def begin_writing(self, handle: int, offset: int, length: int) -> None:
        self._call("begin_writing", lambda: self._inner.begin_writing(handle, offset, length))

    def fsync(self, handle: int) -> None:
        try:
            self._call("fsync", lambda: self._inner.fsync(handle))
        except OSError:
            if isinstance(self._inner, PowerSystem):
                self._inner.fail_fsync(handle)
            raise

    def close(self, handle: int) -> None:
        if handle not in self._handles:
            raise Killed if self.died else OSError(errno.EBADF, os.strerror(errno.EBADF))
        self._handles.discard(handle)
        try:
            self._call("close", lambda: None)
        finally:  # a close that fails has closed all the same
            self._inner.close(handle)

    def try_lock(self, path: Path) -> int | None:
        handle = self._call("lock", lambda: self._inner.try_lock(path), path)
        if handle is not None:
            self._handles.add(handle)
        return handle

    def unlock(self, handle: int) -> None:
        # No point of its own: what can happen here can happen at the close that follows.
        if self.died:
            raise Killed
        self._inner.unlock(handle)

    # -- names -----------------------------------------------------------------------------------------

    def stat(self, path: Path) -> os.stat_result:
        return self._call("stat", lambda: self._inner.stat(path), path)

    def is_folder(self, path: Path) -> bool:
        return self._call("stat", lambda: self._inner.is_folder(path), path)

    def touch(self, path: Path) -> None:
        self._call("touch", lambda: self._inner.touch(path), path)

    def names(self, folder: Path) -> list[str]:
        return self._call("names", lambda: self._inner.names(folder), folder)

    def link(self, source: Path, target: Path) -> None:
        self._call("link", lambda: self._inner.link(source, target), target)

    def replace(self, source: Path, target: Path) -> None:
        self._call("replace", lambda: self._inner.replace(source, target), target)

    def unlink(self, path: Path) -> None:
        self._call("unlink", lambda: self._inner.unlink(path), path)

    def mkdir(self, path: Path) -> None:
        self._call("mkdir", lambda: self._inner.mkdir(path), path)

    def rmtree(self, path: Path) -> None:
        self._call("rmtree", lambda: self._inner.rmtree(path), path)

    def sync_folder(self, path: Path) -> None:
        self._call("sync_folder", lambda: self._inner.sync_folder(path), path)

    def free_bytes(self, folder: Path) -> int:
        return self._call("free_bytes", lambda: self._inner.free_bytes(folder), folder)

    # -- who else is there -----------------------------------------------------------------------------

    def owner(self) -> str:
        return self._call("owner", lambda: self._name)

    def is_alive(self, owner: str) -> bool:
        def look() -> bool:
            return owner in self._living if owner.startswith("simulated_") else self._inner.is_alive(owner)

        return self._call("is_alive", look)

    def started(self, pid: int) -> int:
        return self._inner.started(pid)


def _refused(number: int, path: Path | None) -> OSError:
    return OSError(number, os.strerror(number), None if path is None else str(path))
