"""``edge replay``: predictions of a device computed again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from device_tests.errors import VerdictFailed
from edge_sdk.commands import CACHE_OPTION, ENGINE_OPTION
from edge_sdk.crypto.options import credential_option
from edge_sdk.errors import EdgeError

if TYPE_CHECKING:
    from edge_sdk.crypto.credentials import Credential


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@CACHE_OPTION
@credential_option
@ENGINE_OPTION
def replay(file: Path, cache: Path, credential: Credential | None, engine: str) -> dict[str, Any]:
    """Compute the predictions of the replay records in FILE again, offline, and compare them bit for bit.

    FILE is what an app exported, or what 'edge predict --replay' wrote. The bundle that made a prediction must
    still be in the cache. The exit status is 1 where anything differs.
    """
    from edge_sdk.client import EdgeClient
    from edge_sdk.predict.replay import parse_log

    try:
        records = parse_log(file.read_bytes())
    except EdgeError as error:
        raise type(error)(f"{file}: {error}") from error
    rows = []
    with EdgeClient.open(cache, credential=credential, engine=engine) as client:
        for number, record in enumerate(records, start=1):
            try:
                done = client.replay(record)
            except EdgeError as error:
                raise type(error)(f"{file}: record {number}: {error}") from error
            rows.append(
                {
                    "record": number,
                    "model": record.model,
                    "release": record.release,
                    "equal": done.equal,
                    "differences": list(done.differences),
                    "circumstances": list(done.circumstances),
                }
            )
    different = [row["record"] for row in rows if not row["equal"]]
    report = {"records": len(rows), "equal": len(rows) - len(different), "replays": rows}
    if different:
        raise VerdictFailed(
            f"{len(different)} of {len(rows)} predictions are not the same to the bit, the first is record "
            f"{different[0]}",
            report,
        )
    return report
