"""How many faults were put into a device's disk and clock calls, and how often an invariant did not hold after."""

from __future__ import annotations

from typing import Any, Final

from device_tests.faults.running import run as run_suite

_EVERY: Final = 4  # still more than a thousand points; ``edge selftest --every 1`` takes all


def run(rounds: int = 15) -> list[dict[str, Any]]:
    """Run the fault suite.

    Args:
        rounds: not used: the points are always the same, and what they find is no matter of time.

    Returns:
        The figures, in the form that ``edge bench`` prints.
    """
    report = run_suite(every=_EVERY)
    points, images = report.points.total(), report.images
    what = f"kill, EIO, ENOSPC and short writes in {len({name for name, _ in report.points})} scenarios"
    return [
        _figure("injected_fsops", points, "calls", points, what),
        _figure("violations", len(report.violations), "", points, f"six invariants on {images} disk images"),
    ]


def _figure(figure_id: str, value: int, unit: str, n: int, note: str) -> dict[str, Any]:
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
