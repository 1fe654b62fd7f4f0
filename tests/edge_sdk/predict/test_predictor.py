"""Predictors on a fake engine with a clock that stands still, and on a real model."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest

from device_tests.simulator.tflite_writer import dense_tflite
from edge_sdk.contract.rules import Condition, Rule, Rules
from edge_sdk.errors import DeadlineExceeded, FormatError, InputError
from edge_sdk.predict import Prediction, Predictor, PredictorSpec, Reason
from edge_sdk.predict.counters import RECENT
from edge_sdk.runtime import Model, Pool, PoolBusy, PoolClosed, PoolSettings, RunFailed, open_model
from edge_sdk.runtime.engine import Array, Signature, TensorInfo
from tests.edge_sdk.runtime.fakes import FakeClock, Threads, until

F32 = np.dtype(np.float32)
NAMES = ("rate", "streak")
RULES = Rules(
    risk_factors=(
        Rule("low_rate", (Condition("feature", "rate", "<", 0.5),)),
        Rule("costly_streak", (Condition("contribution", "streak", "<", 0.0),)),
    ),
    actions=(
        Rule("send_nudge", (Condition("output", "probability", "<", 0.5),), ("low_rate",)),
        Rule("celebrate", (Condition("output", "probability", ">=", 0.5),)),
    ),
)
SPEC = PredictorSpec(
    model="goal",
    model_version="1.2.0",
    release=7,
    input="features",
    features=NAMES,
    defaults=(0.5, 3.0),
    outputs=("probability", "confidence"),
    contributions="contributions",
    fallback={"probability": 0.6, "confidence": 0.0},
    rules=RULES,
    max_feature_age_s=3600,
)


class FakeGoal:
    """probability = rate, confidence = 1, contributions = (rate, -streak); takes as long as it is told."""

    def __init__(self, clock: FakeClock) -> None:
        self.inputs = (TensorInfo("features", F32, (-1, 2)),)
        self.outputs = (
            TensorInfo("contributions", F32, (-1, 2)),
            TensorInfo("probability", F32, (-1, 1)),
            TensorInfo("confidence", F32, (-1, 1)),
        )
        self.signatures = (Signature("serving_default", self.inputs, self.outputs),)
        self.clock = clock
        self.takes_ms = 0.0
        self.answer: float | None = None
        self.error: Exception | None = None
        self.batches: list[int] = []

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        self.clock.advance_ms(self.takes_ms)
        if self.error:
            raise self.error
        x = inputs["features"]
        self.batches.append(len(x))
        probability = x[:, :1] if self.answer is None else np.full_like(x[:, :1], self.answer)
        return {
            "contributions": x * np.array([1, -1], np.float32),
            "probability": probability,
            "confidence": np.ones_like(probability),
        }

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def session(clock: FakeClock) -> FakeGoal:
    return FakeGoal(clock)


@pytest.fixture
def model(clock: FakeClock, session: FakeGoal) -> Model:
    settings = PoolSettings(max_sessions=1, max_waiting=1)
    return Model(Pool(lambda: session, settings, clock=clock, first=session), session)


@pytest.fixture
def predictor(model: Model) -> Predictor:
    return Predictor(model, SPEC)


def test_a_fresh_prediction(predictor: Predictor, session: FakeGoal) -> None:
    session.takes_ms = 2
    assert predictor.predict({"rate": 0.25, "streak": 4}, feature_age_s=60) == Prediction(
        values={"probability": 0.25, "confidence": 1.0},
        contributions={"rate": 0.25, "streak": -4.0},
        risk_factors=("low_rate", "costly_streak"),
        actions=("send_nudge",),
        filled=(),
        reason=Reason.FRESH,
        model_version="1.2.0",
        release=7,
        feature_age_s=60,
        queue_ms=0.0,
        compute_ms=2.0,
    )


def test_a_prediction_cannot_be_changed(predictor: Predictor) -> None:
    prediction = predictor.predict({})
    with pytest.raises(AttributeError):
        prediction.reason = Reason.FRESH  # type: ignore[misc]
    with pytest.raises(AttributeError):
        prediction.other = 1  # type: ignore[attr-defined]
    assert prediction.reason == "fresh", "a reason is also its text, for JSON"


def test_filled_features_take_part(predictor: Predictor) -> None:
    prediction = predictor.predict({"streak": -1.0})
    assert prediction.filled == ("rate",)
    assert prediction.values["probability"] == 0.5
    assert prediction.contributions == {"rate": 0.5, "streak": 1.0}
    assert (prediction.risk_factors, prediction.actions) == ((), ("celebrate",))


def test_bad_input_never_reaches_the_engine(predictor: Predictor, session: FakeGoal) -> None:
    with pytest.raises(InputError, match=r"did you mean rate\?"):
        predictor.predict({"rte": 0.5})
    with pytest.raises(InputError, match="rate is nan"):
        predictor.predict({"rate": math.nan, "streak": 1})
    assert session.batches == []


@pytest.mark.parametrize("deadline", [-1, math.nan, math.inf, 1e12])
def test_impossible_deadlines(predictor: Predictor, deadline: float) -> None:
    with pytest.raises(InputError, match="deadline_ms must lie between"):
        predictor.predict({}, deadline_ms=deadline)
    with pytest.raises(InputError, match="deadline_ms must lie between"):
        predictor.predict_batch({"rate": [1]}, deadline_ms=deadline)


@pytest.mark.parametrize(
    ("age", "reason"),
    [
        (0, Reason.FRESH),
        (3600, Reason.FRESH),
        (3601, Reason.STALE_FEATURES),
        (math.nan, Reason.STALE_FEATURES),
    ],
)
def test_old_features_are_told(predictor: Predictor, age: float, reason: Reason) -> None:
    assert predictor.predict({}, feature_age_s=age).reason is reason
    assert predictor.predict_batch({"rate": [1]}, feature_age_s=age).reason is reason


def test_standing_in_for_a_newer_model_is_told(model: Model) -> None:
    predictor = Predictor(model, SPEC, reason=Reason.LAST_KNOWN_GOOD)
    assert predictor.predict({}).reason is Reason.LAST_KNOWN_GOOD
    old = predictor.predict({}, feature_age_s=1e9)
    assert (old.reason, old.feature_age_s) == (Reason.LAST_KNOWN_GOOD, 1e9)
    assert predictor.predict_batch({"rate": [1]}, feature_age_s=1e9).reason is Reason.LAST_KNOWN_GOOD


def test_no_session_in_time_is_the_fallback(predictor: Predictor, model: Model) -> None:
    held = model.pool.acquire()
    prediction = predictor.predict({"streak": 4}, deadline_ms=0)
    model.pool.release(held)
    assert prediction.reason is Reason.FALLBACK
    assert prediction.values == {"probability": 0.6, "confidence": 0.0}
    assert (prediction.contributions, prediction.risk_factors, prediction.actions) == ({}, (), ())
    assert prediction.filled == ("rate",)
    assert (prediction.model_version, prediction.release, prediction.compute_ms) == ("1.2.0", 7, 0)


def test_a_full_queue_is_the_fallback(predictor: Predictor, model: Model) -> None:
    held = model.pool.acquire()
    threads = Threads()
    threads.start(lambda: predictor.predict({}, deadline_ms=60_000))
    until(lambda: model.stats().waiting == 1)
    assert predictor.predict({}, deadline_ms=60_000).reason is Reason.FALLBACK
    assert model.stats().rejected == 1
    model.pool.release(held)
    threads.join()
    (waited,) = threads.results
    assert isinstance(waited, Prediction)
    assert waited.reason is Reason.FRESH


def test_too_slow_an_engine_is_the_fallback(predictor: Predictor, session: FakeGoal) -> None:
    session.takes_ms = 100
    assert predictor.predict({}).reason is Reason.FRESH, "just in time"
    session.takes_ms = 100.001
    late = predictor.predict({})
    assert late.reason is Reason.FALLBACK
    assert late.values == dict(SPEC.fallback)
    assert late.compute_ms == pytest.approx(100.001)
    assert predictor.predict({}, deadline_ms=200).reason is Reason.FRESH


def test_the_fallback_belongs_to_the_caller(predictor: Predictor, session: FakeGoal) -> None:
    session.takes_ms = 1000
    predictor.predict({}).values["probability"] = 99
    assert predictor.predict({}).values["probability"] == 0.6


def test_without_a_declared_fallback(model: Model, session: FakeGoal) -> None:
    predictor = Predictor(model, replace(SPEC, fallback={}))
    held = model.pool.acquire()
    with pytest.raises(DeadlineExceeded):
        predictor.predict({}, deadline_ms=0)
    with pytest.raises(DeadlineExceeded):
        predictor.predict_batch({"rate": [1]}, deadline_ms=0)
    threads = Threads()
    threads.start(lambda: predictor.predict({}))
    until(lambda: model.stats().waiting == 1)
    with pytest.raises(PoolBusy):
        predictor.predict({})
    model.pool.release(held)
    threads.join()
    session.takes_ms = 1000
    assert predictor.predict({}).reason is Reason.FRESH, "late, and all there is"


def test_what_fails_is_not_hidden_behind_the_fallback(
    predictor: Predictor, session: FakeGoal, model: Model
) -> None:
    session.error = RuntimeError("op 3")
    with pytest.raises(RunFailed, match="op 3"):
        predictor.predict({})
    session.error = None
    assert predictor.predict({}).reason is Reason.FRESH
    model.close()
    with pytest.raises(PoolClosed):
        predictor.predict({})


@pytest.mark.parametrize("answer", [math.nan, math.inf, -math.inf])
def test_an_answer_that_is_no_number_is_refused(
    predictor: Predictor, session: FakeGoal, answer: float
) -> None:
    session.answer = answer
    with pytest.raises(RunFailed, match=f"goal 1.2.0 answered {answer} for probability"):
        predictor.predict({})
    with pytest.raises(RunFailed, match="answered row 0 with something that is no number"):
        predictor.predict_batch({"rate": [1, 2]})


def test_a_contribution_of_the_same_name_hides_no_output(session: FakeGoal, model: Model) -> None:
    names = "probability", "streak"
    predictor = Predictor(model, replace(SPEC, features=names, rules=Rules()))
    session.answer = math.nan
    with pytest.raises(RunFailed, match="answered nan for probability"):
        predictor.predict({"probability": 0.5, "streak": 1.0})


def test_every_answer_is_counted(predictor: Predictor, session: FakeGoal, model: Model) -> None:
    for takes in (1, 1, 50, 500):
        session.takes_ms = takes
        predictor.predict({})
    held = model.pool.acquire()
    predictor.predict({}, deadline_ms=0)
    model.pool.release(held)
    with pytest.raises(InputError):
        predictor.predict({"x": 1})
    counts = predictor.counters.snapshot()
    assert (counts.answers, counts.fallbacks, counts.failures, counts.refused) == (5, 2, 0, 1)
    assert (counts.queue.sum_ns, counts.compute.sum_ns) == (0, 552_000_000)
    assert counts.compute.quantile_ms(0.6) == pytest.approx(1, rel=0.125)


def test_every_failure_is_counted(session: FakeGoal, model: Model) -> None:
    predictor = Predictor(model, replace(SPEC, fallback={}))
    for error, answer in ((RuntimeError("op 3"), None), (None, math.nan)):
        session.error, session.answer = error, answer
        with pytest.raises(RunFailed):
            predictor.predict({})
        with pytest.raises(RunFailed):
            predictor.predict_batch({"rate": [1.0]})
    held = model.pool.acquire()
    with pytest.raises(DeadlineExceeded):
        predictor.predict({}, deadline_ms=0)
    with pytest.raises(DeadlineExceeded):
        predictor.predict_batch({"rate": [1.0]}, deadline_ms=0)
    model.pool.release(held)
    counts = predictor.counters.snapshot()
    assert (counts.broken, counts.busy, counts.fallbacks) == (4, 2, 0)
    assert counts.answers == 0


def test_the_latest_are_remembered_and_the_stale_counted(predictor: Predictor) -> None:
    predictor.predict({"rate": 0.25, "streak": 4})
    predictor.predict({"rate": 0.1}, feature_age_s=1e9)
    predictor.predict_batch({"rate": [0.5]}, feature_age_s=1e9)
    assert predictor.counters.snapshot().stale == 2
    taken = predictor.counters.take_recent(4)
    np.testing.assert_array_equal(
        taken,
        [[0.25, 4, 0.25, 1], [0.1, math.nan, float(np.float32(0.1)), 1]],
        "what was filled is not known",
    )
    assert predictor.counters.take_recent(4).shape == (0, 4)
    for _ in range(RECENT + 5):
        predictor.predict({})
    assert len(predictor.counters.recent) == RECENT


def test_a_batch_counts_as_one_answer(predictor: Predictor, session: FakeGoal, model: Model) -> None:
    session.takes_ms = 3
    predictor.predict_batch({"rate": [0.1, 0.2]})
    held = model.pool.acquire()
    predictor.predict_batch({"rate": [0.1, 0.2]}, deadline_ms=0)
    model.pool.release(held)
    counts = predictor.counters.snapshot()
    assert (counts.answers, counts.fallbacks, counts.compute.sum_ns) == (2, 1, 3_000_000)


@pytest.mark.parametrize("value", [np.float32(0.1), np.float16(0.1), 0.1, np.float64(0.1)], ids=repr)
def test_rules_compare_doubles_whatever_kind_of_number_came(model: Model, value: float) -> None:
    """NumPy would round the bound to the value's own dtype."""
    for op in ("<", "<=", ">", ">="):
        rules = Rules((Rule("it", (Condition("feature", "rate", op, 0.1),)),))
        predictor = Predictor(model, replace(SPEC, rules=rules))
        holds = {"<": float(value) < 0.1, "<=": float(value) <= 0.1, ">": float(value) > 0.1}
        expected = holds.get(op, float(value) >= 0.1)
        assert bool(predictor.predict({"rate": value, "streak": 1}).risk_factors) is expected
        assert predictor.predict_batch({"rate": np.array([value])}).risk_factors["it"].tolist() == [expected]


def test_a_batch_is_its_rows(predictor: Predictor) -> None:
    rng = np.random.default_rng(3)
    table = rng.uniform(0, 1, (1100, 2)).astype(np.float32)
    batch = predictor.predict_batch(table)
    assert len(batch) == 1100
    assert batch.reason is Reason.FRESH
    for at in (0, 1, 127, 128, 1099):
        one = predictor.predict(dict(zip(NAMES, table[at].tolist(), strict=True)))
        assert {name: column[at] for name, column in batch.values.items()} == one.values
        assert {name: column[at] for name, column in batch.contributions.items()} == one.contributions
        assert tuple(key for key, column in batch.risk_factors.items() if column[at]) == one.risk_factors
        assert tuple(key for key, column in batch.actions.items() if column[at]) == one.actions


def test_a_batch_is_cut_to_bound_its_memory(predictor: Predictor, session: FakeGoal) -> None:
    predictor.predict_batch(np.zeros((1100, 2), np.float32))
    assert session.batches == [128] * 8 + [76]


def test_a_batch_of_columns(predictor: Predictor, session: FakeGoal) -> None:
    session.takes_ms = 3
    batch = predictor.predict_batch({"rate": [0.25, 0.75]}, feature_age_s=5)
    assert batch.filled == ("streak",)
    assert batch.values["probability"].tolist() == [0.25, 0.75]
    assert batch.contributions["streak"].tolist() == [-3, -3]
    assert batch.risk_factors["low_rate"].tolist() == [True, False]
    assert batch.actions["send_nudge"].tolist() == [True, False]
    assert (batch.compute_ms, batch.queue_ms, batch.feature_age_s, batch.release) == (3, 0, 5, 7)


def test_an_empty_batch(predictor: Predictor) -> None:
    batch = predictor.predict_batch(np.empty((0, 2), np.float32))
    assert len(batch) == 0
    assert batch.values["confidence"].shape == batch.risk_factors["low_rate"].shape == (0,)


def test_a_batch_that_gets_no_session_is_the_fallback(predictor: Predictor, model: Model) -> None:
    held = model.pool.acquire()
    batch = predictor.predict_batch({"rate": [0.1, 0.2, 0.3]}, deadline_ms=0)
    model.pool.release(held)
    assert batch.reason is Reason.FALLBACK
    np.testing.assert_array_equal(batch.values["probability"], np.full(3, 0.6, np.float32))
    assert (batch.contributions, batch.risk_factors, batch.actions) == ({}, {}, {})


@pytest.mark.parametrize("rows", [-1, 1], ids=["any batch", "one row at a time"])
def test_on_a_real_model(rows: int) -> None:
    spec = replace(
        SPEC, outputs=("probability",), contributions=None, fallback={"probability": 0.5}, rules=Rules()
    )
    table = np.random.default_rng(1).normal(size=(20, 2)).astype(np.float32)
    with open_model(dense_tflite((2, 8, 1), batch=rows)) as model:
        predictor = Predictor(model, spec)
        batch = predictor.predict_batch(table)
        for row, expected in zip(table, batch.values["probability"], strict=True):
            features = dict(zip(NAMES, row.tolist(), strict=True))
            assert predictor.predict(features, deadline_ms=60_000).values["probability"] == pytest.approx(
                expected, abs=1e-6
            )
        assert len({*batch.values["probability"].tolist()}) == 20


MISFITS: dict[str, tuple[Callable[[PredictorSpec], PredictorSpec], str]] = {
    "input name": (lambda s: replace(s, input="x"), "one float32 input x, the model takes features: float32"),
    "features": (
        lambda s: replace(
            s, features=(*NAMES, "more"), defaults=(0, 0, 0), contributions=None, rules=Rules()
        ),
        "names 3 features, the model takes features: float32.any x 2.",
    ),
    "output name": (
        lambda s: replace(s, outputs=("score",), fallback={}, rules=Rules()),
        "says output score with 1 a row, the model has contributions",
    ),
    "output size": (
        lambda s: replace(s, outputs=("contributions",), fallback={}, contributions=None, rules=Rules()),
        "says output contributions with 1 a row",
    ),
    "contributions": (lambda s: replace(s, contributions="probability"), "output probability with 2 a row"),
}


@pytest.mark.parametrize("case", MISFITS)
def test_a_record_of_another_model(model: Model, case: str) -> None:
    change, message = MISFITS[case]
    with pytest.raises(FormatError, match=message):
        Predictor(model, change(SPEC))


def test_predicting_imports_no_update_machinery_and_opens_no_socket() -> None:
    script = """
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(event) if event.startswith("socket.") else None)
from device_tests.simulator.tflite_writer import dense_tflite
from edge_sdk.predict import Predictor, PredictorSpec
from edge_sdk.runtime import open_model
with open_model(dense_tflite((2, 4, 1))) as model:
    spec = PredictorSpec("m", "1.0.0", 1, "features", ("a", "b"), (0.0, 0.0), ("probability",))
    Predictor(model, spec).predict({"a": 1.0})
heavy = {"tuf", "urllib3", "requests", "tensorflow", "sklearn", "flask", "coremltools", "onnxruntime", "boto3",
         "securesystemslib", "cryptography", "socket", "http", "multiprocessing"}
print(sorted(heavy & set(sys.modules)), opened)
"""
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout == "[] []\n"
