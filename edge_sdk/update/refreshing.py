"""Refreshing the metadata: TUF's client on a private copy, then the directives, then one flip of the pointer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tuf.api.metadata import Metadata
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from edge_sdk.contract import directives
from edge_sdk.crypto import dsse
from edge_sdk.errors import StoreError
from edge_sdk.loading import Progress, silent
from edge_sdk.store import Cache, Clock, disk
from edge_sdk.trust import NotTogether, Trusted, accept, check_clock
from edge_sdk.trust.accepting import TUF_ROLES
from edge_sdk.update.errors import Offline, translated
from edge_sdk.update.policy import Refreshed, RefreshStatus

DIRECTIVES_MAX_LENGTH: Final = directives.MAX_BYTES * 4 // 3 + 10_000
"""Base64 of the largest payload, and signatures."""
assert DIRECTIVES_MAX_LENGTH <= dsse.MAX_BYTES

_TRIES: Final = 2


def limits() -> UpdaterConfig:
    """What TUF's client reads of each role at most, in bytes, and how many new roots in one refresh."""
    return UpdaterConfig(
        max_root_rotations=256,
        root_max_length=512_000,
        timestamp_max_length=16_384,
        snapshot_max_length=100_000,
        targets_max_length=5_000_000,
    )


def refresh(
    cache: Cache, fetcher: FetcherInterface, server: str, clock: Clock, progress: Progress = silent
) -> tuple[Refreshed, Trusted | None]:
    """Bring the metadata up to date; the caller holds the cache's lock.

    1. The clock is not before the newest signed time seen.
    2. TUF's client workflow runs on a private copy of the metadata, from the root that is trusted now.
    3. The directives are fetched.
    4. Both are judged together (:func:`edge_sdk.trust.accept`); once more from 2 if they are of different
       publications, since one may have happened between the two requests.
    5. What changed is stored, and the pointer is flipped.

    Args:
        cache: whose state is replaced if anything changed.
        fetcher: how to reach the server.
        server: its URL.
        clock: the wall clock.
        progress: told the stage ``metadata``.

    Returns:
        The outcome, and what is trusted now; None when offline.

    Raises:
        VerificationError: anything is not as it must be; the cache is as it was.
        NotAvailable: the server has no metadata.
        StoreError: the disk refuses.
    """
    state, now = cache.state(), clock()
    check_clock(state.marks, now)  # 1
    progress("metadata", 0, 1)
    try:
        received, trusted = _receive(cache, fetcher, server, now)
    except Offline as error:
        return Refreshed(RefreshStatus.OFFLINE, str(error)), None
    trust = {name: cache.put(data) for name, data in received.items()}  # 5
    progress("metadata", 1, 1)
    if trust == state.trust and trusted.marks == state.marks:
        return Refreshed(RefreshStatus.UNCHANGED), trusted
    cache.commit(replace(state, trust=trust, marks=trusted.marks))
    return Refreshed(RefreshStatus.UPDATED), trusted


def _receive(
    cache: Cache, fetcher: FetcherInterface, server: str, now: datetime
) -> tuple[Mapping[str, bytes], Trusted]:
    for attempt in range(1, _TRIES + 1):
        with cache.scratch() as folder:
            metadata, signed = _run_tuf(cache, fetcher, server, folder)  # 2
        with translated("directives"):  # 3
            envelope = fetcher.download_bytes(f"{server}/v1/directives", DIRECTIVES_MAX_LENGTH)
        try:
            trusted = accept(signed, envelope, cache.state().marks, now)  # 4
        except NotTogether:
            if attempt == _TRIES:
                raise
        else:
            return {**metadata, "directives.json": envelope}, trusted
    raise AssertionError("the last attempt returns or raises")


def _run_tuf(
    cache: Cache, fetcher: FetcherInterface, server: str, folder: Path
) -> tuple[dict[str, bytes], dict[str, Mapping[str, Any]]]:
    """TUF's client workflow in ``folder``, which holds what was trusted before as far as it is undamaged."""
    state = cache.state()
    known = {name: cache.verified(digest) for name, digest in state.trust.items()}
    root = known.pop("root.json", None) or cache.verified(state.pinned_root)
    if root is None:
        raise StoreError(
            f"the root that {cache.folder} trusts is damaged; delete that folder and fetch again, nothing else is lost"
        )
    for name, data in known.items():
        if data is not None:
            disk.write_scratch(folder / name, data)
    with disk.stored("keep metadata in", folder), translated("metadata"):
        updater = Updater(
            str(folder),
            f"{server}/metadata/",
            fetcher=fetcher,
            config=limits(),
            bootstrap=root,
        )
        updater.refresh()
        received = {f"{role}.json": (folder / f"{role}.json").read_bytes() for role in TUF_ROLES}
        # What TUF understood, and not the spelling it came in, is what the signatures cover.
        signed: dict[str, Mapping[str, Any]] = {
            role: Metadata.from_bytes(received[f"{role}.json"]).signed.to_dict() for role in TUF_ROLES
        }
    return received, signed
