"""Making a publication visible: verified first, immutable objects next, pointers last."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_sdk.contract.directives import Directive
from model_server import directing, layout
from model_server.catalogue import Catalogue
from model_server.errors import Conflict, NotFound, ObjectNotFound, StorageError
from model_server.keys import OnlineKeys
from model_server.publication import Publication
from model_server.settings import Clock, Settings
from model_server.signing import Channels, OnlineSigner
from model_server.state import Repository, State
from model_server.storage import ObjectStore
from model_server.tuf_metadata import Published
from model_server.verification import Trusted, Verified, verify_publication

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Receipt:
    """What became visible."""

    targets_version: int
    manifest_sha256: str
    directives_version: int


class Publisher:
    """The one writer of a process: publications and operators' changes of directives."""

    def __init__(
        self, repository: Repository, keys: OnlineKeys, catalogue: Catalogue, settings: Settings, clock: Clock
    ) -> None:
        self._repository, self._keys, self._catalogue = repository, keys, catalogue
        self._settings, self._clock = settings, clock
        self._store: ObjectStore = repository.store
        self._signer = OnlineSigner(repository, keys, settings)
        self._lock = threading.Lock()

    def publish(self, publication: Publication) -> Receipt:
        """Verify a publication and make it visible.

        1. Everything is verified (``verification.verify_publication``).
        2. Objects that nothing points to yet: new roots, targets, manifest, snapshot.
        3. The timestamp is swapped: TUF clients see the new state, or still the old one.
        4. The directives are swapped: thin clients see it too.
        5. The catalogue notes it.

        A crash after 2 leaves the old state; after 3, ``settle`` completes 4 from what the snapshot says, at the
        next start, tick or attempt. Publishing the very same bytes again is not an error and completes 4 and 5.

        Raises:
            Refused: a check failed; nothing was written.
            Conflict: somebody else published in between.
            StorageError: the store failed; publish again.
        """
        with self._lock:  # hashing many bundles at a time would only take memory; the swap decides anyway
            state = self._repository.current()
            if state is None or state.targets != publication.targets:
                state = self._make_visible(publication, state)
            elif layout.digest(publication.manifest) != state.published.manifest_sha256:
                raise Conflict(f"targets version {state.version} is published with another manifest")
            now = self._clock()
            self._signer.settle(now)
            directives, _ = self._signer.update_directives(now)
            self._note(state)
            self._catalogue.audit(now, "publish", {"targets_version": state.version})
            return Receipt(state.version, state.published.manifest_sha256, directives.version)

    def set_directive(self, channel: str, model: str, changes: Mapping[str, Any]) -> Directive:
        """Change what holds for one model in one channel.

        Raises:
            NotFound, Refused: see ``directing.changed``.
            Conflict: others keep changing directives.
        """

        def change(state: State, channels: Channels) -> Channels:
            return directing.changed(channels, state.manifest, channel, model, changes)

        now = self._clock()
        directives, _ = self._signer.update_directives(now, change)
        self._catalogue.audit(
            now, "directive", {"channel": channel, "model": model, "changes": dict(changes)}
        )
        directive = directives.directive(model, channel)
        assert directive is not None  # change() would have raised
        return directive

    def put_object(self, sha256: str, data: bytes) -> bool:
        """Store an uploaded object, whose digest the caller has checked; False where it was there."""
        created = self._store.put_if_absent(layout.object_key(sha256), data)
        if not created and layout.digest(self._store.get(layout.object_key(sha256))) != sha256:
            raise StorageError(f"{layout.object_key(sha256)} is damaged in the store; restore it")
        return created

    def recover(self) -> None:
        """Complete what an interrupted publication left, and bring the catalogue up to date."""
        self._signer.settle(self._clock())
        state = self._repository.current()
        if state is not None:
            self._note(state)

    def releases(self) -> list[dict[str, Any]]:
        """What is published, from the catalogue, which is brought up to date first if it is behind."""
        state = self._repository.current()
        if state is None:
            return []
        self._note(state)
        return self._catalogue.releases()

    def _make_visible(self, publication: Publication, state: State | None) -> State:
        root = state.root if state else self._repository.root_at(self._repository.first_root_version)
        trusted = Trusted(
            root, state.manifest if state else None, self._keys.as_director, self._keys.check_root
        )
        verified = verify_publication(
            publication, trusted, self._read, self._clock(), self._settings.clock_skew
        )
        for version, data in verified.roots:
            self._put_root(version, data)
        layout.put_object(self._store, publication.targets)
        layout.write_named(self._store, layout.targets_key(verified.manifest.version), publication.targets)
        manifest_sha256 = layout.put_object(self._store, publication.manifest)
        published = Published(verified.root.version, manifest_sha256, publication.ramp_bp)
        return self._swap(verified, published)

    def _swap(self, verified: Verified, published: Published) -> State:
        """Point to the new state. Signing again (here or on another server) moves the pointer too: then repeat."""
        publication = verified.publication
        for _ in range(layout.ATTEMPTS):
            now = self._clock()
            pointer = layout.read_pointer(self._store, layout.TIMESTAMP)
            state = self._repository.of(pointer[0]) if pointer else None
            if (state.version if state else 0) != publication.base_version:
                break
            version, snapshot = self._signer.new_snapshot(
                state.snapshot_version if state else 0,
                verified.manifest.version,
                publication.targets,
                published,
                now,
            )
            try:
                timestamp = self._signer.new_timestamp(
                    state.timestamp_version if state else 0,
                    pointer[1] if pointer else None,
                    version,
                    snapshot,
                    now,
                )
            except Conflict:
                continue
            return self._repository.of(timestamp)
        self._signer.settle(self._clock())  # our targets may lie under the winner's name
        raise Conflict("somebody else published in between; fetch what is published and sign again")

    def _put_root(self, version: int, data: bytes) -> None:
        key = layout.root_key(version)
        if not self._store.put_if_absent(key, data) and self._store.get(key) != data:
            raise Conflict(f"another root version {version} was handed in before; publish with that one")

    def _read(self, sha256: str) -> bytes | None:
        try:
            return self._store.get(layout.object_key(sha256))
        except ObjectNotFound:
            return None

    def _note(self, state: State) -> None:
        known = self._catalogue.version()
        if known == (state.version, layout.digest(state.targets)):
            return
        # One version further, the dates of the rest are known; else they are read from every version again.
        step = known is not None and known[0] == state.version - 1
        self._catalogue.rebuild(
            state, self._catalogue.first_seen() if step else self._repository.first_seen(state)
        )


def require_state(repository: Repository) -> State:
    """The published state.

    Raises:
        NotFound: nothing is published yet.
    """
    state = repository.current()
    if state is None:
        raise NotFound("nothing is published yet; 'edge publish' does that")
    return state
