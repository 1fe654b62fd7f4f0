"""Every scenario with every fault at every call, judged by the invariants."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from device_tests.faults.invariants import Promise, Violation, heals, kept, no_plaintext, reached
from device_tests.faults.power import Image, PowerSystem
from device_tests.faults.scenarios import SCENARIOS, Scenario, Site, state_of, tree
from device_tests.faults.system import Fault, FaultySystem, Killed, applies
from edge_sdk.errors import EdgeError
from edge_sdk.store import System

FAULTS: Final = (Fault.KILL, Fault.EIO, Fault.ENOSPC, Fault.SHORT)

END: Final = "end"
"""In place of a call's name: after all of them."""

MakePower = Callable[[Path], PowerSystem]


class Point(NamedTuple):
    """Where something fails: the fault at the call with this number and name."""

    scenario: str
    fault: Fault
    at: int
    call: str


@dataclass
class Report:
    """What came out.

    Attributes:
        points: how many were run, by scenario and fault.
        images: how many states of the disk were judged.
        violations: with the points at which they showed.
    """

    points: Counter[tuple[str, str]] = field(default_factory=Counter)
    images: int = 0
    violations: list[tuple[Point, Violation]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """For people and programs: counts, and every violation."""
        scenarios: dict[str, dict[str, int]] = {}
        for (scenario, fault), number in self.points.items():
            scenarios.setdefault(scenario, {})[fault] = number
        return {
            "points": self.points.total(),
            "disk_images": self.images,
            "scenarios": scenarios,
            "violations": [
                {
                    "scenario": point.scenario,
                    "fault": point.fault.value,
                    "at": point.at,
                    "call": point.call,
                    "invariant": violation.invariant,
                    "detail": violation.detail,
                }
                for point, violation in self.violations
            ],
        }


class Run:
    """A scenario in front of which a point can be put.

    Args:
        scenario: prepared once, with one set of keys for all points.
        make_power: makes the disk; the controls take something out of it.
    """

    def __init__(self, scenario: Scenario, make_power: MakePower = PowerSystem) -> None:
        self.scenario, self._make_power = scenario, make_power
        self.site: Site = scenario.site()
        with tempfile.TemporaryDirectory() as base:
            system = FaultySystem(self._disk(Path(base)))
            self._go(Path(base) / "disk" / "cache", system, Promise())
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
            How many images of the disk were judged, and what did not hold.
        """
        with tempfile.TemporaryDirectory() as base:
            return self._judge(Path(base), point)

    def _judge(self, base: Path, point: Point) -> tuple[int, list[Violation]]:
        folder = base / "disk" / "cache"
        power = self._disk(base)
        system = FaultySystem(power, point.fault, point.at)
        promise, found = self._go(folder, system, Promise())
        if point.call == END and promise.release != self.site.goal:
            found.append(Violation("heals", "the steps do not lead there though nothing fails"))
        cuts = [Image.DURABLE]
        if point.fault is Fault.KILL:
            cuts += [Image.ZEROS, Image.TORN]
        elif not system.died:
            system.recover()
            promise, failed = self._go(folder, system, promise)  # the same process tries again
            found += failed
        system.exit()
        seen = [tree(folder)]
        images = 1
        for number, kind in enumerate(cuts):
            power.cut(kind, base / f"cut-{number}")
            left = base / f"cut-{number}" / "cache"
            if (files := tree(left)) not in seen:
                seen.append(files)
                images += 1
                found += self._image(left, promise, _Here())
        next_one = FaultySystem(power)
        found += self._image(folder, promise, next_one)
        next_one.exit()
        # What that process told must survive the power, too: not all that it found was brought to the disk.
        power.cut(Image.DURABLE, base / "last")
        if not found:
            found += kept(self.site, base / "last" / "cache", Promise(state_of(folder)), _Here())
        return images + 1, found

    def _image(self, folder: Path, promise: Promise, system: System) -> list[Violation]:
        found = no_plaintext(self.site, folder)
        found += kept(self.site, folder, promise, system)
        before = _marks(folder)
        found += heals(self.site, folder, system)
        after = _marks(folder)
        if before and (after is None or reached(after, before)):
            found.append(Violation("monotone", "the next sync lowered a mark"))
        return found + no_plaintext(self.site, folder)

    def _disk(self, base: Path) -> PowerSystem:
        (base / "disk").mkdir()
        self.site.lay_out(base / "disk" / "cache")
        return self._make_power(base / "disk")

    def _go(self, folder: Path, system: FaultySystem, promise: Promise) -> tuple[Promise, list[Violation]]:
        """Take the steps; what was told before it ended, and what should not have happened."""
        fault_ahead = not system.calls
        try:
            with self.site.open(folder, system, lie=self.site.lie) as client:
                for step in self.scenario.steps:
                    step(client, folder)
                    promise = Promise(state_of(folder))
        except Killed:
            pass
        except EdgeError as error:
            if not fault_ahead:
                return promise, [Violation("heals", f"the same process tries again and fails: {error}")]
        except OSError as error:
            return promise, [Violation("heals", f"an error that an app does not expect: {error!r}")]
        return promise, []


def run(
    scenarios: Iterable[Scenario] = SCENARIOS,
    faults: Iterable[Fault] = FAULTS,
    every: int = 1,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
    make_power: MakePower = PowerSystem,
) -> Report:
    """Run the suite.

    Args:
        scenarios: which.
        faults: which.
        every: take each so-manieth point of a scenario only; the last one always.
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
            images, violations = prepared.judge(point)
            report.points[scenario.name, point.fault.value] += 1
            report.images += images
            report.violations += [(point, violation) for violation in violations]
        progress(scenario.name, len(chosen), len(chosen))
    return report


def _marks(folder: Path) -> Any:
    try:
        return state_of(folder).marks
    except EdgeError:
        return None


class _Here(System):
    """A process that nothing happens to; its writing is not brought to the disk, which takes time only."""

    def fsync(self, handle: int) -> None:
        """Nothing."""

    def sync_folder(self, path: Path) -> None:
        """Nothing."""
