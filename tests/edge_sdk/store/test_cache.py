"""The cache folder: what is there after each step, and after a crash between two."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from edge_sdk.errors import InputError, NotAvailable, StoreError
from edge_sdk.store import Cache, disk
from edge_sdk.store.state import TRUST_FILES

ROOT = b'{"signed": {"_type": "root", "version": 1}}'
OTHER = b'{"signed": {"_type": "root", "version": 2}}'


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache.open(tmp_path / "cache", ROOT, os.urandom)


def test_a_new_cache_pins_its_root(cache: Cache) -> None:
    assert cache.verified(cache.state().pinned_root) == ROOT
    again = Cache.open(cache.folder, None, os.urandom)
    assert again.state() == cache.state()


@pytest.mark.parametrize("given", [OTHER, b"", b"<html>"])
@pytest.mark.parametrize("used", [False, True])
def test_a_cache_opens_whatever_root_is_given(cache: Cache, given: bytes, used: bool) -> None:
    if used:
        trust = dict.fromkeys(TRUST_FILES, cache.put(b"metadata"))
        cache.commit(replace(cache.state(), trust=trust))
    before = (cache.folder / "state.json").read_bytes()
    again = Cache.open(cache.folder, given, os.urandom)
    assert again.verified(again.state().pinned_root) == ROOT
    assert (cache.folder / "state.json").read_bytes() == before


@pytest.mark.parametrize("given", [b"", b"<html>", b'{"signed": {"_type": "targets"}}'])
def test_a_new_cache_needs_a_root(tmp_path: Path, given: bytes) -> None:
    with pytest.raises(InputError, match="the root given is not TUF root metadata"):
        Cache.open(tmp_path / "cache", given, os.urandom)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
def test_the_folder_is_for_its_owner_only(cache: Cache) -> None:
    for path in (cache.folder, cache.folder / "blobs", cache.folder / "state.json"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_the_stamp_of_a_blob_changes_when_it_is_replaced(cache: Cache) -> None:
    digest = cache.put(b"content")
    first = cache.stamp(digest)
    assert first is not None
    assert cache.stamp(digest) == first
    (cache.folder / "blobs" / digest).write_bytes(b"other")
    assert cache.stamp(digest) != first
    assert cache.stamp("0" * 64) is None


def test_the_install_id_comes_from_the_given_randomness(tmp_path: Path) -> None:
    cache = Cache.open(tmp_path, ROOT, lambda count: bytes(range(count)))
    assert cache.state().install_id == "00010203-0405-4607-8809-0a0b0c0d0e0f"


def test_no_cache_without_a_root(tmp_path: Path) -> None:
    with pytest.raises(NotAvailable):
        Cache.open(tmp_path / "none", None, os.urandom)


def test_commit_removes_what_nothing_points_to(cache: Cache) -> None:
    orphan = cache.put(b"orphan")
    half = cache.folder / "blobs" / f"{disk.TEMPORARY}half"
    half.write_bytes(b"left behind by a crash")
    state = cache.commit(cache.state())
    assert state.generation == 2
    assert cache.blob(orphan) is None
    assert not half.exists()
    assert cache.verified(state.pinned_root) == ROOT


def test_a_crash_before_the_flip_leaves_the_old_state(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    before = cache.state()

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        cache.commit(replace(before, generation=7))
    assert Cache.open(cache.folder, None, os.urandom).state() == before


def test_a_crash_after_the_flip_leaves_the_new_state_and_garbage(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    orphan = cache.put(b"orphan")
    with monkeypatch.context() as patch:
        patch.setattr(disk, "names", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            cache.commit(cache.state())
    assert cache.state().generation == 2
    assert cache.blob(orphan) is not None
    cache.commit(cache.state())
    assert cache.blob(orphan) is None


def test_a_blob_appears_when_its_block_ends_well(cache: Cache) -> None:
    def broken_off() -> None:
        with cache.receiving("0" * 64) as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken_off()
    assert cache.blob("0" * 64) is None
    with cache.receiving("0" * 64) as file:
        file.write(b"half")
        assert cache.blob("0" * 64) is None
    assert cache.blob("0" * 64) == b"half"


def test_a_damaged_blob_is_seen_and_written_again(cache: Cache) -> None:
    digest = cache.put(b"content")
    (cache.folder / "blobs" / digest).write_bytes(b"c0ntent")
    assert cache.blob(digest) == b"c0ntent"
    assert cache.verified(digest) is None
    cache.put(b"content")
    assert cache.verified(digest) == b"content"


def test_an_unchanged_state_is_read_once(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.state()
    with monkeypatch.context() as patch:
        patch.setattr(disk, "read", lambda path: pytest.fail("read again"))
        cache.state()
    other = Cache.open(cache.folder, None, os.urandom)
    other.commit(other.state())
    assert cache.state().generation == 2


def test_scratch_of_a_crash_is_removed(cache: Cache) -> None:
    left = cache.folder / f"{disk.TEMPORARY}left"
    left.mkdir()
    (left / "root.json").write_bytes(b"")
    with cache.scratch() as folder:
        assert folder.is_dir()
        assert not left.exists()
    assert not folder.exists()


def test_a_state_that_vanishes(cache: Cache) -> None:
    (cache.folder / "state.json").unlink()
    with pytest.raises(StoreError, match="is gone; fetch again"):
        cache.state()


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"")
    with pytest.raises(StoreError):
        Cache.open(tmp_path / "cache", ROOT, os.urandom)
