"""``edge selftest`` and ``edge bench faults``: what they print, and how they end."""

from __future__ import annotations

import json

import pytest

from coach_edge import cli
from coach_edge.bench import faults
from device_tests.faults import command
from device_tests.faults.invariants import Violation
from device_tests.faults.report import Point, Report
from device_tests.faults.system import Fault


def test_it_counts_by_scenario_and_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["selftest", "--every", "1000", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["violations"] == []
    assert (
        report["points"] == sum(n for faults in report["scenarios"].values() for n in faults.values()) >= 10
    )
    assert report["scenarios"]["upgrade"]["kill"] >= 2


@pytest.fixture
def bad() -> Report:
    point = Point("upgrade", Fault.EIO, 7, "fsync")
    report = Report(images=3, violations=[(point, Violation("usable", "nothing predicts"))])
    report.points["upgrade", "eio"] = 2
    return report


def test_a_violation_is_the_exit_status(
    bad: Report, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "run", lambda **_: bad)
    assert cli.run(["selftest", "--json"]) == 1
    printed = capsys.readouterr()
    [violation] = json.loads(printed.out)["violations"]
    assert (violation["scenario"], violation["fault"], violation["at"]) == ("upgrade", "eio", 7)
    assert "1 violations at 2 points, the first: upgrade, eio at call 7 (fsync): usable" in printed.err


def test_the_bench_counts(bad: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "run_suite", lambda every: bad)
    assert {f["id"]: f["value"] for f in faults.run()} == {"injected_fsops": 2, "violations": 1}
