"""What was counted is told once, whatever fails; and the suite sees where it is not."""

from __future__ import annotations

from typing import Any

import pytest

from device_tests.faults import telemetry
from device_tests.faults.system import Fault
from device_tests.faults.telemetry import TelemetryRun
from edge_sdk.health.queue import Queue


@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_every_call_holds(every: int) -> None:
    report = telemetry.run(every)
    assert report.violations == []
    assert report.points.total() >= 200 // every
    assert {fault for _, fault in report.points} >= {"kill", "eio", "enospc"}


def found_by(run: TelemetryRun, *faults: Fault) -> set[str]:
    points = [point for point in run.points() if point.fault in faults]
    return {violation.invariant for point in points for violation in run.judge(point)[1]}


def test_windows_that_stay_are_told_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: those that a report names are not removed."""
    run = TelemetryRun()
    assert found_by(run, Fault.SHORT) == set()
    monkeypatch.setattr(Queue, "_remove_windows", lambda queue, windows: None)
    assert "truthful" in found_by(run, Fault.KILL)


def test_windows_that_are_removed_first_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: windows go before the report that names them is there."""
    put = Queue._put

    def hasty(queue: Queue, report: Any, windows: list[str]) -> None:
        queue._remove_windows(windows)
        put(queue, report, windows)

    monkeypatch.setattr(Queue, "_put", hasty)
    assert "truthful" in found_by(TelemetryRun(), Fault.KILL)
