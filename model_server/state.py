"""What is published now, verified from the pointer down: timestamp, snapshot, targets, manifest; and directives."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from edge_sdk.contract import directives as directives_format
from edge_sdk.contract import framing
from edge_sdk.contract.directives import Directives
from edge_sdk.contract.manifest import Artifact, Director, Manifest
from edge_sdk.crypto import dsse
from edge_sdk.errors import EdgeError, VerificationError
from model_server import layout, tuf_metadata
from model_server.errors import ObjectNotFound, StartError, StateError
from model_server.storage import ObjectStore
from model_server.tuf_metadata import Published

if TYPE_CHECKING:
    from datetime import datetime

    from tuf.api.metadata import Root


@dataclass(frozen=True)
class State:
    """What TUF clients see. ``manifest`` is the value of the targets; ``published`` ties its parts together."""

    root: Root
    targets: bytes
    manifest: Manifest
    published: Published
    snapshot: bytes
    snapshot_version: int
    snapshot_issued: datetime
    snapshot_expires: datetime
    timestamp_version: int
    timestamp_issued: datetime
    timestamp_expires: datetime

    @property
    def version(self) -> int:
        """Version of targets and manifest."""
        return self.manifest.version

    @cached_property
    def by_path(self) -> dict[str, Artifact]:
        """Artifacts by target path."""
        return {artifact.path: artifact for artifact in self.manifest.artifacts}

    @cached_property
    def objects(self) -> dict[str, int]:
        """Length of every object that may be downloaded by its digest: bundles and their segment lists."""
        sizes = {artifact.sha256: artifact.length for artifact in self.manifest.artifacts}
        for artifact in self.manifest.artifacts:
            pieces = -(-artifact.length // framing.SEGMENT_BYTES)
            sizes[artifact.entry.segments_sha256] = pieces * hashlib.sha256().digest_size
        return sizes


class Repository:
    """Reads the published state of a store and trusts nothing in it but what the root vouches for."""

    def __init__(self, store: ObjectStore, root: bytes, director: Director) -> None:
        """Bind a store to the root that the server was started with.

        Args:
            store: where everything lies.
            root: root metadata; what it vouches for is trusted.
            director: who signs directives here.

        Raises:
            StartError: ``root`` is not a root.
        """
        self.store, self.director = store, director
        self._first_bytes = root
        try:
            self._first = tuf_metadata.read_root(root, "--root")
        except EdgeError as error:
            raise StartError(f"{error}; give the root.json of 'edge keys init'") from error
        self._latest: tuple[bytes, State] | None = None

    @property
    def first_root_version(self) -> int:
        """Version of the root that the server was started with."""
        return self._first.version

    def adopt_root(self) -> None:
        """Put the root of the start where clients look for it.

        Raises:
            StartError: the store belongs to another root.
        """
        key = layout.root_key(self._first.version)
        if not self.store.put_if_absent(key, self._first_bytes) and self.store.get(key) != self._first_bytes:
            raise StartError(
                f"the store has another root version {self._first.version} than --root; give the root that this "
                "store was made with, or another --storage"
            )

    def current(self) -> State | None:
        """The published state; None before the first publication.

        Raises:
            StateError: the store holds something that its root does not vouch for.
        """
        try:
            timestamp = self.store.get(layout.TIMESTAMP)
        except ObjectNotFound:
            return None
        return self.of(timestamp)

    def of(self, timestamp: bytes) -> State:
        """The state that a timestamp points to. The last one is kept: the pointer's bytes identify it."""
        latest = self._latest
        if latest is not None and latest[0] == timestamp:
            return latest[1]
        try:
            state = self._load(timestamp)
        except ObjectNotFound as error:
            raise StateError(f"the store is incomplete: {error}; restore it") from error
        except EdgeError as error:
            raise StateError(f"the store was changed by somebody else: {error}; restore it") from error
        self._latest = (timestamp, state)
        return state

    def directives(self, envelope: bytes) -> Directives:
        """Verified directives; they may have expired.

        Raises:
            StateError: not signed by the director of this server.
        """
        keys = {self.director.key_id: self.director.public_key}
        try:
            payload = dsse.verify(envelope, directives_format.PAYLOAD_TYPE, keys, 1)
            return Directives.from_bytes(payload)
        except EdgeError as error:
            raise StateError(f"the stored directives are not this server's: {error}; restore them") from error

    def root_at(self, version: int) -> Root:
        """The root of a version, reached from the first by the signatures of each on the next.

        Versions before the first are the first itself: the operator vouches for it.
        """
        root = self._first
        while root.version < version:
            data = self.store.get(layout.root_key(root.version + 1))
            root = tuf_metadata.read_root(data, f"root version {root.version + 1}", root)
        return root

    def first_seen(self, state: State) -> dict[str, datetime]:
        """When each target was first signed, from the targets of every version that the store still has.

        For display only: earlier versions are read as they lie there.
        """
        seen = {artifact.path: state.manifest.issued for artifact in state.manifest.artifacts}
        for version in range(state.version - 1, 0, -1):
            try:
                data = self.store.get(layout.targets_key(version))
                earlier = tuf_metadata.read_targets(data, state.root)
            except (ObjectNotFound, EdgeError):
                break  # cleaned up, or signed before a change of keys: older dates are not known
            seen |= {a.path: earlier.issued for a in earlier.artifacts if a.path in seen}
        return seen

    def _load(self, timestamp: bytes) -> State:
        """Verify from the pointer down.

        1. The snapshot has the version, length and digest that the timestamp names.
        2. The root that the snapshot was made under is reached from ours by signatures.
        3. That root vouches for timestamp, snapshot and targets.
        4. The targets have the version, length and digest that the snapshot names.
        """
        outer = tuf_metadata.read_timestamp(timestamp)
        meta = outer.signed.snapshot_meta
        snapshot = self.store.get(layout.snapshot_key(meta.version))
        _same(snapshot, tuf_metadata.sha256_of(meta, "snapshot"), "snapshot")
        inner, published = tuf_metadata.read_snapshot(snapshot)
        root = self.root_at(published.root_version)
        tuf_metadata.verify_online(outer, root)
        tuf_metadata.verify_online(inner, root)
        named = inner.signed.meta["targets.json"]
        sha256 = tuf_metadata.sha256_of(named, "targets")
        targets = self.store.get(layout.object_key(sha256))
        _same(targets, sha256, "targets")
        manifest = tuf_metadata.read_targets(targets, root)
        if (inner.signed.version, manifest.version) != (meta.version, named.version):
            raise VerificationError("snapshot or targets have another version than they are named with")
        return State(
            root,
            targets,
            manifest,
            published,
            snapshot,
            inner.signed.version,
            tuf_metadata.issued(inner.signed),
            inner.signed.expires,
            outer.signed.version,
            tuf_metadata.issued(outer.signed),
            outer.signed.expires,
        )


def _same(data: bytes, sha256: str, what: str) -> None:
    if layout.digest(data) != sha256:
        raise VerificationError(f"the {what} has another digest than it is named with")
