"""A cache folder: ``states/``, whose highest generation is the one pointer, and ``blobs/``, what it points to.

Beside them lie ``keys/``: what was lent to open the bundles with (:mod:`edge_sdk.keyring`).

Everything that is received lies under its own digest: served bundles, metadata and the pinned root alike. A
blob is complete before a state names it, and removed only after none does, so a crash at any moment leaves
the old state or the new one. Metadata that did not change is not written again. None of this rests on the lock,
which only keeps two processes from downloading the same.

The folder belongs to the app. Digests, here and in the state, are against damage and not against an attacker with
the app's own rights: who can write to this folder can replace what runs, the root that is trusted included, just
as who can write to the app's code can. Keep it where only the app can write; a new one is made so (mode 0700).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final
from uuid import UUID

from edge_sdk.contract import document
from edge_sdk.contract.document import Fields
from edge_sdk.errors import FormatError, InputError, NotAvailable, StoreError
from edge_sdk.store import lock
from edge_sdk.store.blobs import Blobs
from edge_sdk.store.disk import Disk, Reader, Stamp
from edge_sdk.store.partial import Partial
from edge_sdk.store.shelf import Shelf
from edge_sdk.store.state import State
from edge_sdk.store.states import States

MAX_ROOT_BYTES: Final = 512_000
KEYS: Final = "keys"


class Cache:
    """A cache that exists.

    Reading takes no lock. Whoever writes does so inside of :meth:`updating`.
    """

    def __init__(self, folder: Path, disk: Disk | None = None) -> None:
        self.folder = folder
        self.disk = disk or Disk()
        self.blobs = Blobs(folder, self.disk)
        self.keys = Shelf(folder / KEYS, self.disk)
        self._states = States(folder / "states", self.disk)

    @classmethod
    def open(
        cls, folder: Path, root: bytes | None, random: Callable[[int], bytes], disk: Disk | None = None
    ) -> Cache:
        """Open a cache, or make one that trusts ``root``.

        Args:
            folder: made if need be, where a root is given.
            root: root metadata that the app ships; it is pinned when the cache is made, and not looked at when
                there is one: what is installed serves whatever an app ships.
            random: source of the install id.
            disk: how to reach the folder.

        Raises:
            NotAvailable: there is no cache, and without a root none can be made.
            InputError: there is no cache, and this is not a root.
            StoreError: the state is damaged, or the disk refuses.
        """
        cache = cls(folder, disk)
        old = cache.disk.read(folder / "state.json")
        if old is not None:
            if not cache._states.exists():
                cache._begin(_first_format(old, folder))
            cache.disk.remove(folder / "state.json")
        elif not cache._states.exists():
            if root is None:
                raise NotAvailable(
                    f"{folder} holds no models yet; fetch one first with a server and its root"
                )
            _check_root(root)
            cache._make(root, random)
        cache.state()
        return cache

    def _make(self, root: bytes, random: Callable[[int], bytes]) -> None:
        self.disk.make_folder(self.folder)
        self.blobs.make()
        with self.blobs.holding():
            self._begin(State(str(UUID(bytes=random(16), version=4)), self.blobs.put(root)))

    def _begin(self, state: State) -> None:
        self.blobs.make()
        self.disk.make_folder(self.folder / "states")
        if not self._states.exists():
            self._states.add(state)  # or another process was quicker, which is as good

    def state(self) -> State:
        """The present state; read again only when there is a newer one.

        Raises:
            StoreError: it is damaged or gone.
        """
        return self._states.newest()

    def change(self, step: Callable[[State], State]) -> State:
        """Make ``step`` of the present state the present one; see :meth:`States.change`."""
        return self._states.change(step)

    def note(self, step: Callable[[State], State]) -> State:
        """Like :meth:`change`, for what may be forgotten at a power cut, and not worth waiting for the disk."""
        return self._states.change(step, durable=False)

    @contextmanager
    def updating(self) -> Iterator[None]:
        """For the length of the block, blobs stay and other processes are asked to wait; then tidy up.

        Raises:
            RetryLater: another update is running.
        """
        with lock.locked(self.folder / "lock", self.disk.system, wait_s=lock.WAIT_S):
            self.blobs.make()
            with self.blobs.holding():
                self._settle()
                yield
            self.tidy()

    def _settle(self) -> None:
        """Bring to the disk what others may have named and not synced before they died or failed.

        Without it, "this release is installed already" would be said of what a power cut may still undo.
        """
        for folder in (self.folder.parent, self.folder, self.folder / "blobs", self.folder / "states"):
            self.disk.sync_folder(folder)
        self.keys.settle()

    def tidy(self) -> None:
        """Remove what no state names and what writers that are gone left behind."""
        self._states.tidy()
        self._collect()

    def forget(self) -> None:
        """Like :meth:`tidy`, and no older state stays either; for an erase, where nobody updates."""
        self._states.forget()
        self._collect()

    def _collect(self) -> None:
        def wanted() -> frozenset[str]:
            return frozenset(self.state().wanted.values())

        self.blobs.collect(lambda: self.state().blobs, wanted())
        self.blobs.collect_keys(self.keys, lambda: self.state().blobs | wanted())
        for folder in (self.folder, self.folder / "states"):
            for path, _label in self.disk.abandoned(folder):
                self.disk.remove(path)

    def blob(self, sha256: str) -> bytes | None:
        """The bytes under this digest as they lie there, not verified; None where there are none."""
        return self.blobs.read(sha256)

    def reading(self, sha256: str) -> AbstractContextManager[Reader | None]:
        """The blob under this digest to be read in pieces, not verified; None where there is none."""
        return self.blobs.reading(sha256)

    def verified(self, sha256: str) -> bytes | None:
        """The bytes with this digest; None where there are none or they are damaged."""
        return self.blobs.verified(sha256)

    def is_whole(self, sha256: str) -> bool:
        """Whether there are bytes with this digest; reads them all, and keeps none."""
        return self.blobs.is_whole(sha256)

    def stamp(self, sha256: str) -> Stamp | None:
        """What changes when the blob is replaced; None where there is none."""
        return self.blobs.stamp(sha256)

    def put(self, data: bytes) -> str:
        """Keep bytes under their digest, which is returned; inside of :meth:`updating`."""
        return self.blobs.put(data)

    def put_all(self, files: Mapping[str, bytes]) -> dict[str, str]:
        """Keep several under their digests, which are returned by the same names; inside of :meth:`updating`."""
        return self.blobs.put_all(files)

    def partial(self, sha256: str) -> AbstractContextManager[Partial]:
        """Go on with receiving a blob where an earlier attempt ended; inside of :meth:`updating`."""
        return self.blobs.receiving(sha256)

    def size(self) -> int:
        """Bytes in all blobs, unfinished ones included."""
        return self.blobs.size()


def _first_format(data: bytes, folder: Path) -> State:
    """The state of the first format: one file, replaced at each change."""
    try:
        return State.from_bytes(data)
    except FormatError as error:
        raise StoreError(
            f"{folder / 'state.json'} is damaged ({error}); delete the folder {folder} and fetch again, "
            "nothing else is lost"
        ) from error


def _check_root(root: bytes) -> None:
    """Refuse what is no root at all before it is pinned; TUF checks it in earnest when it is used."""
    try:
        top = Fields(document.parse(root, "root", max_bytes=MAX_ROOT_BYTES), "root")
        kind = Fields(top.mapping("signed"), "root").text("_type")
    except FormatError as error:
        raise InputError(f"the root given is not TUF root metadata: {error}") from error
    if kind != "root":
        raise InputError(f"the root given is not TUF root metadata but {kind}")
