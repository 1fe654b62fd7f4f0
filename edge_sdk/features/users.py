"""What a store knows of its users, in ``features/`` of the cache: two files a user, and nothing that names anybody.

Reading takes no lock. Who writes holds ``features.lock``, across threads and processes:

1. A change replaces the user's tail, atomically and durably: that is the one step which makes it so.
2. A tail that has grown long is first merged into the main file; see :mod:`edge_sdk.features.user_files`.
3. Before anything grows, what is given up for room goes: a user's tail first, without which there is no user.
4. Erasing a user names him in ``features-erase.json``, removes his files, and whatever a writer left that was killed
   (it may hold what he did), and then that name. Whoever opens the cache next finishes it.

The names of files are digests, keyed with a secret that lies there too and goes with the last of them.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Final

import numpy as np

from edge_sdk.errors import FormatError, RetryLater, StoreError
from edge_sdk.features.columns import Columns, newest, nothing, within
from edge_sdk.features.places import FOLDER, LOCK
from edge_sdk.features.profile import Profile
from edge_sdk.features.receipts import Dropped
from edge_sdk.features.room import BLOCK, SMALL, Room, taken
from edge_sdk.features.settings import FeatureSettings
from edge_sdk.features.small_files import SmallFiles
from edge_sdk.features.user_files import Main, Tail
from edge_sdk.runtime.pool import remake_after_fork
from edge_sdk.store import lock
from edge_sdk.store.disk import Disk, Stamp, is_private

TAIL_EVENTS: Final = 64
"""So many events a tail holds before it is merged: a change then writes some 4 kB."""

_STEP_S: Final = 0.002
_TRIES: Final = 100
_MAINS: Final = 8
"""Main files held in memory: each is read anew for every event otherwise."""
_MORE: Final = 16
"""Where something is given up for room, it is this part of all more than is needed."""


@dataclass(frozen=True, eq=False)
class User:
    """What is known of a user, as it was read at once.

    Attributes:
        tail_path: of his tail.
        stamp: of that file as it was read; None where others kept changing it.
        tail, main: as they lie there; main None where there is none yet.
    """

    tail_path: Path
    stamp: Stamp | None
    tail: Tail
    main: Main | None = None

    @property
    def recent(self) -> Columns:
        """Events of the tail that are not in the main file."""
        merged = 0 if self.main is None else self.main.next - self.tail.start
        return self.tail.events[max(0, merged) :]

    @property
    def events(self) -> Columns:
        """All of them, in the order in which they came."""
        return self.recent if self.main is None else np.concatenate((self.main.events, self.recent))

    @property
    def floor(self) -> int:
        """Instant in milliseconds from which on all events are there; 0 where none was dropped for want of room."""
        return 0 if self.main is None else self.main.floor


class Users:
    """The users of one cache; any number of threads and processes may use it.

    Args:
        cache_folder: of the cache.
        disk: how to reach it.
        settings: bounds.

    Attributes:
        salt, dropped, clocks, remember_clocks: see :class:`SmallFiles`.
        stamp: see :meth:`Disk.stamp`.

    Every method raises StoreError where the disk refuses.
    """

    def __init__(self, cache_folder: Path, disk: Disk, settings: FeatureSettings) -> None:
        self.folder = cache_folder / FOLDER
        self._lock_path = cache_folder / LOCK
        self._disk, self._settings = disk, settings
        self._tidied = False
        self._mains: dict[str, tuple[Stamp, Main]] = {}
        self._room = Room(self.folder, disk)
        self._small = small = SmallFiles(self.folder, disk)
        self.stamp = disk.stamp
        self.salt, self.dropped = small.salt, small.dropped
        self.clocks, self.remember_clocks = small.clocks, small.remember_clocks
        self._after_fork()
        remake_after_fork(self)

    def _after_fork(self) -> None:
        # In the child of a fork the thread that wrote is gone.
        self._thread = threading.Lock()

    # -- reading ---------------------------------------------------------------------------------------

    def label(self, user: str, salt: bytes) -> str:
        """What the files of a user are called."""
        data = user.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(data, digest_size=16, key=salt).hexdigest()

    def read(self, label: str) -> User | None:
        """What is known of a user; None where nothing is.

        Raises:
            FormatError: a file of his is damaged, or gone.
        """
        path = self.folder / f"{label}.tail"
        for left in reversed(range(_TRIES)):
            stamp = self._disk.stamp(path)
            data = self._disk.read(path)  # before the main file: what is merged meanwhile is in both
            if data is None:
                return None
            tail = Tail.from_bytes(data, path.name)
            main = self._main(label, tail)
            if self._disk.stamp(path) == stamp:
                return User(path, stamp, tail, main)
            if not left:
                return User(path, None, tail, main)
        raise AssertionError

    def _main(self, label: str, tail: Tail) -> Main | None:
        path = self.folder / f"{label}.main"
        main = self._read_main(path, label)
        if main is not None and main.life != tail.life:
            main = None
        if tail.start and (main is None or main.next < tail.start):
            raise FormatError(f"{path.name} is gone")
        return main

    def _read_main(self, path: Path, label: str) -> Main | None:
        stamp = self._disk.stamp(path)
        known = self._mains.get(label)
        if known is not None and known[0] == stamp:
            return known[1]
        data = self._disk.read(path)
        main = None if data is None else Main.from_bytes(data, path.name)
        if main is not None and stamp is not None and self._disk.stamp(path) == stamp:
            while len(self._mains) >= _MAINS:
                self._mains.pop(next(iter(self._mains)), None)
            self._mains[label] = stamp, main
        return main

    # -- writing ---------------------------------------------------------------------------------------

    @contextmanager
    def writing(self, wait_s: float = lock.WAIT_S) -> Iterator[bytes]:
        """For the block nobody else writes; gives the secret that names are digested with.

        Args:
            wait_s: how long to wait for another process; with 0 for another thread neither.

        Raises:
            RetryLater: another writes all the time.
        """
        with self.excluding(wait_s):
            salt = self.salt() or self._begin()
            if not self._tidied:
                self._small.mend_salt(salt)
                self._tidy()
            yield salt

    def _begin(self) -> bytes:
        """A secret where there is none. Whatever lies there was named with another: nobody finds it any more."""
        dropped = self.dropped() + Dropped(damaged=len(self.labels()))
        self._disk.remove(self.folder)
        self._disk.make_folder(self.folder)
        salt = self._small.make_salt()
        self._small.count(dropped)
        return salt

    @contextmanager
    def excluding(self, wait_s: float = lock.WAIT_S) -> Iterator[None]:
        """The same; nothing is made."""
        thread, holder = self._thread, "another change of features in"
        if not thread.acquire(blocking=wait_s > 0):
            raise RetryLater(f"{holder} {self.folder.parent} is running; try again when it is done")
        try:
            with lock.locked(
                self._lock_path, self._disk.system, wait_s=wait_s, step_s=_STEP_S, holder=holder
            ):
                yield
        finally:
            thread.release()

    def begin(self, label: str, profile: Profile) -> User:
        """A user of whom nothing is known, not written yet."""
        life = self._disk.system.random(8).hex()
        return User(self.folder / f"{label}.tail", None, Tail(life, 0, 0, profile, nothing()))

    def write(self, user: User, profile: Profile, new: Columns, now_ms: int) -> tuple[User, Dropped]:
        """Add events to a user, inside of :meth:`writing`; when this returns, they are on the disk.

        Args:
            user: as he was read inside of the same block.
            profile: what is known of him now.
            new: events.
            now_ms: the present instant.

        Returns:
            The user as he is now, and what was given up for room.
        """
        dropped = Dropped()
        recent = user.recent
        if len(recent) and len(recent) + len(new) > TAIL_EVENTS:
            user, dropped = self._merge(user, now_ms)
            recent = user.recent
        start = user.tail.start if user.main is None else max(user.tail.start, user.main.next)
        tail = Tail(user.tail.life, start, max(now_ms, 0), profile, np.concatenate((recent, new)))
        data = tail.to_bytes()
        dropped += self._make_room(user, len(data), now_ms)
        self._write(user.tail_path, data)
        return User(user.tail_path, self._disk.stamp(user.tail_path), tail, user.main), dropped

    def _merge(self, user: User, now_ms: int) -> tuple[User, Dropped]:
        """Bring what is in the tail into the main file. The tail stays as it is: its events count once."""
        # By the clock of the change before, too: one that was set forward for a while costs nothing.
        kept = within(user.events, min(now_ms, user.tail.at))
        old = len(user.events) - len(kept)
        left, floor = newest(kept, self._settings.most_events, now_ms)
        number = user.tail.start + len(user.tail.events)
        main = Main(user.tail.life, number, max(user.floor, floor or 0), left)
        data, dropped = main.to_bytes(), Dropped(old=old, crowded=len(kept) - len(left))
        dropped += self._make_room(user, len(data), now_ms)
        self._write(user.tail_path.with_suffix(".main"), data)
        self._small.count(Dropped(old=old, crowded=len(kept) - len(left)))
        return replace(user, main=main), dropped

    def _write(self, path: Path, data: bytes) -> None:
        self._room.write(path, data)

    def settle(self) -> None:
        """See to it that what is there stays, inside of :meth:`writing`: contents were on the disk before names."""
        self._disk.sync_folder(self.folder)
        self._disk.sync_folder(self.folder.parent)

    def remove(self, label: str) -> tuple[int, int]:
        """Remove the files of a user, inside of :meth:`writing`.

        Returns:
            How many there were, and the bytes in them.
        """
        files = size = 0
        self._mains.pop(label, None)
        for path in (self.folder / f"{label}.tail", self.folder / f"{label}.main"):
            stamp = self._disk.stamp(path)
            if stamp is not None:
                files, size = files + 1, size + stamp[1]
                self._disk.remove(path)
        return files, size

    # -- room ------------------------------------------------------------------------------------------

    def size(self) -> int:
        """Bytes that all files take."""
        return sum(taken(stamp[1]) for stamp in self._stamps().values())

    def labels(self) -> list[str]:
        """Of the users that there are, sorted."""
        return [
            name.removesuffix(".tail") for name in self._disk.names(self.folder) if name.endswith(".tail")
        ]

    def _stamps(self) -> dict[str, Stamp]:
        stamps = {name: self._disk.stamp(self.folder / name) for name in self._disk.names(self.folder)}
        return {name: stamp for name, stamp in stamps.items() if stamp is not None}

    def _make_room(self, user: User, need: int, now_ms: int) -> Dropped:
        """See to it that a file of ``need`` bytes more fits in; the user who needs it stays.

        What it takes the place of still lies there when it is written, so that does not count as room.

        Raises:
            StoreError: there is no room for this user alone; nothing is given up.
        """
        most = self._settings.max_bytes - len(SMALL) * BLOCK - taken(need)
        if self._room.used() <= most:
            return Dropped()
        room = most - self._room.looked()
        if room >= 0:
            return Dropped()
        mine = user.tail_path.stem
        stamps = [self._disk.stamp(user.tail_path.with_suffix(kind)) for kind in (".tail", ".main")]
        if sum(taken(stamp[1]) for stamp in stamps if stamp is not None) > most:
            raise StoreError(
                f"{self.folder} has no room for {need} bytes more of one user; record fewer events at once, or give a "
                "larger max_bytes or fewer max_events"
            )
        room -= self._settings.max_bytes // _MORE  # so that not each of many changes looks at all users
        others = sorted((self._told_at(label), label) for label in self.labels() if label != mine)
        dropped = Dropped()
        for _, label in others:  # 1: what no feature looks at
            if room >= 0:
                break
            freed, gone = self._shrink(label, now_ms)
            room, dropped = room + freed, dropped + gone
        for _, label in others:  # 2: whole users, of whom nothing came for the longest
            if room >= 0:
                break
            gone = Dropped(users=1, user_events=self._events_of(label))
            room, dropped = room + self._give_up(label), dropped + gone
        self._disk.sync_folder(self.folder)
        self._small.count(dropped)
        return dropped

    def _give_up(self, label: str) -> int:
        stamps = [self._disk.stamp(self.folder / f"{label}{kind}") for kind in (".tail", ".main")]
        self.remove(label)
        return sum(taken(stamp[1]) for stamp in stamps if stamp is not None)

    def _shrink(self, label: str, now_ms: int) -> tuple[int, Dropped]:
        """Drop what lies beyond the window, where that frees anything; which needs no room but the smaller file."""
        try:
            user = self.read(label)
        except (FormatError, StoreError):
            return 0, Dropped()
        if user is None or user.main is None:
            return 0, Dropped()
        kept = within(user.main.events, now_ms)
        gone = len(user.main.events) - len(kept)
        before, after = user.main.to_bytes(), replace(user.main, events=kept).to_bytes()
        if taken(len(after)) == taken(len(before)):
            return 0, Dropped()
        self._write(self.folder / f"{label}.main", after)
        return taken(len(before)) - taken(len(after)), Dropped(old=gone)

    def _told_at(self, label: str) -> float:
        """When something was told last of a user; not by the age of his file, which a backup makes anew."""
        name = f"{label}.tail"
        try:
            data = self._disk.read(self.folder / name)
            return 0 if data is None else Tail.from_bytes(data, name).at
        except FormatError:
            return 0
        except StoreError:  # perhaps only now; whoever cannot be read must not be in everybody's way
            return inf

    def _events_of(self, label: str) -> int:
        try:
            user = self.read(label)
        except (FormatError, StoreError):
            return 0
        return 0 if user is None else len(user.events)

    def count_damaged(self) -> Dropped:
        """Note that the files of a user could not be read, inside of :meth:`writing`."""
        dropped = Dropped(damaged=1)
        self._small.count(dropped)
        return dropped

    # -- what was left ---------------------------------------------------------------------------------

    def _tidy(self) -> None:
        """Remove what writers left that were killed, and files of users who are none any more."""
        names = self._disk.names(self.folder)
        tails = {name.removesuffix(".tail") for name in names if name.endswith(".tail")}
        left = [name for name in names if name.endswith(".main") and name.removesuffix(".main") not in tails]
        self.remove_all([*left, *filter(is_private, names)])
        self._tidied = True

    def remove_private(self) -> tuple[int, int]:
        """Remove what a writer left that was killed, inside of :meth:`writing`, when nobody else writes."""
        return self.remove_all([name for name in self._disk.names(self.folder) if is_private(name)])

    def remove_rest(self) -> tuple[int, int]:
        """Remove all that is left, the secret included; how many files, and the bytes in them."""
        stamps = self._stamps()
        self._mains.clear()
        self._disk.remove(self.folder)
        self._disk.sync_folder(self.folder.parent)
        return len(stamps), sum(stamp[1] for stamp in stamps.values())

    def remove_all(self, names: list[str]) -> tuple[int, int]:
        """Remove files by their names; how many there were, and the bytes in them."""
        stamps = [self._disk.stamp(self.folder / name) for name in names]
        for name in names:
            self._disk.remove(self.folder / name)
        return len(names), sum(stamp[1] for stamp in stamps if stamp is not None)
