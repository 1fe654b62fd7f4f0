"""What every engine must do, run against each of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from device_tests.coreml_device import EvaluatedModel
from edge_sdk.errors import FormatError, InputError, UpdateRequired
from edge_sdk.runtime import Engine, Session, engine_named
from edge_sdk.runtime.coreml import CoreML
from edge_sdk.runtime.engines import ENGINE_NAMES
from tests.converters.coreml_eval.packages import PROGRAM, package
from tests.edge_sdk.runtime.fakes import expected

ENGINES = [
    pytest.param("litert", id="litert"),
    pytest.param("onnxruntime", id="onnxruntime", marks=pytest.mark.convert),
    pytest.param("coreml", id="coreml"),
    pytest.param("tflite-runtime", id="tflite-runtime"),
]
ROWS = np.random.default_rng(5).normal(size=(7, 3)).astype(np.float32)


@pytest.fixture(params=ENGINES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def engine(kind: str, request: pytest.FixtureRequest) -> Engine:
    if kind == "tflite-runtime":
        request.getfixturevalue("old_phone")
    return CoreML(EvaluatedModel) if kind == "coreml" else engine_named(kind)


@pytest.fixture
def model(kind: str, request: pytest.FixtureRequest) -> bytes:
    """A file, or for Core ML the one file of its package that matters."""
    if kind == "coreml":
        return bytes(request.getfixturevalue("affine_coreml")()[PROGRAM])
    return bytes(request.getfixturevalue("affine_onnx" if kind == "onnxruntime" else "affine")())


def load(engine: Engine, model: bytes) -> Session:
    return engine.load_package(package(model)) if isinstance(engine, CoreML) else engine.load(model)


@pytest.fixture
def session(engine: Engine, model: bytes) -> Iterator[Session]:
    session = load(engine, model)
    yield session
    session.close()


def test_every_engine_in_the_table_is_under_contract() -> None:
    assert set(ENGINE_NAMES) == {entry.id for entry in ENGINES}


def test_describes_itself(session: Session) -> None:
    (one,), (other,) = session.inputs, session.outputs
    assert (one.name, one.dtype, one.shape) == ("features", np.float32, (-1, 3))
    assert (other.name, other.dtype, other.shape[1:]) == ("score", np.float32, (4,))
    assert session.signatures[0].inputs == session.inputs
    assert str(one) == "features: float32[any x 3]"


def test_computes(session: Session) -> None:
    score = session.run({"features": ROWS[:1]})["score"]
    assert score.dtype == np.float32
    np.testing.assert_allclose(score, expected(ROWS[:1]), rtol=1e-6, atol=1e-6)


def test_alternates_between_batch_sizes(session: Session) -> None:
    for size in (1, 7, 1, 3, 7, 1):
        score = session.run({"features": ROWS[:size]})["score"]
        np.testing.assert_allclose(score, expected(ROWS[:size]), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "layout", [np.asfortranarray, lambda a: a[::-1][::-1], lambda a: np.repeat(a, 2, 0)[::2]]
)
def test_layout_in_memory_does_not_matter(session: Session, layout: Callable[..., np.ndarray]) -> None:
    score = session.run({"features": layout(ROWS)})["score"]
    np.testing.assert_allclose(score, expected(ROWS), rtol=1e-6, atol=1e-6)


def test_a_result_is_not_touched_by_the_next_run(session: Session) -> None:
    first = session.run({"features": ROWS[:1]})["score"]
    kept = first.copy()
    session.run({"features": ROWS[1:2]})
    np.testing.assert_array_equal(first, kept)


def test_does_not_keep_or_change_its_input(session: Session) -> None:
    row = ROWS[:1].copy()
    row.flags.writeable = False
    session.run({"features": row})
    np.testing.assert_array_equal(row, ROWS[:1])


def test_reset_changes_nothing_where_there_is_no_state(session: Session) -> None:
    before = session.run({"features": ROWS})["score"]
    session.reset()
    np.testing.assert_array_equal(session.run({"features": ROWS})["score"], before)


def test_a_closed_session_does_not_run(session: Session) -> None:
    session.close()
    with pytest.raises((RuntimeError, AttributeError)):
        session.run({"features": ROWS})


@pytest.mark.parametrize(
    "damage",
    [
        lambda model: b"",
        lambda model: b"not a model at all",
        lambda model: model[: len(model) // 2],
        lambda model: model[:8],
        lambda model: model[:8] + bytes(len(model) - 8),
        lambda model: b"\xff" * len(model),
    ],
    ids=["empty", "text", "half", "head only", "zeroed", "all ones"],
)
def test_damaged_bytes_are_one_clear_error(
    engine: Engine, model: bytes, damage: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(FormatError) as caught:
        load(engine, damage(model))
    assert "\n" not in str(caught.value)


def test_unknown_engine() -> None:
    with pytest.raises(InputError, match="no engine is called 'tensorrt'; choose one of litert"):
        engine_named("tensorrt")


def test_litert_too_old_for_an_operator(affine: Callable[..., bytes]) -> None:
    with pytest.raises(UpdateRequired, match="too old"):
        engine_named("litert").load(affine(version=99))


def test_litert_names_tensors_where_there_is_no_signature(affine: Callable[..., bytes]) -> None:
    session = engine_named("litert").load(affine(signature=None))
    assert [info.name for info in (*session.inputs, *session.outputs)] == ["x", "y"]
    assert session.signatures == ()
    np.testing.assert_allclose(session.run({"x": ROWS})["y"], expected(ROWS), rtol=1e-6, atol=1e-6)


def test_litert_with_several_inputs_and_outputs(two_in_two_out: bytes) -> None:
    session = engine_named("litert").load(two_in_two_out)
    for rows in (1, 4, 1):
        left, right = np.full((rows, 2), 5, np.float32), np.full((rows, 2), 3, np.float32)
        outputs = session.run({"right": right, "left": left})
        assert outputs["sum"].tolist() == [[8, 8]] * rows
        assert outputs["difference"].tolist() == [[2, 2]] * rows


def test_litert_reset_forgets_state(counter: bytes) -> None:
    session = engine_named("litert").load(counter)
    x = np.full((1, 1), 2, np.float32)
    assert [session.run({"x": x})["total"].item() for _ in range(3)] == [2, 4, 6], "the model has state"
    session.reset()
    assert session.run({"x": x})["total"].item() == 2


@pytest.mark.convert
def test_onnx_outputs_that_are_no_tensors_are_refused() -> None:
    from onnx import TensorProto, helper

    node = helper.make_node("SequenceConstruct", ["x"], ["s"])
    graph = helper.make_graph(
        [node],
        "sequence",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(FormatError, match=r"s is a seq\(tensor\(float\)\)"):
        engine_named("onnxruntime").load(model.SerializeToString())


def test_importing_the_runtime_loads_no_engine() -> None:
    script = (
        "import sys, edge_sdk.runtime as r; r.open_model; r.Model; r.Pool\n"
        "heavy = {'ai_edge_litert', 'onnxruntime', 'tensorflow', 'tuf', 'urllib3', 'sklearn', 'flask'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"


@pytest.mark.convert
def test_onnxruntime_writes_nothing_outside(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}  # without CI, which hides the writing
    script = "from edge_sdk.runtime import engine_named; engine_named('onnxruntime')"
    command = [sys.executable, "-c", script]
    subprocess.run(command, env=environment, check=True, timeout=60)
    assert list(tmp_path.rglob("*")) == []
