"""All parts of the fault suite, as far as this machine can run them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from device_tests.errors import ToolMissing
from device_tests.faults import corruptions, ext4, features, network, running, syscalls, telemetry
from device_tests.faults.corruptions import Damage
from device_tests.faults.report import Report
from device_tests.faults.running import Progress, unwatched

PARTS: Final = ("disk", "network", "system calls", "ext4", "corruptions")


@dataclass
class Outcome:
    """What came of it.

    Attributes:
        reports: by part, of those that were run.
        damage: of the corruptions; None where they were not run.
        skipped: why a part was not run, by part.
    """

    reports: dict[str, Report] = field(default_factory=dict)
    damage: Damage | None = None
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def total(self) -> Report:
        """All reports in one."""
        whole = Report()
        for report in self.reports.values():
            whole.merge(report)
        return whole

    @property
    def bad(self) -> list[str]:
        """What should not have happened, a line each."""
        said = [
            f"{point.scenario}, {point.fault} at call {point.at} ({point.call}): {found.invariant}: {found.detail}"
            for point, found in self.total.violations
        ]
        return said + (self.damage.bad if self.damage else [])

    def to_json(self) -> dict[str, Any]:
        """For people and programs."""
        shown = {**self.total.to_json(), "skipped": self.skipped}
        if self.damage is not None:
            outcomes: dict[str, dict[str, int]] = {}
            for (target, outcome), number in sorted(self.damage.outcomes.items()):
                outcomes.setdefault(target, {})[outcome] = number
            shown["corruptions"] = {
                "total": self.damage.total(),
                "outcomes": outcomes,
                "bad": self.damage.bad,
            }
        return shown


def run(parts: Sequence[str] = PARTS, every: int = 1, progress: Progress = unwatched) -> Outcome:
    """Run parts of the suite.

    Args:
        parts: which.
        every: take every Nth point only, and as large a share of the corruptions; of the system calls and the
            steps on ext4, which take longer, a third of that.
        progress: told the scenario, how many points are done, and how many there are.
    """
    outcome = Outcome()
    for part in parts:
        try:
            if part == "disk":
                outcome.reports[part] = running.run(every=every, progress=progress)
                outcome.reports[part].merge(telemetry.run(every, progress))
                outcome.reports[part].merge(features.run(every, progress))
            elif part == "network":
                outcome.reports[part] = network.run(every, progress)
            elif part == "system calls":
                outcome.reports[part] = syscalls.run(every=_longer(every), progress=progress)
            elif part == "ext4":
                outcome.reports[part] = ext4.run(every=_longer(every), progress=progress)
            else:
                outcome.damage = corruptions.run(-(-corruptions.ALL // every), progress)
        except ToolMissing as error:
            outcome.skipped[part] = str(error)
    return outcome


def _longer(every: int) -> int:
    return every if every == 1 else 3 * every
