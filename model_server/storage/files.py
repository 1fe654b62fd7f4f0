"""What a folder store asks of the operating system: durable files, exclusive creation, one lock for all processes."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from feature_spec.files import sync_folder


def write_temporary(folder: Path, data: bytes) -> Path:
    """A new, synced file in the folder, under a name that no key has."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f".tmp-{secrets.token_hex(8)}"
    try:
        with open(path, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def create(path: Path, data: bytes, root: Path) -> bool:
    """Create a file with its whole content in one step; False where the name is taken.

    A hard link is the one operation that gives a finished file its name and fails if there is one already.
    """
    temporary = write_temporary(path.parent, data)
    try:
        os.link(temporary, path)
        created = True
    except FileExistsError:
        created = False
    finally:
        temporary.unlink()
    sync_folders(path.parent, root)
    return created


def replace(path: Path, data: bytes, root: Path) -> None:
    """Replace a file in one step."""
    temporary = write_temporary(path.parent, data)
    try:
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folders(path.parent, root)


def sync_folders(folder: Path, root: Path) -> None:
    """Bring the names in a folder, and those of the folders above it up to ``root``, to the disk."""
    sync_folder(folder)
    while folder != root:
        folder = folder.parent
        sync_folder(folder)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock that excludes other threads and processes; the system frees it when a process dies."""
    with open(path, "a+b") as file:
        _lock(file)
        yield  # closing the file frees the lock


def _lock(file: IO[bytes]) -> None:
    try:
        import fcntl
    except ImportError:
        _lock_first_byte(file)
    else:
        fcntl.flock(file, fcntl.LOCK_EX)


def _lock_first_byte(file: IO[bytes]) -> None:
    """The same on Windows, where a locked byte stands for the file and waiting gives up after ten seconds."""
    import errno
    import importlib

    msvcrt: Any = importlib.import_module("msvcrt")  # its names exist on that system only
    file.seek(0)
    while True:
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        except OSError as error:
            if error.errno != errno.EDEADLK:
                raise
        else:
            return
