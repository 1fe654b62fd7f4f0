"""How many faults were put under a device, and how often an invariant did not hold after; damaged bundles likewise."""

from __future__ import annotations

from typing import Any, Final

from device_tests.faults.suite import Outcome
from device_tests.faults.suite import run as run_suite

_EVERY: Final = 4  # still thousands of points; ``edge selftest --every 1`` takes all
_REST: Final = ("disk", "network", "system calls", "ext4")


def run(rounds: int = 15) -> list[dict[str, Any]]:
    """Run the fault suite: a share of the points, and all of the corruptions.

    Args:
        rounds: not used: the points are always the same, and what they find is no matter of time.

    Returns:
        The figures, in the form that ``edge bench`` prints. What this machine cannot run is null, and its note says
        why.
    """
    return figures(run_suite(_REST, _EVERY), run_suite(("corruptions",), 1))


def figures(outcome: Outcome, damaged: Outcome) -> list[dict[str, Any]]:
    """The figures of two runs."""
    total, damage = outcome.total, damaged.damage
    assert damage is not None
    judged = f"six invariants on {total.images} states of the disk, {total.judged} of them different"
    count = damage.total()
    return [
        _points(outcome, "injected_fsops", "disk", "kill, EIO, ENOSPC, short writes, each with power cuts"),
        _points(outcome, "injected_syscalls", "system calls", "by strace: kill, EIO, ENOSPC"),
        _points(outcome, "spoilt_answers", "network", "of a server, and clocks that jump meanwhile"),
        _points(outcome, "power_cuts", "ext4", "on a real file system, the journal replayed"),
        _figure("violations", len(total.violations), "", total.points.total(), judged),
        _figure("corruptions", count, "bundles", count, "flips, holes, truncations and others, real engine"),
        _figure("wrong_answers", damage.total("wrong", "error"), "", count, "of them"),
        _figure("host_deaths", damage.total("death"), "", count, "of them"),
    ]


def _points(outcome: Outcome, figure_id: str, part: str, note: str) -> dict[str, Any]:
    if part in outcome.skipped:
        return _figure(figure_id, None, "points", 0, f"not run: {outcome.skipped[part]}")
    points = outcome.reports[part].points
    value = points.total()
    return _figure(
        figure_id, value, "points", value, f"{note}, in {len({name for name, _ in points})} scenarios"
    )


def _figure(figure_id: str, value: int | None, unit: str, n: int, note: str) -> dict[str, Any]:
    return {
        "id": figure_id,
        "value": value,
        "unit": unit,
        "control": None,
        "control_value": None,
        "ratio": None,
        "n": n,
        "note": note,
    }
