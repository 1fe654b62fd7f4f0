"""The cache folder: what is there after each step, after a crash between two, and with several writers."""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

from edge_sdk.errors import InputError, NotAvailable, RetryLater, StoreError, VerificationError
from edge_sdk.store import Cache, Disk, State, System
from edge_sdk.store.state import TRUST_FILES
from edge_sdk.store.states import KEPT

ROOT = b'{"signed": {"_type": "root", "version": 1}}'
OTHER = b'{"signed": {"_type": "root", "version": 2}}'


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache.open(tmp_path / "cache", ROOT, os.urandom)


def again(cache: Cache, system: System | None = None) -> Cache:
    return Cache.open(cache.folder, None, os.urandom, Disk(system))


def step(state: State) -> State:
    """Any change."""
    number = len(state.wanted)
    return replace(state, wanted={**state.wanted, f"model-{number}": f"{number:064x}"})


class Mortal(System):
    """A process of its own, which dies at its ``dies_at``-th change of the disk, and makes no call after that."""

    class Died(BaseException):
        """Nothing catches it."""

    living: ClassVar[set[str]] = set()

    def __init__(self, dies_at: int) -> None:
        self.left = dies_at
        self.name = f"mortal_{id(self)}"
        self.living.add(self.name)

    def owner(self) -> str:
        return self.name

    def is_alive(self, owner: str) -> bool:
        return owner in self.living if owner.startswith("mortal") else super().is_alive(owner)

    def _tick(self) -> None:
        self.left -= 1
        if self.left <= 0:
            self.living.discard(self.name)
            raise self.Died

    def write(self, handle: int, data: bytes | memoryview, offset: int) -> int:
        self._tick()
        return super().write(handle, data, offset)

    def fsync(self, handle: int) -> None:
        self._tick()
        super().fsync(handle)

    def link(self, source: Path, target: Path) -> None:
        self._tick()
        super().link(source, target)

    def replace(self, source: Path, target: Path) -> None:
        self._tick()
        super().replace(source, target)

    def unlink(self, path: Path) -> None:
        self._tick()
        super().unlink(path)


class TestOpening:
    def test_a_new_cache_pins_its_root(self, cache: Cache) -> None:
        assert cache.verified(cache.state().pinned_root) == ROOT
        assert again(cache).state() == cache.state()

    @pytest.mark.parametrize("given", [OTHER, b"", b"<html>"])
    @pytest.mark.parametrize("used", [False, True])
    def test_a_cache_opens_whatever_root_is_given(self, cache: Cache, given: bytes, used: bool) -> None:
        if used:
            with cache.updating():
                trust = dict.fromkeys(TRUST_FILES, cache.put(b"metadata"))
                cache.change(lambda state: replace(state, trust=trust))
        before = cache.state()
        opened = Cache.open(cache.folder, given, os.urandom)
        assert opened.verified(opened.state().pinned_root) == ROOT
        assert opened.state() == before

    @pytest.mark.parametrize("given", [b"", b"<html>", b'{"signed": {"_type": "targets"}}'])
    def test_a_new_cache_needs_a_root(self, tmp_path: Path, given: bytes) -> None:
        with pytest.raises(InputError, match="the root given is not TUF root metadata"):
            Cache.open(tmp_path / "cache", given, os.urandom)
        assert list(tmp_path.iterdir()) == []

    def test_no_cache_without_a_root(self, tmp_path: Path) -> None:
        with pytest.raises(NotAvailable):
            Cache.open(tmp_path / "none", None, os.urandom)

    def test_the_install_id_comes_from_the_given_randomness(self, tmp_path: Path) -> None:
        cache = Cache.open(tmp_path, ROOT, lambda count: bytes(range(count)))
        assert cache.state().install_id == "00010203-0405-4607-8809-0a0b0c0d0e0f"

    @pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
    def test_the_folder_is_for_its_owner_only(self, cache: Cache) -> None:
        for path in (cache.folder, *cache.folder.rglob("*")):
            assert path.stat().st_mode & 0o077 == 0, path

    def test_a_file_in_the_way(self, tmp_path: Path) -> None:
        (tmp_path / "cache").write_bytes(b"")
        with pytest.raises(StoreError):
            Cache.open(tmp_path / "cache", ROOT, os.urandom)

    @pytest.mark.parametrize("dies_at", range(1, 12))
    def test_a_cache_of_the_first_format(self, cache: Cache, dies_at: int) -> None:
        """Its one file is taken over, whenever the process that does it ends."""
        state = cache.state()
        for path in (cache.folder / "states").iterdir():
            path.unlink()
        (cache.folder / "state.json").write_bytes(state.to_bytes())
        with suppress(Mortal.Died):
            again(cache, Mortal(dies_at))
        opened = again(cache)
        assert opened.state().install_id == state.install_id
        with opened.updating():
            pass
        assert sorted(path.name for path in cache.folder.iterdir()) == [
            "blobs",
            "holds",
            "lock",
            "partial",
            "states",
        ]


class TestStates:
    def test_a_change_is_a_generation(self, cache: Cache) -> None:
        after = cache.change(step)
        assert after.generation == 2
        assert again(cache).state() == after
        assert cache.change(lambda state: state) == after, "what changes nothing is not written"

    def test_an_unchanged_state_is_read_once(self, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
        cache.state()
        with monkeypatch.context() as patch:
            patch.setattr(Disk, "read", lambda self, path: pytest.fail("read again"))
            cache.state()
        again(cache).change(step)
        assert cache.state().generation == 2

    @pytest.mark.parametrize("damage", [b"", b"{}", None])
    def test_a_damaged_generation_costs_one_step(self, cache: Cache, damage: bytes | None) -> None:
        before = cache.change(step)
        cache.change(step)
        newest = max((cache.folder / "states").iterdir())
        newest.write_bytes(newest.read_bytes()[:-1] if damage is None else damage)
        opened = again(cache)
        assert opened.state() == before
        assert opened.change(step).generation == 4, "the damaged one keeps its number"
        assert again(cache).state().generation == 4

    def test_no_whole_state_at_all(self, cache: Cache) -> None:
        for path in (cache.folder / "states").iterdir():
            path.write_bytes(b"")
        with pytest.raises(
            StoreError, match=r"holds no whole state; delete the folder .* nothing else is lost"
        ):
            again(cache)

    def test_a_change_is_made_of_the_newest_state(self, cache: Cache) -> None:
        """Another writer is quicker between reading and writing: the change is made again, of what won."""
        other, seen = again(cache), []

        def slow(state: State) -> State:
            seen.append(state.generation)
            if len(seen) == 1:
                other.change(step)
            return replace(state, install_id="11111111-1111-4111-8111-111111111111")

        after = cache.change(slow)
        assert seen == [1, 2]
        assert (after.generation, len(after.wanted)) == (3, 1)

    def test_who_is_far_behind_never_wins(self, cache: Cache) -> None:
        """Old generations are tidied away, and their numbers are free again."""
        behind = replace(cache.state(), generation=2)
        for _ in range(KEPT + 3):
            cache.change(step)
            cache.tidy()
        assert not again(cache)._states.add(behind)
        assert cache.state().generation == KEPT + 4
        assert again(cache).state() == cache.state()

    def test_eight_writers_lose_nothing(self, cache: Cache) -> None:
        def work(number: int) -> None:
            mine = again(cache)
            for turn in range(10):
                name = f"w{number}-{turn}"
                mine.change(lambda state, name=name: replace(state, wanted={**state.wanted, name: "0" * 64}))  # type: ignore[misc]
                mine.tidy()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(again(cache).state().wanted) == 80

    def test_a_blind_write_would_lose_some(self, cache: Cache) -> None:
        """The control: without comparing, the slower writer wins and the quicker one's change is gone."""
        state = cache.state()
        again(cache).change(step)
        Disk().write(cache.folder / "states" / "000000000002.json", replace(state, generation=2).to_bytes())
        assert len(again(cache).state().wanted) == 0


class TestBlobs:
    def test_what_nothing_points_to_is_removed(self, cache: Cache) -> None:
        with cache.updating():
            orphan = cache.put(b"orphan")
        assert cache.blob(orphan) is None
        assert cache.verified(cache.state().pinned_root) == ROOT

    def test_several_are_durable_once_all_are_there(self, cache: Cache) -> None:
        class Noting(System):
            def __init__(self) -> None:
                self.synced = list[set[str]]()

            def sync_folder(self, path: Path) -> None:
                if path.name == "blobs":
                    self.synced.append(
                        {each.name for each in path.iterdir() if each.name in digests.values()}
                    )
                super().sync_folder(path)

        files = {"one": b"1", "two": b"2", "one again": b"1", "root": ROOT}
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        noting = Noting()
        other = again(cache, noting)
        with other.updating():
            noting.synced.clear()
            assert other.put_all(files) == digests
            assert noting.synced == [set(digests.values())]
            assert all(other.verified(digests[name]) == data for name, data in files.items())
            assert other.put_all(files) == digests
            assert len(noting.synced) == 1, "what is there is not written again"

    def test_a_damaged_blob_is_seen_and_written_again(self, cache: Cache) -> None:
        with cache.updating():
            digest = cache.put(b"content")
            stamp = cache.stamp(digest)
            (cache.folder / "blobs" / digest).write_bytes(b"c0ntent")
            assert cache.blob(digest) == b"c0ntent"
            assert cache.verified(digest) is None
            assert cache.stamp(digest) != stamp
            cache.put(b"content")
            assert cache.verified(digest) == b"content"

    def test_while_somebody_updates_nothing_is_removed(self, cache: Cache) -> None:
        """Without the lock, which is not asked for here."""
        other = again(cache)
        with other.blobs.holding():
            digest = other.put(b"not yet named by a state")
            cache.tidy()
            assert other.verified(digest) is not None
        cache.tidy()
        assert other.blob(digest) is None

    def test_a_blob_named_while_it_is_being_collected_comes_back(self, cache: Cache) -> None:
        """The collector has taken it out of sight when a state begins to name it."""
        with cache.blobs.holding():
            digest = cache.put(b"content")
        answers = iter([frozenset(), frozenset({digest})])  # asked before and after
        pinned = cache.state().pinned_root
        cache.blobs.collect(lambda: frozenset({pinned}) | next(answers, frozenset({digest})))
        assert cache.verified(digest) == b"content"

    def test_a_collector_that_dies_loses_nothing_that_is_needed(self, cache: Cache) -> None:
        pinned = cache.state().pinned_root
        blobs = cache.folder / "blobs"
        (blobs / pinned).rename(blobs / f".aside-{pinned}")
        assert cache.verified(pinned) == ROOT, "it is found where the collector put it"
        again(cache).tidy()
        assert (blobs / pinned).read_bytes() == ROOT

    def test_a_hold_of_a_dead_process_holds_nothing(self, cache: Cache) -> None:
        dying = again(cache, Mortal(100))
        with pytest.raises(Mortal.Died), dying.blobs.holding():  # noqa: PT012
            orphan = dying.put(b"orphan")
            dying.disk.system.left = 0  # type: ignore[attr-defined]
            dying.put(b"dies")
        cache.tidy()
        assert cache.blob(orphan) is None
        assert list((cache.folder / "holds").iterdir()) == []


class TestReceiving:
    WHOLE = bytes(range(250)) * 4
    SHA256 = hashlib.sha256(WHOLE).hexdigest()

    def test_what_is_there_is_kept_for_the_next_attempt(self, cache: Cache) -> None:
        cache.change(lambda state: replace(state, wanted={"focus": self.SHA256}))
        with cache.updating(), pytest.raises(ConnectionResetError), cache.partial(self.SHA256) as file:  # noqa: PT012
            file.write(0, self.WHOLE[:300])
            raise ConnectionResetError
        with cache.updating(), again(cache).partial(self.SHA256) as file:
            assert file.length == 300
            assert file.read(0, 1000) == self.WHOLE[:300]
            file.write(300, self.WHOLE[300:])
            assert cache.blob(self.SHA256) is None
            file.finish()
            assert cache.verified(self.SHA256) == self.WHOLE
        assert list((cache.folder / "partial").iterdir()) == []

    def test_what_a_dead_process_received_is_gone_on_with(self, cache: Cache) -> None:
        dying = again(cache, Mortal(4))
        with pytest.raises(Mortal.Died), dying.blobs.holding(), dying.partial(self.SHA256) as file:  # noqa: PT012
            file.write(0, self.WHOLE[:500])
            while True:
                file.sync()
        with cache.blobs.holding(), cache.partial(self.SHA256) as file:
            assert file.read(0, 1000) == self.WHOLE[:500]

    def test_two_never_share_a_file(self, cache: Cache) -> None:
        with (
            cache.blobs.holding(),
            cache.partial(self.SHA256) as one,
            again(cache).partial(self.SHA256) as two,
        ):
            one.write(0, b"one")
            two.write(0, self.WHOLE)
            assert one.read(0, 10) == b"one"
            two.finish()
        assert cache.verified(self.SHA256) == self.WHOLE

    def test_other_bytes_never_become_the_blob(self, cache: Cache) -> None:
        with cache.blobs.holding(), cache.partial(self.SHA256) as file:
            file.write(0, self.WHOLE[:-1] + b"x")
            with pytest.raises(VerificationError, match="not what was signed"):
                file.check()
            assert file.length == 0, "else the next attempt would end the same way"
        assert cache.blob(self.SHA256) is None

    def test_what_could_not_be_brought_to_the_disk_is_received_anew(self, cache: Cache) -> None:
        """The next fsync would succeed without the bytes being there."""

        class Failing(System):
            def fsync(self, handle: int) -> None:
                raise OSError(5, "Input/output error")

        with cache.blobs.holding(), again(cache, Failing()).partial(self.SHA256) as file:
            file.write(0, self.WHOLE)
            with pytest.raises(StoreError, match="Input/output error"):
                file.finish()
            assert file.length == 0

    def test_what_nobody_goes_on_with_is_removed(self, cache: Cache) -> None:
        with cache.blobs.holding(), cache.partial(self.SHA256) as file:
            file.write(0, b"half")
        cache.tidy()
        assert list((cache.folder / "partial").iterdir()) == []


def test_one_update_at_a_time(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    from edge_sdk.store import lock

    monkeypatch.setattr(lock, "WAIT_S", 0.0)
    with cache.updating(), pytest.raises(RetryLater, match="another update"), again(cache).updating():
        pass


def test_what_others_named_is_brought_to_the_disk_first(cache: Cache) -> None:
    """They may have died between naming and syncing, and what this update finds it will tell of."""
    synced: list[Path] = []

    class Watched(System):
        def sync_folder(self, path: Path) -> None:
            synced.append(path)

    with again(cache, Watched()).updating():
        assert {cache.folder.parent, cache.folder, cache.folder / "blobs", cache.folder / "states"} <= set(
            synced
        )


def test_leftovers_of_a_crash_are_removed(cache: Cache) -> None:
    dying = again(cache, Mortal(100))
    (dying.disk.private_path(cache.folder)).mkdir()  # of a version that had folders of this kind
    dying.disk.system.left = 0  # type: ignore[attr-defined]
    with pytest.raises(Mortal.Died):
        dying.change(step)
    with cache.updating():
        pass
    assert sorted(path.name for path in cache.folder.iterdir()) == [
        "blobs",
        "holds",
        "lock",
        "partial",
        "states",
    ]
