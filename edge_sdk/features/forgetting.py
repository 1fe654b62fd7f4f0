"""Erasing one user: what he did, what was told of him, and what would say that he was here."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edge_sdk.contract import document
from edge_sdk.contract.document import Fields
from edge_sdk.errors import FormatError
from edge_sdk.features.places import INTENT
from edge_sdk.features.settings import FeatureSettings
from edge_sdk.features.users import Users
from edge_sdk.store.disk import Disk
from feature_spec.canonical import canonical_json

FORMAT: Final = "coach-edge/features-erase/1"
_MAX_BYTES: Final = 1000


def erase_user(users: Users, cache_folder: Path, disk: Disk, user: str) -> tuple[int, int]:
    """Erase a user; when this returns, it is on the disk.

    Returns:
        How many files were removed, and the bytes in them.

    Raises:
        RetryLater: another process writes all the time; if the erase was begun, the next open finishes it.
        StoreError: the disk refuses; likewise.
    """
    with users.excluding():
        _finish_begun(users, cache_folder, disk)
        salt = users.salt()
        if salt is None and not disk.names(users.folder):
            return 0, 0
        label = None if salt is None else users.label(user, salt)
        disk.write(cache_folder / INTENT, canonical_json({"format": FORMAT, "label": label}))
        return _finish(users, cache_folder, disk, label)


def finish_erasing_user(cache_folder: Path, disk: Disk) -> None:
    """Finish an erase that was begun and not finished.

    Raises:
        RetryLater: another process writes all the time.
        StoreError: the disk refuses.
    """
    users = Users(cache_folder, disk, FeatureSettings())
    with users.excluding():
        _finish_begun(users, cache_folder, disk)


def _finish_begun(users: Users, cache_folder: Path, disk: Disk) -> None:
    data = disk.read(cache_folder / INTENT)
    if data is not None:
        _finish(users, cache_folder, disk, _intended(data))


def _intended(data: bytes) -> str | None:
    try:
        f = Fields(document.parse(data, INTENT, max_bytes=_MAX_BYTES), INTENT)
        f.format(FORMAT)
        return f.text("label")
    except FormatError:
        return None


def _finish(users: Users, cache_folder: Path, disk: Disk, label: str | None) -> tuple[int, int]:
    """All steps after the intent; each may have been done before."""
    files, size = (0, 0) if label is None else users.remove(label)
    left, bytes_left = users.remove_private()
    if label is None or not users.labels():
        # Where the intent cannot be read, or the secret without which no file is anybody's, nobody knows whom to erase:
        # rather too much than too little. And with the last user goes the secret that names were digested with.
        more, bytes_more = users.remove_rest()
        files, size = files + more, size + bytes_more
    else:
        disk.sync_folder(users.folder)
    disk.remove(cache_folder / INTENT)
    disk.sync_folder(cache_folder)
    return files + left, size + bytes_left
