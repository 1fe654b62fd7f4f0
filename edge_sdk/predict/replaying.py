"""Computing a recorded prediction again, and laying both side by side, bit by bit."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from edge_sdk.errors import FormatError
from edge_sdk.predict.prediction import Reason
from edge_sdk.predict.predictor import Predictor
from edge_sdk.predict.replay import ReplayRecord, record_of
from edge_sdk.predict.spec import PredictorSpec

_PATIENCE_MS: Final = 600_000.0
"""A replay is not in a hurry, and an answer that comes late is no fallback."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of computing it again.

    Attributes:
        differences: what is not the same, to the bit; empty where all is.
        circumstances: what has changed around it (engine, its version, machine), and may be why.
    """

    differences: tuple[str, ...]
    circumstances: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether every output is the same to the bit, and so is the advice."""
        return not self.differences


def _compare(then: ReplayRecord, now: ReplayRecord, spec: PredictorSpec) -> Replayed:
    """Lay a record beside one of the same numbers, computed again by the same bundle."""
    differences = []
    for what, names, old, new in (
        ("output", spec.outputs, then.values, now.values),
        ("contribution of", spec.features, then.contributions, now.contributions),
    ):
        if len(old) != len(new):
            differences.append(f"{what} {names[0]} and others: {len(old)} numbers then, {len(new)} now")
            continue
        differences.extend(
            f"{what} {name}: {a.hex()} then, {b.hex()} now"
            for name, a, b in zip(names, old, new, strict=False)
            if _bits(a) != _bits(b)
        )
    for field in ("reason", "risk_factors", "actions"):
        old, new = getattr(then, field), getattr(now, field)
        if old != new:
            differences.append(f"{field}: {_told(old)} then, {_told(new)} now")
    circumstances = tuple(
        f"{field.replace('_', ' ')}: {getattr(then, field) or 'not known'} then, "
        f"{getattr(now, field) or 'not known'} now"
        for field in ("engine", "engine_version", "machine")
        if getattr(then, field) != getattr(now, field)
    )
    return Replayed(tuple(differences), circumstances)


def _features_of(record: ReplayRecord, spec: PredictorSpec) -> Mapping[str, float]:
    """The features as they were given.

    Raises:
        FormatError: the record does not fit the model: it was changed, or is of another.
    """
    if len(record.given) != len(spec.features) or not set(record.filled) <= set(spec.features):
        raise FormatError(
            f"the replay record has {len(record.given)} numbers, and {spec.model} {spec.model_version} takes "
            f"{len(spec.features)}; it was changed"
        )
    everything = dict(zip(spec.features, record.given, strict=True))
    return {name: value for name, value in everything.items() if name not in record.filled}


def replay(then: ReplayRecord, predictor: Predictor, engine: str, engine_version: str) -> Replayed:
    """Compute a record's prediction again, by the bundle that made it, and compare.

    Args:
        then: the record.
        predictor: on that bundle's model, and nobody else's: what it counts is thrown away.
        engine, engine_version: what computes now.

    Raises:
        FormatError: the record does not fit the model.
        RunFailed: the engine failed.
    """
    spec = predictor.spec
    features = _features_of(then, spec)
    if then.reason is Reason.FALLBACK:
        given, filled = predictor.given(features)
        made = predictor.fallback(filled, then.feature_age_s)
    else:
        stale = then.reason is Reason.STALE_FEATURES  # as a feature store may have said, whatever their age
        made = predictor.predict(
            features, feature_age_s=then.feature_age_s, stale=stale, deadline_ms=_PATIENCE_MS
        )
        given, filled = predictor.given(features)
    now = record_of(made, given, filled, spec, then.artifact, engine, engine_version)
    return _compare(then, now, spec)


def _told(value: object) -> str:
    return ", ".join(value) or "none" if isinstance(value, tuple) else str(value)


def _bits(value: float) -> bytes:
    return struct.pack("<d", value)
