"""``edge selftest`` and ``edge bench faults``: what they print, and how they end."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from coach_edge import cli
from coach_edge.bench import faults
from device_tests.errors import ToolMissing
from device_tests.faults import command, suite, syscalls
from device_tests.faults.corruptions import Damage
from device_tests.faults.invariants import Violation
from device_tests.faults.report import Point, Report
from device_tests.faults.suite import Outcome
from device_tests.faults.system import Fault


def test_it_counts_by_scenario_and_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["selftest", "--every", "1000", "--part", "disk", "--part", "network", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["violations"] == []
    assert report["skipped"] == {}
    assert (
        report["points"] == sum(n for faults in report["scenarios"].values() for n in faults.values()) >= 10
    )
    assert report["scenarios"]["upgrade"]["kill"] >= 2
    assert "network" in report["scenarios"]


def test_what_cannot_be_run_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(**_: object) -> Report:
        raise ToolMissing("strace is not installed")

    monkeypatch.setattr(syscalls, "run", missing)
    outcome = suite.run(["system calls"])
    assert outcome.to_json()["skipped"] == {"system calls": "strace is not installed"}
    assert outcome.bad == []


def test_every_part_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, object]] = []
    for name in ("running", "telemetry", "features", "network", "syscalls", "ext4", "corruptions"):

        def note(*args: object, name: str = name, **options: object) -> object:
            seen.append((name, options.get("every", args[0] if args else None)))
            return Damage(Counter(), []) if name == "corruptions" else Report()

        monkeypatch.setattr(getattr(suite, name), "run", note)
    assert suite.run(every=4).damage is not None
    shares = [
        ("running", 4),
        ("telemetry", 4),
        ("features", 4),
        ("network", 4),
        ("syscalls", 12),
        ("ext4", 12),
    ]
    assert seen == [*shares, ("corruptions", 1500)]


@pytest.fixture
def bad() -> Outcome:
    point = Point("upgrade", Fault.EIO, 7, "fsync")
    report = Report(images=3, violations=[(point, Violation("usable", "nothing predicts"))])
    report.points["upgrade", "eio"] = 2
    return Outcome(
        {"disk": report, "network": Report()}, None, {"system calls": "no strace", "ext4": "no root"}
    )


def test_a_violation_is_the_exit_status(
    bad: Outcome, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "run", lambda *_, **__: bad)
    assert cli.run(["selftest", "--json"]) == 1
    printed = capsys.readouterr()
    [violation] = json.loads(printed.out)["violations"]
    assert (violation["scenario"], violation["fault"], violation["at"]) == ("upgrade", "eio", 7)
    assert "1 violations at 2 points, the first: upgrade, eio at call 7 (fsync): usable" in printed.err


def test_a_wrong_answer_is_the_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    damage = Damage(
        Counter({("clear", "wrong"): 1, ("clear", "stood in"): 9}), ["clear: wrong: flip, number 3"]
    )
    monkeypatch.setattr(command, "run", lambda *_, **__: Outcome(damage=damage))
    assert cli.run(["selftest"]) == 1
    assert "clear: wrong: flip, number 3" in capsys.readouterr().err


def test_the_bench_counts(bad: Outcome) -> None:
    damage = Damage(
        Counter({("a", "wrong"): 1, ("a", "death"): 2, ("a", "stood in"): 9, ("b", "error"): 4}), []
    )
    printed = {figure["id"]: figure for figure in faults.figures(bad, Outcome(damage=damage))}
    assert {name: figure["value"] for name, figure in printed.items()} == {
        "injected_fsops": 2,
        "injected_syscalls": None,
        "spoilt_answers": 0,
        "power_cuts": None,
        "violations": 1,
        "corruptions": 16,
        "wrong_answers": 5,
        "host_deaths": 2,
    }
    assert printed["injected_syscalls"]["note"] == "not run: no strace"
