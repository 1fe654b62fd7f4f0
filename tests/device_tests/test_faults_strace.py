"""A process is killed, or refused, at real system calls: strace does it, the six invariants judge."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from device_tests.errors import ToolMissing
from device_tests.faults import syscalls
from device_tests.faults.report import Report


def run(names: tuple[str, ...], every: int) -> tuple[Report, Counter[str]]:
    """The report, and how many points of each kind; where strace cannot trace, a skip here and a failure in CI."""
    seen: Counter[str] = Counter()
    try:
        report = syscalls.run(names, every, lambda title, done, total: seen.update([title]))
    except ToolMissing as error:
        pytest.fail(str(error)) if os.environ.get("CI") else pytest.skip(str(error))
    return report, seen


@pytest.mark.sampled
def test_a_hundred_calls() -> None:
    report, seen = run(syscalls.NAMES, 12)
    assert report.violations == []
    assert report.points.total() == seen.total() >= 100
    assert {fault for _, fault in report.points} == {"kill", "eio", "enospc"}
    assert len(seen) == len(syscalls.NAMES)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", syscalls.NAMES)
def test_every_call(name: str) -> None:
    report, _seen = run((name,), 1)
    print(f"{report.points.total()} faults injected at system calls of {name}")
    assert report.violations == []
    assert report.points.total() >= 100


def test_without_strace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ToolMissing, match="strace is not installed"):
        syscalls.run()


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_violation_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: the program that injects does ask the oracle."""
    (tmp_path / "sitecustomize.py").write_text(
        "import device_tests.faults.invariants as i\n"
        "i.heals = lambda *_: [i.Violation('heals', 'as the test wants it')]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(AssertionError, match="as the test wants it"):
        syscalls.run(("upgrade",), 100)
