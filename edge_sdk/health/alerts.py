"""When something is wrong with a model on this device: fixed thresholds, each with a least number of observations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_sdk.errors import InputError

if TYPE_CHECKING:
    from edge_sdk.contract.telemetry import Tally

_CACHES = ("result_cache", "feature_cache")


@dataclass(frozen=True)
class Alert:
    """One thing that is wrong.

    Attributes:
        name: ``latency``, ``errors`` or ``hits``.
        model, release: of which model.
        what: which latency or cache; all errors are one.
        value: as observed: milliseconds, or a share.
        threshold: which it should keep.
        observations: how many there are.
    """

    name: str
    model: str
    release: int
    what: str
    value: float
    threshold: float
    observations: int


@dataclass(frozen=True)
class HealthSettings:
    """Thresholds, and who is told.

    Attributes:
        latency_ms: the 95th percentile of waiting, and that of computing, should not exceed it.
        error_rate: share of calls that raise.
        hit_rate: share of look-ups that a cache should answer at least.
        min_observations: with fewer there is no alert: of ten calls one error is no rate of 10 %.
        on_alert: called for each alert that did not hold when it was looked at last; from the thread that looks
            (``health``, uploading, closing), never from one that predicts.
    """

    latency_ms: float = 500.0
    error_rate: float = 0.01
    hit_rate: float = 0.70
    min_observations: int = 100
    on_alert: Callable[[Alert], None] | None = None

    def __post_init__(self) -> None:
        shares = 0 <= self.error_rate <= 1 and 0 <= self.hit_rate <= 1
        if not (shares and self.latency_ms > 0 and self.min_observations > 0):
            raise InputError(
                "thresholds of health: rates lie from 0 to 1, latency_ms and min_observations above 0"
            )


def alerts_of(model: str, release: int, tally: Tally, settings: HealthSettings) -> tuple[Alert, ...]:
    """What is wrong, by what was counted."""
    from edge_sdk.health.latencies import quantile_ms

    found = []

    def check(name: str, what: str, value: float, threshold: float, n: int, wrong: bool) -> None:
        if wrong and n >= settings.min_observations:
            found.append(Alert(name, model, release, what, value, threshold, n))

    for stage in ("queue", "compute"):
        counts: Mapping[int, int] = tally.histograms.get(f"latency.{stage}", {})
        p95, n = quantile_ms(counts, 0.95), sum(counts.values())
        if p95 is not None:
            check("latency", stage, p95, settings.latency_ms, n, p95 > settings.latency_ms)
    errors = tally.total("error")
    calls = tally.total("prediction") + errors
    if calls:
        rate = errors / calls
        check("errors", "predictions", rate, settings.error_rate, calls, rate > settings.error_rate)
    for cache in _CACHES:
        hits, looked = tally.counts[f"{cache}.hit"], tally.total(cache)
        if looked:
            check("hits", cache, hits / looked, settings.hit_rate, looked, hits / looked < settings.hit_rate)
    return tuple(found)
