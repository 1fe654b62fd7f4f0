"""What the runtime and a typed prediction add to the bare interpreter.

The bare interpreter is LiteRT's, with the same bytes, one thread and prepared arrays: set_tensor, invoke,
get_tensor for each output. Ours and theirs take turns in short blocks, so that whatever else the machine does
meets both; a figure is the median over rounds of what one round says.
"""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from coach_edge.bench.goal_model import goal_rows, goal_spec, goal_tflite
from coach_edge.bench.turns import in_turn
from device_tests.simulator.tflite_writer import dense_tflite
from edge_sdk.contract.rules import Rules
from edge_sdk.errors import InputError
from edge_sdk.predict import Predictor, ResultCache
from edge_sdk.predict.results import CachingPredictor
from edge_sdk.runtime import Model, open_model
from edge_sdk.runtime.engine import Array

_CALLS = 2000  # of a small model in one round: 20 lie above the 99th percentile
_SLOW_CALLS = 60  # of the 1 ms model
_BATCH = 1000
_PATIENCE_MS = 60_000.0  # a busy machine must not turn an answer into a fallback
_SECONDS = 0.25  # of one measurement with threads
_LEAST_ROUNDS = 5

_SMALL = ((10, 8, 1), -1)  # widths and batch: 1.4 kB, 1.2 us
_SLOW = ((10, 256, 256, 256, 256, 256, 256, 1), 512)  # arithmetic, not memory traffic, that both cores have


def run(rounds: int = 15, seed: int = 0, model: bytes | None = None) -> list[dict[str, Any]]:
    """Measure.

    Args:
        rounds: at least 5.
        seed: of weights and inputs.
        model: TFLite bytes of a goal-success model; without them one is made (needs the extra ``convert``
            and about half a minute).

    Returns:
        The figures, in the form that ``edge bench`` prints.
    """
    if rounds < _LEAST_ROUNDS:
        raise InputError(f"a bench needs at least {_LEAST_ROUNDS} rounds, not {rounds}")
    made = "a trained model" if model is not None else "a random model of the product's size"
    goal = model if model is not None else goal_tflite(seed)
    small, slow = (dense_tflite(widths, seed, batch=batch) for widths, batch in (_SMALL, _SLOW))
    rng = np.random.default_rng(seed)
    row = rng.normal(size=(1, 10)).astype(np.float32)
    block = rng.normal(size=(_SLOW[1], 10)).astype(np.float32)
    return [
        *_run_overhead(small, row, rounds),
        *_predict_overhead(goal, made, rounds, seed),
        _cached(goal, made, rounds, seed),
        _ratio(slow, block, rounds),
        *_batches(goal, made, small, rounds, seed),
        _threads(slow, block, rounds),
    ]


class _Bare:
    """The interpreter as its own documentation uses it."""

    def __init__(self, model: bytes) -> None:
        library: Any = importlib.import_module("ai_edge_litert.interpreter")
        self.interpreter = library.Interpreter(model_content=model, num_threads=1)
        self.interpreter.allocate_tensors()
        (only,) = self.interpreter.get_input_details()
        self.input: int = only["index"]
        self.outputs: list[int] = [details["index"] for details in self.interpreter.get_output_details()]

    def call(self, array: Array) -> Callable[[], object]:
        interpreter, index = self.interpreter, self.input
        if len(self.outputs) == 1:
            (output,) = self.outputs

            def one() -> object:
                interpreter.set_tensor(index, array)
                interpreter.invoke()
                return interpreter.get_tensor(output)

            return one

        def several() -> object:
            interpreter.set_tensor(index, array)
            interpreter.invoke()
            return [interpreter.get_tensor(output) for output in self.outputs]

        return several


def _run_overhead(small: bytes, row: Array, rounds: int) -> list[dict[str, Any]]:
    bare = _Bare(small).call(row)
    with open_model(small) as model:
        inputs = {model.inputs[0].name: row}
        times = in_turn(lambda: model.run(inputs), bare, rounds, _CALLS)
    note = f"Model.run on a model of {len(small)} bytes, one row of ten; above set+invoke+get"
    return [_over(f"run_overhead_us_p{q}", times, q, rounds * _CALLS, note) for q in (50, 99)]


def _predict_overhead(goal: bytes, made: str, rounds: int, seed: int) -> list[dict[str, Any]]:
    spec = goal_spec()
    (features,) = goal_rows(1, seed)
    row = np.array([[features[name] for name in spec.features]], np.float32)
    bare = _Bare(goal).call(row)
    with open_model(goal) as model:
        predictor = Predictor(model, spec)
        times = in_turn(lambda: predictor.predict(features), bare, rounds, _CALLS // 4)
    note = (
        f"predict(ten named numbers) with checks, reason, {len(spec.rules.risk_factors)} risk factors, "
        f"{len(spec.rules.actions)} actions, contributions, counters; {made}, {len(goal)} bytes"
    )
    return [_over(f"predict_overhead_us_p{q}", times, q, rounds * (_CALLS // 4), note) for q in (50, 99)]


def _cached(goal: bytes, made: str, rounds: int, seed: int) -> dict[str, Any]:
    spec = goal_spec()
    (features,) = goal_rows(1, seed)
    with open_model(goal) as model:
        predictor = Predictor(model, spec)
        caching = CachingPredictor(predictor, ResultCache())
        hit, computed = in_turn(
            lambda: caching.predict(features, deadline_ms=_PATIENCE_MS),
            lambda: predictor.predict(features, deadline_ms=_PATIENCE_MS),
            rounds,
            _CALLS // 4,
        )
    value, control = (float(np.median(np.median(side, axis=1))) / 1e3 for side in (hit, computed))
    return {
        "id": "cached_us_p50",
        "value": value,
        "unit": "us",
        "control": "the same answer computed",
        "control_value": control,
        "ratio": value / control,
        "n": rounds * (_CALLS // 4),
        "note": f"typed predict out of the result cache, checks, counters and copies included; {made}",
    }


def _ratio(slow: bytes, block: Array, rounds: int) -> dict[str, Any]:
    bare = _Bare(slow).call(block)
    with open_model(slow) as model:
        inputs = {model.inputs[0].name: block}
        ours, theirs = in_turn(lambda: model.run(inputs), bare, rounds, _SLOW_CALLS, block=5)
    per_round = np.median(ours, axis=1) / np.median(theirs, axis=1)
    middle = float(np.median(theirs)) / 1e6
    return _figure(
        "ratio_1ms_p50",
        per_round,
        "ratio",
        "set+invoke+get on the same bytes",
        rounds * _SLOW_CALLS,
        f"Model.run on a model of {middle:.2f} ms; ours / theirs in time",
    )


def _batches(goal: bytes, made: str, small: bytes, rounds: int, seed: int) -> list[dict[str, Any]]:
    spec = goal_spec()
    plain = replace(spec, outputs=("probability",), contributions=None, fallback={}, rules=Rules())
    kinds = {
        "batch1000_speedup": (
            small,
            plain,
            f"a dense net of {len(small)} bytes, where the calls are the cost",
        ),
        "batch1000_speedup_ensemble": (
            goal,
            spec,
            f"goal ensemble ({made}), where the computing is: each row is eleven rows of trees in the graph already",
        ),
    }
    rows = goal_rows(_BATCH, seed)
    table = np.array([[features[name] for name in spec.features] for features in rows])
    figures = []
    for name, (content, contract, what) in kinds.items():
        with open_model(content) as model:
            predictor = Predictor(model, contract)
            speedup = _speedup(
                partial(_one_by_one, predictor, rows), partial(predictor.predict_batch, table), rounds
            )
        note = f"typed predict_batch of 1,000 rows of ten named features; theirs / ours in time; {what}"
        figures.append(_figure(name, speedup, "ratio", "1,000 calls of typed predict", rounds, note))
    return figures


def _one_by_one(predictor: Predictor, rows: list[dict[str, float]]) -> None:
    for features in rows:
        predictor.predict(features, deadline_ms=_PATIENCE_MS)


def _speedup(one_by_one: Callable[[], object], at_once: Callable[[], object], rounds: int) -> Array:
    ours, theirs = in_turn(at_once, one_by_one, rounds, 1, block=1)
    return np.asarray(theirs[:, 0] / ours[:, 0])


def _threads(slow: bytes, block: Array, rounds: int) -> dict[str, Any]:
    first, second = _Bare(slow).call(block), _Bare(slow).call(block)
    with open_model(slow, max_sessions=2) as model:
        _warm_up(model, block)
        inputs = {model.inputs[0].name: block}

        def ours() -> object:
            return model.run(inputs)

        scalings = []
        for _ in range(rounds):
            alone, together = _rate(ours), _rate(ours, ours)
            bare_alone, bare_together = _rate(first), _rate(first, second)
            scalings.append((together / alone, bare_together / bare_alone))
    pool, bare = np.array(scalings).T
    return _figure(
        "threads2_of_limit",
        pool / bare,
        "ratio",
        "two bare interpreters in two threads",
        rounds,
        f"two threads instead of one: x{np.median(pool):.2f} with the pool, x{np.median(bare):.2f} bare",
    )


def _warm_up(model: Model, block: Array) -> None:
    """Make both sessions before any clock runs."""
    held = model.pool.acquire()
    model.run({model.inputs[0].name: block})
    model.pool.release(held)


def _rate(*calls: Callable[[], object]) -> float:
    """Calls a second of one thread each, all at once for a fixed time."""
    counts = [0] * len(calls)
    start = threading.Barrier(len(calls))

    def work(number: int, call: Callable[[], object]) -> None:
        start.wait()
        end = time.perf_counter() + _SECONDS
        while time.perf_counter() < end:
            call()
            counts[number] += 1

    threads = [threading.Thread(target=work, args=(at, call)) for at, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / _SECONDS


def _over(name: str, times: tuple[Array, Array], percentile: int, n: int, note: str) -> dict[str, Any]:
    ours, theirs = (np.percentile(side, percentile, axis=1) / 1e3 for side in times)
    value, control = float(np.median(ours - theirs)), float(np.median(theirs))
    return {
        "id": name,
        "value": value,
        "unit": "us",
        "control": "set+invoke+get on the same bytes",
        "control_value": control,
        "ratio": value / control,
        "n": n,
        "note": note,
    }


def _figure(name: str, ratios: Array, unit: str, control: str, n: int, note: str) -> dict[str, Any]:
    """A figure that is a ratio: its control is 1 by definition."""
    value = float(np.median(ratios))
    return {
        "id": name,
        "value": value,
        "unit": unit,
        "control": control,
        "control_value": 1.0,
        "ratio": value,
        "n": n,
        "note": note,
    }
