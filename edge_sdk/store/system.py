"""Every disk and clock call of a device, one method each, so that a fault can be injected at any of them.

Methods raise what the operating system raises. ``disk.py`` composes them and translates the errors.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

try:
    import fcntl as _fcntl
except ImportError:  # not a POSIX system
    fcntl: ModuleType | None = None
else:
    fcntl = _fcntl

# What ``time.monotonic`` reads stands still while a machine sleeps, on Linux and on Apple's systems.
_UPTIME: int | None = getattr(
    time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC if sys.platform == "darwin" else None
)

Clock = Callable[[], datetime]
"""Gives the present as an aware datetime."""


class System:
    """The operating system. A subclass may fail, be slow, or die at any call.

    Attributes:
        locks: whether there is :meth:`try_lock`.
    """

    locks = fcntl is not None

    def random(self, size: int) -> bytes:
        """So many bytes that nobody can guess."""
        return os.urandom(size)

    # -- clocks ----------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The wall clock, in UTC: the only one whose readings are kept on disk."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go back; means nothing after a restart."""
        return time.monotonic()

    def uptime(self) -> float:
        """Seconds in this run of the machine, which never go back; those in sleep too, where the system counts them."""
        return time.monotonic() if _UPTIME is None else time.clock_gettime(_UPTIME)

    def boot(self) -> str:
        """What tells this run of the machine from earlier ones: in one run, :meth:`uptime` means the same to every
        process. Empty where nobody says."""
        try:
            with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
                return file.read().strip()
        except (OSError, ValueError):
            return ""

    # -- files -----------------------------------------------------------------------------------------

    def open(self, path: Path, flags: int) -> int:
        """A handle; what it makes is for its owner only."""
        return os.open(path, flags | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0), 0o600)

    def write(self, handle: int, data: bytes | memoryview, offset: int) -> int:
        """Write at ``offset``; how many bytes were taken, which may be fewer than given."""
        if hasattr(os, "pwrite"):
            return os.pwrite(handle, data, offset)
        os.lseek(handle, offset, os.SEEK_SET)
        return os.write(handle, data)

    def read(self, handle: int, size: int, offset: int) -> bytes:
        """Up to ``size`` bytes from ``offset`` on; fewer at the end of the file."""
        if hasattr(os, "pread"):
            return os.pread(handle, size, offset)
        os.lseek(handle, offset, os.SEEK_SET)
        return os.read(handle, size)

    def read_into(self, handle: int, target: memoryview, offset: int) -> int:
        """Fill ``target`` from ``offset`` on; how many bytes there were, which may be fewer."""
        if hasattr(os, "preadv"):
            return os.preadv(handle, [target], offset)
        data = self.read(handle, len(target), offset)
        target[: len(data)] = data
        return len(data)

    def length(self, handle: int) -> int:
        """Bytes in an open file."""
        return os.fstat(handle).st_size

    def truncate(self, handle: int, length: int) -> None:
        """Cut a file."""
        os.ftruncate(handle, length)

    def begin_writing(self, handle: int, offset: int, length: int) -> None:
        """Let the system begin to bring these bytes to the disk, so that ``fsync`` finds less to wait for. Waits for
        nothing and promises nothing."""
        if sys.platform == "linux":  # elsewhere this advice begins nothing
            os.posix_fadvise(handle, offset, length, os.POSIX_FADV_DONTNEED)

    def fsync(self, handle: int) -> None:
        """Bring a file's content to the disk."""
        os.fsync(handle)

    def close(self, handle: int) -> None:
        """Give a handle back."""
        os.close(handle)

    def try_lock(self, path: Path) -> int | None:
        """A handle of a file, which is made if need be, that nobody else can have at the same time.

        Closing it, or the end of the process however it ends, lets go.

        Returns:
            The handle; None where another has one.
        """
        assert fcntl is not None
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return None
            raise
        return handle

    def unlock(self, handle: int) -> None:
        """Let go of what :meth:`try_lock` gave. To close it is not enough where a child was forked meanwhile: it has
        the handle too, for as long as it lives."""
        assert fcntl is not None
        fcntl.flock(handle, fcntl.LOCK_UN)

    # -- names -----------------------------------------------------------------------------------------

    def stat(self, path: Path) -> os.stat_result:
        """What is known of a file; follows links."""
        return os.stat(path)

    def is_folder(self, path: Path) -> bool:
        """Whether this name is that of a folder, and not of a link to one."""
        return stat.S_ISDIR(os.lstat(path).st_mode)

    def touch(self, path: Path) -> None:
        """Make a file as young as the wall clock says."""
        os.utime(path)

    def names(self, folder: Path) -> list[str]:
        """The names in a folder, in any order."""
        return os.listdir(folder)

    def link(self, source: Path, target: Path) -> None:
        """Give a file a second name, which must be free: of several who try, one succeeds.

        Raises:
            FileExistsError: it is taken.
        """
        try:
            os.link(source, target)
        except OSError as error:
            # File systems without hard links (FAT on memory cards). Making the name first keeps it exclusive; a
            # reader that meets the empty file finds no valid state in it and takes the one before.
            if error.errno not in _NO_LINKS:
                raise
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            os.replace(source, target)

    def replace(self, source: Path, target: Path) -> None:
        """Give a file another name, in one step; what had that name is gone."""
        os.replace(source, target)

    def unlink(self, path: Path) -> None:
        """Remove a name."""
        os.unlink(path)

    def mkdir(self, path: Path) -> None:
        """Make a folder for its owner only; fine if it exists."""
        path.mkdir(mode=0o700, exist_ok=True)

    def rmtree(self, path: Path) -> None:
        """Remove a folder with all in it."""
        shutil.rmtree(path)

    def sync_folder(self, path: Path) -> None:
        """Bring the names in a folder to the disk, without which a power cut may undo making and renaming."""
        if not hasattr(os, "O_DIRECTORY"):
            return  # Windows: a folder cannot be opened, and its renaming is journalled
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def free_bytes(self, folder: Path) -> int:
        """How much may still be written where ``folder`` lies."""
        return shutil.disk_usage(folder).free

    # -- who else is there -----------------------------------------------------------------------------

    def owner(self) -> str:
        """This process, in lower-case letters, digits and underscores: part of the names of private files."""
        pid = os.getpid()
        return f"{pid}_{self.started(pid)}"

    def started(self, pid: int) -> int:
        """When a process started, in ticks since boot, which tells a reused number apart; 0 where nobody says."""
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                return int(file.read().rpartition(b")")[2].split()[19])
        except (OSError, IndexError, ValueError):
            return 0

    def is_alive(self, owner: str) -> bool:
        """Whether the process that :meth:`owner` named still runs on this machine.

        True in doubt: what a living process holds must not be taken from it, and a dead one can wait.
        """
        pid_text, _, started = owner.partition("_")
        if not pid_text.isdecimal() or not started.isdecimal():
            return False
        pid = int(pid_text)
        if pid != os.getpid():
            if os.name != "posix":
                return False  # no harmless way to ask; the lock keeps others out there
            try:
                os.kill(pid, 0)
            except (ProcessLookupError, OverflowError):
                return False
            except PermissionError:
                pass  # somebody else's
        now = self.started(pid)
        return now == int(started) or 0 in (now, int(started))


_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
