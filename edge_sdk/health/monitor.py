"""How the models of a client do: what their counters say, by release, and what is wrong."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from edge_sdk.contract.telemetry import LATENCIES, MAX_LENGTH, Subject, Tally, Window, hour_of
from edge_sdk.errors import FormatError
from edge_sdk.health.alerts import Alert, HealthSettings, alerts_of
from edge_sdk.health.latencies import LONGEST_MS, quantile_ms
from edge_sdk.health.source import Source
from edge_sdk.runtime.pool import remake_after_fork
from edge_sdk.store.system import Clock

if TYPE_CHECKING:
    from edge_sdk.health.noticed import Noticed
    from edge_sdk.runtime.engine import Engine

_DISTRIBUTIONS = {"litert": "ai-edge-litert", "onnxruntime": "onnxruntime"}


@dataclass(frozen=True)
class Quantiles:
    """Milliseconds: upper edges of the bins that hold these shares; None where nothing was counted."""

    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True)
class ModelHealth:
    """How one release of one model does, in the hours up to now.

    Attributes:
        model, model_version, release: which.
        predictions: answers by reason; a batch is one.
        errors: calls that raised, by family: ``busy``, ``broken`` (the engine failed), ``refused`` (of their input).
        caches: look-ups by cache and outcome, such as ``result_cache.hit``.
        latency: of ``load``, ``queue`` and ``compute``.
        alerts: what is wrong.
    """

    model: str
    model_version: str
    release: int
    predictions: Mapping[str, int]
    errors: Mapping[str, int]
    caches: Mapping[str, int]
    latency: Mapping[str, Quantiles]
    alerts: tuple[Alert, ...]


@dataclass(frozen=True)
class Release:
    """Which model counts are about."""

    model: str
    model_version: str
    release: int
    channel: str


@dataclass
class _Watched:
    begun: datetime
    sources: list[Source] = field(default_factory=list)
    window: Tally = field(default_factory=Tally)
    before: Tally = field(default_factory=Tally)

    def gather(self) -> None:
        over = [source for source in self.sources if source.is_over]  # before it is asked for the last time
        for source in self.sources:
            self.window = self.window.plus(source.since())
        self.sources = [source for source in self.sources if source not in over]


class Monitor:
    """Asks the counters of loaded models, when somebody wants to know.

    Args:
        engine: what runs the models.
        clock: the wall clock.
        settings: thresholds and who is told.
    """

    def __init__(self, engine: str | Engine, clock: Clock, settings: HealthSettings) -> None:
        self._engine, self._clock, self._settings = engine, clock, settings
        self._lock = threading.Lock()
        self._watched: dict[Release, _Watched] = {}
        self._raised: frozenset[tuple[str, ...]] = frozenset()
        remake_after_fork(self)

    def _after_fork(self) -> None:
        # What was counted before a fork is the parent's to tell: each of its children would tell it again.
        self._lock = threading.Lock()
        for watched in self._watched.values():
            watched.window = watched.before = Tally()
            for source in watched.sources:
                source.begin_again()

    def watch(self, noticed: Noticed) -> None:
        """Count what this model does; it has named features."""
        entry = noticed.entry
        key = Release(entry.model, entry.model_version, entry.release, entry.channel)
        with self._lock:
            self._watched.setdefault(key, _Watched(noticed.at)).sources.append(Source(noticed))

    def look(self) -> tuple[ModelHealth, ...]:
        """How all models do that were used: in the present window and the one before it."""
        with self._lock:
            for watched in self._watched.values():
                watched.gather()
            found = tuple(
                health_of(key, watched.before.plus(watched.window), self._settings)
                for key, watched in sorted(self._watched.items(), key=lambda item: str(item[0]))
            )
        self._tell([alert for health in found for alert in health.alerts])
        return found

    def cut(self) -> list[Window]:
        """End the window of each model, and begin the next."""
        self.look()
        ended, now = [], self._clock()
        with self._lock:
            for key, watched in list(self._watched.items()):
                watched.gather()
                window = self._window(key, watched, now)
                if window is not None:
                    ended.append(window)
                    watched.before, watched.window, watched.begun = watched.window, Tally(), now
                elif not watched.sources:
                    del self._watched[key]
        return ended

    def forget(self) -> None:
        """Forget everything that was counted, for an erase; models in use are counted anew."""
        with self._lock:
            for watched in self._watched.values():
                watched.gather()
                watched.window = watched.before = Tally()
                watched.begun = self._clock()

    def _window(self, key: Release, watched: _Watched, now: datetime) -> Window | None:
        if not watched.window.counts and not watched.window.histograms:
            return None
        from edge_sdk.contract.directives import RUNTIME

        end = hour_of(now) + timedelta(hours=1)
        start = max(hour_of(min(watched.begun, now)), end - MAX_LENGTH)  # whatever was done to the clock
        try:
            subject = Subject(
                sdk=RUNTIME,
                engine=self._engine_name,
                engine_version=_version_of(self._engine),
                platform=_platform(),
                channel=key.channel,
                model=key.model,
                model_version=key.model_version,
                release=key.release,
            )
        except FormatError:  # a model that nobody published, or an engine with a strange name
            return None
        return Window(subject, start, end, watched.window)

    @property
    def _engine_name(self) -> str:
        return self._engine if isinstance(self._engine, str) else self._engine.name

    def _tell(self, alerts: list[Alert]) -> None:
        holding = frozenset((a.name, a.model, str(a.release), a.what) for a in alerts)
        new = [a for a in alerts if (a.name, a.model, str(a.release), a.what) not in self._raised]
        self._raised = holding
        if self._settings.on_alert is not None:
            for alert in new:
                self._settings.on_alert(alert)


def health_of(key: Release, tally: Tally, settings: HealthSettings) -> ModelHealth:
    """What was counted, as people read it."""

    def of(prefix: str) -> dict[str, int]:
        names = [name for name in sorted(tally.counts) if name.startswith(prefix + ".")]
        return {name.partition(".")[2]: tally.counts[name] for name in names}

    latency = {}
    for name in LATENCIES:
        counts: Mapping[int, int] = tally.histograms.get(name, {})
        latency[name.partition(".")[2]] = Quantiles(
            *(quantile_ms(counts, share) for share in (0.5, 0.95, 0.99))
        )
    return ModelHealth(
        model=key.model,
        model_version=key.model_version,
        release=key.release,
        predictions=of("prediction"),
        errors=of("error"),
        caches={
            f"{cache}.{outcome}": n
            for cache in ("result_cache", "feature_cache")
            for outcome, n in of(cache).items()
        },
        latency=latency,
        alerts=alerts_of(key.model, key.release, tally, settings),
    )


def health_of_windows(windows: Iterable[Window], settings: HealthSettings) -> list[ModelHealth]:
    """What windows say, those of one release together."""
    found: dict[Release, Tally] = {}
    for window in windows:
        about = window.subject
        key = Release(about.model, about.model_version, about.release, about.channel)
        found[key] = found.get(key, Tally()).plus(window.tally)
    return [health_of(key, found[key], settings) for key in sorted(found, key=str)]


def to_json(health: ModelHealth) -> dict[str, Any]:
    """For ``edge status``."""
    return {
        "model": health.model,
        "model_version": health.model_version,
        "release": health.release,
        "predictions": dict(health.predictions),
        "errors": dict(health.errors),
        "caches": dict(health.caches),
        "latency_ms": {
            stage: {name: ms and _finite(ms) for name, ms in vars(quantiles).items()}
            for stage, quantiles in health.latency.items()
        },
        "alerts": [
            {
                "name": a.name,
                "what": a.what,
                "value": _finite(a.value),
                "threshold": a.threshold,
                "n": a.observations,
            }
            for a in health.alerts
        ],
    }


def _finite(value: float) -> float:
    """JSON has no infinity: latencies beyond the last edge, some 17 s, are told as that edge."""
    return min(value, LONGEST_MS)


def _platform() -> str:
    if hasattr(sys, "getandroidapilevel"):
        return "android"
    return {"linux": "linux", "darwin": "macos", "win32": "windows", "ios": "ios"}.get(sys.platform, "other")


def _version_of(engine: str | Engine) -> str:
    if not isinstance(engine, str):
        return "unknown"
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(_DISTRIBUTIONS.get(engine, engine))
    except PackageNotFoundError:
        return "unknown"
