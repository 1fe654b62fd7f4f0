"""Blobs by their digest, and the collection of those that nobody needs, safe without a lock.

A collector takes a blob out of sight first, then looks whether anybody needs it, and puts it back if so. An
updater says first that it is at work (a hold), then looks which blobs are there. Whichever is later sees the
other: either the collector finds the hold and puts the blob back, or the updater finds the blob gone and
writes it anew. No order of the two loses one that is needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from edge_sdk.store import partial
from edge_sdk.store.disk import Disk, Stamp, is_private
from edge_sdk.store.partial import Partial

_ASIDE: Final = ".aside-"


class Blobs:
    """The blobs of a cache.

    Args:
        folder: of the cache.
        disk: how to reach them.
    """

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._disk = disk
        self._folder, self._unfinished, self._holds = folder / "blobs", folder / "partial", folder / "holds"

    def make(self) -> None:
        """Make the folders."""
        for folder in (self._folder, self._unfinished, self._holds):
            self._disk.make_folder(folder)

    def read(self, sha256: str) -> bytes | None:
        """The bytes under this digest as they lie there, not verified; None where there are none."""
        for path in (self.path(sha256), self._folder / (_ASIDE + sha256), self.path(sha256)):
            data = self._disk.read(path)  # twice: a collector may be putting it back
            if data is not None:
                return data
        return None

    def verified(self, sha256: str) -> bytes | None:
        """The bytes with this digest; None where there are none or they are damaged."""
        data = self.read(sha256)
        return data if data is not None and hashlib.sha256(data).hexdigest() == sha256 else None

    def path(self, sha256: str) -> Path:
        """Where the blob lies."""
        return self._folder / sha256

    def stamp(self, sha256: str) -> Stamp | None:
        """What changes when the blob is replaced; None where there is none."""
        return self._disk.stamp(self.path(sha256))

    def put(self, data: bytes) -> str:
        """Keep bytes under their digest, which is returned; inside of :meth:`holding`."""
        sha256 = hashlib.sha256(data).hexdigest()
        if self.verified(sha256) is None:
            self._disk.write(self.path(sha256), data)
        return sha256

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
        """Keep all blobs that are there, and those that come, for the length of the block."""
        # Not brought to the disk: a hold means nothing once its process is gone.
        hold = self._disk.private_path(self._holds)
        self._disk.write_scratch(hold, b"")
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
        for name in self._disk.names(self._folder):
            if name.startswith(_ASIDE):
                self._judge(name.removeprefix(_ASIDE), needed)
            elif (
                not is_private(name)
                and name not in needed()
                and self._disk.move(self.path(name), self._folder / (_ASIDE + name))
            ):
                self._judge(name, needed)
        for path, _label in self._disk.abandoned(self._folder):
            self._disk.remove(path)
        if not self._held():
            partial.tidy(self._disk, self._unfinished, wanted)

    def _judge(self, sha256: str, needed: Callable[[], frozenset[str]]) -> None:
        """Put back or remove a blob that is out of sight already."""
        aside = self._folder / (_ASIDE + sha256)
        if (self._held() or sha256 in needed()) and self._disk.stamp(self.path(sha256)) is None:
            self._disk.move(aside, self.path(sha256))
            self._disk.sync_folder(self._folder)
            return
        self._disk.remove(aside)

    def _held(self) -> bool:
        for path, _label in self._disk.abandoned(self._holds):
            self._disk.remove(path)
        return bool(self._disk.names(self._holds))
