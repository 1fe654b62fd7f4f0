"""A process is killed, or refused, at real system calls: strace does it, the six invariants judge."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from device_tests.faults.invariants import Promise, Violation, heals, kept, no_plaintext
from device_tests.faults.process import serve
from device_tests.faults.scenarios import SCENARIOS, Site, state_of

# Calls that change a disk; importing makes none of them (python -B writes no bytecode).
CALLS = ("pwrite64", "fsync", "rename", "link", "unlink", "mkdir", "ftruncate")
INJECTED = ("signal=KILL", "error=EIO", "error=ENOSPC")

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


class Traced:
    """The update of a scenario in a process of its own under strace."""

    def __init__(self, name: str, folder: Path) -> None:
        self.site: Site = next(scenario for scenario in SCENARIOS if scenario.name == name).site()
        self.folder = folder
        self.runs = 0
        serve(self.site, folder / "served")

    def run(self, *options: str) -> tuple[subprocess.CompletedProcess[str], Path]:
        """Run once on a new cache folder, which is returned, too."""
        self.runs += 1
        cache = self.folder / f"cache-{self.runs}"
        self.site.lay_out(cache)
        trace = [
            "strace",
            "-qq",
            "-o",
            str(self.folder / "trace"),
            "-e",
            f"trace={','.join(CALLS)}",
            *options,
        ]
        program = [sys.executable, "-B", "-m", "device_tests.faults.process", str(cache)]
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path)}
        done = subprocess.run(
            [*trace, *program, str(self.folder / "served")],
            env=environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done, cache

    def calls(self) -> Counter[str]:
        """How many of each a run makes with nothing failing."""
        done, cache = self.run()
        assert done.stdout == "started\ndone\n", done.stderr
        assert self.judged(cache, Promise(state_of(cache))) == []
        return Counter(re.findall(r"^(\w+)\(", (self.folder / "trace").read_text(), re.MULTILINE))

    def judged(self, cache: Path, promise: Promise) -> list[Violation]:
        found = no_plaintext(self.site, cache) + kept(self.site, cache, promise)
        return found + heals(self.site, cache) + no_plaintext(self.site, cache)

    def strike(self, injected: str, call: str, number: int) -> list[Violation]:
        """Run with this failing, and judge what is left; that the fault was met is made sure of."""
        done, cache = self.run("-e", f"inject={call}:{injected}:when={number}")
        trace = (self.folder / "trace").read_text()
        assert "killed by SIGKILL" in trace if "KILL" in injected else "INJECTED" in trace
        told = done.stdout.endswith("done\n")
        return self.judged(cache, Promise(state_of(cache) if told else None))


def test_one_of_each_call(tmp_path: Path) -> None:
    traced = Traced("first-install-encrypted", tmp_path)
    assert set(traced.calls()) >= {"pwrite64", "fsync", "rename", "link"}
    for call in ("fsync", "link"):
        assert traced.strike("signal=KILL", call, 2) == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["first-install", "upgrade-encrypted"])
def test_every_call(name: str, tmp_path: Path) -> None:
    traced = Traced(name, tmp_path)
    points = [
        (injected, call, number)
        for injected in INJECTED
        for call, many in sorted(traced.calls().items())
        for number in range(1, many + 1)
    ]
    assert len(points) >= 100
    found = {point: violations for point in points if (violations := traced.strike(*point))}
    assert found == {}
