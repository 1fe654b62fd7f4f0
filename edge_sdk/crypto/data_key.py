"""The data key of one bundle of the tier ``device-key``, on its way from the seal to the server or into a device."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from edge_sdk.contract.entry import Entry
from edge_sdk.errors import InputError, VerificationError

DATA_KEY_BYTES = 32


@dataclass(frozen=True)
class DataKey:
    """32 bytes that open one bundle. Where ``open_key_blob`` got them, they are gone with the process."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != DATA_KEY_BYTES:
            raise InputError(f"a data key has {DATA_KEY_BYTES} bytes, not {len(self.secret)}")

    @classmethod
    def fresh(cls, random: Callable[[int], bytes] = os.urandom) -> DataKey:
        """A key for one seal; never use it for a second."""
        return cls(random(DATA_KEY_BYTES))

    @property
    def key_id(self) -> str:
        """``data-`` and the first 16 hex digits of SHA-256 of a label and the key; tells keys apart, no more."""
        return "data-" + hashlib.sha256(b"coach-edge/data-key-id/1\0" + self.secret).hexdigest()[:16]

    def checked_for(self, entry: Entry) -> bytes:
        """The key, which is the one that the entry names.

        Raises:
            VerificationError: it is not.
        """
        if self.key_id != entry.key_id:
            raise VerificationError(
                f"{entry.path} does not open with this data key: it is sealed with {entry.key_id}, not {self.key_id}"
            )
        return self.secret
