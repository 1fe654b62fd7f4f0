"""Replay records: small, exact, and every change of them or of the world around them shows."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from coach_edge.bench.goal_model import goal_rows, goal_spec
from edge_sdk.errors import FormatError, InputError
from edge_sdk.predict import Predictor, Reason
from edge_sdk.predict.replay import ReplayLog, ReplayRecord, parse_log, record_of
from edge_sdk.predict.replaying import Replayed, replay
from edge_sdk.runtime import Model, open_model
from tests.coach_edge.bench.test_predict_bench import stand_in

SPEC = goal_spec()
ARTIFACT = "ab" * 32


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    with open_model(stand_in()) as opened:
        yield opened


@pytest.fixture(scope="module")
def predictor(model: Model) -> Predictor:
    return Predictor(model, SPEC)


def recorded(predictor: Predictor, features: Mapping[str, float], **options: Any) -> ReplayRecord:
    made = predictor.predict(features, **{"deadline_ms": 60_000, **options})
    values, filled = predictor.given(features)
    return record_of(made, values, filled, predictor.spec, ARTIFACT, "litert", "1.2.3")


def replayed(record: ReplayRecord, predictor: Predictor, version: str = "1.2.3") -> Replayed:
    return replay(record, predictor, "litert", version)


def test_a_thousand_random_predictions_are_equal_to_the_bit(predictor: Predictor) -> None:
    rng = np.random.default_rng(5)
    seen = set()
    for features in goal_rows(1000, seed=5):
        for name in rng.choice(list(features), rng.integers(0, 4), replace=False):
            del features[name]
        record = recorded(
            predictor, features, feature_age_s=float(rng.uniform(0, 2 * SPEC.max_feature_age_s))
        )
        seen.add((record.reason, bool(record.filled)))
        data = record.to_bytes()
        again = ReplayRecord.from_bytes(data)
        assert again == record
        assert again.to_bytes() == data
        assert replayed(again, predictor) == Replayed((), ())
    assert len(seen) == 4, "fresh and stale, filled and not"


def test_a_few_hundred_bytes_on_one_line(predictor: Predictor) -> None:
    (features,) = goal_rows(1, seed=1)
    data = recorded(predictor, features).to_bytes()
    assert len(data) < 900
    assert b"\n" not in data


def test_any_changed_bit_of_a_record_is_refused(predictor: Predictor) -> None:
    (features,) = goal_rows(1, seed=2)
    honest = recorded(predictor, features).to_bytes()
    for at in range(len(honest)):
        for bit in range(8):
            changed = bytearray(honest)
            changed[at] ^= 1 << bit
            with pytest.raises(FormatError):
                ReplayRecord.from_bytes(bytes(changed))


@pytest.mark.parametrize("at", range(12))
def test_a_bit_that_is_computed_differently_is_told(predictor: Predictor, at: int) -> None:
    (features,) = goal_rows(1, seed=3)
    record = recorded(predictor, features)
    numbers = [*record.values, *record.contributions]
    numbers[at] = math.nextafter(numbers[at], math.inf)
    forged = replace(record, values=tuple(numbers[:2]), contributions=tuple(numbers[2:]))
    done = replayed(forged, predictor)
    assert not done.equal
    name = (*SPEC.outputs, *SPEC.features)[at]
    assert len(done.differences) == 1
    assert f" {name}: {numbers[at].hex()} then" in done.differences[0]


def test_the_sign_of_a_zero_is_a_bit(predictor: Predictor) -> None:
    record = recorded(predictor, dict.fromkeys(SPEC.features, 0.0))
    assert record.contributions[0] == 0
    flipped = (-record.contributions[0], *record.contributions[1:])
    assert not replayed(replace(record, contributions=flipped), predictor).equal


def test_other_advice_is_told(predictor: Predictor) -> None:
    (features,) = goal_rows(1, seed=3)
    record = replace(recorded(predictor, features), actions=("send_flowers",))
    (difference,) = replayed(record, predictor).differences
    assert difference.startswith("actions: send_flowers then, ")


def test_what_has_changed_around_it_is_told(predictor: Predictor) -> None:
    (features,) = goal_rows(1, seed=3)
    record = replace(recorded(predictor, features), machine="vax")
    done = replayed(record, predictor, version="9.9")
    assert done.equal
    assert done.circumstances[0] == "engine version: 1.2.3 then, 9.9 now"
    assert done.circumstances[1].startswith("machine: vax then, ")


def test_a_fallback_is_what_the_record_declares(model: Model, predictor: Predictor) -> None:
    held = [model.pool.acquire() for _ in range(3)]
    try:
        record = recorded(predictor, {}, deadline_ms=0)
    finally:
        for session in held:
            model.pool.release(session)
    assert (record.reason, record.contributions) == (Reason.FALLBACK, ())
    assert replayed(record, predictor).equal
    assert not replayed(replace(record, values=(0.25, 0.0)), predictor).equal


def test_an_age_that_is_no_number(predictor: Predictor) -> None:
    record = ReplayRecord.from_bytes(recorded(predictor, {}, feature_age_s=math.nan).to_bytes())
    assert math.isnan(record.feature_age_s)
    assert record.reason is Reason.STALE_FEATURES
    assert replayed(record, predictor).equal


def test_prediction_and_features_belong_together(predictor: Predictor) -> None:
    made = predictor.predict({"streak_length": 1.0}, deadline_ms=60_000)
    for spec, features in (
        (SPEC, {}),
        (replace(SPEC, release=2), {"streak_length": 1.0}),
        (replace(SPEC, model_version="2.0.0"), {"streak_length": 1.0}),
    ):
        values, filled = predictor.given(features)
        with pytest.raises(InputError, match="give a prediction and the features"):
            record_of(made, values, filled, spec, ARTIFACT, "litert", "")


def test_a_record_of_other_features(predictor: Predictor) -> None:
    record = replace(recorded(predictor, {}), given=(1.0,))
    with pytest.raises(FormatError, match=r"has 1 numbers, and goal-success 1\.0\.0 takes 10"):
        replayed(record, predictor)


class TestLog:
    def test_the_oldest_give_way_and_the_export_is_read_again(self, predictor: Predictor) -> None:
        log = ReplayLog(capacity=3)
        records = [recorded(predictor, row) for row in goal_rows(5, seed=4)]
        for record in records:
            log.add(record)
        assert len(log) == 3
        exported = log.export()
        assert parse_log(exported) == records[2:]
        log.clear()
        assert (len(log), log.export()) == (0, b"")

    @pytest.mark.parametrize("capacity", [0, -1, 10**6])
    def test_bounds(self, capacity: int) -> None:
        with pytest.raises(InputError):
            ReplayLog(capacity)

    def test_a_bad_line_is_named(self, predictor: Predictor) -> None:
        good = recorded(predictor, {}).to_bytes()
        with pytest.raises(FormatError, match="line 3: replay record is not valid JSON"):
            parse_log(good + b"\n\n" + good[:-1] + b"\n")
        with pytest.raises(FormatError, match="1 to 10000 records, not 0"):
            parse_log(b"\n")


WRONG: dict[str, object] = {
    "format": "coach-edge/replay/2",
    "release": -1,
    "artifact": "short",
    "reason": "mood",
    "given": "AAAA",
    "values": 7,
    "feature_age_s": "",
    "filled": [1],
}


@pytest.mark.parametrize("field", WRONG)
def test_malformed_records(predictor: Predictor, field: str) -> None:
    from edge_sdk.predict import replay as module

    body = json.loads(recorded(predictor, {}).to_bytes())
    body[field] = WRONG[field]
    rest = {key: value for key, value in body.items() if key not in ("format", "sha256")}
    body["sha256"] = module._digest(rest)
    with pytest.raises(FormatError, match=field):
        ReplayRecord.from_bytes(json.dumps(body).encode())
