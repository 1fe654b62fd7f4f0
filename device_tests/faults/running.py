"""Every scenario with every fault at every call, judged by the invariants."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final

from device_tests.faults.invariants import Promise, Violation, ended, judged, kept
from device_tests.faults.power import Image, PowerSystem, Tree, lay_out
from device_tests.faults.report import Point, Report
from device_tests.faults.scenarios import SCENARIOS, Scenario
from device_tests.faults.site import Site, state_of
from device_tests.faults.system import Fault, FaultySystem, Killed, applies
from edge_sdk.errors import EdgeError
from edge_sdk.store import System
from edge_sdk.update.transport import Transport

FAULTS: Final = (Fault.KILL, Fault.EIO, Fault.ENOSPC, Fault.SHORT)

END: Final = "end"
"""In place of a call's name: after all of them."""

Progress = Callable[[str, int, int], None]
"""Scenario, how many points are done, how many there are."""


def unwatched(stage: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


MakePower = Callable[[Path], PowerSystem]

_MEMORY: Final = Path("/dev/shm")
"""A file system in memory, where there is one: what reaches a disk is simulated, and nothing here is to outlive it."""
_OWNER: Final = re.compile(r"simulated_[0-9]+_[0-9]+")


class Run:
    """A scenario in front of which a point can be put.

    Nothing in it is left to chance, so that points near each other leave equal disks; an image is judged once.

    Args:
        scenario: prepared once, with one set of keys for all points.
        make_power: makes the disk; the controls take something out of it.

    Attributes:
        judged: how many images were judged so far.
    """

    def __init__(self, scenario: Scenario, make_power: MakePower = PowerSystem) -> None:
        self.scenario, self._make_power = scenario, make_power
        self.site: Site = scenario.site()
        self.judged = 0
        self._known: dict[Any, list[Violation]] = {}
        with in_memory() as base:
            system = FaultySystem(self.disk(Path(base)))
            self.go(Path(base) / "disk" / "cache", system, Promise())
            system.exit()
        self._calls = system.calls

    def points(self, faults: Iterable[Fault] = FAULTS) -> list[Point]:
        """All of this scenario; one with no fault at the end, when the power may still go."""
        name, end = self.scenario.name, len(self._calls) + 1
        return [
            Point(name, fault, at, call)
            for fault in faults
            for at, call in enumerate(self._calls, 1)
            if applies(fault, call)
        ] + [Point(name, Fault.KILL, end, END)]

    def judge(self, point: Point) -> tuple[int, list[Violation]]:
        """Go through the scenario with the fault at this point.

        Returns:
            How many different images of the disk there were, and what did not hold.
        """
        with in_memory() as base:
            return self._judge(Path(base), point)

    def _judge(self, base: Path, point: Point) -> tuple[int, list[Violation]]:
        folder = base / "disk" / "cache"
        power = self.disk(base)
        system = FaultySystem(power, Fault(point.fault), point.at)
        promise, found = self.go(folder, system, Promise())
        if point.call == END:
            found += ended(self.site, promise, folder)
        kinds = [Image.DURABLE]
        if point.fault == Fault.KILL:
            kinds += [Image.ZEROS, Image.TORN]
        elif not system.died:
            system.recover()
            promise, failed = self.go(folder, system, promise)  # the same process tries again
            found += failed
        system.exit()
        images, violations = self.verdict(base, power, promise, kinds)
        return images, found + violations

    def verdict(
        self, base: Path, power: PowerSystem, promise: Promise, kinds: Iterable[Image]
    ) -> tuple[int, list[Violation]]:
        """Judge the disk as it is, and what a power cut may leave of it.

        Args:
            base: where the disk is.
            power: of the disk; no process runs on it.
            promise: what the app was told.
            kinds: what a power cut may leave.
        """
        found: list[Violation] = []
        images = different(power, kinds)
        for number, (key, image) in enumerate(images.items()):
            found += self._once(key, promise, partial(self._cut, base / f"cut-{number}", image))
        folder = base / "disk" / "cache"
        found += self._once(_key(power.fingerprint()), promise, partial(self._left, folder, base, power))
        return len(images) + 1, found

    def _once(
        self, disk: Any, promise: Promise, judge: Callable[[Promise], list[Violation]]
    ) -> list[Violation]:
        key = disk, promise.key
        if key not in self._known:
            self.judged += 1
            self._known[key] = judge(promise)
        return self._known[key]

    def _cut(self, base: Path, image: Tree, promise: Promise) -> list[Violation]:
        """Of a disk after a power cut."""
        lay_out(image, base)
        return judged(self.site, base / "cache", promise, Here())

    def _left(self, folder: Path, base: Path, power: PowerSystem, promise: Promise) -> list[Violation]:
        """Of what the next process finds, and of what is sure to be left by what that one does."""
        next_one = FaultySystem(power)
        found = judged(self.site, folder, promise, next_one)
        next_one.exit()
        if not found:  # what that process told must survive the power, too: not all it found was on the disk
            power.cut(Image.DURABLE, base / "last")
            found = kept(self.site, base / "last" / "cache", Promise(state_of(folder)), Here())
        return found

    def disk(self, base: Path) -> PowerSystem:
        (base / "disk").mkdir()
        self.site.lay_out(base / "disk" / "cache")
        return self._make_power(base / "disk")

    def go(
        self, folder: Path, system: FaultySystem, promise: Promise, transport: Transport | None = None
    ) -> tuple[Promise, list[Violation]]:
        """Take the steps; what was told before it ended, and what should not have happened."""
        fault_ahead = not system.calls
        try:
            with self.site.open(folder, system, transport=transport or self.site.network()) as client:
                for step in self.scenario.steps:
                    receipt = step(client, folder)
                    promise = Promise(state_of(folder), receipt)
        except Killed:
            pass
        except EdgeError as error:
            if not fault_ahead:
                return promise, [Violation("heals", f"the same process tries again and fails: {error}")]
        except Exception as error:
            return promise, [Violation("heals", f"an error that an app does not expect: {error!r}")]
        return promise, []


def run(
    scenarios: Iterable[Scenario] = SCENARIOS,
    faults: Iterable[Fault] = FAULTS,
    every: int = 1,
    progress: Progress = unwatched,
    make_power: MakePower = PowerSystem,
) -> Report:
    """Run the suite.

    Args:
        scenarios: which.
        faults: which.
        every: take every Nth point of a scenario only; the last one always.
        progress: told the scenario, how many points are done, and how many there are.
        make_power: makes the disk.
    """
    report = Report()
    for scenario in scenarios:
        prepared = Run(scenario, make_power)
        points = prepared.points(faults)
        chosen = [*points[:-1:every], points[-1]]
        for done, point in enumerate(chosen):
            progress(scenario.name, done, len(chosen))
            before = prepared.judged
            images, violations = prepared.judge(point)
            report.add(point, violations, images=images, judged=prepared.judged - before)
        progress(scenario.name, len(chosen), len(chosen))
    return report


def different(power: PowerSystem, kinds: Iterable[Image]) -> dict[Any, Tree]:
    """The images of these kinds that differ from each other and from the disk as it is; each under its key."""
    images = {_key(power.image(kind)): power.image(kind) for kind in kinds}
    images.pop(_key(power.image(Image.ALL)), None)
    return images


def in_memory() -> tempfile.TemporaryDirectory[str]:
    """A new folder, in memory where that can be."""
    return tempfile.TemporaryDirectory(dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None)


def _key(value: Any) -> Any:
    """Of what lies on a disk, whatever the processes were called that left it."""
    if isinstance(value, dict):
        return _key(tuple(value.items()))
    if isinstance(value, tuple):
        return tuple(map(_key, value))
    return _OWNER.sub("", value) if isinstance(value, str) else value


class Here(System):
    """A process that nothing happens to; its writing is not brought to the disk, which takes time only."""

    def fsync(self, handle: int) -> None:
        """Nothing."""

    def sync_folder(self, path: Path) -> None:
        """Nothing."""
