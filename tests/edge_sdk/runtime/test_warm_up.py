"""Warm-up, what a session costs, and that sessions share the model's own bytes; forks of a process that runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_sdk.runtime import PoolClosed, PoolSettings, open_model
from tests.edge_sdk.conftest import MODEL, Device
from tests.edge_sdk.runtime.fakes import FakeEngine

ROOT = Path(__file__).parents[3]


def test_every_session_is_there_and_has_run() -> None:
    engine, ran = FakeEngine(), []
    engine.during = lambda: ran.append(1)
    with open_model(b"", engine=engine, state="variables") as model:
        assert model.stats().sessions == 1
        done = model.warm_up()
        assert (done.sessions, done.runs, len(ran)) == (3, 3, 3)
        assert [session.resets for session in engine.sessions] == [1, 1, 1], "and remembers nothing of it"
        assert model.stats().idle == 3
        again = model.warm_up()
        assert (again.sessions, again.session_bytes) == (3, 0)
        assert len(engine.sessions) == 3


def test_a_session_in_use_is_left_alone() -> None:
    engine = FakeEngine()
    with open_model(b"", engine=engine, settings=PoolSettings(max_sessions=2)) as model:
        held = model.pool.acquire()
        assert model.warm_up().sessions == 2
        assert held.resets == 0  # type: ignore[attr-defined]
        model.pool.release(held)


def test_zeros_need_not_mean_anything_to_a_model() -> None:
    engine = FakeEngine()

    def fail() -> None:
        raise RuntimeError("division by zero")

    with open_model(b"", engine=engine) as model:
        engine.during = fail
        done = model.warm_up()
        assert (done.sessions, done.runs) == (3, 0)
        engine.during = lambda: None
        assert model.run({"x": [[1, 2]]})["y"].tolist() == [[-1, -2]]


def test_a_session_that_cannot_be_made_is_an_error_and_leaks_no_place() -> None:
    engine = FakeEngine()
    with open_model(b"", engine=engine) as model:

        def fail() -> None:
            raise MemoryError("no room for a second one")

        engine.before_load = fail
        with pytest.raises(MemoryError):
            model.warm_up()
        assert (model.stats().sessions, model.stats().failed) == (1, 1)
        engine.before_load = lambda: None
        assert model.warm_up().sessions == 3


def test_a_closed_model_is_not_warmed() -> None:
    model = open_model(b"", engine=FakeEngine())
    model.close()
    with pytest.raises(PoolClosed):
        model.warm_up()


def test_through_the_client(device: Device) -> None:
    assert device.open(server=None, transport=None).model(MODEL).warm_up().sessions == 3


SHARED = """
import ctypes
import numpy as np
from edge_sdk.runtime import open_model
from edge_sdk.runtime.memory import process_bytes
from tests.edge_sdk.runtime import tflite_models as models
table = np.random.default_rng(0).random((10_000, 250)).astype(np.float32)
{weights}
del table
open_model(models.echo("float32"), proven=True).close()
ctypes.CDLL(None).malloc_trim(0)  # or sessions would lie in what making the model left free
with open_model(model, proven=True) as three:
    three.run({three.inputs[0].name: np.zeros(three.inputs[0].shape, three.inputs[0].dtype)})
    before = process_bytes()
    done = three.warm_up()
    assert (done.sessions, done.runs) == (3, 3)
    print(process_bytes() - before, done.session_bytes)
"""


def grown(weights: str) -> list[int]:
    """By what two further sessions of a model of 10 MB make a process grow, and what each is said to take."""
    script = SHARED.replace("{weights}", weights)
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return [int(word) for word in done.stdout.split()]


@pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="proportional set sizes are told by Linux"
)
def test_three_sessions_share_the_bytes_of_the_model() -> None:
    both, each = grown("model = models.one('GATHER', [table, ('int32', (1,))], [('float32', (1, 250))])")
    assert both < 3_000_000, "a table of 10 MB lies in memory once"
    assert each < 1_500_000


@pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="proportional set sizes are told by Linux"
)
def test_and_what_they_do_not_share_is_told() -> None:
    """The control: the layers that XNNPACK packs are copied, once a session."""
    both, each = grown(
        "model = models.one('FULLY_CONNECTED', [('float32', (1, 250)), table, np.zeros(10_000, np.float32)], "
        "[('float32', (1, 10_000))])"
    )
    assert both > 16_000_000
    assert each > 8_000_000


def test_a_process_knows_its_size() -> None:
    """In one of its own: this one may give back what other tests took, meanwhile."""
    code = (
        "import os\n"
        "from edge_sdk.runtime.memory import process_bytes\n"
        "before = process_bytes()\n"
        "ballast = bytearray(os.urandom(1 << 20) * 32)\n"
        "print(process_bytes() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 16 << 20 < int(done.stdout) < 64 << 20


FORKS = """
import os, threading
import numpy as np
from edge_sdk.runtime import open_model
from tests.edge_sdk.runtime import tflite_models as models
x = np.ones((1, 300), np.float32)
weights = np.ones((300, 300), np.float32)
model = open_model(models.one("FULLY_CONNECTED", [("float32", (-1, 300)), weights, np.zeros(300, np.float32)],
                              [("float32", (-1, 300))]), proven=True)
stop = threading.Event()
def work():
    while not stop.is_set():
        assert model.run({"x0": x})["y0"][0, 0] == 300
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads: thread.start()
codes = []
for _ in range(8):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if model.run({"x0": x * 2})["y0"][0, 0] == 600 and model.stats().created == 1 else 2
        finally:
            os._exit(code)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
stop.set()
for thread in threads: thread.join()
assert model.run({"x0": x})["y0"][0, 0] == 300
print(codes, model.stats().poisoned)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forks_in_the_middle_of_runs() -> None:
    """Of the real engine, with every session of the parent lent to a thread that the child does not have."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"{[0] * 8} 0\n"), done.stderr
