"""How a served bundle is cut and bound: segments, their digests, associated data (docs/protocol/encryption.md)."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator

SEGMENT_BYTES = 1_048_576
"""Both the ciphertext segment of the streaming format and the piece of the segment list."""


def associated_data(model: str, model_version: str, target: str, recipe: str, key_id: str) -> bytes:
    """Length-prefixed fields, so that no two different tuples give the same bytes."""
    return _prefixed("coach-edge/bundle/1", model, model_version, target, recipe, key_id)


def delta_data(base_sha256: str, sha256: str) -> bytes:
    """What the encryption of a delta binds it to: the digests of both served bundles, in hex."""
    return _prefixed("coach-edge/delta/1", base_sha256, sha256)


def _prefixed(*parts: str) -> bytes:
    encoded = [part.encode() for part in parts]
    return b"".join(struct.pack(">I", len(part)) + part for part in encoded)


def segments(served: bytes | memoryview) -> Iterator[memoryview]:
    """The served bytes cut every 1 MiB; at least one segment."""
    view = memoryview(served)
    for start in range(0, max(len(view), 1), SEGMENT_BYTES):
        yield view[start : start + SEGMENT_BYTES]


def segment_list(served: bytes | memoryview) -> bytes:
    """Concatenated SHA-256 digests of the segments."""
    return b"".join(hashlib.sha256(segment).digest() for segment in segments(served))
