"""Deltas between bundles: an object like any other, found by the two digests that it leads from and to."""

from __future__ import annotations

import json
from typing import Final

from edge_sdk.contract import document, identifiers
from edge_sdk.contract.delta import MAX_SHARE
from edge_sdk.contract.document import Fields
from edge_sdk.errors import FormatError
from model_server import layout
from model_server.errors import NotFound, ObjectNotFound, Refused, StorageError
from model_server.publishing import require_state
from model_server.state import Repository

_MAX_INDEX_BYTES: Final = 1_000


class Deltas:
    """The deltas of a repository.

    A server cannot look into what is encrypted, and need not: a device takes a result with the signed digest only.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository, self._store = repository, repository.store

    def put(self, base: str, wanted: str, data: bytes) -> bool:
        """Keep the delta from one uploaded bundle to another; False, and nothing changed, where there is one.

        The object first, what leads to it last. The first one stays: caches may keep it for ever.

        Raises:
            NotFound: a bundle was not uploaded.
            Refused: it saves too little.
        """
        if base == wanted:
            raise Refused("a delta leads from one bundle to another, not to itself")
        self._size(base)
        size = self._size(wanted)
        if not 0 < len(data) <= MAX_SHARE * size:
            raise Refused(
                f"the delta has {len(data)} bytes; at most {MAX_SHARE:.0%} of the {size} of its bundle are taken"
            )
        sha256 = layout.put_object(self._store, data)
        index = json.dumps({"sha256": sha256, "length": len(data)}).encode()
        return self._store.put_if_absent(layout.delta_key(base, wanted), index)

    def find(self, base: str, wanted: str) -> tuple[str, int]:
        """Digest and length of the delta, as long as the bundle that it leads to is published.

        Raises:
            NotFound: there is none, or its bundle is not published.
            StorageError: what the store says of it makes no sense.
        """
        missing = f"there is no delta from {base} to {wanted}"
        if wanted not in require_state(self._repository).objects:
            raise NotFound(missing)
        try:
            index = self._store.get(layout.delta_key(identifiers.sha256_hex(base, "base"), wanted))
        except (ObjectNotFound, FormatError) as error:
            raise NotFound(missing) from error
        try:
            f = Fields(document.parse(index, "delta", max_bytes=_MAX_INDEX_BYTES), "delta")
            return identifiers.sha256_hex(f.text("sha256"), "delta"), f.integer("length", 1)
        except FormatError as error:
            raise StorageError(f"{layout.delta_key(base, wanted)} is damaged; restore the store") from error

    def _size(self, bundle: str) -> int:
        stat = self._store.head(layout.object_key(bundle))
        if stat is None:
            raise NotFound(f"the bundle {bundle} was not uploaded; upload it before its deltas")
        return stat.size
