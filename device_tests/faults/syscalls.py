"""Faults at real system calls: strace kills a process or refuses it a call, the six invariants judge what is left.

``python -m device_tests.faults.syscalls SCENARIO...`` does it and prints the outcome as JSON. It runs as a program of
its own because it forks: every point is a child, which has imported everything already and waits until strace has
attached, so that counting begins with its first own call.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from device_tests.errors import ToolMissing
from device_tests.faults.invariants import Promise, Violation, judged
from device_tests.faults.report import Point, Report
from device_tests.faults.running import Progress, in_memory, unwatched
from device_tests.faults.scenarios import SCENARIOS, Scenario
from device_tests.faults.site import state_of
from edge_sdk.erasing import EraseScope, Receipt
from edge_sdk.errors import EdgeError

CALLS: Final = (
    "openat",
    "write",
    "pwrite64",
    "ftruncate",
    "fsync",
    "rename",
    "renameat2",
    "link",
    "linkat",
    "symlink",
    "unlink",
    "unlinkat",
    "rmdir",
    "mkdir",
)
"""Calls that make or change something on a disk; those that a machine does not have are left out."""
INJECTED: Final = ("signal=KILL", "error=EIO", "error=ENOSPC")
NAMES: Final = ("first-install-encrypted", "deception", "collection-encrypted", "erase-all-encrypted")
"""Scenarios that are run unless others are asked for."""

_BEGUN: Final = re.compile(r"(\d+) +(\w+)(\(.*)")
_RESUMED: Final = re.compile(r"(\d+) +<\.\.\. \w+ resumed>(.*)")
_KILLED: Final = "(killed)"
_UNEXPECTED: Final = 70
_HANGS: Final = 71
_PATIENCE_S: Final = 60.0


class Strike(NamedTuple):
    """What strace does: ``injected`` at call number ``number`` of this name."""

    injected: str
    call: str
    number: int


class _Call(NamedTuple):
    """A line of strace's."""

    thread: int
    name: str
    text: str


class Traced:
    """A scenario whose steps are taken by a child under strace.

    Args:
        scenario: which.
        base: a folder for the caches, kept small.
    """

    def __init__(self, scenario: Scenario, base: Path) -> None:
        self.site, self._steps, self._base = scenario.site(), scenario.steps, base
        self._ran = 0
        # Once in this process, so that a child imports nothing: its calls are its own, and the same each time.
        cache = self._new_cache()
        if self._go(cache, os.open(os.devnull, os.O_WRONLY)) != 0:
            raise AssertionError(f"{scenario.name} fails with nothing injected")
        shutil.rmtree(cache)

    def strikes(self) -> list[Strike]:
        """Every point: each call on the cache that a run makes with nothing failing, with each fault."""
        cache = self._new_cache()
        _run, promise, trace = self._traced(cache)
        found = judged(self.site, cache, promise)
        if promise.state is None or found:
            raise AssertionError(f"the scenario fails with nothing injected: {found}; {trace[-500:]}")
        seen: Counter[tuple[int, str]] = Counter()
        first: dict[tuple[str, int], _Call] = {}
        for call in _calls(trace):
            seen[call.thread, call.name] += 1
            # strace counts in each thread by itself, so a number stands for what comes first under it.
            first.setdefault((call.name, seen[call.thread, call.name]), call)
        points = [point for point, call in first.items() if str(cache) in call.text]
        shutil.rmtree(cache)
        return [Strike(injected, *point) for injected in INJECTED for point in points]

    def strike(self, strike: Strike) -> list[Violation]:
        """Run with this failing, and judge what is left; that the fault was met is made sure of."""
        cache = self._new_cache()
        inject = ("-e", f"inject={strike.call}:{strike.injected}:when={strike.number}")
        status, promise, trace = self._traced(cache, *inject)
        if status == _HANGS:
            shutil.rmtree(cache)
            return [Violation("heals", f"the process hangs: {trace[-500:]}")]
        mark = _KILLED if "KILL" in strike.injected else "(INJECTED)"
        if not any(c.name == strike.call and mark in c.text and str(cache) in c.text for c in _calls(trace)):
            raise AssertionError(f"{strike} was not met where it was meant: {trace[-500:]}")
        found = judged(self.site, cache, promise)
        if status == _UNEXPECTED:
            found.append(Violation("heals", "an error that an app does not expect"))
        shutil.rmtree(cache)
        return found

    def _new_cache(self) -> Path:
        self._ran += 1
        cache = self._base / f"cache-{self._ran}"
        self.site.lay_out(cache)
        return cache

    def _traced(self, cache: Path, *options: str) -> tuple[int, Promise, str]:
        """How the child ended, what it was told before, and its calls."""
        trace = self._base / "trace"
        may_go, go = os.pipe()
        told, tell = os.pipe()
        _alone()
        child = os.fork()
        if child == 0:
            os.close(go)
            os.read(may_go, 1)
            os._exit(self._go(cache, tell))
        os.close(may_go)
        os.close(tell)
        command = ["strace", "-f", "-y", "-s", "0", "-o", str(trace), "-p", str(child), *options]
        command += ["-e", f"trace={','.join('?' + call for call in CALLS)}"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
            assert strace.stderr is not None
            attached = strace.stderr.readline()
            if "attached" not in attached:
                os.close(go)
                os.waitpid(child, 0)
                raise ToolMissing(
                    f"strace cannot trace here: {attached.strip()}; it needs the right to ptrace"
                )
            os.write(go, b".")
            os.close(go)
            try:
                strace.wait(_PATIENCE_S)  # it ends when the child does
                hangs = False
            except subprocess.TimeoutExpired:
                os.kill(child, signal.SIGKILL)
                hangs = True
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            strace.stderr.read()
        with os.fdopen(told) as file:
            lines = file.read().splitlines()
        receipt = _receipt(json.loads(lines[-1])) if lines else None
        promise = Promise(state_of(cache) if lines else None, receipt)
        return _HANGS if hangs else status, promise, trace.read_text()

    def _go(self, cache: Path, tell: int) -> int:
        """In the child: the steps, and a line for each that was said to have succeeded."""
        try:
            with self.site.open(cache, transport=self.site.network()) as client:
                for step in self._steps:
                    receipt = step(client, cache)
                    os.write(tell, json.dumps(receipt and [receipt.scope, receipt.models]).encode() + b"\n")
        except EdgeError:
            return 1
        except BaseException:
            return _UNEXPECTED
        return 0


def _alone() -> None:
    """Wait until no other thread is left: one that is just ending may hold a lock that its copy never gives back."""
    deadline = time.monotonic() + _PATIENCE_S
    while len(os.listdir("/proc/self/task")) > 1:
        if time.monotonic() > deadline:
            raise AssertionError("a thread stays; this program forks, and must be alone")
        os.sched_yield()


def _receipt(told: list[Any] | None) -> Receipt | None:
    return Receipt(EraseScope(told[0]), datetime.now(UTC), tuple(told[1]), 0, 0) if told else None


def _calls(trace: str) -> list[_Call]:
    """The calls in the order in which they began; those during which the process was killed end with a mark."""
    calls: list[_Call] = []
    running: dict[int, int] = {}
    for line in trace.splitlines():
        if match := _BEGUN.match(line):
            thread = int(match[1])
            running[thread] = len(calls)
            calls.append(_Call(thread, match[2], match[3]))
        elif match := _RESUMED.match(line):
            at = running[int(match[1])]
            calls[at] = calls[at]._replace(text=calls[at].text + match[2])
    killed = "killed by SIGKILL" in trace
    ended = ("<unfinished ...>", "= ?")
    return [c._replace(text=c.text + _KILLED) if killed and c.text.endswith(ended) else c for c in calls]


def run(names: Sequence[str] = NAMES, every: int = 1, progress: Progress = unwatched) -> Report:
    """Run scenarios in a program of their own.

    Args:
        names: of scenarios.
        every: take every Nth point only.
        progress: told the scenario, how many points are done, and how many there are.

    Raises:
        ToolMissing: there is no strace, or it may not trace here.
    """
    if shutil.which("strace") is None:
        raise ToolMissing("strace is not installed; scripts/install-system brings it")
    command = [sys.executable, "-B", "-m", "device_tests.faults.syscalls", str(every), *names]
    # One thread only, where children are to be forked; and no module from elsewhere than here.
    environ = {
        **os.environ,
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)),
    }
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            told = json.loads(line)
            if "report" in told:
                return Report.from_json(told["report"])
            if "missing" in told:
                raise ToolMissing(told["missing"])
            progress(*told["progress"])
        raise AssertionError(f"the program ended without a report: {process.stderr.read()[-2000:]}")


def main(every: int, names: Sequence[str]) -> None:
    """As a program: a line of JSON for every point, then one with the report."""
    report = Report()
    by_name = {scenario.name: scenario for scenario in SCENARIOS}
    with in_memory() as base:
        for name in names:
            try:
                traced = Traced(by_name[name], Path(base))
                strikes = traced.strikes()[::every]
            except ToolMissing as error:
                print(json.dumps({"missing": str(error)}), flush=True)
                return
            title = f"{name} (system calls)"
            for done, strike in enumerate(strikes):
                print(json.dumps({"progress": [title, done, len(strikes)]}), flush=True)
                point = Point(title, strike.injected.partition("=")[2].lower(), strike.number, strike.call)
                report.add(point, traced.strike(strike))
    print(json.dumps({"report": report.to_json()}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
