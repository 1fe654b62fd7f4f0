"""Blobs by their digest, and the collection of those that nobody needs, safe without a lock.

An updater says first that it is at work (a hold), then looks which blobs are there. A collector takes a blob out of
sight first, then looks for holds (:mod:`edge_sdk.store.shelf`). Either the collector finds the hold and puts the
blob back, or the updater finds the blob gone and writes it anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Final

from edge_sdk.errors import StoreError
from edge_sdk.store import partial
from edge_sdk.store.disk import Disk
from edge_sdk.store.partial import Partial
from edge_sdk.store.shelf import Shelf

_PIECE: Final = 1 << 20


class Blobs(Shelf):
    """The blobs of a cache.

    Args:
        folder: of the cache.
        disk: how to reach them.
    """

    def __init__(self, folder: Path, disk: Disk) -> None:
        super().__init__(folder / "blobs", disk)
        self._unfinished, self._holds = folder / "partial", folder / "holds"

    def make(self) -> None:
        """Make the folders."""
        for folder in (self._folder, self._unfinished, self._holds):
            self._disk.make_folder(folder)

    def verified(self, sha256: str) -> bytes | None:
        """The bytes with this digest; None where there are none or they are damaged."""
        data = self.read(sha256)
        return data if data is not None and hashlib.sha256(data).hexdigest() == sha256 else None

    def is_whole(self, sha256: str) -> bool:
        """Whether there are bytes with this digest; reads them all, and keeps none.

        What the disk cannot read is not whole: where it lies on a bad place, only writing it anew helps.
        """
        with suppress(StoreError), self.reading(sha256) as reader:
            if reader is None:
                return False
            piece = memoryview(bytearray(min(_PIECE, reader.length + 1)))
            digest, done = hashlib.sha256(), 0
            while read := reader.read_into(piece, done):
                digest.update(piece[:read])
                done += read
            return digest.hexdigest() == sha256
        return False

    def put(self, data: bytes) -> str:
        """Keep bytes under their digest, which is returned; inside of :meth:`holding`."""
        sha256 = hashlib.sha256(data).hexdigest()
        if self.verified(sha256) is None:
            self.write(sha256, data)
        return sha256

    def put_all(self, files: Mapping[str, bytes]) -> dict[str, str]:
        """Keep several under their digests, which are returned by the same names; inside of :meth:`holding`."""
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        new = {digests[name]: data for name, data in files.items() if self.verified(digests[name]) is None}
        if new:
            self.write_all(new)
        return digests

    def receiving(self, sha256: str) -> AbstractContextManager[Partial]:
        """Go on with receiving a blob where an earlier attempt ended; inside of :meth:`holding`."""
        return partial.receiving(self._disk, self._unfinished, sha256, self.path(sha256))

    def size(self) -> int:
        """Bytes in all blobs and unfinished files."""
        stamps = (
            self._disk.stamp(folder / name)
            for folder in (self._folder, self._unfinished)
            for name in self._disk.names(folder)
        )
        return sum(stamp[1] for stamp in stamps if stamp is not None)

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Keep all blobs and keys that are there, and those that come, for the length of the block."""
        # Not brought to the disk: a hold means nothing once its process is gone.
        hold = self._disk.private_path(self._holds)
        self._disk.write_passing(hold, b"")
        try:
            yield
        finally:
            self._disk.remove(hold)

    def collect(self, needed: Callable[[], frozenset[str]], wanted: frozenset[str] = frozenset()) -> None:
        """Remove what nobody needs; outside of one's own :meth:`holding`.

        Args:
            needed: digests that must stay, read anew at each call.
            wanted: digests of unfinished files that will be gone on with.
        """
        if self._held():
            return
        self.sweep(needed, self._held)
        if not self._held():
            partial.tidy(self._disk, self._unfinished, wanted)

    def collect_keys(self, keys: Shelf, needed: Callable[[], frozenset[str]]) -> None:
        """Remove keys whose bundles nobody needs; outside of one's own :meth:`holding`, which keeps them too."""
        if not self._held():
            keys.sweep(needed, self._held)

    def _held(self) -> bool:
        for path, _label in self._disk.abandoned(self._holds):
            self._disk.remove(path)
        return bool(self._disk.names(self._holds))
