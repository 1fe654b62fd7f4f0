"""What of a disk survives when the power goes: what was brought to it, and perhaps more.

The content of a file is sure once ``fsync`` of it returned, a name once ``sync_folder`` of its folder did, and
neither promises the other. A file system may have written anything else too, so a power cut has several possible
outcomes. That is the contract of POSIX and harder than most file systems are.
"""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path

from edge_sdk.store import System

_FOLDER = 0


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
    """

    def __init__(self, base: Path) -> None:
        self._base = base
        self._present: dict[Path, dict[str, int]] = {}
        self._durable: dict[Path, dict[str, int]] = {}
        self._content: dict[int, bytes] = {}
        self._handles: dict[int, tuple[int, Path]] = {}
        self._lost: set[int] = set()
        self._files = 0
        self._adopt(base)

    def cut(self, kind: Image, target: Path) -> None:
        """Lay out in the new folder ``target`` what a power cut now may leave."""
        self._lay_out(self._base, target, kind)

    # -- calls -----------------------------------------------------------------------------------------

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

    def _lay_out(self, folder: Path, target: Path, kind: Image) -> None:
        target.mkdir()
        names = self._durable if kind is Image.DURABLE else self._present
        for name, file in names[folder].items():
            if file == _FOLDER:
                self._lay_out(folder / name, target / name, kind)
            else:
                (target / name).write_bytes(self._left(folder / name, file, kind))

    def _left(self, path: Path, file: int, kind: Image) -> bytes:
        durable = self._content.get(file)
        if kind is Image.DURABLE:
            return durable or b""
        present = path.read_bytes()
        if kind is Image.ALL or present == durable:
            return present
        return bytes(len(present)) if kind is Image.ZEROS else present[: len(present) // 2]
