"""The power goes after each step on a real ext4, and the journal is replayed: the six invariants hold."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from device_tests.errors import ToolMissing
from device_tests.faults import ext4
from device_tests.faults.running import in_memory
from device_tests.faults.scenarios import SCENARIOS

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


@pytest.fixture(autouse=True)
def _a_file_system() -> None:
    """Without root or a loop device there is none: one clear skip. With both it must work, in CI at least."""
    if os.geteuid() != 0 or not Path("/dev/loop-control").exists() or shutil.which("mkfs.ext4") is None:
        pytest.skip("power cuts on ext4 need root, mkfs.ext4 and a loop device")
    try:
        with in_memory() as base:
            next(ext4.cuts(BY_NAME["start"], Path(base)), None)
    except ToolMissing as error:
        pytest.fail(str(error)) if os.environ.get("CI") else pytest.skip(str(error))


@pytest.mark.sampled
def test_after_each_step() -> None:
    seen: list[str] = []
    report = ext4.run(("rollback", "erase-all-encrypted"), 1, lambda title, done, total: seen.append(title))
    assert report.violations == []
    assert report.points.total() == len(seen) >= 80
    assert 20 <= report.judged < report.points.total()


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", sorted(BY_NAME.keys() - {"start"}))  # which changes nothing
def test_after_each_step_of_every_scenario(name: str) -> None:
    report = ext4.run((name,))
    assert report.violations == []
    assert report.points.total() >= 5


class NoFsync(ext4.Steps):
    def fsync(self, handle: int) -> None:
        """Says it did."""


class NoFolderSync(ext4.Steps):
    def sync_folder(self, path: Path) -> None:
        """Says it did."""


@pytest.mark.parametrize("made", [NoFsync, NoFolderSync])
def test_without_syncing(made: type[ext4.Steps]) -> None:
    """Control: what is not brought to the disk is lost by a real file system, too.

    Unless the kernel writes it on its own account just then, as it may: hence several tries.
    """

    def lost() -> bool:
        with in_memory() as base:
            found = [found for _call, _fresh, found in ext4.cuts(BY_NAME["rollback"], Path(base), made)]
        return "truthful" in {violation.invariant for violation in found[-1]}

    assert any(lost() for _ in range(10))


def test_what_cannot_be_mounted_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(bytes(1 << 20))
    (tmp_path / "there").mkdir()
    with (
        pytest.raises(ToolMissing, match="mount does not work here"),
        ext4._mounted(tmp_path / "empty", tmp_path / "there"),
    ):
        pass
