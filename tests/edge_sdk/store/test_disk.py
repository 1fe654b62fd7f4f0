"""Files appear complete or not at all, and in the order that survives a power cut."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_sdk.errors import StoreError
from edge_sdk.store import Disk, System


class Watched(System):
    """Notes the calls that decide what a power cut leaves, and fails where it is told to."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fail: dict[str, int] = {}
        self.at_most = 1 << 30

    def _note(self, name: str) -> None:
        if name in self.fail:
            raise OSError(self.fail[name], os.strerror(self.fail[name]))
        self.calls.append(name)

    def write(self, handle: int, data: bytes | memoryview, offset: int) -> int:
        self._note("write")
        return super().write(handle, data[: self.at_most], offset)

    def fsync(self, handle: int) -> None:
        self._note("fsync")
        super().fsync(handle)

    def replace(self, source: Path, target: Path) -> None:
        assert source.parent == target.parent, "a rename across file systems is no rename"
        self._note("replace")
        super().replace(source, target)

    def link(self, source: Path, target: Path) -> None:
        self._note("link")
        super().link(source, target)

    def sync_folder(self, path: Path) -> None:
        self._note("sync_folder")
        super().sync_folder(path)


@pytest.mark.parametrize(("new", "flip"), [(False, "replace"), (True, "link")])
def test_order_of_calls(tmp_path: Path, new: bool, flip: str) -> None:
    """File to the disk, name, folder to the disk: any other order can lose or tear a file."""
    system = Watched()
    disk = Disk(system)
    (disk.write_new if new else disk.write)(tmp_path / "file", b"data")
    assert system.calls == ["write", "fsync", flip, "sync_folder"]
    assert disk.names(tmp_path) == ["file"]


@pytest.mark.parametrize("call", ["write", "fsync", "replace", "sync_folder"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_failing_disk_leaves_a_whole_file(tmp_path: Path, call: str, code: int) -> None:
    system, path = Watched(), tmp_path / "file"
    disk = Disk(system)
    disk.write(path, b"old")
    system.fail = {call: code}
    with pytest.raises(StoreError, match=r"cannot write .*file: .*; check free space and permissions"):
        disk.write(path, b"new")
    assert path.read_bytes() == (b"new" if call == "sync_folder" else b"old")
    assert disk.names(tmp_path) == ["file"], "nothing is left behind"


def test_a_system_that_takes_little_at_a_time(tmp_path: Path) -> None:
    system = Watched()
    system.at_most = 3
    Disk(system).write(tmp_path / "file", b"0123456789")
    assert (tmp_path / "file").read_bytes() == b"0123456789"


def test_of_two_writers_of_a_new_file_one_succeeds(tmp_path: Path) -> None:
    disk = Disk()
    assert disk.write_new(tmp_path / "file", b"first")
    assert not disk.write_new(tmp_path / "file", b"second")
    assert disk.read(tmp_path / "file") == b"first"
    assert disk.names(tmp_path) == ["file"]


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOTSUP])
def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def link(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", link)
    test_of_two_writers_of_a_new_file_one_succeeds(tmp_path)


def test_a_long_file_is_read_whole(tmp_path: Path) -> None:
    class Slow(System):
        def read(self, handle: int, size: int, offset: int) -> bytes:
            return super().read(handle, min(size, 7), offset)

    data = bytes(range(256)) * 5
    (tmp_path / "file").write_bytes(data)
    assert Disk(Slow()).read(tmp_path / "file") == data
    assert Disk().read(tmp_path / "file") == data


@pytest.mark.parametrize("lacking", ["", "preadv"])
def test_a_file_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: str) -> None:
    class Slow(System):
        def read_into(self, handle: int, target: memoryview, offset: int) -> int:
            return super().read_into(handle, target[:7], offset)

    if lacking:
        monkeypatch.delattr(os, lacking)
    data = bytes(range(256))
    (tmp_path / "file").write_bytes(data)
    for disk in (Disk(), Disk(Slow())):
        with disk.reading(tmp_path / "file") as reader:
            assert reader is not None
            assert reader.length == 256
            piece = bytearray(100)
            assert reader.read_into(memoryview(piece), 50) == 100
            assert piece == data[50:150]
            assert reader.read_into(memoryview(piece), 200) == 56
            assert piece[:56] == data[200:]
            assert reader.read_into(memoryview(piece), 256) == 0
    with Disk().reading(tmp_path / "nowhere") as nothing:
        assert nothing is None


def test_a_file_that_cannot_be_read_in_pieces_is_named(tmp_path: Path) -> None:
    class Bad(System):
        def __init__(self) -> None:
            self.handles: set[int] = set()

        def open(self, path: Path, flags: int) -> int:
            handle = super().open(path, flags)
            self.handles.add(handle)
            return handle

        def close(self, handle: int) -> None:
            self.handles.remove(handle)
            super().close(handle)

        def read_into(self, handle: int, target: memoryview, offset: int) -> int:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    (tmp_path / "file").write_bytes(b"content")
    system, piece = Bad(), memoryview(bytearray(4))
    with Disk(system).reading(tmp_path / "file") as reader:
        assert reader is not None
        with pytest.raises(StoreError, match=str(tmp_path / "file")):
            reader.read_into(piece, 0)
        assert len(system.handles) == 1
    assert not system.handles, "the file is still open"


def test_files_are_private(tmp_path: Path) -> None:
    disk = Disk()
    disk.make_folder(tmp_path / "a" / "b")
    disk.write(tmp_path / "a" / "b" / "file", b"")
    assert (tmp_path / "a").stat().st_mode & 0o077 == 0
    assert (tmp_path / "a" / "b" / "file").stat().st_mode & 0o077 == 0


def test_what_is_not_there(tmp_path: Path) -> None:
    disk, nowhere = Disk(), tmp_path / "nowhere"
    assert disk.read(nowhere) is None
    assert disk.stamp(nowhere) is None
    assert disk.names(nowhere) == []
    assert not disk.move(nowhere, tmp_path / "there")
    disk.remove(nowhere)


def test_a_stamp_changes_with_the_file(tmp_path: Path) -> None:
    disk, path, before = Disk(), tmp_path / "file", None
    for _ in range(20):
        disk.write(path, b"same length")
        assert disk.stamp(path) != before
        before = disk.stamp(path)


def test_what_a_dead_process_left_is_told_from_what_is_being_written(tmp_path: Path) -> None:
    class Dead(System):
        def owner(self) -> str:
            return "4194305_7"  # above the highest process number

    mine, left = Disk().private_path(tmp_path, "label"), Disk(Dead()).private_path(tmp_path, "label")
    mine.touch()
    left.touch()
    (tmp_path / "other").touch()
    assert Disk().abandoned(tmp_path) == [(left, "label")]


def test_a_reused_process_number_is_another_process() -> None:
    system = System()
    pid, _, started = system.owner().partition("_")
    assert system.is_alive(f"{pid}_{started}")
    assert not system.is_alive(f"{pid}_{int(started) + 1}")
    assert not system.is_alive("1x_0")


@pytest.mark.parametrize("call", [Disk().read, Disk().names, lambda path: Disk().write(path / "x", b"")])
def test_errors_name_the_path(tmp_path: Path, call: Callable[[Path], object]) -> None:
    target = tmp_path / "target"
    if call == Disk().read or getattr(call, "__name__", "") == "read":
        target.mkdir()
    elif getattr(call, "__name__", "") == "names":
        target.write_bytes(b"")
    with pytest.raises(StoreError, match=str(target)):
        call(target)


class TestWhoIsAlive:
    """Names of owners of private files; what cannot be known counts as alive."""

    class Silent(System):
        """Of processes nothing can be read but that they are there."""

        def started(self, pid: int) -> int:
            return 0

    def test_this_process_and_one_that_had_its_number(self) -> None:
        system = System()
        pid, started = system.owner().split("_")
        assert system.is_alive(system.owner())
        assert not system.is_alive(f"{pid}_{int(started) + 1}")
        assert not system.is_alive("999999999_1")
        assert not system.is_alive("nobody")

    @pytest.mark.parametrize("process", [os.getpid, os.getppid])
    def test_in_doubt(self, process: Callable[[], int]) -> None:
        pid = process()
        named = f"{pid}_{System().started(pid)}"
        assert System().is_alive(named)
        assert self.Silent().is_alive(named)
        assert System().is_alive(f"{pid}_0")
        assert not self.Silent().is_alive("999999999_1")
