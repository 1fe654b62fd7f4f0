"""Telling: from what was counted to reports that wait in the cache, where the app asked for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from edge_sdk.contract.sketch import VALUE_BINS
from edge_sdk.contract.telemetry import (
    ALERTS,
    COUNTS,
    HISTOGRAMS,
    LATENCIES,
    MIN_PREDICTIONS,
    NONCE_BYTES,
    Report,
    Tally,
    Window,
)
from edge_sdk.errors import StoreError
from edge_sdk.health.alerts import HealthSettings, alerts_of
from edge_sdk.health.noise import BitDice
from edge_sdk.health.privacy import Budget, PrivacySettings, Shape, privatise
from edge_sdk.health.queue import Limits, Queue
from edge_sdk.runtime.pool import remake_after_fork
from edge_sdk.store import Cache, Clock


@dataclass(frozen=True)
class TelemetrySettings:
    """That the app, and whoever uses it, agreed to telling; see docs/protocol/telemetry.md for what.

    Attributes:
        privacy: noise that hides what one device did; none by default.
        limits: how much may wait in the cache.
    """

    privacy: PrivacySettings | None = None
    limits: Limits = field(default_factory=Limits)


class Telemetry:
    """Keeps what was counted in the cache, and makes reports of it. It opens no connection itself.

    Args:
        cache: where it waits.
        cut: ends the windows of what is counted, and gives them.
        settings: what the app agreed to.
        health: thresholds, for the alerts in a report.
        clock: the wall clock.
    """

    def __init__(
        self,
        cache: Cache,
        cut: Callable[[], list[Window]],
        settings: TelemetrySettings,
        health: HealthSettings,
        clock: Clock,
    ) -> None:
        self.queue = Queue(cache.folder, cache.disk, clock, settings.limits)
        self._cut, self._settings, self._health = cut, settings, health
        self._random = cache.disk.system.random
        self._budget = Budget(self.queue.folder, cache.disk, clock)
        self._after_fork()
        remake_after_fork(self)
        self.begin()

    def _after_fork(self) -> None:
        self._keeping = threading.Lock()

    def begin(self) -> None:
        """Make the queue where there is none. A full disk is no reason not to predict: :meth:`keep` tries again."""
        self._epoch = b""
        with suppress(StoreError):
            self._epoch = self.queue.begin()

    def keep(self) -> None:
        """Bring to the cache what was counted since the last time.

        What was counted before somebody erased the cache is dropped: it is no longer anybody's to tell.

        Raises:
            StoreError: the disk refuses; what was counted is lost.
        """
        with self._keeping:
            kept = [self.queue.enqueue(window, self._epoch) for window in self._cut()]
            if not self._epoch or not all(kept):
                self._epoch = self.queue.begin()

    def seal(self) -> None:
        """Make reports of what waits, as far as it is enough to be told."""
        self.queue.seal(self._report)

    def _report(self, window: Window) -> Report | None:
        nonce = self._random(NONCE_BYTES).hex()
        if self._settings.privacy is None:
            if window.predictions < MIN_PREDICTIONS:
                return None
            wrong = alerts_of(window.subject.model, window.subject.release, window.tally, self._health)
            window = replace(window, tally=_without_few(window.tally))
            return Report(window, nonce, tuple(name for name in ALERTS if name in {a.name for a in wrong}))
        return self._private_report(window, self._settings.privacy, nonce)

    def _private_report(self, window: Window, settings: PrivacySettings, nonce: str) -> Report | None:
        sketched = sorted(name for name in window.tally.histograms if name not in LATENCIES)
        # A model counts each of its features at every prediction, so these names tell nothing of what was counted.
        if not sketched or not self._budget.spend(settings):
            return None
        bins = dict.fromkeys(LATENCIES, HISTOGRAMS["latency"]) | dict.fromkeys(sketched, VALUE_BINS)
        tally, privacy = privatise(window.tally, Shape(COUNTS, bins), settings, BitDice(self._random))
        return Report(Window(window.subject, window.start, window.end, tally), nonce, (), privacy)


def _without_few(tally: Tally) -> Tally:
    """Without sketches of few predictions: batches and fallbacks are counted too, and are in no sketch."""
    told = {
        name: counts
        for name, counts in tally.histograms.items()
        if name in LATENCIES or counts.total() >= MIN_PREDICTIONS
    }
    return Tally(tally.counts, told)
