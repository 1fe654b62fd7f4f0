"""From events to features: what the device computes from the same events, whatever the clock and the calendar do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_spec import PREBUILT
from feature_spec.definition import Feature, FeatureSpec
from feature_spec.expression import context
from feature_spec.instants import parse_instant
from feature_spec.numpy_evaluator import evaluate as reference
from feature_spec.vector_cases import ACCEPTED
from feature_spec.vectors import apply
from feature_spec.vocabulary import CONTEXT, EVENT_TYPES
from feature_spec.warehouse import bucketing
from feature_spec.warehouse.duckdb_engine import DuckDB
from tests.feature_spec.inputs import Cells
from tests.feature_spec.trees import named
from tests.feature_spec.warehouse.logs import features, tables
from tests.feature_spec.warehouse.test_agreement import TOLERANCE, worst

pytestmark = pytest.mark.sampled


@pytest.fixture(scope="module")
def engine() -> Iterator[DuckDB]:
    with DuckDB(threads=2) as opened:
        yield opened


CONTEXT_SPEC = FeatureSpec(
    tuple(
        Feature(
            name=f"entry_{name}",
            version=1,
            unit=named(context(name))[0],
            low=-1,
            high=2**24,
            missing=0,
            meaning="the entry as it is",
            source="none",
            expression=context(name),
        )
        for name in CONTEXT
    )
)
"""Shows the context itself."""


@pytest.mark.parametrize("spec", [PREBUILT, CONTEXT_SPEC], ids=["features", "context"])
def test_every_vector_from_its_events(engine: DuckDB, spec: FeatureSpec) -> None:
    documents = [(case.name, case.document()) for case in ACCEPTED]
    days = [apply(document) for _, document in documents]
    expected = reference(spec, np.stack([one.daily for one in days]), np.stack([one.context for one in days]))
    found = features(engine, *tables(documents), spec)
    wrong = np.argwhere(np.abs(expected - found) > TOLERANCE * np.maximum(1, np.abs(expected)))
    assert not len(wrong), [(documents[i][0], spec.names[j], expected[i, j], found[i, j]) for i, j in wrong]


ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "Pacific/Auckland",
    "Africa/Casablanca",
    "Pacific/Apia",
)
_DAY_MS = 86_400_000
_SPRING = 1_774_958_400_000
"""2026-03-31T12:00:00Z: clocks have changed in the window, in most of the zones."""


def _stamp(instant: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=instant)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _event(random: np.random.Generator, instant: int) -> dict[str, Any]:
    event: dict[str, Any] = {
        "timestamp": _stamp(instant),
        "event_type": str(random.choice(EVENT_TYPES)),
        "count": int(random.integers(0, 4)),
    }
    if random.random() < 0.5:
        event["value"] = round(float(random.normal()), 3)
    if random.random() < 0.2:
        event["event_id"] = f"é-{random.integers(1_000_000)}"
    return event


def random_users(seed: int, users: int) -> list[tuple[str, dict[str, Any]]]:
    """One input each: events before and after the as-of instant, some twice, in zones with and without summer time."""
    random = np.random.default_rng(seed)
    inputs = []
    for number in range(users):
        as_of = _SPRING + int(random.integers(-200 * _DAY_MS, 200 * _DAY_MS))
        moments = as_of + random.integers(-100 * _DAY_MS, 10 * _DAY_MS, random.integers(0, 40))
        near = as_of + random.integers(-_DAY_MS, _DAY_MS, 3)
        events = [_event(random, int(moment)) for moment in (*moments, *near, as_of)]
        events += [event for event in events if "event_id" in event and random.random() < 0.5]
        since = _stamp(as_of - int(random.integers(2, 120)) * _DAY_MS)[:10]
        inputs.append(
            (
                f"user {number} ü",
                {
                    "as_of": _stamp(as_of),
                    "zone": str(random.choice(ZONES)),
                    "context": {"observed_since": since} if random.random() < 0.6 else {},
                    "events": events,
                },
            )
        )
    return inputs


def _instant(event: dict[str, Any]) -> int:
    return parse_instant(event["timestamp"])


def expected_features(users: list[tuple[str, dict[str, Any]]], spec: FeatureSpec) -> Cells:
    days = [apply(document) for _, document in users]
    return reference(spec, np.stack([one.daily for one in days]), np.stack([one.context for one in days]))


@pytest.mark.parametrize("spec", [PREBUILT, CONTEXT_SPEC], ids=["features", "context"])
def test_random_logs_in_many_zones(engine: DuckDB, spec: FeatureSpec) -> None:
    users = random_users(21, 150)
    assert worst(expected_features(users, spec), features(engine, *tables(users), spec)) <= TOLERANCE


def _other_future(seed: int, users: list[tuple[str, dict[str, Any]]]) -> list[tuple[str, dict[str, Any]]]:
    """The same users with another future: what comes after the as-of instant is left out, and other things come."""
    random = np.random.default_rng(seed)
    changed = []
    for user, document in users:
        as_of = parse_instant(document["as_of"])
        past = [event for event in document["events"] if _instant(event) <= as_of]
        ahead = (1, *random.integers(1, 5 * _DAY_MS, random.integers(0, 10)))
        future = [
            _event(random, as_of + int(moment)) | {"event_id": f"f{i}"} for i, moment in enumerate(ahead)
        ]
        changed.append((user, {**document, "events": [*future, *past]}))
    return changed


@settings(max_examples=5)
@given(seed=st.integers(0, 2**32))
def test_the_future_changes_nothing(engine: DuckDB, seed: int) -> None:
    users = random_users(seed, 40)
    changed = _other_future(seed, users)
    assert tables(changed)[0] != tables(users)[0]
    spec = FeatureSpec((*PREBUILT.features, *CONTEXT_SPEC.features))
    before, after = (features(engine, *tables(each), spec) for each in (users, changed))
    assert worst(before, after) <= 1e-9  # sums may be added in another order


def test_a_leak_is_caught(engine: DuckDB, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: with the as-of instant a day late, the test above fails."""
    users = random_users(22, 40)
    honest = bucketing.happened

    def leaking(events: Any, requests: Any) -> Any:
        return honest(events.mutate(instant=events.instant - _DAY_MS), requests)

    monkeypatch.setattr(bucketing, "happened", leaking)
    before, after = (features(engine, *tables(each)) for each in (users, _other_future(22, users)))
    assert worst(before, after) > 0.01


def test_many_instants_of_one_user(engine: DuckDB) -> None:
    """Each request sees the log as it was then, though all are computed at once."""
    (user, document), *_ = random_users(23, 1)
    instants = [parse_instant(document["as_of"]) - days * _DAY_MS // 3 for days in range(60)]
    asked = [(user, {**document, "as_of": _stamp(instant), "context": {}}) for instant in instants]
    events, _ = tables([(user, document)])
    _, requests = tables(asked)
    cut = [
        (name, {**each, "events": [e for e in each["events"] if e["timestamp"] <= each["as_of"]]})
        for name, each in asked
    ]
    assert worst(expected_features(cut, PREBUILT), features(engine, events, requests)) <= TOLERANCE
