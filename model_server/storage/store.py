"""The interface of an object store, and what a key may look like."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from model_server.errors import StorageError

MAX_KEY_LENGTH = 200
# Lower case only: a store may lie on a file system that does not tell cases apart. No part starts with a dot,
# so that no key climbs out of a folder, and names with a dot are free for a store's own temporary files.
_PART = r"[a-z0-9][a-z0-9._-]*"
_KEY = re.compile(rf"{_PART}(?:/{_PART})*")
_PREFIX = re.compile(rf"(?:{_PART}/)*(?:{_PART})?")


@dataclass(frozen=True)
class Stat:
    """What is known of an object without its bytes.

    ``etag`` is a version: it changes when the content changes and means nothing else. With S3 in particular it
    is not a checksum.
    """

    size: int
    etag: str


class ObjectStore(ABC):
    """Bytes under keys. Every method may raise StorageError when the store cannot be reached.

    Writing is atomic and durable: whoever reads sees a whole object or none, also after a crash, and a write
    that has returned stays. No key may be the folder of another (``a`` beside ``a/b``).
    """

    @abstractmethod
    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """The bytes from ``start`` on, at most ``length`` of them; nothing beyond the end.

        Raises:
            ObjectNotFound: no such object.
        """

    @abstractmethod
    def head(self, key: str) -> Stat | None:
        """Size and version; None where there is no object."""

    @abstractmethod
    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Create the object; False, and nothing changed, where there is one already."""

    @abstractmethod
    def replace_if_match(self, key: str, data: bytes, etag: str | None) -> str:
        """Replace the object of version ``etag`` (None: there must be none); the new version.

        Raises:
            Conflict: the object has another version; nothing changed.
        """

    @abstractmethod
    def list(self, prefix: str) -> Iterator[str]:
        """The keys that start with ``prefix``, in the order of their characters."""


def check_key(key: str) -> str:
    """The key, if it is one.

    Raises:
        StorageError: characters, dots or length that a key does not have.
    """
    if len(key) > MAX_KEY_LENGTH or not _KEY.fullmatch(key):
        raise StorageError(
            f"{key!r} is not an object key: use up to {MAX_KEY_LENGTH} of a-z 0-9 . _ - in parts that start "
            "with a letter or digit, with '/' between them"
        )
    return key


def check_prefix(prefix: str) -> str:
    """The prefix, if a key could start with it."""
    if len(prefix) > MAX_KEY_LENGTH or not _PREFIX.fullmatch(prefix):
        raise StorageError(f"{prefix!r} is not the start of an object key")
    return prefix


def check_range(start: int, length: int | None) -> None:
    """Refuse negative ranges, which slices would silently take from the end."""
    if start < 0 or (length is not None and length < 0):
        raise ValueError(f"range start {start}, length {length}: neither may be negative")
