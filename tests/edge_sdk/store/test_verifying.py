"""Looking at what a cache holds, and repairing of it what is damaged and nothing else."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from device_tests.simulator.models import ROW, fake_payload, sealed_model
from edge_sdk.contract.framing import SEGMENT_BYTES
from edge_sdk.crypto.sealing import AppKey, Sealed
from edge_sdk.predict import Reason
from edge_sdk.store import System
from edge_sdk.store.verifying import Finding, VerifyLevel
from edge_sdk.update import UpdateStatus, installing
from tests.edge_sdk.conftest import MODEL, Device

KEY = AppKey(bytes(range(32)))
QUICK, SAMPLED, FULL = VerifyLevel


def large(release: int, weight: float = 0.2, app_key: AppKey | None = None) -> Sealed:
    """A fake model of six segments."""
    padded = fake_payload(weight) + b" " * (5 * SEGMENT_BYTES + 9)
    made = sealed_model(padded, release=release, version=f"{release}.0.0", app_key=app_key)
    assert made.entry.codec == "none"
    return made


@pytest.fixture
def big(device: Device) -> Device:
    """Release 2 is active, a bundle of six segments."""
    device.repository.publish(large(2))
    assert device.open().update(MODEL).status is UpdateStatus.INSTALLED
    return device


def path_of(device: Device, release: int = 2) -> Path:
    slot = device.open()._cache.state().models[MODEL]
    (sha256,) = (a.sha256 for a in (slot.active, slot.previous) if a and a.entry.release == release)
    return device.folder / "blobs" / sha256


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def active(device: Device, level: VerifyLevel) -> Finding:
    (found,) = (f for f in device.open().verify(level) if f.role == "active")
    return found


def test_nothing_is_wrong_with_what_was_just_installed(big: Device) -> None:
    for level, segments in ((QUICK, 0), (SAMPLED, 3), (FULL, 6)):
        newest, before = big.open().verify(level)
        assert (newest.model, newest.role, newest.ok, newest.segments) == (MODEL, "active", True, segments)
        assert (before.role, before.ok, before.segments) == ("previous", True, int(level is not QUICK))


@pytest.mark.parametrize("segment", range(6))
def test_a_changed_byte_is_found_by_reading_it(big: Device, segment: int) -> None:
    flip(path_of(big), segment * SEGMENT_BYTES + 100)
    assert active(big, QUICK).ok
    found = active(big, FULL)
    assert (found.damaged, found.segments) == ((segment,), 6)
    assert "1 of 6 segments" in found.problem


@pytest.mark.parametrize("segment", [0, 5])
def test_a_sample_has_the_beginning_and_the_end(big: Device, segment: int) -> None:
    flip(path_of(big), segment * SEGMENT_BYTES + 100)
    assert active(big, SAMPLED).damaged == (segment,)


def test_in_time_a_sample_reads_everything(big: Device) -> None:
    class Drawing(System):
        def __init__(self, drawn: int) -> None:
            self.drawn = drawn

        def random(self, size: int) -> bytes:
            return self.drawn.to_bytes(size, "big")

    flip(path_of(big), 3 * SEGMENT_BYTES + 100)
    found = [big.open(system=Drawing(drawn)).verify(SAMPLED)[0].damaged for drawn in range(4)]
    assert found == [(), (), (3,), ()]


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


@pytest.mark.parametrize("level", VerifyLevel)
@pytest.mark.parametrize(("harm", "said"), [(cut, "signed are"), (Path.unlink, "it is gone")])
def test_a_look_is_enough_for_lengths(
    big: Device, level: VerifyLevel, harm: Callable[[Path], None], said: str
) -> None:
    harm(path_of(big))
    assert said in active(big, level).problem
    status = big.open().status()["models"][MODEL]
    assert said in status["active"]["problem"]
    assert "problem" not in status["previous"]


@pytest.mark.parametrize("level", [SAMPLED, FULL])
def test_without_a_list_of_segments_the_whole_is_read(big: Device, level: VerifyLevel) -> None:
    entry = big.open()._cache.state().models[MODEL].active.entry
    (big.folder / "blobs" / entry.segments_sha256).unlink()
    assert active(big, level).ok
    flip(path_of(big), 3 * SEGMENT_BYTES)
    assert active(big, level).problem == "its bytes are not the signed ones"


def test_lists_go_with_their_bundles(big: Device) -> None:
    for release in (3, 4):
        big.repository.publish(large(release, release / 10))
        big.open().update(MODEL)
    state = big.open()._cache.state()
    slot = state.models[MODEL]
    assert slot.previous is not None
    kept = {path.name for path in (big.folder / "blobs").iterdir()}
    assert kept == state.blobs
    assert {slot.active.entry.segments_sha256, slot.previous.entry.segments_sha256} <= kept


def received(device: Device, before: int) -> int:
    """Bytes of bundles that were asked for since ``before`` requests."""
    total = 0
    asked = zip(device.network.requests[before:], device.network.ranges[before:], strict=True)
    for path, part in asked:
        if "/v1/bundles/" in path:
            served = device.repository.files[path]
            assert isinstance(served, bytes)
            start, _, stop = (part or "bytes=0-").removeprefix("bytes=").partition("-")
            total += (int(stop) + 1 if stop else len(served)) - int(start)
    return total


@pytest.mark.parametrize("bad", [{1}, {0, 5}, {2, 3}])
def test_an_update_fetches_what_is_damaged_and_nothing_else(big: Device, bad: set[int]) -> None:
    for segment in bad:
        flip(path_of(big), segment * SEGMENT_BYTES + 5)
    before = len(big.network.requests)
    assert big.open().update(MODEL).status is UpdateStatus.INSTALLED
    assert received(big, before) <= len(bad) * SEGMENT_BYTES + 6 * 32
    assert active(big, FULL).ok
    assert big.predicts()[0] == 2
    assert not list((big.folder / "partial").iterdir())


def test_control_without_what_is_good_all_is_fetched(big: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installing, "_salvage", lambda cache, artifact, partial: None)
    flip(path_of(big), 5)
    before = len(big.network.requests)
    big.open().update(MODEL)
    assert received(big, before) > 5 * SEGMENT_BYTES


class BadPlace(System):
    """A disk that cannot read the third segment of one file."""

    def __init__(self, bad: Path) -> None:
        self.inode = bad.stat().st_ino

    def read_into(self, handle: int, target: memoryview, offset: int) -> int:
        here = offset <= 2 * SEGMENT_BYTES < offset + len(target)
        if here and os.fstat(handle).st_ino == self.inode:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().read_into(handle, target, offset)


def test_while_a_place_cannot_be_read_the_one_before_answers(big: Device) -> None:
    client = big.open(system=BadPlace(path_of(big)))
    answer = client.model(MODEL).predict(ROW, deadline_ms=60_000)
    assert (answer.release, answer.reason) == (1, Reason.LAST_KNOWN_GOOD)
    client.update(MODEL)
    answer = client.model(MODEL).predict(ROW, deadline_ms=60_000)
    assert (answer.release, answer.reason) == (2, Reason.FRESH)


def test_a_place_that_the_disk_cannot_read_is_fetched(big: Device) -> None:
    bad = path_of(big)
    system, before = BadPlace(bad), len(big.network.requests)
    (found,) = (f for f in big.open(system=system).verify(FULL) if f.role == "active")
    assert found.damaged == (2,)
    assert big.open(system=system).update(MODEL).status is UpdateStatus.INSTALLED
    assert received(big, before) <= SEGMENT_BYTES + 6 * 32
    assert bad.stat().st_ino != system.inode, "the bad place is still in use"
    assert active(big, FULL).ok


def test_an_encrypted_bundle_is_verified_without_its_key(device: Device) -> None:
    device.repository.publish(large(2, app_key=KEY))
    device.open(credential=KEY).update(MODEL)
    assert active(device, FULL).segments == 6
    flip(path_of(device), 4 * SEGMENT_BYTES)
    assert active(device, FULL).damaged == (4,)
