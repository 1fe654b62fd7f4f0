"""Opening segment by segment: every tier and codec, every way in which a stored bundle may be damaged."""

from __future__ import annotations

import os
import random
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from device_tests.vectors import keys, sample
from edge_sdk.contract import bundle
from edge_sdk.contract.framing import SEGMENT_BYTES
from edge_sdk.contract.record import BundleContent, bundle_files
from edge_sdk.crypto import assembly, opening, sealing
from edge_sdk.crypto.assembly import Assembly
from edge_sdk.crypto.opening import InMemory, open_segments
from edge_sdk.crypto.room import Room
from edge_sdk.crypto.sealing import AppKey, Sealed
from edge_sdk.crypto.streaming import Decryption
from edge_sdk.errors import StoreError, VerificationError
from edge_sdk.store.disk import Disk

APP = AppKey(keys.secret("app"))
SEED = 20_261_124
KINDS = [(tier, codec) for tier in ("none", "app-key") for codec in ("none", "deflate")]
LONG = 5 * SEGMENT_BYTES + 4_321


@cache
def payload(codec: str, length: int) -> bytes:
    """Bytes that deflate to about half, or not at all."""
    noise = random.Random(SEED).randbytes(length)
    return noise if codec == "none" else noise[: length // 2] + bytes(length - length // 2)


@cache
def sealed(tier: str, codec: str, length: int = LONG, golden: int = 0) -> tuple[Sealed, dict[str, bytes]]:
    files = {**sample.rest(), "model.tflite": payload(codec, length)}
    if golden:
        files[bundle.GOLDEN_NAME] = payload("none", golden)
    plain = bundle.write(bundle_files(sample.record(files), files))
    key = APP if tier == "app-key" else None
    made = sealing.seal(plain, channel="stable", release=7, requires="tflite", app_key=key)
    assert (made.entry.tier, made.entry.codec) == (tier, codec)
    return made, files


def opened(served: bytes, made: Sealed, *, known: bool = True) -> BundleContent:
    return open_segments(
        InMemory(served), made.entry, sealing.data_key_of(made.entry, APP), known=known
    ).content


def contents(content: BundleContent) -> dict[str, bytes]:
    return {name: bytes(data) for name, data in content.files.items() if name != bundle.RECORD_NAME}


@pytest.fixture(autouse=True)
def two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """However fast the machine is."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("processors", [1, 2])
@pytest.mark.parametrize(("tier", "codec"), KINDS)
def test_every_file_comes_out_and_the_payload_is_ready_to_use(
    tier: str, codec: str, processors: int, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    made, files = sealed(tier, codec)
    content = opened(made.served, made, known=known)
    assert contents(content) == files
    model = content.payload["model.tflite"]
    assert type(model) is bytes
    assert bytes(model) is model


@pytest.mark.parametrize("tier", ["none", "app-key"])
def test_payloads_that_end_anywhere_about_a_segment(tier: str) -> None:
    made, files = sealed(tier, "none", 2 * SEGMENT_BYTES)
    over = len(made.served) - 2 * SEGMENT_BYTES
    for delta in (-over - 1, -over, -over + 1, -over // 2, -1, 0, 1, 16, 40):
        made, files = sealed(tier, "none", 2 * SEGMENT_BYTES + delta)
        assert contents(opened(made.served, made)) == files


@pytest.mark.parametrize("tier", ["none", "app-key"])
@pytest.mark.parametrize("golden", [SEGMENT_BYTES - 3_000, 2 * SEGMENT_BYTES + 5])
def test_a_payload_that_begins_behind_the_first_segment(tier: str, golden: int) -> None:
    made, files = sealed(tier, "none", LONG, golden)
    assert contents(opened(made.served, made)) == files


@pytest.mark.parametrize("target", ["onnx", "coreml"])
@pytest.mark.parametrize("app_key", [None, APP])
def test_other_targets(target: str, app_key: AppKey | None) -> None:
    made = sealing.seal(sample.plain(target), channel="stable", release=1, requires=target, app_key=app_key)
    content = open_segments(
        InMemory(made.served), made.entry, sealing.data_key_of(made.entry, app_key), known=True
    ).content
    assert contents(content) == sample.rest(target)


def flip(served: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(served))
    return served[:at] + bytes([served[at] ^ 1 << rng.randrange(8)]) + served[at + 1 :]


def flip_near_the_ends(served: bytes, rng: random.Random) -> bytes:
    at = rng.choice([rng.randrange(6_000), len(served) - 1 - rng.randrange(1_000)])
    return served[:at] + bytes([served[at] ^ 1 << rng.randrange(8)]) + served[at + 1 :]


def hole(served: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(served) // 4_096 // 2) * 4_096  # the first half: the rest may be zeros already
    size = rng.choice([512, 4_096, 65_536])
    return served[:at] + bytes(size) + served[at + size :]


def cut(served: bytes, rng: random.Random) -> bytes:
    return served[: rng.choice([rng.randrange(len(served)), len(served) - 1, SEGMENT_BYTES])]


def longer(served: bytes, rng: random.Random) -> bytes:
    return served + rng.randbytes(rng.choice([1, 17, SEGMENT_BYTES]))


def exchanged(served: bytes, rng: random.Random) -> bytes:
    parts = [served[at : at + SEGMENT_BYTES] for at in range(0, len(served), SEGMENT_BYTES)]
    one, other = rng.sample(range(len(parts)), 2)
    parts[one], parts[other] = parts[other], parts[one]
    return b"".join(parts)


@pytest.mark.parametrize("damage", [flip, flip_near_the_ends, hole, cut, longer, exchanged])
@pytest.mark.parametrize(("tier", "codec"), KINDS)
def test_damage_is_refused_without_the_digest_of_the_whole(
    tier: str, codec: str, damage: Callable[[bytes, random.Random], bytes]
) -> None:
    made, _ = sealed(tier, codec)
    rng = random.Random(f"{SEED} {tier} {codec} {damage.__name__}")
    for _ in range(25):
        damaged = damage(made.served, rng)
        assert damaged != made.served
        with pytest.raises(VerificationError):
            opened(damaged, made)


class TestControls:
    """With what proves a segment taken out, a changed byte comes through: it is what the tests above rest on."""

    def changed(self, made: Sealed) -> bytes:
        at = 2 * SEGMENT_BYTES + 7
        return made.served[:at] + bytes([made.served[at] ^ 1]) + made.served[at + 1 :]

    def test_without_the_segment_list(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made, files = sealed("none", "none")
        monkeypatch.setattr(opening._Stored, "check_list", lambda self, entry: None)
        assert contents(opened(self.changed(made), made)) != files

    def test_without_tags(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made, files = sealed("app-key", "none")
        honest = Decryption.open_into

        def trusting(self: Decryption, index: int, data: memoryview, target: memoryview) -> None:
            with suppress(VerificationError):
                honest(self, index, data, target)

        monkeypatch.setattr(Decryption, "open_into", trusting)
        assert contents(opened(self.changed(made), made)) != files


@pytest.mark.parametrize("tier", ["none", "app-key"])
def test_what_was_installed_is_not_asked_everything_again(tier: str) -> None:
    """The digest of the plain bundle is checked when it is installed, not each time it is loaded."""
    made, files = sealed(tier, "none")
    other = replace(made, entry=replace(made.entry, plain_sha256="0" * 64))
    with pytest.raises(VerificationError, match="the opened bundle is not the signed one"):
        opened(made.served, other, known=False)
    assert contents(opened(made.served, other)) == files


def test_a_wrong_segment_list_is_refused_when_an_encrypted_bundle_is_installed() -> None:
    made, _ = sealed("app-key", "none")
    other = replace(made, entry=replace(made.entry, segments_sha256="0" * 64))
    with pytest.raises(VerificationError, match="not the signed ones"):
        opened(made.served, other, known=False)


class Failing(InMemory):
    """Fails at the read numbered ``at``, in the way of ``end``."""

    def __init__(self, served: bytes, at: int, end: Callable[[], int]) -> None:
        super().__init__(served)
        self.reads, self._at, self._end = 0, at, end

    def read_into(self, target: memoryview, offset: int) -> int:
        self.reads += 1
        return self._end() if self.reads == self._at else super().read_into(target, offset)


def refuse() -> int:
    raise StoreError("the disk refuses")


@pytest.mark.parametrize("known", [True, False])  # with one thread, and with two
@pytest.mark.parametrize("at", range(1, 8))  # the header, and six segments
@pytest.mark.parametrize(("end", "error"), [(refuse, StoreError), (lambda: 7, VerificationError)])
def test_a_read_that_fails_ends_it_in_any_thread(
    at: int, end: Callable[[], int], error: type[Exception], known: bool
) -> None:
    made, _ = sealed("app-key", "none")
    source, running = Failing(made.served, at, end), threading.active_count()
    with pytest.raises(error):
        open_segments(source, made.entry, sealing.data_key_of(made.entry, APP), known=known)
    assert source.reads >= at
    assert threading.active_count() == running


def test_reads_come_in_order_whatever_the_threads_do() -> None:
    class Recording(InMemory):
        def __init__(self, served: bytes) -> None:
            super().__init__(served)
            self.offsets: list[int] = []

        def read_into(self, target: memoryview, offset: int) -> int:
            self.offsets.append(offset)
            return super().read_into(target, offset)

    made, _ = sealed("none", "none")
    source = Recording(made.served)
    open_segments(source, made.entry, None, known=True)
    assert source.offsets == list(range(0, len(made.served), SEGMENT_BYTES))


def test_digests_are_taken_by_two_threads_and_a_known_ciphertext_needs_but_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[str] = []
    start = threading.Thread.start

    def counting(self: threading.Thread) -> None:
        started.append(self.name)
        start(self)

    monkeypatch.setattr(threading.Thread, "start", counting)
    made, _ = sealed("app-key", "none")
    opened(made.served, made)
    assert started == []
    opened(made.served, made, known=False)
    assert started == ["edge-open"]
    clear, _ = sealed("none", "none")
    opened(clear.served, clear)
    assert started == ["edge-open"] * 2


def test_no_thread_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    made, files = sealed("none", "none")
    assert contents(opened(made.served, made)) == files


def test_a_system_without_huge_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    made, files = sealed("app-key", "none")
    assert contents(opened(made.served, made)) == files


@pytest.mark.parametrize(("tier", "codec"), KINDS)
def test_nothing_stays_in_memory_of_what_was_refused(
    tier: str, codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _ = sealed(tier, codec)
    kept: list[Assembly] = []

    class Kept(Assembly):
        def __init__(self, length: int, name: str | None) -> None:
            super().__init__(length, name)
            kept.append(self)

    monkeypatch.setattr(opening, "Assembly", Kept)
    with pytest.raises(VerificationError):
        opened(made.served[:-1] + bytes([made.served[-1] ^ 1]), made)
    head, model, tail = kept[0].parts()
    assert len(model) == LONG
    assert not any(map(any, (head, model, tail)))


def test_a_room_is_bytes_without_a_copy() -> None:
    room = Room(5 << 20)
    room.view[:4] = b"abcd"
    place = np.frombuffer(room.view, np.uint8).ctypes.data
    made = room.bytes()
    assert made == b"abcd" + bytes((5 << 20) - 4)
    assert np.frombuffer(made, np.uint8).ctypes.data == place, "this Python makes another copy of the model"
    assert place % 16 == 0, "engines want their buffers aligned"


@pytest.mark.parametrize(("tier", "codec"), KINDS)
def test_the_payload_is_the_room_that_was_filled(
    tier: str, codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    places: list[int] = []

    class Seen(Room):
        def __init__(self, length: int) -> None:
            super().__init__(length)
            places.append(np.frombuffer(self.view, np.uint8).ctypes.data)

    monkeypatch.setattr(assembly, "Room", Seen)
    made, _ = sealed(tier, codec)
    model = opened(made.served, made).payload["model.tflite"]
    assert places == [np.frombuffer(model, np.uint8).ctypes.data]


def test_room_for_nothing_and_for_little() -> None:
    assert Room(0).bytes() == b""
    assert Room(1).bytes() == b"\0"
    one = Room(1)
    one.view[0] = 7
    assert (one.bytes(), bytes(1)) == (b"\7", b"\0"), "a byte that others share was written"


def test_from_a_file_that_is_cut_meanwhile(tmp_path: Path) -> None:
    made, _ = sealed("app-key", "none")
    path = tmp_path / "bundle"
    path.write_bytes(made.served)
    with Disk().reading(path) as source:
        assert source is not None
        os.truncate(path, len(made.served) - 1)
        with pytest.raises(VerificationError, match="cut while it was read"):
            open_segments(source, made.entry, sealing.data_key_of(made.entry, APP), known=True)
