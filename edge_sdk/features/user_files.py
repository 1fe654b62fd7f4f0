"""The two files of a user as bytes: ``tail``, which every change replaces, and ``main``, which holds what is older.

Events are numbered in the order in which they came. ``main`` holds those below its ``next``, ``tail`` those from its
``start`` on; what both hold counts once, by its number. So merging the tail into the main file is two
replacements, and a crash between them loses and repeats nothing. Both carry the same ``life``: a file of an earlier
life of the user, which an eviction left behind when it was killed, belongs to nobody.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from edge_sdk.contract import document
from edge_sdk.contract.document import Fields
from edge_sdk.errors import FormatError
from edge_sdk.features.columns import DTYPE, EVENT_BYTES, Columns
from edge_sdk.features.profile import Profile
from feature_spec.canonical import canonical_json

FORMAT: Final = "coach-edge/feature-events/1"
_MAGIC: Final = b"CEFE"
_DIGEST: Final = 16
_HEAD: Final = len(_MAGIC) + _DIGEST + 4
_MAX_HEADER: Final = 65_536


@dataclass(frozen=True, eq=False)
class Tail:
    """What came last, and what is known besides.

    Attributes:
        life: random, of this life of the user.
        start: number of the first event.
        at: instant in milliseconds at which something was told last.
        profile: what is known besides events.
        events: in the order in which they came.
    """

    life: str
    start: int
    at: int
    profile: Profile
    events: Columns

    def to_bytes(self) -> bytes:
        header = {"kind": "tail", "life": self.life, "start": self.start, "at": self.at}
        return _to_bytes({**header, "profile": self.profile.to_json()}, self.events)

    @classmethod
    def from_bytes(cls, data: bytes, what: str) -> Tail:
        """Read it.

        Raises:
            FormatError: it is damaged.
        """
        f, events = _from_bytes(data, "tail", what)
        return cls(f.text("life"), f.integer("start"), f.integer("at"), Profile.from_json(f), events)


@dataclass(frozen=True, eq=False)
class Main:
    """What came before.

    Attributes:
        life: random, of this life of the user.
        next: number after that of the last event that was merged.
        floor: instant in milliseconds from which on all events are there; 0 where none was dropped for want of room.
        events: in the order in which they came.
    """

    life: str
    next: int
    floor: int
    events: Columns

    def to_bytes(self) -> bytes:
        return _to_bytes(
            {"kind": "main", "life": self.life, "next": self.next, "floor": self.floor}, self.events
        )

    @classmethod
    def from_bytes(cls, data: bytes, what: str) -> Main:
        """Read it.

        Raises:
            FormatError: it is damaged.
        """
        f, events = _from_bytes(data, "main", what)
        return cls(f.text("life"), f.integer("next"), f.integer("floor"), events)


def _to_bytes(header: dict[str, Any], events: Columns) -> bytes:
    head = canonical_json({"format": FORMAT, **header})
    rest = len(head).to_bytes(4, "little") + head + events.astype(DTYPE, copy=False).tobytes()
    return _MAGIC + hashlib.sha256(rest).digest()[:_DIGEST] + rest


def _from_bytes(data: bytes, kind: str, what: str) -> tuple[Fields, Columns]:
    rest = data[len(_MAGIC) + _DIGEST :]
    if data[: len(_MAGIC)] != _MAGIC or len(data) < _HEAD:
        raise FormatError(f"{what} is no file of events")
    if hashlib.sha256(rest).digest()[:_DIGEST] != data[len(_MAGIC) : len(_MAGIC) + _DIGEST]:
        raise FormatError(f"{what} is damaged")
    length = int.from_bytes(rest[:4], "little")
    f = Fields(document.parse(rest[4 : 4 + length], what, max_bytes=_MAX_HEADER), what)
    f.format(FORMAT)
    if f.text("kind") != kind or (len(rest) - 4 - length) % EVENT_BYTES:
        raise FormatError(f"{what} is no {kind} of events")
    return f, np.frombuffer(rest, DTYPE, offset=4 + length)
