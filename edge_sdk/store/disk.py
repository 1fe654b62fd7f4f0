"""What the store does with files, composed of the calls of a :class:`System`; its errors become ours here.

A file appears complete or not at all: it is written under a private name in its own folder, brought to the
disk, renamed, and then the folder is brought to the disk. Private names carry their owner, so that what a
process left behind when it died can be told from what another is writing now.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from edge_sdk.errors import StoreError
from edge_sdk.store.system import System

_PRIVATE: Final = re.compile(r"\.part-([0-9a-z_]+)\.[0-9a-f]+(?:\.(.+))?")
_PIECE: Final = 1 << 20

Stamp = tuple[int, int, int]
"""Changes whenever a file is replaced: inode, length and time of modification in nanoseconds."""


@contextmanager
def stored(what: str, path: Path) -> Iterator[None]:
    """Translate the operating system's errors; ``what`` completes "cannot ..."."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise StoreError(f"cannot {what} {path}: {reason}; check free space and permissions") from error


class Reader:
    """An open file.

    Attributes:
        length: its bytes when it was opened.
    """

    def __init__(self, system: System, path: Path, handle: int, length: int) -> None:
        self._system, self._path, self._handle = system, path, handle
        self.length = length

    def read_into(self, target: memoryview, offset: int) -> int:
        """Fill ``target`` from ``offset`` on; how many bytes there were, fewer only at the end.

        Raises:
            StoreError: the disk refuses.
        """
        done = 0
        with stored("read", self._path):
            while done < len(target):
                read = self._system.read_into(self._handle, target[done:], offset + done)
                if not read:
                    break
                done += read
        return done


class Disk:
    """Files, written so that a crash leaves the old or the new.

    Args:
        system: every call goes through it.

    Every method raises StoreError where the disk refuses (full, no permission, failing).
    """

    def __init__(self, system: System | None = None) -> None:
        self.system = system or System()

    # -- whole files -----------------------------------------------------------------------------------

    def write(self, path: Path, data: bytes | memoryview) -> None:
        """Replace the content of ``path``, atomically and durably."""
        with stored("write", path), self.private(path.parent) as temporary:
            self._fill(temporary, data)
            self.system.replace(temporary, path)
            self.system.sync_folder(path.parent)

    def write_all(self, folder: Path, files: Mapping[str, bytes]) -> None:
        """Write several files of a folder, each atomically; all of them are durable when this returns."""
        for name, data in files.items():
            with stored("write", folder / name), self.private(folder) as temporary:
                self._fill(temporary, data)
                self.system.replace(temporary, folder / name)
        with stored("write", folder):
            self.system.sync_folder(folder)

    def write_new(self, path: Path, data: bytes | memoryview, *, durable: bool = True) -> bool:
        """Write ``path`` if there is no such file; of several who try at once, one succeeds.

        Args:
            path: of the file.
            data: its content.
            durable: whether it is on the disk when this returns; otherwise a power cut may leave anything there.

        Returns:
            Whether it was this one.
        """
        with stored("write", path), self.private(path.parent) as temporary:
            self._fill(temporary, data, durable)
            try:
                self.system.link(temporary, path)
            except FileExistsError:
                return False
            if durable:
                self.system.sync_folder(path.parent)
            return True

    def read(self, path: Path) -> bytes | None:
        """The content of a file, or None where there is none."""
        with stored("read", path):
            try:
                handle = self.system.open(path, os.O_RDONLY)
            except FileNotFoundError:
                return None
            try:
                # One call for one piece, as a rule: most files are read whole at once.
                size = self.system.length(handle)
                data = self.system.read(handle, size + 1, 0)
                while len(data) <= size and (more := self.system.read(handle, _PIECE, len(data))):
                    data += more
                return data
            finally:
                self.system.close(handle)

    @contextmanager
    def reading(self, path: Path) -> Iterator[Reader | None]:
        """A file to be read in pieces, or None where there is none."""
        with stored("read", path):
            try:
                handle = self.system.open(path, os.O_RDONLY)
            except FileNotFoundError:
                handle = None
        if handle is None:
            yield None
            return
        try:
            with stored("read", path):
                length = self.system.length(handle)
            yield Reader(self.system, path, handle, length)
        finally:
            with stored("read", path):
                self.system.close(handle)

    def write_passing(self, path: Path, data: bytes) -> None:
        """Write a file that nobody reads after a crash: nothing is brought to the disk."""
        with stored("write", path):
            handle = self.system.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            try:
                self.put(handle, data, 0)
            finally:
                self.system.close(handle)

    # -- names -----------------------------------------------------------------------------------------

    def make_folder(self, path: Path) -> None:
        """Make a folder and what leads to it, readable by its owner only."""
        with stored("make the folder", path):
            missing = []
            while not self._exists(path):
                missing.append(path)
                path = path.parent
            for folder in reversed(missing):
                self.system.mkdir(folder)
                self.system.sync_folder(folder.parent)

    def stamp(self, path: Path) -> Stamp | None:
        """What changes when the file is replaced, or None where there is none."""
        with stored("look at", path):
            try:
                found = self.system.stat(path)
            except FileNotFoundError:
                return None
            return found.st_ino, found.st_size, found.st_mtime_ns

    def names(self, folder: Path) -> list[str]:
        """The names in a folder, sorted; none where there is no folder."""
        with stored("list", folder):
            try:
                return sorted(self.system.names(folder))
            except FileNotFoundError:
                return []

    def is_folder(self, path: Path) -> bool:
        """Whether this is a folder, and no link to one; False where there is nothing."""
        with stored("look at", path):
            try:
                return self.system.is_folder(path)
            except FileNotFoundError:
                return False

    def move(self, source: Path, target: Path) -> bool:
        """Give a file another name, in one step; False where there is no such file (any more)."""
        with stored("rename", source):
            try:
                self.system.replace(source, target)
            except FileNotFoundError:
                return False
            return True

    def remove(self, path: Path) -> None:
        """Remove a file or a folder with all in it; fine if it is gone already."""
        with stored("remove", path), suppress(FileNotFoundError):
            if self.system.is_folder(path):
                self.system.rmtree(path)
            else:
                self.system.unlink(path)

    def sync_folder(self, path: Path) -> None:
        """Bring the names in a folder to the disk."""
        with stored("write", path):
            self.system.sync_folder(path)

    def free_bytes(self, folder: Path) -> int:
        """How much may still be written there."""
        with stored("look at", folder):
            return self.system.free_bytes(folder)

    # -- private files ---------------------------------------------------------------------------------

    def private_path(self, folder: Path, label: str = "") -> Path:
        """A name in ``folder`` that nobody else uses and that tells whose it is.

        Args:
            folder: where.
            label: what it may become; :meth:`abandoned` gives it back.
        """
        name = f".part-{self.system.owner()}.{self.system.random(8).hex()}"
        return folder / (f"{name}.{label}" if label else name)

    @contextmanager
    def private(self, folder: Path) -> Iterator[Path]:
        """A private name that is free again when the block ends, however it ends."""
        path = self.private_path(folder)
        try:
            yield path
        finally:
            # A name that cannot be removed now is removed at the next start; what is being raised says more.
            with suppress(OSError):
                self.system.unlink(path)

    def abandoned(self, folder: Path) -> list[tuple[Path, str]]:
        """Private files and folders whose owner is gone, each with its label."""
        found = []
        for name in self.names(folder):
            match = _PRIVATE.fullmatch(name)
            if match and not self.system.is_alive(match[1]):
                found.append((folder / name, match[2] or ""))
        return found

    # -- inside ``stored`` -----------------------------------------------------------------------------

    def _exists(self, path: Path) -> bool:
        try:
            self.system.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def put(self, handle: int, data: bytes | memoryview, offset: int) -> None:
        """All of ``data`` at ``offset``: the system may take it in pieces."""
        view, done = memoryview(data), 0
        while done < len(view):
            done += self.system.write(handle, view[done:], offset + done)

    def _fill(self, path: Path, data: bytes | memoryview, durable: bool = True) -> None:
        handle = self.system.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            self.put(handle, data, 0)
            if durable:
                self.system.fsync(handle)
        finally:
            self.system.close(handle)


def is_private(name: str) -> bool:
    """Whether a name belongs to a write in progress."""
    return _PRIVATE.fullmatch(name) is not None
