"""What of a disk survives when the power goes: what was brought to it, and perhaps more.

The content of a file is sure once ``fsync`` of it returned, a name once ``sync_folder`` of its folder did, and
neither promises the other. A file system may have written anything else too, so a power cut has several possible
outcomes. That is the contract of POSIX and harder than most file systems are.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path

from edge_sdk.store import System

_FOLDER = 0

Tree = dict[str, bytes]
"""What lies in a folder, by the paths in it; those of folders end with a slash."""


class Image(Enum):
    """What a power cut may leave."""

    DURABLE = "durable"
    """Only what was brought to the disk."""
    ZEROS = "zeros"
    """All names; zeros where a content was not brought to the disk."""
    TORN = "torn"
    """All names; the first half where a content was not brought to the disk."""
    ALL = "all"
    """Everything, as when only the process ended."""


class PowerSystem(System):
    """The operating system on one folder, whose fsyncs are remembered and not made.

    Args:
        base: a folder; what is in it now counts as brought to the disk. Calls elsewhere are not remembered.

    Attributes:
        skew: what the wall clock is wrong by.
        waited: seconds that passed without anybody waiting for them.
    """

    def __init__(self, base: Path) -> None:
        self._base = base
        self._present: dict[Path, dict[str, int]] = {}
        self._durable: dict[Path, dict[str, int]] = {}
        self._content: dict[int, bytes] = {}
        self._handles: dict[int, tuple[int, Path]] = {}
        self._lost: set[int] = set()
        self._files = 0
        self._random = 0
        self.skew = timedelta(0)
        self.waited = 0.0
        self._adopt(base)

    def cut(self, kind: Image, target: Path) -> None:
        """Lay out in the new folder ``target`` what a power cut now may leave."""
        lay_out(self.image(kind), target)

    def image(self, kind: Image) -> Tree:
        """What a power cut now may leave."""
        names = self._durable if kind is Image.DURABLE else self._present
        return {
            f"{path.relative_to(self._base)}{'/' if file == _FOLDER else ''}": (
                b"" if file == _FOLDER else self._left(path, file, kind)
            )
            for path, file in _walk(names, self._base)
        }

    def fingerprint(self) -> tuple[object, ...]:
        """Equal for two disks that are equal in all that is there and in all that a power cut may leave of it."""
        numbers: dict[int, int] = {}
        known = []
        for names in (self._present, self._durable):
            for path, file in _walk(names, self._base):
                number = numbers.setdefault(file, len(numbers))
                content = None if file == _FOLDER else self._content.get(file)
                known.append((str(path.relative_to(self._base)), number, content, file in self._lost))
        present = self.image(Image.ALL)
        return tuple(present.items()), tuple(known)

    # -- calls -----------------------------------------------------------------------------------------

    def random(self, size: int) -> bytes:
        """The same for every disk, in the same order: so the same calls leave the same bytes."""
        self._random += 1
        return hashlib.shake_128(b"%d" % self._random).digest(size)

    def now(self) -> datetime:
        return super().now() + self.skew

    def monotonic(self) -> float:
        return super().monotonic() + self.waited

    def try_lock(self, path: Path) -> int | None:
        handle = super().try_lock(path)
        if path.parent in self._present:
            self._present[path.parent].setdefault(path.name, self._new_file())
        return handle

    def open(self, path: Path, flags: int) -> int:
        handle = super().open(path, flags)
        names = self._present.get(path.parent)
        if names is not None:
            if path.name not in names:
                names[path.name] = self._new_file()
            self._handles[handle] = names[path.name], path
        return handle

    def close(self, handle: int) -> None:
        self._handles.pop(handle, None)
        super().close(handle)

    def fsync(self, handle: int) -> None:
        if handle in self._handles:
            file, path = self._handles[handle]
            if file not in self._lost:
                self._content[file] = path.read_bytes()  # the handle may be for writing only

    def fail_fsync(self, handle: int) -> None:
        """An fsync fails. What was to be written is lost, and counts as written: the next fsync succeeds, doing
        nothing, unless something is written anew. That is what Linux does.
        """
        if handle in self._handles:
            self._lost.add(self._handles[handle][0])

    def write(self, handle: int, data: bytes | memoryview, offset: int) -> int:
        self._touch(handle)
        return super().write(handle, data, offset)

    def truncate(self, handle: int, length: int) -> None:
        self._touch(handle)
        super().truncate(handle, length)

    def _touch(self, handle: int) -> None:
        if handle in self._handles:
            self._lost.discard(self._handles[handle][0])

    def link(self, source: Path, target: Path) -> None:
        super().link(source, target)
        self._present[target.parent][target.name] = self._present[source.parent][source.name]

    def replace(self, source: Path, target: Path) -> None:
        super().replace(source, target)
        self._present[target.parent][target.name] = self._present[source.parent].pop(source.name)

    def unlink(self, path: Path) -> None:
        super().unlink(path)
        self._present[path.parent].pop(path.name)

    def mkdir(self, path: Path) -> None:
        super().mkdir(path)
        self._present[path.parent][path.name] = _FOLDER
        self._present.setdefault(path, {})
        self._durable.setdefault(path, {})

    def rmtree(self, path: Path) -> None:
        super().rmtree(path)
        self._present[path.parent].pop(path.name)
        for folder in [folder for folder in self._present if folder.is_relative_to(path)]:
            self._present[folder] = {}

    def sync_folder(self, path: Path) -> None:
        if path in self._present:
            self._durable[path] = dict(self._present[path])

    # -- the model -------------------------------------------------------------------------------------

    def _new_file(self) -> int:
        self._files += 1
        return self._files

    def _adopt(self, folder: Path) -> None:
        names = self._present[folder] = {}
        for entry in os.scandir(folder):
            if entry.is_dir():
                names[entry.name] = _FOLDER
                self._adopt(folder / entry.name)
            else:
                names[entry.name] = self._new_file()
                self._content[names[entry.name]] = (folder / entry.name).read_bytes()
        self._durable[folder] = dict(names)

    def _left(self, path: Path, file: int, kind: Image) -> bytes:
        durable = self._content.get(file)
        if kind is Image.DURABLE:
            return durable or b""
        present = path.read_bytes()
        if kind is Image.ALL or present == durable:
            return present
        return bytes(len(present)) if kind is Image.ZEROS else present[: len(present) // 2]


def lay_out(tree: Tree, target: Path) -> None:
    """Write what lies in ``tree`` into the new folder ``target``."""
    target.mkdir()
    for name, data in tree.items():
        if name.endswith("/"):
            (target / name).mkdir()
        else:
            (target / name).write_bytes(data)


def _walk(names: dict[Path, dict[str, int]], folder: Path) -> Iterator[tuple[Path, int]]:
    """Everything in a folder, each folder before what is in it."""
    for name, file in sorted(names[folder].items()):
        yield folder / name, file
        if file == _FOLDER:
            yield from _walk(names, folder / name)
