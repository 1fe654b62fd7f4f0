"""``edge selftest``: the fault suite on this machine; a violation is the exit status."""

from __future__ import annotations

from typing import Any

import click

from device_tests.errors import VerdictFailed
from device_tests.faults.suite import PARTS, run


@click.command()
@click.option(
    "--every",
    type=click.IntRange(1, 1000),
    default=4,
    show_default=True,
    help="Take every Nth point only; 1 takes all, in ten minutes or so.",
)
@click.option(
    "--part",
    "parts",
    type=click.Choice(PARTS),
    multiple=True,
    help="Run this part only; may be given several times. All of them by default.",
)
def selftest(every: int, parts: tuple[str, ...]) -> dict[str, Any]:
    """Fail what a device relies on, wherever it can fail, and judge what is left.

    Processes that die, disks that fail, are full or take half, power cuts, networks that lie or never end, clocks
    that jump, damaged files: during installs, upgrades, rollbacks, recalls, erases. Parts that need strace, or root
    and a loop device, are skipped where these are missing, and named. Needs no network and leaves nothing behind.
    The exit status is 1 where anything did not hold.
    """
    progress = click.get_current_context().obj
    outcome = run(parts or PARTS, every, **({"progress": progress} if progress is not None else {}))
    report = outcome.to_json()
    if outcome.bad:
        raise VerdictFailed(
            f"{len(outcome.bad)} violations at {report['points']} points, the first: {outcome.bad[0]}; "
            "report it with the output of --json",
            report,
        )
    return report
