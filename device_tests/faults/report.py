"""What a run of the fault suite came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from device_tests.faults.invariants import Violation


class Point(NamedTuple):
    """Where something fails: the fault at the call with this number and name."""

    scenario: str
    fault: str
    at: int
    call: str


@dataclass
class Report:
    """What came out.

    Attributes:
        points: how many were run, by scenario and fault.
        images: how many different states of the disk they left, summed over the points.
        judged: how many of these were not equal, to the byte and in what the app was told, to one judged before.
        violations: with the points at which they showed.
    """

    points: Counter[tuple[str, str]] = field(default_factory=Counter)
    images: int = 0
    judged: int = 0
    violations: list[tuple[Point, Violation]] = field(default_factory=list)

    def add(self, point: Point, violations: list[Violation], *, images: int = 1, judged: int = 1) -> None:
        """Count one point."""
        self.points[point.scenario, str(point.fault)] += 1
        self.images += images
        self.judged += judged
        self.violations += [(point, violation) for violation in violations]

    def merge(self, other: Report) -> None:
        """Count all of another report."""
        self.points += other.points
        self.images += other.images
        self.judged += other.judged
        self.violations += other.violations

    def to_json(self) -> dict[str, Any]:
        """For people and programs: counts, and every violation."""
        scenarios: dict[str, dict[str, int]] = {}
        for (scenario, fault), number in self.points.items():
            scenarios.setdefault(scenario, {})[fault] = number
        return {
            "points": self.points.total(),
            "disk_images": self.images,
            "judged_images": self.judged,
            "scenarios": scenarios,
            "violations": [
                {**point._asdict(), "fault": str(point.fault), **violation._asdict()}
                for point, violation in self.violations
            ],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Report:
        """The report that :meth:`to_json` gave."""
        points = {(s, fault): n for s, faults in value["scenarios"].items() for fault, n in faults.items()}
        violations = [
            (
                Point(*(found[name] for name in Point._fields)),
                Violation(*(found[name] for name in Violation._fields)),
            )
            for found in value["violations"]
        ]
        return cls(Counter(points), value["disk_images"], value["judged_images"], violations)
