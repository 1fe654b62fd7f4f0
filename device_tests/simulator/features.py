"""Definitions of the fake models' features, and a model of which only those matter."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from edge_sdk.contract.record import FeatureInput
from edge_sdk.predict.counters import PredictionCounters
from feature_spec.canonical import canonical_json
from feature_spec.definition import Feature, FeatureSpec
from feature_spec.expression import context, daily, sum_days
from feature_spec.surface import known

if TYPE_CHECKING:
    from edge_sdk.features.computing import Definitions
    from edge_sdk.loading import LoadedModel

FULL = 100
"""So many sessions make an effort of 1."""


def _feature(name: str, expression: Any, known: Any = None, **more: Any) -> Feature:
    made = {"version": 1, "unit": "share", "low": 0.0, "high": 1.0, "missing": 0.25, **more}
    return Feature(
        name=name, meaning="For tests.", source="tests", expression=expression, known=known, **made
    )


FEATURES_SPEC = FeatureSpec(
    (
        _feature("effort", sum_days(daily("count", "session")) / FULL, unit="events"),
        _feature(
            "rest",
            context("hours_since_last_act") / 100,
            known(context("hours_since_last_act")),
            unit="hours",
        ),
        _feature("luck", context("progress"), known(context("progress"))),
    )
)
"""Sessions, each a hundredth; how many hours ago the last one was, each a hundredth; and the progress of the goal."""


def spec_bytes(spec: FeatureSpec = FEATURES_SPEC) -> bytes:
    """As they lie in a bundle."""
    return canonical_json(spec.to_json())


@dataclass(eq=False)
class StubRecord:
    """What a feature store looks at in a record."""

    features: tuple[FeatureInput, ...]
    feature_spec_sha256: str


@dataclass(eq=False)
class StubModel:
    """What a feature store looks at in a loaded model."""

    spec: FeatureSpec = FEATURES_SPEC
    extra: tuple[str, ...] = ()
    name: str = "focus"
    definitions: Definitions | None = None
    counters: PredictionCounters = field(default_factory=PredictionCounters)

    def __post_init__(self) -> None:
        self.feature_spec = spec_bytes(self.spec)
        computed = [FeatureInput(f.name, f.unit, f.low, f.high, f.missing) for f in self.spec.features]
        reported = [FeatureInput(name, "", 0.0, 1.0, 0.5) for name in self.extra]
        self.record = StubRecord((*computed, *reported), hashlib.sha256(self.feature_spec).hexdigest())


def stub(spec: FeatureSpec = FEATURES_SPEC, extra: tuple[str, ...] = ()) -> LoadedModel:
    """A model with these definitions, and with other features that the app reports."""
    return cast("LoadedModel", StubModel(spec, extra))
