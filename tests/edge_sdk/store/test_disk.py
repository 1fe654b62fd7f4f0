"""Files appear complete or not at all, and in the order that survives a power cut."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_sdk.errors import StoreError
from edge_sdk.store import disk


def test_order_of_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """File to the disk, rename, folder to the disk: any other order can lose or tear a file."""
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def watched_fsync(handle: int) -> None:
        calls.append("sync folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "sync file")
        fsync(handle)

    def watched_replace(old: str, new: Path) -> None:
        assert Path(old).parent == new.parent, "a rename across file systems is no rename"
        assert Path(old).read_bytes() == b"data", "renamed before all was written"
        calls.append("rename")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    disk.write(tmp_path / "file", b"data")
    assert calls == ["sync file", "rename", "sync folder"]


def failing(code: int) -> Callable[..., Any]:
    def call(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return call


@pytest.mark.parametrize("name", ["fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_failing_disk_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: int
) -> None:
    path = tmp_path / "file"
    disk.write(path, b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, name, failing(code))
        with pytest.raises(StoreError, match=r"cannot write .*file: .*; check free space and permissions"):
            disk.write(path, b"new")
    assert path.read_bytes() == b"old"
    assert disk.names(tmp_path) == ["file"], "nothing is left behind"


def test_a_full_disk() -> None:
    with open("/dev/full", "wb", buffering=0) as file:
        writer = disk.Writer(file, Path("bundle"))
        with pytest.raises(StoreError, match="cannot write bundle: No space left on device"):
            writer.write(b"data")


def test_an_exception_of_the_writer_passes_and_leaves_nothing(tmp_path: Path) -> None:
    def broken_off() -> None:
        with disk.replacing(tmp_path / "file") as file:
            file.write(b"half")
            raise ConnectionResetError("the network, not the disk")

    with pytest.raises(ConnectionResetError):
        broken_off()
    assert disk.names(tmp_path) == []


def test_files_are_private(tmp_path: Path) -> None:
    disk.make_folder(tmp_path / "a" / "b")
    disk.write(tmp_path / "a" / "b" / "file", b"")
    assert (tmp_path / "a" / "b" / "file").stat().st_mode & 0o077 == 0


def test_what_is_not_there(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    assert disk.read(nowhere) is None
    assert disk.stamp(nowhere) is None
    assert disk.names(nowhere) == []
    disk.remove(nowhere)


def test_a_stamp_changes_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    before = None
    for _ in range(20):
        disk.write(path, b"same length")
        assert disk.stamp(path) != before
        before = disk.stamp(path)


def test_scratch_is_gone_afterwards(tmp_path: Path) -> None:
    with disk.scratch(tmp_path) as folder:
        disk.write_scratch(folder / "file", b"data")
        (folder / "deep").mkdir()
    assert disk.names(tmp_path) == []


@pytest.mark.parametrize("call", [disk.read, disk.names, lambda path: disk.write(path / "x", b"")])
def test_errors_name_the_path(tmp_path: Path, call: Callable[[Path], object]) -> None:
    folder = tmp_path / "folder"
    target = folder
    if call is disk.names:
        target = tmp_path / "file"
        target.write_bytes(b"")
    elif call is disk.read:
        folder.mkdir()
    with pytest.raises(StoreError, match=str(target)):
        call(target)
