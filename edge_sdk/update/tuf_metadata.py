"""TUF's client workflow in memory: nothing here knows the cache, the directives or what they decide."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from tuf.api.metadata import Metadata
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from edge_sdk.store.cache import MAX_ROOT_BYTES
from edge_sdk.trust.accepting import TUF_ROLES
from edge_sdk.update.errors import translated
from edge_sdk.update.roots import MAX_ROTATIONS, root_name


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


_NOWHERE: Final = os.devnull
"""A folder that nothing can be in, for whatever TUF's client may look for on the disk by itself."""


class _InMemory(Updater):
    """TUF's client, whose folder is a mapping: what it verified is the cache's to keep, all of it or nothing."""

    def __init__(
        self, files: MutableMapping[str, bytes], url: str, fetcher: FetcherInterface, root: bytes
    ) -> None:
        self._files = files
        super().__init__(_NOWHERE, url, fetcher=fetcher, config=limits(), bootstrap=root)

    def _load_local_metadata(self, rolename: str) -> bytes:
        data = self._files.get(_file_name(rolename))
        if data is None:
            raise FileNotFoundError(rolename)  # for which TUF's client asks the server
        return data

    def _persist_metadata(self, rolename: str, data: bytes) -> None:
        self._files[_file_name(rolename)] = data

    def _persist_root(self, version: int, data: bytes) -> None:
        self._files[root_name(version)] = data

    def _update_root_symlink(self) -> None:
        self._files["root.json"] = self._files[root_name(self._trusted_set.root.version)]


def _file_name(role: str) -> str:
    return f"{quote(role, '')}.json"


def run_tuf(
    files: MutableMapping[str, bytes], root: bytes, fetcher: FetcherInterface, metadata_url: str
) -> Received:
    """Run TUF's client workflow.

    Args:
        files: those of earlier refreshes, by name, without the root. What is verified is put there, also when the
            workflow fails later on; and every root on the way, by
            :func:`edge_sdk.update.roots.root_name`.
        root: the root that is trusted.
        fetcher: how to reach the server.
        metadata_url: of the folder of the metadata.

    Raises:
        Offline: no network, timeout, HTTP 5xx.
        NotAvailable: the server has no metadata.
        VerificationError: TUF refuses the metadata.
    """
    with translated("metadata"):
        updater = _InMemory(files, metadata_url, fetcher, root)
        updater.refresh()
        top = {f"{role}.json": files[f"{role}.json"] for role in TUF_ROLES}
        # What TUF understood, and not the spelling it came in, is what the signatures cover.
        signed: dict[str, Mapping[str, Any]] = {
            role: Metadata.from_bytes(top[f"{role}.json"]).signed.to_dict() for role in TUF_ROLES
        }
    return Received(top, signed, updater)
