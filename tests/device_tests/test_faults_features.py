"""What was recorded is there once, and who was erased is gone, whatever fails; and the suite sees where it is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from device_tests.faults import features
from device_tests.faults.features import FeaturesRun, scenarios, use
from device_tests.faults.power import PowerSystem
from device_tests.faults.system import Fault
from edge_sdk.features.receipts import Dropped
from edge_sdk.features.user_files import Main
from edge_sdk.features.users import User, Users

SHARES = [pytest.param(15, marks=pytest.mark.sampled), pytest.param(1, marks=pytest.mark.slow)]


@pytest.mark.parametrize("every", SHARES)
def test_every_call_holds(every: int) -> None:
    report = features.run(every)
    assert report.violations == []
    assert report.points.total() >= 1500 // every
    assert {name for name, _ in report.points} == {"features", "features-crowded"}
    assert {fault for _, fault in report.points} == {"kill", "eio", "enospc", "short"}


def found_by(run: FeaturesRun, *, every: int = 1) -> set[str]:
    points = run.points([Fault.KILL])
    chosen = [*points[:-1:every], points[-1]]
    return {violation.invariant for point in chosen for violation in run.judge(point)[1]}


class TestControls:
    """What the suite is for is taken out, and it must say so."""

    class NoFsync(PowerSystem):
        def fsync(self, handle: int) -> None:
            """Says it did."""

    class NoFolderSync(PowerSystem):
        def sync_folder(self, path: Path) -> None:
            """Says it did."""

    @pytest.mark.parametrize("made", [NoFsync, NoFolderSync])
    def test_without_syncing(self, made: Callable[[Path], PowerSystem]) -> None:
        for prepared in scenarios(made):
            assert prepared.judge(prepared.points()[-1])[1]

    def test_events_that_are_merged_and_stay_in_the_tail_count_twice(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(User, "recent", property(lambda user: user.tail.events))
        assert found_by(FeaturesRun("features", use), every=5) & {"truthful", "usable"}

    def test_a_tail_that_is_emptied_before_it_is_merged_is_lost(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write = Users._write

        def hasty(users: Users, path: Path, data: bytes) -> None:
            if path.suffix == ".main":
                main = Main.from_bytes(data, path.name)
                user = users.read(path.stem)
                assert user is not None
                write(users, path.with_suffix(".tail"), replace(user.tail, events=user.recent[:0]).to_bytes())
                assert main.next
            write(users, path, data)

        monkeypatch.setattr(Users, "_write", hasty)
        assert "truthful" in found_by(FeaturesRun("features", use))

    def test_an_erase_without_an_intent_leaves_half_of_a_user(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def without(users: Users, cache_folder: Path, disk: Any, user: str) -> tuple[int, int]:
            with users.writing() as salt:
                label = users.label(user, salt)
                return users.remove(label)

        monkeypatch.setattr("edge_sdk.features.store.erase_user", without)
        assert "erased" in found_by(FeaturesRun("features", use))

    def test_what_a_killed_writer_left_is_found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Users, "_tidy", lambda users: None)
        assert "bounded" in found_by(FeaturesRun("features", use))

    def test_a_store_without_bounds_is_found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        prepared = scenarios()[1]
        monkeypatch.setattr(Users, "_make_room", lambda *args: Dropped())
        assert "bounded" in {found.invariant for found in prepared.judge(prepared.points()[-1])[1]}
