"""Where what lies in the object store, and reading a pointer together with its version."""

from __future__ import annotations

import hashlib

from model_server.errors import Conflict, StorageError
from model_server.storage import ObjectStore

TIMESTAMP = "metadata/timestamp.json"
DIRECTIVES = "directives.json"
MAX_REQUEST_BYTES = 100_000
MAX_PUBLICATION_BYTES = 32_000_000
"""Targets and manifest at their limits, with the third that base64 adds, and some roots."""

ATTEMPTS = 16
"""How often a lost race is run again before giving up."""


def object_key(sha256: str) -> str:
    """An immutable object under its own digest: bundle, segment list, manifest, targets."""
    return f"objects/{sha256}"


def delta_key(base: str, wanted: str) -> str:
    """What says which object is the delta from one bundle to another; immutable."""
    return f"deltas/{base}/{wanted}"


def root_key(version: int) -> str:
    """An immutable version of the root."""
    return f"metadata/{version}.root.json"


def targets_key(version: int) -> str:
    """A version of the targets, under the name that TUF clients ask for."""
    return f"metadata/{version}.targets.json"


def snapshot_key(version: int) -> str:
    """An immutable version of the snapshot."""
    return f"metadata/{version}.snapshot.json"


def digest(data: bytes) -> str:
    """SHA-256 in lower-case hex."""
    return hashlib.sha256(data).hexdigest()


def put_object(store: ObjectStore, data: bytes) -> str:
    """Store bytes under their digest and return it.

    Raises:
        StorageError: the store holds other bytes under this digest.
    """
    sha256 = digest(data)
    if not store.put_if_absent(object_key(sha256), data) and store.get(object_key(sha256)) != data:
        raise StorageError(f"{object_key(sha256)} holds other bytes than its name says; restore the store")
    return sha256


def read_pointer(store: ObjectStore, key: str) -> tuple[bytes, str] | None:
    """The bytes of a pointer and exactly their version; None where there is none.

    Raises:
        Conflict: it changes faster than it can be read.
    """
    for _ in range(ATTEMPTS):
        before = store.head(key)
        if before is None:
            return None
        data = store.get(key)
        if store.head(key) == before:
            return data, before.etag
    raise Conflict(f"{key} is changing all the time; try again")


def write_named(store: ObjectStore, key: str, data: bytes) -> None:
    """Make a key hold these bytes, whatever an interrupted publication may have left there.

    Raises:
        Conflict: others keep writing there.
    """
    for _ in range(ATTEMPTS):
        if store.put_if_absent(key, data):
            return
        pointer = read_pointer(store, key)
        if pointer is not None and pointer[0] == data:
            return
        try:
            store.replace_if_match(key, data, pointer[1] if pointer else None)
        except Conflict:
            continue
        return
    raise Conflict(f"{key} is changing all the time; try again")
