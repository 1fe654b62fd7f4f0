"""What the server signs: snapshot, timestamp and directives; and signing again before they expire."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from edge_sdk.contract import directives as directives_format
from edge_sdk.contract.directives import Directive, Directives
from edge_sdk.crypto import dsse
from model_server import directing, layout, tuf_metadata
from model_server.errors import Conflict, NotFound
from model_server.keys import OnlineKeys
from model_server.settings import Settings
from model_server.state import Repository, State
from model_server.storage import ObjectStore
from model_server.tuf_metadata import Published

Channels = dict[str, dict[str, Directive]]
Change = Callable[[State, Channels], Channels]


class OnlineSigner:
    """Writes what the online keys sign. Pointers are compared and swapped, so that several servers agree."""

    def __init__(self, repository: Repository, keys: OnlineKeys, settings: Settings) -> None:
        self._repository, self._keys, self._settings = repository, keys, settings
        self._store: ObjectStore = repository.store

    def new_snapshot(
        self, above: int, targets_version: int, targets: bytes, published: Published, now: datetime
    ) -> tuple[int, bytes]:
        """Store a snapshot of the next free version above ``above``; its version and bytes.

        Versions taken by an interrupted publication are passed over: TUF asks them to grow, not to be dense.
        """
        version = above
        while True:
            version += 1
            expires = now + self._settings.snapshot_lifetime
            data = tuf_metadata.sign_snapshot(
                self._keys.snapshot, version, targets_version, targets, published, now, expires
            )
            if self._store.put_if_absent(layout.snapshot_key(version), data):
                return version, data

    def new_timestamp(
        self, above: int, etag: str | None, snapshot_version: int, snapshot: bytes, now: datetime
    ) -> bytes:
        """Swap the timestamp for one that names the snapshot.

        Raises:
            Conflict: somebody else swapped it first.
        """
        expires = now + self._settings.timestamp_lifetime
        data = tuf_metadata.sign_timestamp(
            self._keys.timestamp, above + 1, snapshot_version, snapshot, now, expires
        )
        self._store.replace_if_match(layout.TIMESTAMP, data, etag)
        return data

    def update_directives(self, now: datetime, change: Change | None = None) -> tuple[Directives, bool]:
        """Bring the directives up to date, with a change if one is given; what holds now, and if it was written.

        1. The state is read after the pointer, so it is never older than what the directives name.
        2. Releases that a publication added since the directives were written get their ramp.
        3. The change is applied on top.
        4. Written is only what says something new, or is past half of its life.
        5. Whoever loses the swap starts again from what the winner wrote.

        Raises:
            NotFound: nothing is published yet.
            Conflict: too many came between.
        """
        for _ in range(layout.ATTEMPTS):
            pointer = layout.read_pointer(self._store, layout.DIRECTIVES)
            present = self._repository.directives(pointer[0]) if pointer else None
            state = self._repository.current()  # 1
            if state is None:
                raise NotFound("nothing is published yet; publish first")
            before = present.channels if present else {}
            channels = directing.after_publication(before, state.manifest, state.published.ramp_bp)  # 2
            if change is not None:
                channels = change(state, channels)  # 3
            named = (state.version, state.published.manifest_sha256)
            if (
                present is not None
                and (present.manifest_version, present.manifest_sha256) == named
                and present.channels == channels
                and not past_half(present.issued, present.expires, now)
            ):
                return present, False  # 4
            new = Directives(
                version=present.version + 1 if present else 1,
                issued=now,
                expires=now + self._settings.directives_lifetime,
                manifest_version=state.version,
                manifest_sha256=state.published.manifest_sha256,
                channels=channels,
            )
            keys = {self._keys.as_director.key_id: self._keys.director}
            envelope = dsse.sign(directives_format.PAYLOAD_TYPE, new.to_bytes(), keys)
            try:
                self._store.replace_if_match(layout.DIRECTIVES, envelope, pointer[1] if pointer else None)
            except Conflict:
                continue  # 5
            return new, True
        raise Conflict("the directives are changing all the time; try again")

    def settle(self, now: datetime) -> bool:
        """Complete a publication that was interrupted after it became visible; were directives written?

        Does nothing before the first publication.
        """
        state = self._repository.current()
        if state is None:
            return False
        # Whoever lost a race for this version may have left other targets under the name.
        layout.write_named(self._store, layout.targets_key(state.version), state.targets)
        return self.update_directives(now)[1]


class Resigner:
    """Signs again what is past half of its life; the loser of a race accepts the winner's."""

    def __init__(self, repository: Repository, signer: OnlineSigner) -> None:
        self._repository, self._signer = repository, signer

    def tick(self, now: datetime) -> tuple[str, ...]:
        """Do what is due at ``now``; the names of what was signed.

        Raises:
            StateError, StorageError: the store is damaged or away; nothing was signed from it.
        """
        pointer = layout.read_pointer(self._repository.store, layout.TIMESTAMP)
        if pointer is None:
            return ()
        state = self._repository.of(pointer[0])
        done: list[str] = []
        try:
            if past_half(state.snapshot_issued, state.snapshot_expires, now):
                version, snapshot = self._signer.new_snapshot(
                    state.snapshot_version, state.version, state.targets, state.published, now
                )
                self._signer.new_timestamp(state.timestamp_version, pointer[1], version, snapshot, now)
                done += ["snapshot", "timestamp"]
            elif past_half(state.timestamp_issued, state.timestamp_expires, now):
                self._signer.new_timestamp(
                    state.timestamp_version, pointer[1], state.snapshot_version, state.snapshot, now
                )
                done.append("timestamp")
            if self._signer.settle(now):
                done.append("directives")
        except Conflict:
            pass  # another server was faster; what it wrote is as good
        return tuple(done)


def past_half(issued: datetime, expires: datetime, now: datetime) -> bool:
    """Is half of a document's life over?"""
    life: timedelta = expires - issued
    return now >= issued + life / 2
