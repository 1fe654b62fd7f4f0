"""TUF's client workflow in a folder of its own: nothing here knows the cache, the directives or what they decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuf.api.metadata import Metadata
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from edge_sdk.store import Disk
from edge_sdk.store.cache import MAX_ROOT_BYTES
from edge_sdk.store.disk import stored
from edge_sdk.trust.accepting import TUF_ROLES
from edge_sdk.update.errors import translated
from edge_sdk.update.roots import MAX_ROTATIONS


@dataclass(frozen=True)
class Received:
    """What TUF's client trusts after a refresh.

    Attributes:
        files: the bytes of the top-level roles, by file name.
        signed: what their signatures cover, by role.
        updater: TUF's client, for whoever asks it for delegated roles.
    """

    files: Mapping[str, bytes]
    signed: Mapping[str, Mapping[str, Any]]
    updater: Updater


def limits() -> UpdaterConfig:
    """What TUF's client reads of each role at most, in bytes, and how many new roots in one refresh."""
    return UpdaterConfig(
        max_root_rotations=MAX_ROTATIONS,
        root_max_length=MAX_ROOT_BYTES,
        timestamp_max_length=16_384,
        snapshot_max_length=100_000,
        targets_max_length=5_000_000,
    )


def run_tuf(
    disk: Disk,
    folder: Path,
    known: Mapping[str, bytes],
    root: bytes,
    fetcher: FetcherInterface,
    metadata_url: str,
) -> Received:
    """Run TUF's client workflow in ``folder``.

    Args:
        disk: writes the known files.
        folder: private and empty. TUF's client writes there what it verified, also when it fails later on.
        known: the files of earlier refreshes, by name, without the root.
        root: the root that is trusted.
        fetcher: how to reach the server.
        metadata_url: of the folder of the metadata.

    Raises:
        Offline: no network, timeout, HTTP 5xx.
        NotAvailable: the server has no metadata.
        VerificationError: TUF refuses the metadata.
        StoreError: the disk refuses.
    """
    for name, data in known.items():
        disk.write_scratch(folder / name, data)
    with stored("keep metadata in", folder), translated("metadata"):
        updater = Updater(str(folder), metadata_url, fetcher=fetcher, config=limits(), bootstrap=root)
        updater.refresh()
        files = {f"{role}.json": (folder / f"{role}.json").read_bytes() for role in TUF_ROLES}
        # What TUF understood, and not the spelling it came in, is what the signatures cover.
        signed: dict[str, Mapping[str, Any]] = {
            role: Metadata.from_bytes(files[f"{role}.json"]).signed.to_dict() for role in TUF_ROLES
        }
    return Received(files, signed, updater)
