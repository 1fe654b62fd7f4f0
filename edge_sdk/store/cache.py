"""A cache folder: ``state.json``, the one pointer, and ``blobs/<sha256>``, what it points to.

Everything that is received lies under its own digest: served bundles, metadata and the pinned root alike. A
blob is complete before the pointer names it, and removed only after the pointer no longer does, so a crash at
any moment leaves the old state or the new one. Metadata that did not change is not written again.

The folder belongs to the app. Digests, here and in the state, are against damage and not against an attacker with
the app's own rights: who can write to this folder can replace what runs, the root that is trusted included, just
as who can write to the app's code can. Keep it where only the app can write; a new one is made so (mode 0700).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final
from uuid import UUID

from edge_sdk.contract import document
from edge_sdk.contract.document import Fields
from edge_sdk.errors import FormatError, InputError, NotAvailable, StoreError
from edge_sdk.store import disk, lock
from edge_sdk.store.state import State

MAX_ROOT_BYTES: Final = 512_000


class Cache:
    """A cache that exists.

    Reading takes no lock. Whoever writes holds :meth:`locked` from reading the state to committing the next.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._blobs = folder / "blobs"
        self._pointer = folder / "state.json"
        self._known: tuple[disk.Stamp, State] | None = None

    @classmethod
    def open(cls, folder: Path, root: bytes | None, random: Callable[[int], bytes]) -> Cache:
        """Open a cache, or make one that trusts ``root``.

        Args:
            folder: made if need be, where a root is given.
            root: root metadata that the app ships; it is pinned when the cache is made, and not looked at when
                there is one: what is installed serves whatever an app ships.
            random: source of the install id.

        Raises:
            NotAvailable: there is no cache, and without a root none can be made.
            InputError: there is no cache, and this is not a root.
            StoreError: the state is damaged, or the disk refuses.
        """
        cache = cls(folder)
        if disk.stamp(cache._pointer) is None:
            if root is None:
                raise NotAvailable(
                    f"{folder} holds no models yet; fetch one first with a server and its root"
                )
            _check_root(root)
            cache._make(root, random)
        cache.state()
        return cache

    def _make(self, root: bytes, random: Callable[[int], bytes]) -> None:
        disk.make_folder(self.folder)
        disk.make_folder(self._blobs)
        with self.locked():
            if disk.stamp(self._pointer) is None:  # else another process was quicker
                state = State(str(UUID(bytes=random(16), version=4)), self.put(root))
                disk.write(self._pointer, state.to_bytes())

    def state(self) -> State:
        """The present state; read again only when the file was replaced.

        Raises:
            StoreError: it is damaged or gone.
        """
        stamp = disk.stamp(self._pointer)
        known = self._known
        if known is not None and known[0] == stamp:
            return known[1]
        data = disk.read(self._pointer)
        if data is None or stamp is None:
            raise StoreError(f"{self._pointer} is gone; fetch again")
        try:
            state = State.from_bytes(data)
        except FormatError as error:
            raise StoreError(
                f"{self._pointer} is damaged ({error}); delete the folder {self.folder} and fetch again, "
                "nothing else is lost"
            ) from error
        self._known = stamp, state
        return state

    def commit(self, state: State) -> State:
        """Make ``state`` the present one, of the next generation, and remove what nothing points to any more."""
        state = replace(state, generation=self.state().generation + 1)
        disk.write(self._pointer, state.to_bytes())
        needed = state.blobs
        for name in disk.names(self._blobs):
            if name not in needed:
                disk.remove(self._blobs / name)
        return state

    def locked(self) -> AbstractContextManager[None]:
        """Keep other updates of this cache out, of any process."""
        return lock.locked(self.folder / "lock", wait_s=lock.WAIT_S)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A private folder for the length of the block; those that crashes left behind are removed."""
        for name in disk.names(self.folder):
            if name.startswith(disk.TEMPORARY):
                disk.remove(self.folder / name)
        with disk.scratch(self.folder) as folder:
            yield folder

    def blob(self, sha256: str) -> bytes | None:
        """The bytes under this digest as they lie there, not verified; None where there are none."""
        return disk.read(self._blobs / sha256)

    def verified(self, sha256: str) -> bytes | None:
        """The bytes with this digest; None where there are none or they are damaged."""
        data = self.blob(sha256)
        return data if data is not None and hashlib.sha256(data).hexdigest() == sha256 else None

    def stamp(self, sha256: str) -> disk.Stamp | None:
        """What changes when the blob is replaced; None where there is none."""
        return disk.stamp(self._blobs / sha256)

    def put(self, data: bytes) -> str:
        """Keep bytes under their digest, which is returned."""
        sha256 = hashlib.sha256(data).hexdigest()
        if self.verified(sha256) is None:
            disk.write(self._blobs / sha256, data)
        return sha256

    def receiving(self, sha256: str) -> AbstractContextManager[disk.Writer]:
        """Write a blob piece by piece; it appears when the block ends well."""
        return disk.replacing(self._blobs / sha256)

    def size(self) -> int:
        """Bytes in all blobs."""
        stamps = (disk.stamp(self._blobs / name) for name in disk.names(self._blobs))
        return sum(stamp[1] for stamp in stamps if stamp is not None)


def _check_root(root: bytes) -> None:
    """Refuse what is no root at all before it is pinned; TUF checks it in earnest when it is used."""
    try:
        top = Fields(document.parse(root, "root", max_bytes=MAX_ROOT_BYTES), "root")
        kind = Fields(top.mapping("signed"), "root").text("_type")
    except FormatError as error:
        raise InputError(f"the root given is not TUF root metadata: {error}") from error
    if kind != "root":
        raise InputError(f"the root given is not TUF root metadata but {kind}")
