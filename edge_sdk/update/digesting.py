"""Digests of what is being received, taken by a thread of their own while the next bytes are on their way."""

from __future__ import annotations

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Final

_WORTHWHILE: Final = 1 << 16
"""Bytes from which on handing them over costs less than hashing them."""


class Digester:
    """A thread that takes digests; made when there is enough to do, gone at the end of the block."""

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None

    def begin(self) -> Digest:
        """A digest of nothing yet."""
        return Digest(self)

    def submit(self, digest: hashlib._Hash, data: bytes | memoryview) -> Future[None]:
        """Let the thread add ``data``, which must not change meanwhile."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "edge-digest")
        return self._thread.submit(digest.update, data)

    def __enter__(self) -> Digester:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread is not None:
            self._thread.shutdown()


class Digest:
    """SHA-256 of what is added to it, in the order in which it is; for one thread. Made by :meth:`Digester.begin`."""

    def __init__(self, digester: Digester) -> None:
        self._digester = digester
        self._sha256 = hashlib.sha256()
        self._adding: Future[None] | None = None

    def add(self, data: bytes | memoryview) -> None:
        """Add ``data``, which must not change until the next call. At most one piece is under way, so that a slow
        processor holds up the network and does not fill the memory."""
        self._settle()
        if len(data) < _WORTHWHILE:
            self._sha256.update(data)
        else:
            self._adding = self._digester.submit(self._sha256, data)

    def value(self) -> bytes:
        """Of all that was added."""
        self._settle()
        return self._sha256.digest()

    def _settle(self) -> None:
        if self._adding is not None:
            self._adding.result()
            self._adding = None
