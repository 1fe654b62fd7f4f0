"""``edge selftest``: the fault suite on this machine; a violation is the exit status."""

from __future__ import annotations

from typing import Any

import click

from device_tests.errors import VerdictFailed
from device_tests.faults.running import run


@click.command()
@click.option(
    "--every",
    type=click.IntRange(1, 1000),
    default=4,
    show_default=True,
    help="Take each so-manieth point only; 1 takes all, in some minutes.",
)
def selftest(every: int) -> dict[str, Any]:
    """Fail at the disk and clock calls of installs, upgrades, rollbacks and recalls; judge what is left.

    Processes that die, disks that fail or are full, short writes, and power cuts in between. Needs no network and
    leaves nothing behind.
    """
    progress = click.get_current_context().obj
    report = run(every=every, **({"progress": progress} if progress is not None else {})).to_json()
    violations = report["violations"]
    if violations:
        first = violations[0]
        raise VerdictFailed(
            f"{len(violations)} violations at {report['points']} points, the first: {first['scenario']}, "
            f"{first['fault']} at call {first['at']} ({first['call']}): {first['invariant']}: {first['detail']}; "
            "report it with the output of --json",
            report,
        )
    return report
