"""Erasing a cache as one transaction: once it is begun, it is finished, by whichever process opens the cache next.

What a device has seen stays: the marks, the trusted metadata and the pinned root, since an erase must not be a way
to roll a device back. The metadata is the publisher's public list of releases, so it names bundles that were
here, as it names those that never were; the marks name the models whose releases they guard.

Files are removed and not overwritten: a flash memory writes elsewhere anyway. What must not be readable from the
bare memory needs a bundle sealed for a key, or a disk that is encrypted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import UUID

from edge_sdk.contract import document
from edge_sdk.contract.document import Fields
from edge_sdk.errors import FormatError, RetryLater
from edge_sdk.features import places
from edge_sdk.store import Cache, Clock, State, lock
from edge_sdk.store.cache import KEYS
from edge_sdk.store.disk import is_private
from feature_spec.canonical import canonical_json

if TYPE_CHECKING:
    from edge_sdk.features.store import FeatureStore

FORMAT: Final = "coach-edge/erase/1"
INTENT: Final = "erase.json"
_MAX_BYTES: Final = 1000
_FOLDERS: Final = ("states", "blobs", "partial", "holds")
_LOCKS: Final = frozenset({"lock", "lock.held", places.LOCK, f"{places.LOCK}.held"})
_STAYS: Final = frozenset({*_FOLDERS, *_LOCKS, INTENT})
_OF_USERS: Final = frozenset({places.FOLDER, places.INTENT})
"""What users did is no model's: it goes with ALL, or with its user."""


class EraseScope(StrEnum):
    """What to erase: what is known of one user; the models; or all, with what tells this installation from others."""

    USER = "user"
    MODELS = "models"
    ALL = "all"


@dataclass(frozen=True)
class Receipt:
    """What an erase did.

    Attributes:
        scope: what was asked for.
        finished: when all of it was gone, by the wall clock.
        models: names of those erased, sorted; none with USER.
        files: how many were removed.
        bytes: how many were in them.
    """

    scope: EraseScope
    finished: datetime
    models: tuple[str, ...]
    files: int
    bytes: int


def erase(cache: Cache, scope: EraseScope, random: Callable[[int], bytes], clock: Clock) -> Receipt:
    """Erase; when this returns, it is on the disk.

    Args:
        cache: whose content.
        scope: what of it.
        random: source of the new install id.
        clock: for the receipt.

    Raises:
        RetryLater: another process is updating the cache; if the erase was begun, the next open finishes it.
        StoreError: the disk refuses; likewise.
    """
    with lock.locked(cache.folder / "lock", cache.disk.system, wait_s=lock.WAIT_S):
        _write_intent(cache, scope)
        return _finish(cache, scope, random, clock)


def finish_erasing(cache: Cache, random: Callable[[int], bytes], clock: Clock) -> Receipt | None:
    """Finish an erase that was begun and not finished; None where there is none.

    Raises:
        RetryLater: the process that erases is still at it.
        StoreError: the disk refuses.
    """
    if cache.disk.stamp(cache.folder / places.INTENT) is not None:
        from edge_sdk.features.forgetting import finish_erasing_user

        finish_erasing_user(cache.folder, cache.disk)
    if cache.disk.stamp(cache.folder / INTENT) is None:
        return None
    with lock.locked(cache.folder / "lock", cache.disk.system, wait_s=lock.WAIT_S):
        data = cache.disk.read(cache.folder / INTENT)
        return None if data is None else _finish(cache, _intended(data), random, clock)


def erase_user(cache: Cache, features: FeatureStore, user: str, clock: Clock) -> Receipt:
    """Erase what is known of one user; when this returns, it is on the disk. The models stay as they are.

    Raises:
        InputError: this is no name of a user.
        RetryLater: another process keeps recording; if the erase was begun, the next open finishes it.
        StoreError: the disk refuses; likewise.
    """
    files, size = features.erase(user)
    return Receipt(EraseScope.USER, clock(), (), files, size)


def _write_intent(cache: Cache, scope: EraseScope) -> None:
    cache.disk.write(cache.folder / INTENT, canonical_json({"format": FORMAT, "scope": scope.value}))


def _intended(data: bytes) -> EraseScope:
    try:
        fields = Fields(document.parse(data, INTENT, max_bytes=_MAX_BYTES), INTENT)
        fields.format(FORMAT)
        scope = EraseScope(fields.text("scope"))
        return EraseScope.ALL if scope is EraseScope.USER else scope  # users have an intent of their own
    except (FormatError, ValueError):
        return EraseScope.ALL  # something was to be erased: rather too much than too little


def _finish(cache: Cache, scope: EraseScope, random: Callable[[int], bytes], clock: Clock) -> Receipt:
    """All steps after the intent; each may have been done before."""
    before = _files(cache, cache.folder)
    models = tuple(sorted(cache.state().models))
    # Keys first: without its key a sealed bundle is noise, whatever happens next.
    cache.disk.remove(cache.folder / KEYS)
    cache.disk.sync_folder(cache.folder)
    install_id = str(UUID(bytes=random(16), version=4)) if scope is EraseScope.ALL else None
    cache.change(lambda state: _erased(state, install_id))
    cache.forget()
    stays = _STAYS | _OF_USERS if scope is EraseScope.MODELS else _STAYS
    with _no_recording(cache, scope):
        for name in cache.disk.names(cache.folder):
            if name not in stays and not is_private(name):
                cache.disk.remove(cache.folder / name)
    _check_gone(cache)
    for folder in (*(cache.folder / name for name in _FOLDERS), cache.folder):
        cache.disk.make_folder(folder)
        cache.disk.sync_folder(folder)
    after = _files(cache, cache.folder)
    cache.disk.remove(cache.folder / INTENT)
    cache.disk.sync_folder(cache.folder)
    removed = [size for path, size in before.items() if path not in after]
    return Receipt(scope, clock(), models, len(removed), sum(removed))


@contextmanager
def _no_recording(cache: Cache, scope: EraseScope) -> Iterator[None]:
    """What is being recorded while all is erased must not put back what went."""
    if scope is EraseScope.MODELS or not cache.disk.is_folder(cache.folder / places.FOLDER):
        yield
        return
    with lock.locked(cache.folder / places.LOCK, cache.disk.system, wait_s=lock.WAIT_S):
        yield


def _erased(state: State, install_id: str | None) -> State:
    return replace(state, models={}, wanted={}, failures={}, install_id=install_id or state.install_id)


def _check_gone(cache: Cache) -> None:
    """Where locks do not work, an update may be running that keeps all blobs: then this is not over."""
    names = {
        name for folder in ("blobs", "partial", KEYS) for name in cache.disk.names(cache.folder / folder)
    }
    if names - cache.state().blobs:
        raise RetryLater(f"{cache.folder} is being updated; open it again to finish erasing")


def _files(cache: Cache, folder: Path) -> dict[Path, int]:
    """Length of every file that holds anything of the cache, by path."""
    found: dict[Path, int] = {}
    for name in cache.disk.names(folder):
        path = folder / name
        if cache.disk.is_folder(path):
            found |= _files(cache, path)
        elif name not in _STAYS and (stamp := cache.disk.stamp(path)) is not None:
            found[path] = stamp[1]
    return found
