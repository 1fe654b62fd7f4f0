"""What features cost on a device: computed from the events, by a graph, and out of the store's memory.

Each figure and its control take turns in short blocks; a figure is the median over rounds of the median of one round.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np

from coach_edge.bench.turns import in_turn
from converters.errors import ConversionError
from device_tests.simulator.features import spec_bytes, stub
from device_tests.simulator.models import FakeEngine, fake_model
from device_tests.simulator.repository import SERVER, Network, Repository
from edge_sdk import EdgeClient
from edge_sdk.errors import InputError
from edge_sdk.features import FeatureSettings, FeatureStore
from edge_sdk.runtime import open_model
from edge_sdk.store import Disk, System
from feature_spec.day_context import Context
from feature_spec.day_input import DayInput, day_input
from feature_spec.events import Event
from feature_spec.extras import require
from feature_spec.numpy_evaluator import evaluate
from feature_spec.prebuilt import PREBUILT
from feature_spec.tensorflow_evaluator import CONTEXT_INPUT, DAILY_INPUT, feature_model
from feature_spec.vocabulary import EVENT_TYPES

EVENTS: Final = 1_000
_DAYS: Final = 89
_ZONE: Final = "Europe/Berlin"
_USER: Final = "user"
_GOAL: Final = "goal"
_LEAST_ROUNDS: Final = 5
_CALLS: Final = 40  # of what takes milliseconds, in one round
_QUICK_CALLS: Final = 1_000
_BLOCK: Final = 5


def run(rounds: int = 15, seed: int = 0, model: bytes | None = None) -> list[dict[str, Any]]:
    """Measure.

    Args:
        rounds: at least 5.
        seed: of the events.
        model: TFLite bytes of the feature model; without them it is made (needs the extra ``convert`` and some
            fifteen seconds).

    Returns:
        The figures, in the form that ``edge bench`` prints.
    """
    if rounds < _LEAST_ROUNDS:
        raise InputError(f"a bench needs at least {_LEAST_ROUNDS} rounds, not {rounds}")
    graph = features_tflite() if model is None else model
    now = datetime.now(UTC)
    events = _events(now, seed)
    context = Context(
        account_since=_date(now, 200), goal_start=_date(now, 60), goal_total_days=120, progress=0.4
    )
    given = day_input(events, now.isoformat(timespec="milliseconds"), _ZONE, context)
    with tempfile.TemporaryDirectory() as folder:
        store = _store(Path(folder), events, context)
        return [
            _computed(store, events, context, now, rounds),
            _graph(graph, given, rounds),
            _cached(store, rounds),
            _by_name(Path(folder), now, rounds),
            _recorded(store, Path(folder), now, rounds),
        ]


def features_tflite() -> bytes:
    """The feature model of the ten prebuilt features.

    Converted in a child process: TensorFlow in this one would slow down what is measured next.

    Raises:
        MissingExtraError: the extra ``convert`` is not installed.
        ConversionError: the conversion failed.
    """
    if importlib.util.find_spec("tensorflow") is None:
        require("tensorflow", extra="convert")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.tflite"
        done = subprocess.run([sys.executable, "-m", __name__, str(path)], capture_output=True, text=True)
        if done.returncode:
            told = done.stderr.strip().splitlines() or ["no message"]
            raise ConversionError(f"cannot make the feature model: {told[-1]}")
        return path.read_bytes()


def _events(now: datetime, seed: int) -> list[Event]:
    rng = np.random.default_rng(seed)
    rows = zip(
        rng.uniform(0, _DAYS * 86_400, EVENTS), rng.integers(len(EVENT_TYPES), size=EVENTS), strict=True
    )
    return [
        Event(
            (now - timedelta(seconds=ago)).isoformat(timespec="milliseconds"),
            EVENT_TYPES[kind],
            value=float(rng.uniform()) if kind % 2 else None,
            event_id=f"event-{number}",
        )
        for number, (ago, kind) in enumerate(rows)
    ]


def _date(now: datetime, days: int) -> str:
    return (now - timedelta(days=days)).date().isoformat()


def _store(folder: Path, events: list[Event], context: Context) -> FeatureStore:
    system = System()
    model = stub(PREBUILT)
    store = FeatureStore(folder, Disk(system), system.now, FeatureSettings(zone=_ZONE), lambda name: model)
    store.record(*events, user=_USER)
    store.know(_USER, _GOAL, context)
    return store


def _computed(
    store: FeatureStore, events: list[Event], context: Context, now: datetime, rounds: int
) -> dict[str, Any]:
    model, text = stub(PREBUILT), now.isoformat(timespec="milliseconds")

    def ours() -> object:
        store.forget()
        return store.vector(model, _USER, _GOAL)

    def theirs() -> Any:
        given = day_input(events, text, _ZONE, context)
        return evaluate(PREBUILT, given.daily[None], given.context[None])

    found = store.vector(model, _USER, _GOAL, now=now).values
    expected = theirs()
    assert np.allclose(list(found.values()), expected, atol=1e-6), (found, expected)
    times = in_turn(ours, theirs, rounds, _CALLS, block=_BLOCK)
    return _figure(
        "numpy_ms_p50",
        times,
        1e6,
        "ms",
        "day_input and evaluate of as many Event objects, without a store",
        rounds * _CALLS,
        f"vector() of {EVENTS:,} recorded events over {_DAYS + 1} days: the user's file is read, day input and ten "
        "features are computed, each with its status",
    )


def _graph(model: bytes, given: DayInput, rounds: int) -> dict[str, Any]:
    library: Any = importlib.import_module("ai_edge_litert.interpreter")
    bare = library.Interpreter(model_content=model, num_threads=1)
    inputs = {DAILY_INPUT: given.daily[None], CONTEXT_INPUT: given.context[None]}
    # A free batch is a batch of one as it is opened.
    bare.allocate_tensors()
    by_name = {detail["name"]: detail["index"] for detail in bare.get_input_details()}
    places = [(next(by_name[n] for n in by_name if name in n), array) for name, array in inputs.items()]
    (output,) = (detail["index"] for detail in bare.get_output_details())

    def theirs() -> Any:
        for index, array in places:
            bare.set_tensor(index, array)
        bare.invoke()
        return bare.get_tensor(output)

    with open_model(model) as opened:

        def ours() -> Any:
            return opened.run(inputs)

        (found,) = ours().values()
        assert np.array_equal(found, theirs())
        times = in_turn(ours, theirs, rounds, _QUICK_CALLS)
    return _figure(
        "graph_us_p50",
        times,
        1e3,
        "us",
        "set+invoke+get on the same bytes",
        rounds * _QUICK_CALLS,
        f"Model.run of the feature model, {len(model)} bytes: one user's day input to ten features",
    )


def _cached(store: FeatureStore, rounds: int) -> dict[str, Any]:
    model = stub(PREBUILT)
    store.vector(model, _USER, _GOAL)
    assert store.vector(model, _USER, _GOAL).cached

    def ours() -> object:
        return store.vector(model, _USER, _GOAL)

    def stat() -> object:
        return os.stat(path)

    key = next(iter(store._vectors._kept))
    path = store._vectors._kept[key].path
    quick = in_turn(ours, stat, rounds, _QUICK_CALLS)
    return _figure(
        "cached_us_p50",
        quick,
        1e3,
        "us",
        "one stat of the user's file, by which other processes' records are seen",
        rounds * _QUICK_CALLS,
        "vector(model) while it is fresh: both clocks, the user's file looked at, counters, age",
    )


def _by_name(folder: Path, now: datetime, rounds: int) -> dict[str, Any]:
    repository = Repository()
    repository.publish(fake_model(0.1, 1, feature_spec=spec_bytes()))
    with EdgeClient.open(
        folder / "cache",
        SERVER,
        repository.root,
        engine=FakeEngine(),
        capabilities=frozenset({"tflite"}),
        transport=Network(repository),
        features=FeatureSettings(zone=_ZONE),
    ) as client:
        client.update("focus")
        store = client.features
        store.record(Event(now.isoformat(timespec="milliseconds"), "session"), user=_USER)
        store.vector("focus", _USER, _GOAL)
        times = in_turn(
            lambda: store.vector("focus", _USER, _GOAL), lambda: client.model("focus"), rounds, _QUICK_CALLS
        )
    return _figure(
        "cached_by_name_us_p50",
        times,
        1e3,
        "us",
        "client.model(name), which looks whether another release is active",
        rounds * _QUICK_CALLS,
        "the same by the model's name, as an app asks that does not have the model yet",
    )


def _recorded(store: FeatureStore, folder: Path, now: datetime, rounds: int) -> dict[str, Any]:
    numbers = iter(range(10**9))
    plain = folder / "plain"

    def ours() -> object:
        text = now.isoformat(timespec="milliseconds")
        return store.record(Event(text, "session", event_id=f"new-{next(numbers)}"), user=_USER)

    def theirs() -> object:
        with plain.open("ab") as file:
            file.write(b"{}\n" * 20)
            file.flush()
            os.fsync(file.fileno())
        return None

    times = in_turn(ours, theirs, rounds, 20, block=_BLOCK)
    return _figure(
        "record_ms_p50",
        times,
        1e6,
        "ms",
        "sixty bytes appended to a file, and one fsync",
        rounds * 20,
        "record() of one event: two fsyncs (file, folder), and every sixtieth time the tail is merged",
    )


def _figure(
    name: str, times: tuple[Any, Any], divisor: float, unit: str, control: str, n: int, note: str
) -> dict[str, Any]:
    value, control_value = (float(np.median(np.median(side, axis=1))) / divisor for side in times)
    return {
        "id": name,
        "value": value,
        "unit": unit,
        "control": control,
        "control_value": control_value,
        "ratio": value / control_value,
        "n": n,
        "note": note,
    }


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(feature_model(PREBUILT))
