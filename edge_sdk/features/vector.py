"""What a store answers: each feature's value, whether it may be relied on, and how old it is."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Status(enum.StrEnum):
    """Whether a value may be relied on."""

    FRESH = "fresh"
    """Computed from all that is known, and not older than the feature's TTL by either clock."""
    STALE = "stale"
    """Not up to date: older than its TTL, or something came since, and it cannot be computed anew. It is used."""
    EXPIRED = "expired"
    """Older than its TTL and the time for which the settings let it be used all the same. It is not used."""
    MISSING = "missing"
    """Nothing is known that it could be computed from."""


class FeatureValue(NamedTuple):
    """One feature.

    Attributes:
        value: the number; where the status is EXPIRED or MISSING, the one that the definition has for that case.
        status: whether it may be relied on.
        age_s: since it was computed, or reported; infinite where that is not known.
    """

    value: float
    status: Status
    age_s: float


class Computed(NamedTuple):
    """What was computed for one user at one moment.

    Attributes:
        names: of the features, as the model takes them.
        values: of the features.
        statuses: of the features, at that moment.
        offsets: seconds by which each was old at that moment; 0 but for what was reported.
        used: name to value of those that a model is given. Not to be changed.
        oldest: the largest offset of those.
        as_of: the moment, in milliseconds since 1970-01-01T00:00:00Z.
        spec: fingerprint of the definitions.
    """

    names: tuple[str, ...]
    values: tuple[float, ...]
    statuses: tuple[Status, ...]
    offsets: tuple[float, ...]
    used: dict[str, float]
    oldest: float
    as_of: int
    spec: str


class FeatureVector(NamedTuple):
    """All features that a model takes, of one user and goal; ``model.predict`` takes it as it is.

    Attributes:
        computed: the numbers.
        since_s: seconds since they were computed, by the clock that says more.
        age_s: of the oldest value that the model is given; infinite where it is given none at all.
        is_stale: whether one of them is STALE, or one that was there is EXPIRED.
        cached: whether it was computed before.
        problem: why nothing newer could be computed; empty where nothing was the matter.
    """

    computed: Computed
    since_s: float
    age_s: float
    is_stale: bool = False
    cached: bool = False
    problem: str = ""

    @property
    def used(self) -> dict[str, float]:
        """What a model is given, by name: it fills the others itself, and names them. Not to be changed."""
        return self.computed.used

    @property
    def features(self) -> Mapping[str, FeatureValue]:
        """Every feature by name, in the model's order."""
        c, since = self.computed, self.since_s
        rows = zip(c.names, c.values, c.statuses, c.offsets, strict=True)
        return MappingProxyType({name: FeatureValue(v, status, age + since) for name, v, status, age in rows})

    @property
    def values(self) -> Mapping[str, float]:
        """Every feature's value by name, in the model's order."""
        return MappingProxyType(dict(zip(self.computed.names, self.computed.values, strict=True)))


def status_of(age_s: float, ttl_s: float, offline_s: float, *, current: bool) -> Status:
    """The table of the guide, for a value that is there.

    Args:
        age_s: since it was computed, or reported.
        ttl_s: of the feature.
        offline_s: for how long after that it may be used where nothing newer is to be had.
        current: whether nothing came since that it should have been computed from.
    """
    if age_s <= ttl_s:
        return Status.FRESH if current else Status.STALE
    return Status.STALE if age_s <= ttl_s + offline_s else Status.EXPIRED
