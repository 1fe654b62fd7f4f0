"""What a device may tell of its predictions: counts, and nothing else (docs/protocol/telemetry.md)."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from edge_sdk.contract import document, identifiers, sketch
from edge_sdk.contract.document import Fields
from edge_sdk.contract.sketch import Sketch
from edge_sdk.errors import FormatError
from feature_spec.canonical import canonical_json

FORMAT: Final = "coach-edge/telemetry/1"
MAX_BYTES: Final = 65_536
MAX_COUNTS: Final = 64
MAX_HISTOGRAMS: Final = 256
MIN_PREDICTIONS: Final = 50
"""Fewer are not told: what a few predictions look like is close to telling each of them."""

MAX_LENGTH: Final = timedelta(days=31)
PLATFORMS: Final = ("android", "ios", "linux", "macos", "windows", "other")
ALERTS: Final = ("errors", "hits", "latency")
HISTOGRAMS: Final[Mapping[str, int]] = {
    "latency": sketch.LATENCY_BINS,
    "feature": sketch.VALUE_BINS,
    "score": sketch.VALUE_BINS,
}
"""How many bins a histogram has, by what stands in front of the dot in its name."""

LATENCIES: Final = ("latency.compute", "latency.load", "latency.queue")
COUNTS: Final = (
    "prediction.fresh",
    "prediction.stale_features",
    "prediction.last_known_good",
    "prediction.baseline",
    "prediction.fallback",
    "error.busy",
    "error.broken",
    "error.refused",
    "result_cache.hit",
    "result_cache.miss",
    "feature_cache.hit",
    "feature_cache.miss",
)
"""What this SDK counts; other makers, and later ones, may count more."""

MECHANISM: Final = "discrete-laplace"
NONCE_BYTES: Final = 16

_COUNT: Final = re.compile(r"(prediction|error|result_cache|feature_cache)\.[a-z][a-z_]{0,39}")
_VERSION: Final = re.compile(r"[0-9A-Za-z.+-]{1,32}")
_NONCE: Final = re.compile(r"[0-9a-f]{32}")
_MOST: Final = identifiers.MAX_RELEASE


def hour_of(moment: datetime) -> datetime:
    """The whole hour, UTC, in which a moment lies: reports know no finer time."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


@dataclass(frozen=True)
class Subject:
    """What counts are about; those of the same subject may be added.

    Attributes:
        sdk: level of the SDK, that which directives call the runtime.
        engine, engine_version: what ran the model; ``unknown`` where the engine does not say.
        platform: one of ``PLATFORMS``; no model of a phone, which with the rest might single somebody out.
        channel, model, model_version, release: which model.
    """

    sdk: int
    engine: str
    engine_version: str
    platform: str
    channel: str
    model: str
    model_version: str
    release: int

    def __post_init__(self) -> None:
        identifiers.release(self.sdk)
        identifiers.name(self.engine, "telemetry: engine")
        if not _VERSION.fullmatch(self.engine_version):
            raise FormatError(f"telemetry: engine_version {self.engine_version!r:.80} is no version")
        if self.platform not in PLATFORMS:
            raise FormatError(
                f"telemetry: platform {self.platform!r:.80} is not one of {', '.join(PLATFORMS)}"
            )
        identifiers.name(self.channel, "telemetry: channel")
        identifiers.name(self.model, "telemetry: model")
        identifiers.model_version(self.model_version)
        identifiers.release(self.release)


@dataclass(frozen=True)
class Tally:
    """Counts by name, and histograms by name: see the page for the names.

    Not changed once it is handed on: :meth:`plus` makes another.
    """

    counts: Counter[str] = field(default_factory=Counter)
    histograms: Mapping[str, Sketch] = field(default_factory=dict)

    def plus(self, other: Tally) -> Tally:
        """Both together."""
        names = {**self.histograms, **other.histograms}
        nothing: Sketch = Counter()
        merged = {
            name: self.histograms.get(name, nothing) + other.histograms.get(name, nothing) for name in names
        }
        return Tally(self.counts + other.counts, merged)

    def total(self, prefix: str) -> int:
        """Sum of the counts whose names begin with ``prefix`` and a dot."""
        return sum(count for name, count in self.counts.items() if name.startswith(prefix + "."))

    def to_json(self) -> dict[str, Any]:
        return {
            "counts": {name: count for name, count in self.counts.items() if count},
            "histograms": {
                name: sketch.to_json(counts)
                for name, counts in self.histograms.items()
                if any(counts.values())
            },
        }

    @classmethod
    def from_json(cls, f: Fields, *, signed: bool = False) -> Tally:
        """From the fields ``counts`` and ``histograms`` of a document."""
        given, histograms = f.mapping("counts"), f.mapping("histograms")
        if len(given) > MAX_COUNTS or len(histograms) > MAX_HISTOGRAMS:
            raise FormatError(
                f"{f.what}: at most {MAX_COUNTS} counts and {MAX_HISTOGRAMS} histograms are taken"
            )
        for name, count in given.items():
            if not _COUNT.fullmatch(name):
                raise FormatError(f"{f.what}: no count is called {name!r:.80}")
            if type(count) is not int or count == 0 or not (-_MOST if signed else 1) <= count <= _MOST:
                raise FormatError(f"{f.what}: count {name} is {count!r:.40}; leave out what counts nothing")
        return cls(
            Counter(given),
            {name: _histogram(name, value, f.what, signed) for name, value in histograms.items()},
        )


def _histogram(name: str, value: object, what: str, signed: bool) -> Sketch:
    kind, _, rest = name.partition(".")
    if kind not in HISTOGRAMS or not 1 <= len(rest) <= 100 or (kind == "latency" and name not in LATENCIES):
        raise FormatError(f"{what}: no histogram is called {name!r:.80}")
    counts = sketch.from_json(value, HISTOGRAMS[kind], f"{what}: histogram {name!r}", signed=signed)
    if not counts or max(map(abs, counts.values())) > _MOST:
        raise FormatError(f"{what}: histogram {name!r} is empty or counts too much; leave it out")
    return counts


@dataclass(frozen=True)
class Window:
    """What was counted from one whole hour to another."""

    subject: Subject
    start: datetime
    end: datetime
    tally: Tally

    def __post_init__(self) -> None:
        if self.start != hour_of(self.start) or self.end != hour_of(self.end):
            raise FormatError("telemetry: a window begins and ends with a whole hour")
        if not timedelta(0) < self.end - self.start <= MAX_LENGTH:
            raise FormatError(
                f"telemetry: a window is longer than nothing and at most {MAX_LENGTH.days} days"
            )

    @property
    def predictions(self) -> int:
        """How many were counted."""
        return self.tally.total("prediction")

    def merge(self, other: Window) -> Window:
        """Both together; they are of the same subject.

        Raises:
            FormatError: from the first to the last hour it is too long.
        """
        assert self.subject == other.subject
        return replace(
            self,
            start=min(self.start, other.start),
            end=max(self.end, other.end),
            tally=self.tally.plus(other.tally),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            **vars(self.subject),
            "start": identifiers.format_time(self.start),
            "end": identifiers.format_time(self.end),
            **self.tally.to_json(),
        }

    @classmethod
    def from_json(cls, f: Fields, *, signed: bool = False) -> Window:
        """From the fields of a document."""
        texts = ("engine", "engine_version", "platform", "channel", "model", "model_version")
        return cls(
            Subject(
                sdk=f.integer("sdk", 1),
                release=f.integer("release", 1),
                **{key: f.text(key) for key in texts},
            ),
            f.checked("start", identifiers.parse_time),
            f.checked("end", identifiers.parse_time),
            Tally.from_json(f, signed=signed),
        )


WINDOW_FIELDS: Final = frozenset({*Subject.__dataclass_fields__, "start", "end", "counts", "histograms"})


@dataclass(frozen=True)
class Privacy:
    """What noise was added; see :mod:`edge_sdk.health.privacy`.

    Attributes:
        epsilon_milli: thousandths of epsilon, of the whole report.
        sensitivity: how far apart, in the sum of all counts, the true counts of two reports can lie.
    """

    epsilon_milli: int
    sensitivity: int


@dataclass(frozen=True)
class Report:
    """What is uploaded: one window, or several of the same subject put together.

    Attributes:
        window: the counts.
        alerts: which of ``ALERTS`` hold, sorted; none where noise was added, which they would see through.
        privacy: the noise, if any.
        nonce: 32 random hexadecimal digits, so that two equal reports are two; fresh for each, it links none.
    """

    window: Window
    nonce: str
    alerts: tuple[str, ...] = ()
    privacy: Privacy | None = None

    def __post_init__(self) -> None:
        if not _NONCE.fullmatch(self.nonce):
            raise FormatError("telemetry: the nonce is not 32 lower-case hexadecimal digits")
        if list(self.alerts) != sorted(set(self.alerts) & set(ALERTS)):
            raise FormatError(f"telemetry: alerts are, sorted, some of {', '.join(ALERTS)}")
        if self.privacy is not None:
            if self.alerts:
                raise FormatError("telemetry: where noise was added there are no alerts")
            if self.privacy.epsilon_milli < 1 or self.privacy.sensitivity < 1:
                raise FormatError("telemetry: epsilon_milli and sensitivity are positive")
        elif self.window.predictions < MIN_PREDICTIONS:
            raise FormatError(
                f"telemetry: {self.window.predictions} predictions; fewer than {MIN_PREDICTIONS} are not told"
            )

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        value = {
            "format": FORMAT,
            **self.window.to_json(),
            "alerts": list(self.alerts),
            "nonce": self.nonce,
        }
        if self.privacy is not None:
            value["privacy"] = {"mechanism": MECHANISM, **vars(self.privacy)}
        return canonical_json(value)

    @classmethod
    def from_bytes(cls, data: bytes) -> Report:
        """The report of an upload.

        Raises:
            FormatError: anything but a report, a field that is not one of a report's included.
        """
        top = document.parse(data, "telemetry", max_bytes=MAX_BYTES)
        f = Fields(top, "telemetry")
        f.format(FORMAT)
        privacy = None
        if "privacy" in top:
            p = Fields(f.mapping("privacy"), "telemetry: privacy")
            _only(f.mapping("privacy"), {"mechanism", "epsilon_milli", "sensitivity"}, "telemetry: privacy")
            if p.text("mechanism") != MECHANISM:
                raise FormatError(f"telemetry: the mechanism is not {MECHANISM}")
            privacy = Privacy(p.integer("epsilon_milli", 1), p.integer("sensitivity", 1))
        # Elsewhere readers pass over what they do not know. Here it would be something that nobody declared.
        _only(top, {"format", *WINDOW_FIELDS, "alerts", "nonce", "privacy"}, "telemetry")
        alerts = tuple(f.array("alerts"))
        if not all(isinstance(alert, str) for alert in alerts):
            raise FormatError("telemetry: an alert is no text")
        return cls(Window.from_json(f, signed=privacy is not None), f.text("nonce"), alerts, privacy)


def _only(value: Mapping[str, Any], known: set[str], what: str) -> None:
    if unknown := sorted(set(value) - known):
        raise FormatError(f"{what}: {unknown[0]!r:.80} is no field of it")


def key_of(report: bytes) -> str:
    """What tells an upload from another: the SHA-256 of its bytes, which hold a nonce. Sent again, it is the same."""
    return hashlib.sha256(report).hexdigest()
