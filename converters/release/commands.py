"""``edge keys``: make signing keys, and look at them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_sdk.crypto.options import command_line_passphrase

if TYPE_CHECKING:
    from converters.release.keys import KeyInfo

_COUNT = click.IntRange(1, 9)


@click.group()
def keys() -> None:
    """Make signing keys, one file and one passphrase each, and list them.

    The passphrase of a key comes from COACH_EDGE_PASSPHRASE_<KEYNAME> (COACH_EDGE_PASSPHRASE_ROOT_1 for root-1),
    else from a prompt.
    """


@keys.command()
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder to make; it must not exist yet."
)
@click.option("--roots", type=_COUNT, default=3, show_default=True, help="How many root keys to make.")
@click.option(
    "--root-threshold", type=_COUNT, default=2, show_default=True, help="How many of them must sign."
)
@click.option("--targets", type=_COUNT, default=1, show_default=True, help="How many targets keys to make.")
@click.option(
    "--targets-threshold", type=_COUNT, default=1, show_default=True, help="How many of them must sign."
)
def init(out: Path, roots: int, root_threshold: int, targets: int, targets_threshold: int) -> dict[str, Any]:
    """Make all keys of a new repository and its first root.

    OUT/offline stays with those who sign; OUT/online goes to the server; root.json and app.key go into the app.
    """
    from converters.release import keys as key_files

    plan = key_files.KeyPlan(roots, root_threshold, targets, targets_threshold)
    made = key_files.init_keys(out, command_line_passphrase(confirm=True), datetime.now(UTC), plan=plan)
    return {
        "root": str(out / key_files.ROOT_FILE),
        "app_key": str(out / key_files.APP_KEY_FILE),
        "offline": str(out / key_files.OFFLINE),
        "online": str(out / key_files.ONLINE),
        "root_threshold": root_threshold,
        "targets_threshold": targets_threshold,
        "keys": [_described(info) for info in made],
    }


@keys.command(name="list")
@click.option("--keys", "folder", required=True, type=click.Path(path_type=Path), help="Folder of key files.")
def list_command(folder: Path) -> dict[str, Any]:
    """List the keys in a folder; no passphrase is needed."""
    from converters.release.keys import list_keys

    return {"keys": [_described(info) for info in list_keys(folder)]}


def _described(info: KeyInfo) -> dict[str, str]:
    return {
        "name": info.name,
        "key_id": info.key_id,
        "public_key": info.public_key,
        "path": str(info.path),
    }
