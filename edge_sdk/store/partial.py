"""A file that is being received: what is there is kept for the next attempt, by whichever process."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from edge_sdk.errors import VerificationError
from edge_sdk.store.disk import Disk, is_private, stored

_PIECE: Final = 1 << 20


class Partial:
    """Bytes of a file that is not complete, or not known to be.

    Nothing in it is verified: a crash may leave holes and a power cut zeros. Made by :func:`receiving`.
    """

    def __init__(self, disk: Disk, path: Path, handle: int, sha256: str, target: Path) -> None:
        self._disk, self._system = disk, disk.system
        self._path, self._handle = path, handle
        self._sha256, self._target = sha256, target
        self.finished = False

    @property
    def length(self) -> int:
        """Bytes from the beginning to the last one written."""
        with stored("look at", self._path):
            return self._system.length(self._handle)

    def read(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset`` on; fewer at the end."""
        with stored("read", self._path):
            return self._system.read(self._handle, size, offset)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Put all of ``data`` at ``offset``."""
        with stored("write", self._path):
            self._disk.put(self._handle, data, offset)

    def truncate(self, length: int) -> None:
        """Forget what lies behind ``length``."""
        with stored("write", self._path):
            self._system.truncate(self._handle, length)

    def begin_sync(self, offset: int, length: int) -> None:
        """Let these bytes be brought to the disk while others come; :meth:`sync` waits for them."""
        with stored("write", self._path):
            self._system.begin_writing(self._handle, offset, length)

    def sync(self) -> None:
        """Bring what was written to the disk; where that fails, it is forgotten.

        A system may drop what it could not write and call the next fsync a success, so what is there can be read
        now and be gone after a power cut: it must be received anew.
        """
        with stored("write", self._path):
            try:
                self._system.fsync(self._handle)
            except OSError:
                self._system.truncate(self._handle, 0)
                raise

    def check(self) -> None:
        """Read it back and compare it with its digest.

        Raises:
            VerificationError: it has another; it is emptied, so that the next attempt starts anew.
            StoreError: the disk refuses.
        """
        digest, offset = hashlib.sha256(), 0
        while piece := self.read(offset, _PIECE):
            digest.update(piece)
            offset += len(piece)
        if digest.hexdigest() != self._sha256:
            self.truncate(0)
            raise VerificationError(
                f"{self._sha256[:16]}…: what was received is not what was signed; fetch it again"
            )

    def finish(self) -> None:
        """Make it a blob, durable, once every byte of it was proven: as it came, or by :meth:`check`.

        It is not read back, since whoever names it in a state has to prove it as it lies on the disk
        (``edge_sdk.loading.open_bundle``).

        Raises:
            StoreError: the disk refuses.
        """
        self.sync()
        with stored("write", self._target):
            self._system.replace(self._path, self._target)
            self._system.sync_folder(self._target.parent)
        self.finished = True


@contextmanager
def receiving(disk: Disk, folder: Path, sha256: str, target: Path) -> Iterator[Partial]:
    """Go on with a file where an earlier attempt, ours or that of a process that died, ended.

    Args:
        disk: how to reach it.
        folder: where unfinished files lie.
        sha256: digest of the whole file.
        target: where it appears once it is finished.

    Leaving the block without :meth:`Partial.finish` keeps what is there. Two processes never share a file: the
    second begins its own.
    """
    kept, mine = folder / sha256, disk.private_path(folder, sha256)
    earlier = [path for path, label in disk.abandoned(folder) if label == sha256]
    # Renaming is the claim: of several who try, one succeeds.
    any(disk.move(path, mine) for path in (kept, *earlier))
    with stored("write", mine):
        handle = disk.system.open(mine, os.O_RDWR | os.O_CREAT)
    partial = Partial(disk, mine, handle, sha256, target)
    try:
        yield partial
    finally:
        with stored("write", mine):
            disk.system.close(handle)
        if not partial.finished:
            disk.move(mine, kept)


def tidy(disk: Disk, folder: Path, wanted: frozenset[str]) -> None:
    """Remove unfinished files that nobody will go on with.

    Args:
        disk: how to reach them.
        folder: where they lie.
        wanted: digests of those to keep.
    """
    for path, label in disk.abandoned(folder):
        if label not in wanted:
            disk.remove(path)
    for name in disk.names(folder):
        if not is_private(name) and name not in wanted:
            disk.remove(folder / name)
