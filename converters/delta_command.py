"""``edge bundle delta``: what devices that have one bundle need to fetch to get another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edge_sdk.crypto.options import app_key_option, bundle_key
from edge_sdk.crypto.sealing import AppKey

_file = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("old", type=_file)
@click.argument("new", type=_file)
@app_key_option
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="File to write.")
def delta(old: Path, new: Path, app_key: AppKey | None, out: Path) -> dict[str, Any]:
    """Write the delta from the bundle OLD to the bundle NEW, proven to give NEW's very bytes.

    It fails where devices would save less than 40 %, and where NEW is deflated: build it with --codec none. To have
    devices use a delta, name OLD when NEW is published: 'edge publish NEW --delta-from OLD'.
    """
    from converters.deltas import make_delta
    from edge_sdk.crypto.sealed_files import read_sealed
    from feature_spec.files import write_whole

    before, after = read_sealed(old), read_sealed(new)
    made = make_delta(before, after, bundle_key(old, before, app_key), bundle_key(new, after, app_key))
    write_whole(out, made)
    return {
        "path": str(out),
        "from": before.sha256,
        "to": after.sha256,
        "bytes": len(made),
        "bundle_bytes": len(after.served),
        "share": round(len(made) / len(after.served), 4),
    }
