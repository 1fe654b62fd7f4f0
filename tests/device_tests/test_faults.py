"""The fault suite: it passes, and it fails where what it watches over is taken out."""

from __future__ import annotations

import errno
import inspect
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from device_tests.faults.invariants import Promise, heals, kept, no_plaintext, reached
from device_tests.faults.power import Image, PowerSystem
from device_tests.faults.report import Point, Report
from device_tests.faults.running import END, Run, run
from device_tests.faults.scenarios import SCENARIOS, Scenario
from device_tests.faults.site import SECRET, Site, state_of
from device_tests.faults.system import Fault, FaultySystem, Killed
from edge_sdk import erasing
from edge_sdk.erasing import Receipt
from edge_sdk.store import Cache, System
from edge_sdk.store.partial import Partial
from tests.device_tests.unchecked import without_hash_checks

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def told(report: Report) -> str:
    return "\n".join(f"{point}: {violation}" for point, violation in report.violations[:20])


@pytest.mark.sampled
def test_a_sample_of_all_scenarios_holds() -> None:
    report = run(every=83)
    assert not report.violations, told(report)
    assert {name for name, _ in report.points} == set(BY_NAME)
    assert {fault for _, fault in report.points} == {"kill", "eio", "enospc", "short"}


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", BY_NAME)
def test_every_call_of_every_scenario_holds(name: str) -> None:
    report = run([BY_NAME[name]])
    assert not report.violations, told(report)
    assert report.points.total() >= 30  # so few where a process only starts and predicts, and writes nothing
    assert report.images >= report.points.total()


class TestControls:
    """What the suite is for is taken out, and it must say so."""

    class NoFsync(PowerSystem):
        def fsync(self, handle: int) -> None:
            """Says it did."""

    class NoFolderSync(PowerSystem):
        def sync_folder(self, path: Path) -> None:
            """Says it did."""

    @pytest.mark.parametrize("made", [NoFsync, NoFolderSync])
    @pytest.mark.parametrize("name", ["first-install", "upgrade-encrypted", "rollback"])
    def test_without_syncing(self, made: Callable[[Path], PowerSystem], name: str) -> None:
        prepared = Run(BY_NAME[name], made)
        end = prepared.points()[-1]
        assert end.call == END
        assert prepared.judge(end)[1]

    def test_without_syncing_what_others_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        prepared = Run(BY_NAME["first-install"])
        points = [p for p in prepared.points([Fault.KILL]) if p.call == "sync_folder"]
        assert not [found for point in points for found in prepared.judge(point)[1]]
        monkeypatch.setattr(Cache, "_settle", lambda cache: None)
        without = Run(BY_NAME["first-install"])
        assert [found for point in points for found in without.judge(point)[1]]

    def test_without_forgetting_what_an_fsync_lost(self, monkeypatch: pytest.MonkeyPatch) -> None:
        prepared = Run(BY_NAME["first-install"])
        points = [p for p in prepared.points([Fault.EIO]) if p.call == "fsync"]
        assert not [found for point in points for found in prepared.judge(point)[1]]
        monkeypatch.setattr(Partial, "sync", lambda partial: partial._system.fsync(partial._handle))
        without = Run(BY_NAME["first-install"])
        assert [found for point in points for found in without.judge(point)[1]]

    def test_without_the_hash_check(self, monkeypatch: pytest.MonkeyPatch) -> None:
        prepared = Run(BY_NAME["deception"])
        end = prepared.points()[-1]
        assert not prepared.judge(end)[1]
        checked = without_hash_checks(monkeypatch.setattr)
        assert {"edge_sdk.store.blobs", "edge_sdk.store.partial", "edge_sdk.crypto.sealing"} <= checked
        without = Run(BY_NAME["deception"])
        assert "usable" in {violation.invariant for violation in without.judge(end)[1]}

    @pytest.mark.parametrize("name", ["erase-models", "erase-all-encrypted"])
    @pytest.mark.parametrize("taken_out", ["intent", "keys first", "older states", "install id", "receipt"])
    def test_an_erase_that_is_not_one(
        self, name: str, taken_out: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def false_receipt(*args: Any) -> Receipt:
            return replace(finish(*args), models=())

        finish = erasing._finish
        patches: dict[str, tuple[object, str, object]] = {
            "intent": (erasing, "_write_intent", lambda cache, scope: None),
            "keys first": (erasing, "_STAYS", erasing._STAYS | {erasing.KEYS, "left"}),
            "older states": (Cache, "forget", Cache.tidy),
            "install id": (
                erasing,
                "_erased",
                lambda state, install_id: replace(state, models={}, wanted={}),
            ),
            "receipt": (erasing, "_finish", false_receipt),
        }
        monkeypatch.setattr(*patches[taken_out])
        if taken_out == "keys first":
            monkeypatch.setattr(erasing, "KEYS", "nothing")
        without = Run(BY_NAME[name])
        points = without.points([Fault.KILL])
        found = [found for point in [*points[::6], points[-1]] for found in without.judge(point)[1]]
        assert bool(found) is not (taken_out == "install id" and name == "erase-models")


@pytest.fixture(scope="module")
def upgrade() -> Site:
    return BY_NAME["upgrade-encrypted"].site()


class TestInvariants:
    """Each can fail."""

    @pytest.fixture
    def folder(self, upgrade: Site, tmp_path: Path) -> Path:
        upgrade.lay_out(tmp_path / "cache")
        return tmp_path / "cache"

    @pytest.fixture
    def bundle(self, folder: Path) -> Path:
        return folder / "blobs" / state_of(folder).models["focus"].active.sha256

    def test_all_hold_on_a_good_cache(self, upgrade: Site, folder: Path) -> None:
        assert kept(upgrade, folder, Promise(state_of(folder))) == []
        assert no_plaintext(upgrade, folder) == []
        assert heals(upgrade, folder) == []

    def test_usable(self, upgrade: Site, folder: Path, bundle: Path) -> None:
        bundle.write_bytes(bundle.read_bytes()[:-1])
        assert [v.invariant for v in kept(upgrade, folder, Promise())] == ["usable"]

    def test_usable_where_the_cache_is_gone(self, upgrade: Site, tmp_path: Path) -> None:
        assert [v.invariant for v in kept(upgrade, tmp_path / "gone", Promise())] == ["usable"]

    def test_truthful(self, upgrade: Site, folder: Path) -> None:
        with upgrade.open(folder) as client:
            client.update("focus")
        promise = Promise(state_of(folder))
        for path in (folder / "states").iterdir():
            path.unlink()
        upgrade.lay_out(folder)
        assert {v.invariant for v in kept(upgrade, folder, promise)} == {"truthful", "usable"}

    def test_monotone(self, upgrade: Site, folder: Path) -> None:
        before = state_of(folder).marks
        with upgrade.open(folder) as client:
            client.update("focus")
        after = state_of(folder).marks
        assert reached(after, before) == ""
        assert reached(before, after)

    @pytest.mark.parametrize("compressed", [False, True])
    def test_no_plaintext(self, upgrade: Site, folder: Path, compressed: bool) -> None:
        left = upgrade.clear[0] if compressed else SECRET
        (folder / "blobs" / ".part-1_1.0a").write_bytes(b"..." + left + b"...")
        assert [v.invariant for v in no_plaintext(upgrade, folder)] == ["no plaintext"]

    @pytest.mark.parametrize(
        "name",
        [f".part-{os.getpid()}_7.0a", "partial/.part-1_1.0a/file", "left"],
        ids=["reused process number", "abandoned", "foreign"],
    )
    def test_bounded(self, upgrade: Site, folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Cache, "tidy", lambda cache: None)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
        assert "bounded" in [v.invariant for v in heals(upgrade, folder)]

    def test_heals(self, upgrade: Site, folder: Path) -> None:
        (folder / "blobs" / upgrade_digest(upgrade)).mkdir()
        assert [v.invariant for v in heals(upgrade, folder)] == ["heals"]


def upgrade_digest(site: Site) -> str:
    return next(s.sha256 for s in site.repository.sealed.values() if s.entry.release == site.goal)


class TestFaultySystem:
    def test_every_call_passes_through(self) -> None:
        calls = {name for name, value in vars(System).items() if inspect.isfunction(value) and name[0] != "_"}
        assert {"try_lock", "random", "is_folder"} <= calls
        assert calls <= set(vars(FaultySystem)), "a call of System that no fault can meet"

    def test_a_killed_process_makes_no_call_and_has_nothing_open(self, tmp_path: Path) -> None:
        system = FaultySystem(System(), Fault.KILL, 4)
        owner = system.owner()
        handle = system.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
        assert system.is_alive(owner)
        with pytest.raises(Killed):
            system.write(handle, b"data", 0)
        assert (tmp_path / "file").read_bytes() == b""
        with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
            os.fstat(handle)
        for call in (lambda: system.close(handle), lambda: system.stat(tmp_path), system.now):
            with pytest.raises(Killed):
                call()
        assert not FaultySystem(System()).is_alive(owner)
        assert not System().is_alive(owner)
        assert FaultySystem(System()).owner() != owner

    def test_a_full_disk_stays_full_and_can_be_read(self, tmp_path: Path) -> None:
        system = FaultySystem(System(), Fault.ENOSPC, 1)
        for _ in range(2):
            with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
                system.mkdir(tmp_path / "folder")
        assert system.names(tmp_path) == []
        system.recover()
        system.mkdir(tmp_path / "folder")

    def test_one_short_write(self, tmp_path: Path) -> None:
        system = FaultySystem(System(), Fault.SHORT, 2)
        handle = system.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
        assert [system.write(handle, b"12345678", 0), system.write(handle, b"12345678", 0)] == [4, 8]
        system.exit()

    def test_one_error(self, tmp_path: Path) -> None:
        system = FaultySystem(System(), Fault.EIO, 2)
        handle = system.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            system.close(handle)
        with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
            os.fstat(handle)


class TestPowerSystem:
    def left(self, power: PowerSystem, kind: Image, folder: Path) -> dict[str, bytes]:
        power.cut(kind, folder)
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    def test_content_and_name_are_brought_to_the_disk_apart(self, tmp_path: Path) -> None:
        base = tmp_path / "base"
        base.mkdir()
        (base / "old").write_bytes(b"old")
        power = PowerSystem(base)
        handle = power.open(base / "new", os.O_WRONLY | os.O_CREAT)
        power.write(handle, b"12345678", 0)
        power.unlink(base / "old")
        assert self.left(power, Image.DURABLE, tmp_path / "1") == {"old": b"old"}
        assert self.left(power, Image.ZEROS, tmp_path / "2") == {"new": bytes(8)}
        assert self.left(power, Image.TORN, tmp_path / "3") == {"new": b"1234"}
        assert self.left(power, Image.ALL, tmp_path / "4") == {"new": b"12345678"}
        power.fsync(handle)
        power.close(handle)
        assert self.left(power, Image.DURABLE, tmp_path / "5") == {"old": b"old"}
        assert self.left(power, Image.ZEROS, tmp_path / "6") == {"new": b"12345678"}
        power.replace(base / "new", base / "newer")
        power.sync_folder(base)
        assert self.left(power, Image.DURABLE, tmp_path / "7") == {"newer": b"12345678"}

    def test_a_folder_needs_its_parent(self, tmp_path: Path) -> None:
        base = tmp_path / "base"
        base.mkdir()
        power = PowerSystem(base)
        power.mkdir(base / "folder")
        power.sync_folder(base / "folder")
        assert self.left(power, Image.DURABLE, tmp_path / "1") == {}


@pytest.mark.parametrize("name", ["upgrade-by-delta", "upgrade-by-delta-lent"])
def test_the_delta_is_what_upgrades(name: str, tmp_path: Path) -> None:
    site = BY_NAME[name].site()
    site.lay_out(tmp_path / "cache")
    network = site.network()
    with site.open(tmp_path / "cache", transport=network) as client:
        assert client.update("focus").release == site.goal
    assert [path for path in network.requests if path.startswith("/v1/deltas/")]
    assert not [path for path in network.requests if path.startswith("/v1/bundles/")]


def test_a_scenario_that_does_not_work_is_told() -> None:
    def nothing(client: object, folder: Path) -> None:
        """Does not update."""

    prepared = Run(Scenario("idle", BY_NAME["upgrade"].prepare, (nothing,)))
    violations = prepared.judge(Point("idle", Fault.KILL, 1000, END))[1]
    assert [violation.invariant for violation in violations] == ["heals"]
