"""Which bytes of a file can be checked on their own, and which of them are wanting. Pure."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Final

from edge_sdk.contract.framing import SEGMENT_BYTES

_DIGEST: Final = 32


@dataclass(frozen=True)
class Segments:
    """A file cut every ``size`` bytes.

    Attributes:
        length: of the file.
        size: of every segment but the last.
        digests: SHA-256 of each.
    """

    length: int
    size: int
    digests: tuple[bytes, ...]

    @classmethod
    def whole(cls, sha256: str, length: int) -> Segments:
        """The file as its only segment: nothing less can be checked."""
        return cls(length, max(length, 1), (bytes.fromhex(sha256),))

    @classmethod
    def of_list(cls, data: bytes, length: int, size: int = SEGMENT_BYTES) -> Segments:
        """From a verified segment list."""
        return cls(length, size, tuple(data[at : at + _DIGEST] for at in range(0, len(data), _DIGEST)))

    def bounds(self, index: int) -> tuple[int, int]:
        """Where a segment begins and ends."""
        return index * self.size, min((index + 1) * self.size, self.length)

    def first_run(self, missing: Set[int]) -> Sequence[int]:
        """The first of those that are missing, and its neighbours that are missing too: one request."""
        first = min(missing)
        after = first + 1
        while after in missing:
            after += 1
        return range(first, after)


def list_length(length: int, size: int = SEGMENT_BYTES) -> int:
    """Bytes of the segment list of a file."""
    return max(-(-length // size), 1) * _DIGEST
