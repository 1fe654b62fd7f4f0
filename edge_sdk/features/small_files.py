"""The small files beside those of users: the secret that names are digested with, and what is remembered."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from edge_sdk.contract import document
from edge_sdk.contract.document import Fields
from edge_sdk.errors import FormatError, StoreError
from edge_sdk.features.clocks import Known
from edge_sdk.features.receipts import Dropped
from edge_sdk.features.room import SMALL
from edge_sdk.store.disk import Disk
from feature_spec.canonical import canonical_json

*_SALTS, _CLOCK, _DROPPED = SMALL
_CLOCK_FORMAT: Final = "coach-edge/feature-clock/1"
_DROPPED_FORMAT: Final = "coach-edge/features-dropped/1"
_SALT_BYTES: Final = 32
_CHECK_BYTES: Final = 16
_MAX_BYTES: Final = 2_000


class SmallFiles:
    """The secret is there twice: without it nobody is found, so one damaged block must not cost everything.

    Args:
        folder: where they lie.
        disk: how to reach it.

    Every method raises StoreError where the disk refuses.
    """

    def __init__(self, folder: Path, disk: Disk) -> None:
        self.folder, self._disk = folder, disk

    # -- the secret ------------------------------------------------------------------------------------

    def salt(self) -> bytes | None:
        """The secret that names are digested with; None where nothing was ever told, or both copies are damaged."""
        refused = None
        for name in _SALTS:
            try:
                salt = self._read_salt(name)
            except StoreError as error:
                refused = error
                continue
            if salt is not None:
                return salt
        if refused is not None:
            raise refused
        return None

    def make_salt(self) -> bytes:
        """A new secret, on the disk."""
        salt = self._disk.system.random(_SALT_BYTES)
        self._disk.write_all(self.folder, dict.fromkeys(_SALTS, _checked(salt)))
        return salt

    def mend_salt(self, salt: bytes) -> None:
        """See to it that both copies of the secret are whole."""
        for name in _SALTS:
            try:
                whole = self._read_salt(name) == salt
            except StoreError:
                whole = False
            if not whole:
                self._disk.write(self.folder / name, _checked(salt))

    def _read_salt(self, name: str) -> bytes | None:
        data = self._disk.read(self.folder / name)
        salt = b"" if data is None else data[:_SALT_BYTES]
        return salt if data == _checked(salt) and len(salt) == _SALT_BYTES else None

    # -- what is remembered ----------------------------------------------------------------------------

    def dropped(self) -> Dropped:
        """What was given up since the store was made."""
        f = self._small(_DROPPED, _DROPPED_FORMAT)
        try:
            return Dropped() if f is None else Dropped(**{why: f.integer(why) for why in Dropped.__slots__})
        except FormatError:
            return Dropped()

    def count(self, dropped: Dropped) -> None:
        """Add to that, when nobody else writes."""
        if dropped:
            total = self.dropped() + dropped
            counts = {why: getattr(total, why) for why in Dropped.__slots__}
            self._disk.write(self.folder / _DROPPED, canonical_json({"format": _DROPPED_FORMAT, **counts}))

    def clocks(self) -> Known:
        """What is remembered of the clocks."""
        f = self._small(_CLOCK, _CLOCK_FORMAT)
        try:
            if f is not None:
                return Known(f.integer("era"), f.text("boot"), f.number("offset"), f.number("wall"))
        except FormatError:
            pass
        return Known()

    def remember_clocks(
        self, update: Callable[[Known], Known], worth: Callable[[Known, Known], bool]
    ) -> Known:
        """Change that, when nobody else writes; written only where it is worth it."""
        before = self.clocks()
        after = update(before)
        if worth(before, after):
            self._disk.write(
                self.folder / _CLOCK, canonical_json({"format": _CLOCK_FORMAT, **after._asdict()})
            )
        return after

    def _small(self, name: str, format_: str) -> Fields | None:
        data = self._disk.read(self.folder / name)
        try:
            if data is None:
                return None
            f = Fields(document.parse(data, name, max_bytes=_MAX_BYTES), name)
            f.format(format_)
        except FormatError:
            return None
        return f


def _checked(salt: bytes) -> bytes:
    return salt + hashlib.sha256(salt).digest()[:_CHECK_BYTES]
