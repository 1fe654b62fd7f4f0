"""``python -m device_tests.conformance.client``: the command line that the public conformance suite of TUF drives.

The metadata goes the way of an update (:func:`edge_sdk.update.tuf_metadata.run_tuf` over the product's transport),
with three differences that the suite asks for. Files in a folder stand for the cache. What TUF verified before it
failed is kept, whereas the product keeps what it had. Delegated roles are followed, whereas no publication of ours
has any.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import TargetFile

from edge_sdk.errors import EdgeError, InputError, NotAvailable
from edge_sdk.store import Disk
from edge_sdk.update.errors import translated
from edge_sdk.update.fetching import TufFetcher
from edge_sdk.update.http import HttpTransport
from edge_sdk.update.tuf_metadata import Received, run_tuf

_ROOT: Final = "root.json"


def init(disk: Disk, folder: Path, root: Path) -> None:
    """Trust a root.

    Raises:
        EdgeError: there is none, or the disk refuses.
    """
    data = disk.read(root)
    if data is None:
        raise InputError(f"there is no file {root}")
    disk.write(folder / _ROOT, data)


@contextmanager
def refreshed(disk: Disk, folder: Path, fetcher: TufFetcher, url: str) -> Iterator[Received]:
    """Bring the metadata in ``folder`` up to date; what was verified is there after the block, whatever failed.

    Raises:
        InputError: the folder holds no root.
        EdgeError: as of :func:`run_tuf`.
    """
    before = {name: disk.read(folder / name) for name in _documents(disk, folder)}
    root = before.get(_ROOT)
    if root is None:
        raise InputError(f"{folder} holds no {_ROOT}; run init first")
    known = {name: data for name, data in before.items() if data is not None and name != _ROOT}
    files = dict(known)
    try:
        yield run_tuf(files, root, fetcher, url)
    finally:
        for name, data in files.items():
            if "/" not in name and data != before.get(name):
                disk.write(folder / name, data)


def download(
    disk: Disk, fetcher: TufFetcher, received: Received, names: Sequence[str], base: str, folder: Path
) -> None:
    """Make the files of some targets what their metadata says; one that is that already is not fetched.

    Raises:
        NotAvailable: the metadata knows no such target.
        EdgeError: it did not come, or is not what was signed; its file is as it was.
    """
    for name in names:
        with translated(name):
            target = received.updater.get_targetinfo(name)
        if target is None:
            raise NotAvailable(f"there is no target {name}")
        path = folder / quote(name, "")
        held = disk.read(path)
        if held is not None and _matches(target, held):
            continue
        prefixed = bool(received.signed["root"]["consistent_snapshot"])
        with translated(name):
            data = fetcher.download_bytes(f"{base.rstrip('/')}/{_served(target, prefixed)}", target.length)
            target.verify_length_and_hashes(data)
        disk.write(path, data)


def _documents(disk: Disk, folder: Path) -> list[str]:
    return [name for name in disk.names(folder) if name.endswith(".json")]


def _served(target: TargetFile, prefixed: bool) -> str:
    """The path at the server: with the hash before the name, if snapshots are consistent."""
    if not prefixed:
        return target.path
    parent, slash, name = target.path.rpartition("/")
    return f"{parent}{slash}{next(iter(target.hashes.values()))}.{name}"


def _matches(target: TargetFile, data: bytes) -> bool:
    try:
        target.verify_length_and_hashes(data)
    except LengthOrHashMismatchError:
        return False
    return True


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="device_tests.conformance.client")
    parser.add_argument("--metadata-dir", type=Path, required=True)
    parser.add_argument("--metadata-url")
    parser.add_argument("--target-name", action="append", default=[])
    parser.add_argument("--target-base-url")
    parser.add_argument("--target-dir", type=Path)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("init").add_argument("root", type=Path)
    commands.add_parser("refresh")
    commands.add_parser("download")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command of the suite.

    Returns:
        The exit status: 0 if all of it succeeded, and 1 otherwise.
    """
    given = _arguments().parse_args(arguments)
    disk = Disk()
    try:
        if given.command == "init":
            init(disk, given.metadata_dir, given.root)
            return 0
        if given.metadata_url is None:
            raise InputError(f"{given.command} needs --metadata-url")
        if given.command == "download" and (given.target_base_url is None or given.target_dir is None):
            raise InputError("download needs --target-base-url and --target-dir")
        with closing(HttpTransport()) as transport:
            fetcher = TufFetcher(transport)
            with refreshed(disk, given.metadata_dir, fetcher, given.metadata_url) as received:
                if given.command == "download":
                    base, folder = given.target_base_url, given.target_dir
                    download(disk, fetcher, received, given.target_name, base, folder)
    except EdgeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
