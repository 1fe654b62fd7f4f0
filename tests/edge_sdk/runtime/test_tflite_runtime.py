"""The old phone: tflite-runtime in a process of its own environment."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from device_tests import parity
from edge_sdk.errors import FormatError, InputError, NotAvailable, UpdateRequired
from edge_sdk.runtime import RunFailed, open_model
from edge_sdk.runtime import array_pipes as pipes
from edge_sdk.runtime.tflite_runtime import TFLiteRuntime
from tests.device_tests.bundles import affine_content
from tests.edge_sdk.runtime import tflite_models as models
from tests.edge_sdk.runtime.fakes import expected, until

ROWS = np.random.default_rng(4).normal(size=(2, 3)).astype(np.float32)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.zeros((0, 3), np.int8),
        np.array(True),
        np.array(1 + 2j, np.complex64),
        np.arange(6).reshape(2, 3).T,
        np.array([[b"a", b""], [b"b\0", b"\xff"]], object),
        np.ndarray((), "S3", b"a\0\0"),
        np.ndarray((), "S0", b""),
        np.array(b"scalar object", object),
    ],
    ids=str,
)
def test_arrays_pass_a_pipe_whole(array: np.ndarray) -> None:
    stream = BytesIO()
    pipes.send(stream, {"verb": "run"}, {"x": array, "y": np.ones(2)})
    whole = stream.getvalue()
    head, arrays = pipes.receive(BytesIO(whole))
    assert head == {"verb": "run"}
    assert arrays["x"].shape == array.shape
    if array.ndim == 0 and array.dtype.kind in "OS":
        assert arrays["x"].tobytes() == (array.item() if array.dtype.kind == "O" else array.tobytes())
    else:
        assert arrays["x"].dtype == array.dtype
        assert arrays["x"].tolist() == array.tolist()
    assert arrays["y"].tolist() == [1, 1]
    for cut in range(0, len(whole), 3):
        with pytest.raises(EOFError):
            pipes.receive(BytesIO(whole[:cut]))


def test_it_is_tflite_runtime_with_numpy_1(old_phone: Path) -> None:
    assert "site-packages/tflite_runtime" in next(
        path.as_posix() for path in old_phone.parent.parent.rglob("tflite_runtime/interpreter.py")
    )
    assert list(old_phone.parent.parent.rglob("numpy-1.26*"))


def test_runs_in_a_pool_like_any_other(old_phone: Path, affine: Callable[..., bytes]) -> None:
    with open_model(affine(), engine="tflite-runtime") as model:
        assert [str(info) for info in model.inputs] == ["features: float32[any x 3]"]
        for rows in (ROWS, ROWS[:1]):
            assert model.run({"features": rows})["score"] == pytest.approx(expected(rows), abs=1e-6)
        with pytest.raises(InputError, match="byte order"):
            model.run({"features": ROWS.astype(">f4")})


def test_texts_states_and_quantized_numbers_pass(old_phone: Path, counter: bytes) -> None:
    engine = TFLiteRuntime()
    with open_model(models.echo("string", ()), engine=engine) as model:
        assert model.run({"x": "ab\0"})["y"].tobytes() == b"ab\0"
    with open_model(models.echo("string", (-1,)), engine=engine) as model:
        assert model.run({"x": ["ab", b""]})["y"].tolist() == [b"ab", b""]
    with open_model(counter, engine=engine) as model:
        assert [model.run({"x": [[2.0]]})["total"].item() for _ in range(3)] == [2, 2, 2]
    with open_model(models.echo("int8", scales=[0.5], zero_points=[3]), engine=engine) as model:
        assert (model.inputs[0].scale, model.inputs[0].zero_point) == (0.5, 3)


def test_what_is_too_young_for_it_needs_an_update(old_phone: Path, affine: Callable[..., bytes]) -> None:
    """Version 12 is what converters of today write for weights of 8 bits."""
    assert open_model(affine(version=12), proven=True).close() is None
    with pytest.raises(UpdateRequired, match=r"this tflite_runtime is too old for the model: .*'12'"):
        open_model(affine(version=12), engine="tflite-runtime")


def test_a_deadly_model_costs_a_session(old_phone: Path) -> None:
    modulo = models.one("FLOOR_MOD", [("int32", (1,)), ("int32", (1,))], [("int32", (1,))])
    with open_model(modulo, engine=TFLiteRuntime()) as model:
        for _ in range(2):
            with pytest.raises(RunFailed, match="the process of tflite-runtime ended: signal SIGFPE"):
                model.run({"x0": [-(2**31)], "x1": [-1]})
            assert model.run({"x0": [7], "x1": [4]})["y0"].tolist() == [3]
        assert model.stats().poisoned == 2
    broken = models.changed(
        models.echo("float32"), lambda tree: setattr(tree.signatureDefs[0], "subgraphIndex", 9)
    )
    with pytest.raises(FormatError, match=r"cannot load the model: .*(ended: signal|index)"):
        open_model(broken, engine=TFLiteRuntime())


ENDLESS = """
import os, threading
import numpy as np
from edge_sdk.runtime.tflite_runtime import TFLiteRuntime
from tests.edge_sdk.runtime import tflite_models as models
session = TFLiteRuntime().load(models.for_ever())
threading.Thread(target=lambda: session.run({"x": np.array(True)}), daemon=True).start()
with open(f"/proc/{session._child.pid}/stat") as stat:
    begun = int(stat.read().split()[13])
while True:  # until it computes
    with open(f"/proc/{session._child.pid}/stat") as stat:
        if int(stat.read().split()[13]) > begun + 2:
            break
print(session._child.pid, flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_its_process_ends_with_ours_in_the_middle_of_a_run(old_phone: Path) -> None:
    command = [sys.executable, "-c", ENDLESS]
    done = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, timeout=60)
    assert done.returncode == -9, done.stderr

    def gone() -> bool:
        try:
            return Path(f"/proc/{int(done.stdout)}/stat").read_text().split()[2] == "Z"
        except OSError:
            return True

    until(gone)


def test_a_python_that_is_not_one_is_one_clear_error(affine: Callable[..., bytes], tmp_path: Path) -> None:
    with pytest.raises(
        NotAvailable, match=r"not installed \(.*nowhere is not there\); install it with: make old-phone"
    ):
        TFLiteRuntime(tmp_path / "nowhere")
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o700)
    with pytest.raises(
        NotAvailable, match="ended without having tflite-runtime: exit status 1; run: make old-phone"
    ):
        open_model(affine(), engine=TFLiteRuntime(bare))
    bare.write_text("no program")
    with pytest.raises(NotAvailable, match="cannot start"):
        open_model(affine(), engine=TFLiteRuntime(bare))


def test_it_is_a_device_for_parity(old_phone: Path, affine: Callable[..., bytes]) -> None:
    content = affine_content(affine)
    verdict = parity.run([content], ["litert", "tflite-runtime"])
    assert verdict.failures == []
    assert {cell.device for cell in verdict.cells} == {"litert", "tflite-runtime"}
    wrong = parity.run([affine_content(affine, wrong_case="case-2")], ["tflite-runtime"])
    assert "case case-2, output score: off by" in wrong.failures[0]
