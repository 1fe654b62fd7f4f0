"""How much a feature store keeps, and for how long a value may be used."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Final

from edge_sdk.errors import InputError
from edge_sdk.features.columns import EVENT_BYTES
from edge_sdk.features.room import BLOCK
from feature_spec.errors import DataError
from feature_spec.instants import zone as zone_named
from feature_spec.numbers import is_number, shown

LEAST_BYTES: Final = 65_536
MOST_BYTES: Final = 10_000_000
"""A store never holds more than 10 MB."""


@dataclass(frozen=True, slots=True)
class FeatureSettings:
    """Bounds of a feature store.

    Attributes:
        zone: IANA zone in which days are counted for users of whom no other is known: that of the phone.
        max_bytes: what all its files may take together, in blocks of 4 kB, at most 10 MB. Beyond it, days that no
            feature looks at any more are dropped first, then the users of whom nothing came for the longest.
        max_events: of one user; of more, the oldest days are dropped, and count as not observed.
        offline_s: for how long after its TTL a value may be used where none can be computed anew.
        max_vectors: how many computed vectors are held in memory.

    Raises:
        InputError: a bound does not hold, or there is no such zone.
    """

    zone: str | None = None
    max_bytes: int = MOST_BYTES
    max_events: int = 20_000
    offline_s: float = 86_400.0
    max_vectors: int = 256

    def __post_init__(self) -> None:
        _check_whole("max_bytes", self.max_bytes, LEAST_BYTES, MOST_BYTES)
        _check_whole("max_events", self.max_events, 1, 200_000)
        _check_whole("max_vectors", self.max_vectors, 1, 100_000)
        check_seconds("offline_s", self.offline_s)
        if self.zone is not None:
            check_zone(self.zone)

    @property
    def most_events(self) -> int:
        """Of one user: as many as may be, where a file and the one that takes its place both find room."""
        most = min(self.max_bytes // 3, (self.max_bytes - 11 * BLOCK) // 2)
        return min(self.max_events, most // EVENT_BYTES)


def check_zone(name: object) -> None:
    """Refuse what is no IANA zone.

    Raises:
        InputError: there is none of this name.
    """
    try:
        zone_named(name if isinstance(name, str) else repr(name))
    except DataError as error:
        raise InputError(str(error)) from error


def check_seconds(what: str, value: object) -> None:
    """Refuse what is no time span.

    Raises:
        InputError: it is none.
    """
    if not is_number(value, 0, sys.float_info.max):
        raise InputError(f"{what} must be a number of seconds from 0, not {shown(value)}")


def _check_whole(what: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InputError(f"{what} must be a whole number from {low:,} to {high:,}, not {shown(value)}")
