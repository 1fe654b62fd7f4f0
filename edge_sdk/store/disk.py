"""Every disk call of the store, and the only place where the operating system's errors become ours.

A file appears complete or not at all: it is written under a private name in its own folder, brought to the
disk, renamed, and then the folder is brought to the disk, without which a power cut may undo the renaming.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from edge_sdk.errors import StoreError

TEMPORARY: Final = ".part-"
"""Names that begin so belong to writes in progress; whoever holds the lock may remove those left behind."""

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


def make_folder(path: Path) -> None:
    """Make a folder and what leads to it, readable by its owner only."""
    with stored("make the folder", path):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sync_folder(path.parent)


class Writer:
    """What is written so far of a file that does not exist yet."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self._path = path

    def write(self, data: bytes | memoryview) -> None:
        """Append ``data``, all of it."""
        with stored("write", self._path):
            self._file.write(data)


@contextmanager
def replacing(path: Path) -> Iterator[Writer]:
    """Write ``path`` anew: what it held stays until the block ends well, and for good if it does not.

    Raises:
        StoreError: the disk refuses (full, no permission, failing).
    """
    with stored("write", path):
        handle, name = tempfile.mkstemp(prefix=TEMPORARY, dir=path.parent)
    try:
        # Closed by hand: closing flushes, and a full disk must not speak up outside of ``stored``.
        file = os.fdopen(handle, "wb")
        try:
            yield Writer(file, path)
            with stored("write", path):
                file.flush()
                os.fsync(file.fileno())
        finally:
            with stored("write", path):
                file.close()
        with stored("write", path):
            os.replace(name, path)
            _sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def write(path: Path, data: bytes) -> None:
    """Replace the content of ``path``, atomically and durably."""
    with replacing(path) as file:
        file.write(data)


def write_scratch(path: Path, data: bytes) -> None:
    """Write a file of a scratch folder: nobody reads it after a crash, so nothing is brought to the disk."""
    with stored("write", path):
        path.write_bytes(data)


def read(path: Path) -> bytes | None:
    """The content of a file, or None where there is none."""
    with stored("read", path):
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None


def stamp(path: Path) -> Stamp | None:
    """What changes when the file is replaced, or None where there is none."""
    with stored("look at", path):
        try:
            found = os.stat(path)
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns


def names(folder: Path) -> list[str]:
    """The names in a folder, sorted; none where there is no folder."""
    with stored("list", folder):
        try:
            return sorted(os.listdir(folder))
        except FileNotFoundError:
            return []


def remove(path: Path) -> None:
    """Remove a file or a folder with all in it; fine if it is gone already."""
    with stored("remove", path):
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        except FileNotFoundError:
            pass


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """A private folder inside ``folder``, gone when the block ends."""
    with stored("make a folder in", folder):
        made = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=folder))
    try:
        yield made
    finally:
        remove(made)


def _sync_folder(path: Path) -> None:
    if not hasattr(os, "O_DIRECTORY"):
        return  # Windows: a folder cannot be opened, and its renaming is journalled
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
