"""How much room the files of users take, without looking at each of them before every change."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edge_sdk.store.disk import Disk, Stamp

BLOCK: Final = 4096
"""A file takes whole blocks, so that ten thousand users of 300 bytes each are not 3 MB but 40."""

SMALL: Final = ("salt", "salt-again", "clock.json", "dropped.json")
"""Files that are no user's; room for them is always kept."""


def taken(length: int) -> int:
    """Bytes that a file of this length takes."""
    return -(-length // BLOCK) * BLOCK


class Room:
    """What the files of users take together, as whoever writes sees it while nobody else does.

    Looking at every file of thousands of users would cost more than the change. Every change gives the folder another
    stamp; while it has that of the last look, or of the last change that was made here, nothing else was changed.

    Args:
        folder: of the files.
        disk: how to reach it.
    """

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._folder, self._disk = folder, disk
        self._known: tuple[Stamp | None, int] | None = None

    def used(self) -> int:
        """Bytes that they take."""
        stamp = self._disk.stamp(self._folder)
        if self._known is None or stamp is None or self._known[0] != stamp:
            return self.looked()
        return self._known[1]

    def looked(self) -> int:
        """The same, all of them looked at: changes within one tick of the file system's clock have one stamp."""
        folder, stamp = self._folder, self._disk.stamp(self._folder)
        stamps = [self._disk.stamp(folder / name) for name in self._disk.names(folder) if name not in SMALL]
        total = sum(taken(found[1]) for found in stamps if found is not None)
        self._known = stamp, total
        return total

    def write(self, path: Path, data: bytes) -> None:
        """Replace a file."""
        used, before = self.used(), self._disk.stamp(path)
        self._known = None  # until it is done
        self._disk.write(path, data)
        more = taken(len(data)) - (0 if before is None else taken(before[1]))
        self._known = self._disk.stamp(self._folder), used + more
