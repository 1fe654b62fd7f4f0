"""What every object store must do: derive a test class, give it a ``store`` fixture, and run it.

The store of a test is empty and nobody else writes to it. ``model_of`` gives the same as a Hypothesis state machine.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from model_server.errors import Conflict, ObjectNotFound, StorageError
from model_server.storage import ObjectStore

THREADS = 16
ROUNDS = 5
BAD_KEYS = (
    "", "/", "/a", "a/", "a//b", "..", "../a", "a/..", "a/../b", ".", "a/./b", ".hidden", "a/.b", "a\\b", "A",
    "a b", "a\0", "ä", "a\n", "c:a", "x" * 201,
)  # fmt: skip


def together(count: int, act: Callable[[int], Any]) -> list[Any]:
    """Results of ``act(0)`` to ``act(count - 1)``, all let go at the same moment."""
    barrier = Barrier(count)

    def one(index: int) -> Any:
        barrier.wait()
        return act(index)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


class StoreContract:
    """The contract, one promise a test."""

    def test_what_was_put_is_read_back(self, store: ObjectStore) -> None:
        for key, data in (
            ("a", b""),
            ("b/c.json", b"one"),
            ("objects/" + "0" * 64, bytes(range(256)) * 5000),
        ):
            assert store.put_if_absent(key, data)
            assert store.get(key) == data
            stat = store.head(key)
            assert stat is not None
            assert stat.size == len(data)

    def test_put_if_absent_never_changes_an_object(self, store: ObjectStore) -> None:
        assert store.put_if_absent("a/b", b"first")
        before = store.head("a/b")
        assert not store.put_if_absent("a/b", b"second")
        assert store.get("a/b") == b"first"
        assert store.head("a/b") == before

    @pytest.mark.parametrize(
        ("start", "length", "expected"),
        [
            (0, None, b"0123456789"), (0, 10, b"0123456789"), (0, 99, b"0123456789"), (3, None, b"3456789"),
            (3, 4, b"3456"), (9, 1, b"9"), (9, 5, b"9"), (10, None, b""), (10, 3, b""), (99, 1, b""),
            (0, 0, b""), (4, 0, b""), (0, 1, b"0"),
        ],
    )  # fmt: skip
    def test_ranges(self, store: ObjectStore, start: int, length: int | None, expected: bytes) -> None:
        store.put_if_absent("a", b"0123456789")
        assert store.get("a", start, length) == expected

    @pytest.mark.parametrize(("start", "length"), [(-1, None), (0, -1)])
    def test_negative_ranges_are_refused(self, store: ObjectStore, start: int, length: int | None) -> None:
        store.put_if_absent("a", b"0123456789")
        with pytest.raises(ValueError, match="negative"):
            store.get("a", start, length)

    def test_what_is_not_there(self, store: ObjectStore) -> None:
        store.put_if_absent("folder/a", b"x")
        for key in ("b", "folder", "folder/b", "other/a"):
            assert store.head(key) is None
            for length in (None, 0, 5):
                with pytest.raises(ObjectNotFound, match=key):
                    store.get(key, 0, length)

    def test_replace_needs_the_present_version(self, store: ObjectStore) -> None:
        first = store.replace_if_match("p", b"1", None)
        second = store.replace_if_match("p", b"2", first)
        assert first != second
        for stale in (first, None, "another", '"another"'):
            with pytest.raises(Conflict, match="p "):
                store.replace_if_match("p", b"3", stale)
        assert store.get("p") == b"2"
        stat = store.head("p")
        assert stat is not None
        assert stat.etag == second
        with pytest.raises(Conflict, match="q "):
            store.replace_if_match("q", b"3", first)
        assert store.head("q") is None

    def test_a_version_is_the_same_whoever_tells_it(self, store: ObjectStore) -> None:
        store.put_if_absent("p", b"1")
        stat = store.head("p")
        assert stat is not None
        store.replace_if_match("p", b"2", stat.etag)
        assert store.get("p") == b"2"

    def test_list_by_prefix_in_order(self, store: ObjectStore) -> None:
        keys = ["b", "a-b/c", "a/b/c", "a/b-c", "a.b", "a/c", "aa", "metadata/10.x", "metadata/9.x"]
        for key in keys:
            store.put_if_absent(key, b"x")
        for prefix in (
            "",
            "a",
            "a/",
            "a/b",
            "a/b/",
            "a/b/c",
            "metadata/",
            "metadata/1",
            "none",
            "none/",
            "b/",
        ):
            expected = sorted(key for key in keys if key.startswith(prefix))
            assert list(store.list(prefix)) == expected, prefix

    def test_list_more_than_a_page(self, store: ObjectStore) -> None:
        keys = [f"many/{number:04}" for number in range(1005)]
        for key in keys:
            store.put_if_absent(key, b"")
        assert list(store.list("many/")) == keys

    @pytest.mark.parametrize("key", BAD_KEYS)
    def test_bad_keys_are_refused_by_every_verb(self, store: ObjectStore, key: str) -> None:
        calls: list[Callable[[], object]] = [
            lambda: store.get(key),
            lambda: store.head(key),
            lambda: store.put_if_absent(key, b"x"),
            lambda: store.replace_if_match(key, b"x", None),
        ]
        for call in calls:
            with pytest.raises(StorageError, match="not an object key"):
                call()
        assert list(store.list("")) == []

    @pytest.mark.parametrize("prefix", ["..", "../", "a/../", "/", ".", "A", "a//"])
    def test_bad_prefixes_are_refused(self, store: ObjectStore, prefix: str) -> None:
        with pytest.raises(StorageError, match="not the start of an object key"):
            list(store.list(prefix))

    def test_one_of_many_creates(self, store: ObjectStore) -> None:
        for number in range(ROUNDS):
            key = f"race/{number}"
            won = together(THREADS, lambda index, key=key: store.put_if_absent(key, b"%d" % index * 50_000))
            assert won.count(True) == 1
            assert store.get(key) == b"%d" % won.index(True) * 50_000

    def test_one_of_many_replaces(self, store: ObjectStore) -> None:
        for number in range(ROUNDS):
            key = f"race/{number}"
            etag = store.replace_if_match(key, b"old", None) if number else None

            def replace(index: int, key: str = key, etag: str | None = etag) -> str | None:
                try:
                    return store.replace_if_match(key, b"%d" % index, etag)
                except Conflict:
                    return None

            etags = together(THREADS, replace)
            (winner,) = [index for index, value in enumerate(etags) if value is not None]
            stat = store.head(key)
            assert stat is not None
            assert (store.get(key), stat.etag) == (b"%d" % winner, etags[winner])

    def test_no_update_is_lost(self, store: ObjectStore) -> None:
        store.put_if_absent("counter", b"0")

        def increment(_: int) -> None:
            while True:
                stat = store.head("counter")
                assert stat is not None
                value = int(store.get("counter"))
                try:
                    store.replace_if_match("counter", b"%d" % (value + 1), stat.etag)
                except Conflict:
                    continue
                return

        together(4, lambda index: [increment(index) for _ in range(5)])
        assert store.get("counter") == b"20"

    def test_readers_see_whole_objects_only(self, store: ObjectStore) -> None:
        contents = [b"a" * 300_000, b"b" * 200_000]
        store.put_if_absent("p", contents[0])

        def act(index: int) -> bool:
            if index:
                return all(store.get("p") in contents for _ in range(20))
            for number in range(20):
                stat = store.head("p")
                assert stat is not None
                store.replace_if_match("p", contents[number % 2], stat.etag)
            return True

        assert all(together(4, act))


KEYS = ("a", "b/c", "b/d", "b-c", "objects/0", "metadata/timestamp.json")


def model_of(make: Callable[[], ObjectStore]) -> type[RuleBasedStateMachine]:
    """A state machine that compares an empty store from ``make`` with a dictionary."""

    class Machine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.store = make()
            self.expected: dict[str, bytes] = {}
            self.stale: set[str] = set()

        @rule(key=st.sampled_from(KEYS), data=st.binary(max_size=20))
        def put(self, key: str, data: bytes) -> None:
            assert self.store.put_if_absent(key, data) == (key not in self.expected)
            self.expected.setdefault(key, data)

        @rule(key=st.sampled_from(KEYS), data=st.binary(max_size=20))
        def replace(self, key: str, data: bytes) -> None:
            stat = self.store.head(key)
            assert (stat is None) == (key not in self.expected)
            etag = self.store.replace_if_match(key, data, stat.etag if stat else None)
            if stat and self.expected[key] != data:
                assert etag != stat.etag
                self.stale.add(stat.etag)
            self.expected[key] = data

        @precondition(lambda self: self.stale)
        @rule(key=st.sampled_from(KEYS), choice=st.randoms(use_true_random=False))
        def replace_with_a_stale_version(self, key: str, choice: Any) -> None:
            stat = self.store.head(key)
            etag = choice.choice(sorted(self.stale))
            if stat is None or stat.etag != etag:
                with pytest.raises(Conflict):
                    self.store.replace_if_match(key, b"stale", etag)

        @rule(key=st.sampled_from(KEYS), start=st.integers(0, 12), length=st.none() | st.integers(0, 12))
        def read(self, key: str, start: int, length: int | None) -> None:
            if key in self.expected:
                end = None if length is None else start + length
                assert self.store.get(key, start, length) == self.expected[key][start:end]
            else:
                with pytest.raises(ObjectNotFound):
                    self.store.get(key, start, length)

        @invariant()
        def agrees(self) -> None:
            assert {key: self.store.get(key) for key in self.store.list("")} == self.expected
            sizes = {key: stat.size for key in KEYS if (stat := self.store.head(key))}
            assert sizes == {key: len(data) for key, data in self.expected.items()}

    return Machine
