"""The ``serve`` command."""

from __future__ import annotations

import os
import signal
import threading
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_sdk.crypto.options import command_line_passphrase
from model_server.errors import StartError

if TYPE_CHECKING:
    from model_server.key_provider import KeyProvider


@click.command()
@click.option(
    "--root",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Root metadata that clients trust (root.json of 'edge keys init').",
)
@click.option(
    "--keys",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder with snapshot.key, timestamp.key and director.key, and no other key.",
)
@click.option(
    "--data",
    default=Path("edge-data"),
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the admin token and, by default, database and objects.",
)
@click.option(
    "--storage",
    metavar="URL",
    help="Where objects lie: a folder or s3://bucket/prefix. Default: DATA/objects.",
)
@click.option(
    "--database", metavar="URL", help="Catalogue, as SQLAlchemy writes it. Default: SQLite in DATA."
)
@click.option(
    "--bind",
    metavar="HOST:PORT",
    default="127.0.0.1:8765",
    show_default=True,
    help="Where to listen; port 0 takes a free one.",
)
@click.option(
    "--origin",
    "origins",
    multiple=True,
    metavar="URL",
    help="Address by which devices come, where that is not the one of --bind, as behind a proxy; they prove it when "
    "they enrol. May be repeated.",
)
@click.option(
    "--kms-key",
    metavar="ARN",
    help="Key of AWS KMS that wraps the data keys of bundles for enrolled devices; credentials are those of the "
    "environment. Default: a key of the server's own in DATA/key-encryption-keys.",
)
@click.option(
    "--lease-days",
    type=click.IntRange(1, 366),
    default=30,
    show_default=True,
    help="How long a device may use a data key before it asks again, and so how long a recalled release, or a revoked "
    "device, may go on offline.",
)
def serve(
    root: Path,
    keys: Path,
    data: Path,
    storage: str | None,
    database: str | None,
    bind: str,
    origins: tuple[str, ...],
    kms_key: str | None,
    lease_days: int,
) -> dict[str, Any]:
    """Serve signed releases until stopped (Ctrl-C or SIGTERM).

    The admin token is taken from COACH_EDGE_TOKEN, or made at the first start and kept in DATA. Passphrases
    of the keys are taken from COACH_EDGE_PASSPHRASE_SNAPSHOT, ..._TIMESTAMP and ..._DIRECTOR, or asked for.
    """
    from model_server.serve import require_extras, start

    require_extras()
    from model_server.keys import load_keys
    from model_server.settings import Settings
    from model_server.token_file import FILE, VARIABLE

    settings = Settings(origins=_origins(origins), lease_lifetime=timedelta(days=lease_days))
    provider = None if kms_key is None else _kms(kms_key)
    try:
        root_bytes = root.read_bytes()
    except OSError as error:
        raise StartError(
            f"cannot read --root {root}: {error.strerror}; 'edge keys init' makes one"
        ) from error
    online = load_keys(keys, root_bytes, command_line_passphrase())
    stop = threading.Event()
    # In place before the first request can come, so that a supervisor's signal is never lost.
    before = {name: signal.signal(name, lambda *_: stop.set()) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        token = os.environ.get(VARIABLE)
        with start(
            root=root_bytes,
            keys=online,
            data=data,
            storage=storage,
            database=database,
            bind=bind,
            token=token,
            settings=settings,
            key_provider=provider,
        ) as server:
            where = VARIABLE if token is not None else str(data / FILE)
            click.echo(f"Serving on {server.url}; the admin token is in {where}. Ctrl-C stops.", err=True)
            stop.wait()
            return {"url": server.url, "stopped": True}
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def _origins(addresses: tuple[str, ...]) -> tuple[str, ...]:
    from edge_sdk.contract.key_blob import origin_of
    from edge_sdk.errors import FormatError

    try:
        return tuple(dict.fromkeys(origin_of(address) for address in addresses))
    except (FormatError, ValueError) as error:
        raise StartError(f"--origin: {error}; write an address such as https://models.example") from error


def _kms(arn: str) -> KeyProvider:
    from model_server.kms import KmsKeyProvider, connect

    # Not an alias: a key's name is kept with what it wrapped. The ARN says in which region it is.
    parts = arn.split(":")
    if len(parts) != 6 or parts[0] != "arn" or parts[2] != "kms" or not parts[5].startswith("key/"):
        raise StartError(f"--kms-key {arn}: write the ARN of a key, arn:aws:kms:REGION:ACCOUNT:key/ID")
    return KmsKeyProvider(connect(parts[3]), arn)
