"""How whole the bundles of a cache are: by a look, by a sample, or by every byte.

Loading proves every byte anyway. This is for an app that wants to know earlier, and for people.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from edge_sdk.contract.framing import SEGMENT_BYTES
from edge_sdk.contract.manifest import Artifact
from edge_sdk.errors import StoreError
from edge_sdk.store.cache import Cache
from edge_sdk.store.disk import Reader
from edge_sdk.store.state import State

_DIGEST: Final = 32
_SAMPLE: Final = 3
"""Segments of a bundle: the first, the last, and a random one between, so that in time all have their turn."""


class VerifyLevel(Enum):
    """How closely to look."""

    QUICK = "quick"
    """Whether each bundle is there and has its length; reads nothing."""
    SAMPLED = "sampled"
    """Besides, a few segments of each, by their signed digests."""
    FULL = "full"
    """Every byte."""


@dataclass(frozen=True)
class Finding:
    """What was found of one bundle.

    Attributes:
        model: its name.
        role: ``active`` or ``previous``.
        artifact: what it should be.
        problem: what is wrong with it; empty where nothing was found.
        segments: how many were read.
        damaged: which of them are not the signed ones.
    """

    model: str
    role: str
    artifact: Artifact
    problem: str = ""
    segments: int = 0
    damaged: tuple[int, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong, as far as was looked."""
        return not self.problem


def verify(cache: Cache, level: VerifyLevel) -> tuple[Finding, ...]:
    """Look at all bundles that the state names."""
    return tuple(_look(cache, *each, level) for each in _named(cache.state()))


def quick_problem(cache: Cache, artifact: Artifact) -> str:
    """What a look shows to be wrong; empty where nothing is."""
    stamp = cache.stamp(artifact.sha256)
    if stamp is None:
        return "it is gone"
    length = stamp[1]
    return "" if length == artifact.length else f"it has {length} bytes, signed are {artifact.length}"


def _named(state: State) -> Iterator[tuple[str, str, Artifact]]:
    for name, slot in sorted(state.models.items()):
        yield name, "active", slot.active
        if slot.previous is not None:
            yield name, "previous", slot.previous


def _look(cache: Cache, model: str, role: str, artifact: Artifact, level: VerifyLevel) -> Finding:
    try:
        problem = quick_problem(cache, artifact)
        if problem or level is VerifyLevel.QUICK:
            return Finding(model, role, artifact, problem)
        digests = _digests(cache, artifact)
        if not digests:
            problem = "" if cache.is_whole(artifact.sha256) else "its bytes are not the signed ones"
            return Finding(model, role, artifact, problem, segments=1)
        chosen = range(len(digests)) if level is VerifyLevel.FULL else _sample(cache, len(digests))
        with cache.reading(artifact.sha256) as reader:
            damaged = () if reader is None else tuple(_damaged(reader, digests, chosen))
    except StoreError as error:
        return Finding(model, role, artifact, str(error))
    if damaged:
        problem = f"{len(damaged)} of {len(chosen)} segments that were read are not the signed ones"
    return Finding(model, role, artifact, problem, len(chosen), damaged)


def _digests(cache: Cache, artifact: Artifact) -> list[bytes]:
    """The signed digests of its segments; none where there is but one, or the list is not kept or damaged."""
    data = cache.verified(artifact.entry.segments_sha256) if artifact.length > SEGMENT_BYTES else None
    return [] if data is None else [data[at : at + _DIGEST] for at in range(0, len(data), _DIGEST)]


def _sample(cache: Cache, count: int) -> Sequence[int]:
    if count <= _SAMPLE:
        return range(count)
    drawn = int.from_bytes(cache.disk.system.random(8), "big")
    return (0, 1 + drawn % (count - 2), count - 1)


def _damaged(reader: Reader, digests: Sequence[bytes], chosen: Sequence[int]) -> Iterator[int]:
    piece = memoryview(bytearray(SEGMENT_BYTES))
    for index in chosen:
        try:
            read = reader.read_into(piece, index * SEGMENT_BYTES)
        except StoreError:  # a bad place on the disk
            read = 0
        if hashlib.sha256(piece[:read]).digest() != digests[index]:
            yield index
