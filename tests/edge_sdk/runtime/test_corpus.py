"""``open_model`` on what is special about TFLite files in the wild, written by hand and fast.

Each answers twice, and the same. What converters write is in ``test_any_model``, what kills in ``test_deaths``.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from device_tests.simulator.tflite_writer import TFLiteWriter
from edge_sdk.errors import FormatError, InputError, UpdateRequired
from edge_sdk.runtime import Model, RunFailed, open_model, try_out
from edge_sdk.runtime.tflite_file import Memory, memory_of
from tests.edge_sdk.runtime import tflite_models as models

F = np.float32


def opened(content: bytes, **options: Any) -> Model:
    return open_model(content, proven=True, max_sessions=1, **options)


def answers(content: bytes, inputs: dict[str, Any], **options: Any) -> dict[str, Any]:
    """What the model says, as lists; the same twice."""
    with opened(content) as model:
        first, second = (model.run(inputs, **options) for _ in range(2))
    assert {name: value.tolist() for name, value in first.items()} == {
        name: value.tolist() for name, value in second.items()
    }
    return {name: value.tolist() for name, value in first.items()}


def plus(*constants: float, shape: tuple[int, ...] | None = None) -> bytes:
    """``y0`` is ``x0`` and the constants."""
    row = np.array(constants, F)
    return models.one("ADD", [("float32", shape or row.shape), row], [("float32", shape or row.shape)])


NUMBERS = [
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "float16",
    "float32",
    "float64",
    "bool",
    "complex64",
    "complex128",
]


@pytest.mark.parametrize("dtype", NUMBERS)
def test_every_kind_of_number_goes_in_and_comes_out(dtype: str) -> None:
    numbers = np.array([1, 0], dtype)
    with opened(models.echo(dtype)) as model:
        assert str(model.inputs[0]) == f"x: {dtype}[2]"
        for _ in range(2):
            answer = model.run({"x": numbers})["y"]
            assert (answer.dtype, answer.tolist()) == (np.dtype(dtype), numbers.tolist())
        with (
            pytest.raises(InputError, match="byte order")
            if numbers.itemsize > 1
            else pytest.raises(InputError)
        ):
            model.run(
                {"x": numbers.astype(numbers.dtype.newbyteorder()) if numbers.itemsize > 1 else ["1", "0"]}
            )


@pytest.mark.parametrize(
    ("dtype", "given", "message"),
    [
        ("complex64", [complex("nan"), 0], r"holds \(nan"),
        ("complex64", [1e300 + 0j, 0], "too large for complex64"),
        ("float32", [1j, 0], "was given complex128"),
        ("int64", [1.5, 2], "was given float64"),
        ("uint8", [-1, 2], "do not fit into uint8"),
        ("bool", [1, 0], "was given int64"),
        ("float16", [1e6, 0], "too large for float16"),
        ("resource", [1, 0], "was given int64"),
        ("string", [1, 0], "takes texts or bytes"),
    ],
)
def test_what_would_lose_its_meaning_is_refused(dtype: str, given: Any, message: str) -> None:
    with opened(models.echo(dtype)) as model, pytest.raises(InputError, match=message):
        model.run({"x": given})


def test_whole_numbers_become_complex_ones() -> None:
    assert answers(models.echo("complex64"), {"x": [1, 2.5]}) == {"y": [1, 2.5]}


@pytest.mark.parametrize("text", [b"", b"a", b"a\0", b"\0\0", "ü".encode(), b"x" * 100_000])
def test_texts_keep_every_byte_alone_and_in_rows(text: bytes) -> None:
    assert answers(models.echo("string", ()), {"x": text}) == {"y": text}
    assert answers(models.echo("string", (-1,)), {"x": [text, b"", text]}) == {"y": [text, b"", text]}


def test_an_empty_graph_has_nothing_to_say() -> None:
    writer = TFLiteWriter()
    x = writer.tensor("x", (2,))
    with pytest.raises(FormatError, match="1 inputs and 0 outputs"):
        opened(writer.finish({"x": x}, {}))


def test_no_inputs() -> None:
    writer = TFLiteWriter()
    constant = writer.tensor("c", (2,), np.array([1.0, 2.0]))
    assert answers(writer.finish({}, {"y": constant}), {}) == {"y": [1, 2]}


def test_one_tensor_under_two_names() -> None:
    writer = TFLiteWriter()
    x, y = writer.tensor("x", (1, 2)), writer.tensor("y", (1, 2))
    writer.operator("ADD", (x, x), (y,))
    model = writer.finish({"x": x}, {"sum": y, "again": y, "same": x})
    assert answers(model, {"x": [[1, 2]]}) == {"sum": [[2, 4]], "again": [[2, 4]], "same": [[1, 2]]}


@pytest.mark.parametrize(
    ("names", "inputs", "output"),
    [
        (("", "", ""), ("input_0", "input_1"), "output_0"),
        (("x", "x", "x"), ("x", "x:1"), "x"),
        (("x", "x:1", "x"), ("x", "x:1"), "x"),
        (("input_1", "", "y"), ("input_1", "input_1:1"), "y"),
    ],
)
def test_without_a_signature_tensors_are_told_apart(
    names: tuple[str, str, str], inputs: tuple[str, str], output: str
) -> None:
    writer = TFLiteWriter()
    left, right, made = (writer.tensor(name, (1, 2)) for name in names)
    writer.operator("SUB", (left, right), (made,))
    model = writer.finish({"a": left, "b": right}, {"c": made}, None)
    assert answers(model, {inputs[0]: [[5, 5]], inputs[1]: [[2, 3]]}) == {output: [[3, 2]]}


def test_control_flow() -> None:
    assert answers(models.counting_up(), {"x": [3]}) == {"y": [10]}
    for truth, answer in ((True, [6, 8, 10]), (False, [1, 2, 3])):
        assert answers(models.either(), {"p": truth, "x": [3, 4, 5]}) == {"y": answer}


def test_the_detector_of_ssd_models() -> None:
    scores = np.zeros((1, 6, 3), F)
    scores[0, 4, 2] = 0.75
    with opened(models.detector()) as model:
        for _ in range(2):
            found = model.run({"boxes": np.zeros((1, 6, 4)), "scores": scores})
            # What lies behind the count, nobody has written.
            assert found["count"].tolist() == [1]
            assert (found["classes"][0, 0], found["sureness"][0, 0]) == (1, 0.75)
            assert found["locations"][0, 0].tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("shape", [(1,), (-1,)], ids=["fixed", "free"])
@pytest.mark.parametrize("name", ["Mystery", "FlexErf"])
def test_operators_that_are_not_built_in_are_named(name: str, shape: tuple[int, ...]) -> None:
    model = models.one(name, [("float32", shape)], [("float32", shape)])
    what = "unresolved custom op: Mystery" if name == "Mystery" else "Select TensorFlow op"
    for load in (opened, lambda content: try_out(content, "litert")):
        with pytest.raises(
            UpdateRequired, match=f"not built into LiteRT: .*{what}.*Convert it to builtin ones"
        ):
            load(model)


def test_sparse_constants() -> None:
    assert answers(models.sparse(), {"x": np.zeros((2, 3))}) == {"y": [[0, 0, 5], [7, 0, 0]]}


def test_constants_behind_the_flatbuffer() -> None:
    model = models.with_buffers_behind(plus(1, 2, 3))
    assert answers(model, {"x0": [1, 1, 1]}) == {"y0": [2, 3, 4]}
    assert memory_of(model) is Memory.NONE


def test_an_archive_behind_the_flatbuffer() -> None:
    metadata = io.BytesIO()
    with zipfile.ZipFile(metadata, "w") as archive:
        archive.writestr("labels.txt", "cat\ndog")
    assert answers(plus(1, 2, 3) + metadata.getvalue(), {"x0": [1, 1, 1]}) == {"y0": [2, 3, 4]}


def test_a_large_model() -> None:
    weights = np.full((8000, 1000), 0.5, F)
    model = models.one(
        "FULLY_CONNECTED", [("float32", (1, 1000)), weights, np.zeros(8000, F)], [("float32", (1, 8000))]
    )
    assert len(model) > 32_000_000
    assert answers(model, {"x0": np.ones((1, 1000))}) == {"y0": [[500.0] * 8000]}


class TestShapes:
    def test_several_free_dimensions(self) -> None:
        model = plus(1, 2, 3, shape=(-1, -1, 3))
        with opened(model) as runs:
            for sides in ((1, 1), (2, 4), (5, 1), (1, 1)):
                assert (
                    runs.run({"x0": np.ones((*sides, 3))})["y0"].tolist()
                    == np.tile([2, 3, 4], (*sides, 1)).tolist()
                )
            with pytest.raises(InputError, match=r"x0: float32\[any x any x 3\] was given 0 x 2 x 3"):
                runs.run({"x0": np.ones((0, 2, 3))})

    def test_free_dimensions_of_two_inputs_are_their_own(self) -> None:
        model = models.one(
            "CONCATENATION", [("float32", (-1, 2)), ("float32", (-1, 2))], [("float32", (-1, 2))], axis=0
        )
        with opened(model) as runs:
            for left, right in ((2, 1), (1, 3), (2, 2)):
                joined = runs.run({"x0": np.ones((left, 2)), "x1": np.zeros((right, 2))})["y0"]
                assert joined.sum(axis=1).tolist() == [2] * left + [0] * right

    @pytest.mark.parametrize("told", [[-1, 3], [-5, 3], [4, 3], [-1, 2, 3]])
    def test_a_signature_of_shape_that_lies(self, told: list[int]) -> None:
        def lie(tree: Any) -> None:
            tree.subgraphs[0].tensors[0].shapeSignature = told

        sides = [4 if side < 0 else side for side in told]
        with opened(models.changed(plus(1, 2, 3, shape=(1, 3)), lie)) as runs:
            assert (
                runs.run({"x0": np.ones(sides)})["y0"].tolist()
                == np.tile([2, 3, 4], (*sides[:-1], 1)).tolist()
            )

    def test_one_that_cannot_be_is_a_failed_run(self) -> None:
        def lie(tree: Any) -> None:
            tree.subgraphs[0].tensors[0].shapeSignature = [1, -1]

        with opened(models.changed(plus(1, 2, 3, shape=(1, 3)), lie)) as runs:
            with pytest.raises(RunFailed):
                runs.run({"x0": np.ones((1, 2))})
            assert runs.run({"x0": np.ones((1, 3))})["y0"].tolist() == [[2, 3, 4]]


class TestSignatures:
    @pytest.mark.parametrize(
        "change",
        [
            lambda signature: signature.inputs[0].__setattr__("tensorIndex", 77),
            lambda signature: signature.__setattr__("outputs", []),
            lambda signature: signature.__setattr__("signatureKey", b""),
        ],
        ids=["of a tensor that is not there", "without outputs", "without a name"],
    )
    def test_one_that_cannot_be_run_is_left_out(self, change: Callable[[Any], None]) -> None:
        """Converters have written the first kind: public int8 models have signatures of their float tensors."""
        model = models.changed(plus(1, 2, 3), lambda tree: change(tree.signatureDefs[0]))
        with opened(model) as runs:
            assert dict(runs.signatures) == {}
        assert answers(model, {"x0": [1, 1, 1]}) == {"y0": [2, 3, 4]}


class TestMemory:
    def test_a_filter_with_state(self) -> None:
        writer = TFLiteWriter()
        x, y = writer.tensor("x", (1, 2)), writer.tensor("y", (1, 4))
        features = writer.tensor("features", (4, 2), np.ones((4, 2)))
        times, bias = (
            writer.tensor("times", (4, 3), np.ones((4, 3))),
            writer.tensor("bias", (4,), np.zeros(4)),
        )
        state = writer.tensor("state", (1, 12), variable=True)
        writer.operator("SVDF", (x, features, times, bias, state), (y,), rank=1)
        model = writer.finish({"x": x}, {"y": y})
        assert answers(model, {"x": [[1, 2]]}) == {"y": [[3, 3, 3, 3]]}
        with opened(model, state="none") as leaky:
            told = [leaky.run({"x": [[1, 2]]})["y"][0, 0] for _ in range(3)]
        assert told == [3, 6, 9], "control: it has a state"

    @pytest.mark.parametrize("code", ["RANDOM_UNIFORM", "RANDOM_STANDARD_NORMAL"])
    def test_random_numbers_of_a_seed_are_the_same_again(self, code: str) -> None:
        model = models.one(
            code, [np.array([3], np.int32)], [("float32", (3,))], kind="Random", seed=7, seed2=3
        )
        assert len(set(answers(model, {})["y0"])) == 3
        with opened(model, state="none") as leaky:
            assert leaky.run({})["y0"].tolist() != leaky.run({})["y0"].tolist(), "control: they go on"


class TestQuantized:
    def test_numbers_are_raw_and_their_meaning_is_told(self) -> None:
        model = models.echo("uint8", scales=[0.5], zero_points=[128])
        with opened(model) as runs:
            (told,) = runs.inputs
            assert (told.scale, told.zero_point) == (0.5, 128)
            assert runs.outputs[0].scale == 0.5
            assert runs.run({"x": [128, 130]})["y"].tolist() == [128, 130]
            with pytest.raises(InputError, match="was given float64"):
                runs.run({"x": [0.0, 1.0]})

    def test_numbers_that_stand_for_themselves_have_no_scale(self) -> None:
        with opened(models.echo("int8")) as runs:
            assert (runs.inputs[0].scale, runs.inputs[0].zero_point) == (0.0, 0)
