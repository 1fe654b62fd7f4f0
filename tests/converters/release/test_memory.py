"""A signer remembers: nothing is signed on top of what the server set back."""

from __future__ import annotations

from pathlib import Path

import pytest

from converters.errors import ReleaseError
from converters.release import memory
from converters.release.memory import Signed

FIRST, SECOND, THIRD = b"targets 1", b"targets 2", b"targets 3"
LAST = Signed.of(2, SECOND, FIRST)


@pytest.mark.parametrize(
    ("version", "base"),
    [(2, SECOND), (3, THIRD), (1, FIRST)],
    ids=["the last", "somebody published since", "the last one never arrived"],
)
def test_good_bases(version: int, base: bytes) -> None:
    LAST.check_base(version, base)


def test_the_first_one_never_arrived() -> None:
    Signed.of(1, FIRST, None).check_base(0, None)


@pytest.mark.parametrize(
    ("version", "base"),
    [(2, THIRD), (1, THIRD), (0, None)],
    ids=["another of that version", "another before it", "nothing at all"],
)
def test_a_server_that_was_set_back(version: int, base: bytes | None) -> None:
    with pytest.raises(ReleaseError, match=r"set back or replaced.*signed\.json"):
        LAST.check_base(version, base)


def test_kept_and_read(tmp_path: Path) -> None:
    assert memory.read(tmp_path) is None
    for signed in (Signed.of(1, FIRST, None), LAST):
        memory.write(tmp_path, signed)
        assert memory.read(tmp_path) == signed
    assert [path.name for path in tmp_path.iterdir()] == ["signed.json"]


@pytest.mark.parametrize("before", [None, Signed.of(1, FIRST, None)])
def test_a_lost_race_is_forgotten(before: Signed | None, tmp_path: Path) -> None:
    if before is not None:
        memory.write(tmp_path, before)
    memory.write(tmp_path, LAST)
    memory.restore(tmp_path, before)
    assert memory.read(tmp_path) == before


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"format": "coach-edge/signed/2"}', b"\xff"])
def test_damaged(damage: bytes, tmp_path: Path) -> None:
    (tmp_path / "signed.json").write_bytes(damage)
    with pytest.raises(ReleaseError, match=r"signed\.json cannot be read"):
        memory.read(tmp_path)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="nothing was published"):
        memory.write(tmp_path / "nowhere", LAST)
