"""Programs written by hand run; damaged and foreign ones are one clear error."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converters.coreml_eval import CoreMLProgram
from converters.errors import EvaluationError
from feature_spec.expression import apply, context, daily, sum_days, where
from feature_spec.program import flatten
from tests.converters.coreml_eval.packages import (
    WEIGHTS,
    Op,
    blob_file,
    blob_value,
    block,
    const,
    named,
    package,
    program,
    tensor_type,
    value,
)
from tests.converters.sources import built
from tests.feature_spec import every_operator


def i32(*values: int) -> bytes:
    return value(np.array(values, np.int32))


WEIGHT = np.array([[1, 2, 3], [-4, 5, -6]], np.float32)
BIAS = np.array([0.5, -0.5], np.float32)
X = np.array([[1, -2, 4]], np.float32)


def linear(**changes: object) -> dict[str, bytes]:
    """relu(x @ weight.T + bias), the weight in the weights file, the bias in the program."""
    operations = [
        const("weight", WEIGHT, blob_value(WEIGHT, 64)),
        Op("linear", ("z", "float32", (1, 2)), {"x": "x", "weight": "weight", "bias": value(BIAS)}),
        Op("relu", ("y", "float32", (1, 2)), {"x": "z"}),
    ]
    return package(program(operations, **changes), blob_file(WEIGHT))  # type: ignore[arg-type]


def test_a_program_runs() -> None:
    loaded = CoreMLProgram.from_package(linear())
    assert [(i.name, i.dtype, i.shape) for i in loaded.inputs] == [("x", np.float32, (1, 3))]
    assert [(o.name, o.dtype, o.shape) for o in loaded.outputs] == [("y", np.float32, (1, 2))]
    assert loaded.run({"x": X})["y"].tolist() == [[9.5, 0.0]]


def test_rows_are_run_one_after_the_other() -> None:
    loaded = CoreMLProgram.from_package(linear())
    rows = np.concatenate([X, 2 * X, -X])
    assert loaded.run_rows({"x": rows})["y"].tolist() == [[9.5, 0], [18.5, 0], [0, 37.5]]
    with pytest.raises(EvaluationError, match="at least one"):
        loaded.run_rows({"x": rows[:0]})


def test_answers_are_the_callers_own() -> None:
    reshape = Op("reshape", ("y", "float32", (1, 3)), {"x": "x", "shape": i32(1, -1)})
    same = CoreMLProgram.from_package(package(program([reshape])))
    given_rows = X.copy()
    same.run({"x": given_rows})["y"][:] = 0
    assert np.array_equal(given_rows, X)


def test_all_kinds_of_constants_are_read() -> None:
    table = np.array([300, -1, 0, 2**31 - 1, -(2**31)], np.int32)
    half = np.array([[0.5, 2.0]], np.float16)
    operations = [
        const("table", table),
        const("half", half),
        Op(
            "gather",
            ("a", "int32", (2,)),
            {"x": "table", "indices": i32(4, 0), "axis": value(np.array(0, np.int32))},
        ),
        Op("cast", ("b", "float32", (1, 2)), {"x": "half", "dtype": value("fp32")}),
        Op(
            "slice_by_index",
            ("c", "float32", (1, 2)),
            {"x": "x", "begin": i32(0, 1), "end": i32(1, 0), "end_mask": value(np.array([False, True]))},
        ),
    ]
    answers = CoreMLProgram.from_package(package(program(operations, ("c", "a", "b")))).run({"x": X})
    assert list(answers) == ["c", "a", "b"]
    assert {name: array.tolist() for name, array in answers.items()} == {
        "a": [-(2**31), 300],
        "b": [[0.5, 2.0]],
        "c": [[-2.0, 4.0]],
    }


def one(kind: str, dtype: str = "float32", shape: tuple[int, ...] = (1, 3)) -> dict[str, bytes]:
    return package(program([Op(kind, ("y", dtype, shape), {"x": "x"})]))


def without(files: dict[str, bytes], name: str) -> dict[str, bytes]:
    return {path: data for path, data in files.items() if path != name}


OTHER_KIND = blob_file(WEIGHT).replace(b"\xbe\xad\xde\x02", b"\xbe\xad\xde\x09")
THREE_AS_TWO = value(WEIGHT[0]).replace(tensor_type("float32", (3,)), tensor_type("float32", (2,)))
NO_VALUE = block(1, "const") + block(3, named("c", "float32", ()))
ONE_OUTPUT_MORE = block(3, named("w", "float32", (1, 3)))
WRONG_PLACE = const("weight", WEIGHT, blob_value(WEIGHT, 0))
OUTSIDE = const("weight", WEIGHT, blob_value(WEIGHT, 64, "/etc/passwd"))
ABOVE = const("weight", WEIGHT, blob_value(WEIGHT, 64, "@model_path/../weight.bin"))
RELU = Op("relu", ("y", "float32", (1, 3)), {"x": "x"})
NESTED = RELU.encoded() + b"\x22\x00"

LOADING = {
    "unknown operator": (one("lstm"), "cannot be evaluated here: lstm"),
    "no manifest": (without(linear(), "Manifest.json"), "Manifest.json"),
    "manifest is no JSON": ({**linear(), "Manifest.json": b"{"}, "names no model"),
    "manifest without root": ({**linear(), "Manifest.json": b"{}"}, "names no model"),
    "manifest of another form": ({**linear(), "Manifest.json": b"[1]"}, "names no model"),
    "no weights file": (without(linear(), WEIGHTS), "no file Data/com.apple.CoreML/weights/weight.bin"),
    "weights cut off": ({**linear(), WEIGHTS: blob_file(WEIGHT)[:-1]}, "no weights at byte 64"),
    "weights of another kind": ({**linear(), WEIGHTS: OTHER_KIND}, "kind 9"),
    "weights narrower": ({**linear(), WEIGHTS: blob_file(WEIGHT.astype(np.float16))}, "float16 where"),
    "fewer weights": ({**linear(), WEIGHTS: blob_file(WEIGHT[:1])}, "has 3 values"),
    "weights elsewhere in the file": (package(program([WRONG_PLACE, RELU]), blob_file(WEIGHT)), "no weights at byte 0"),
    "weights outside": (package(program([OUTSIDE, RELU])), "outside the Core ML package"),
    "weights above": (package(program([ABOVE, RELU])), "has no file"),
    "no ML program": (package(b"\x08\x06"), "not an ML program"),
    "two names for main": (linear(function="other"), r"functions \['other'\]"),
    "no block": (linear(opset="CoreML9"), "no block for its operator set 'CoreML9'"),
    "other outputs": (linear(described=["w"]), "its program makes others"),
    "output never made": (package(program([RELU], ("w",))), "its program makes others"),
    "nested blocks": (package(program([NESTED])), "blocks of its own"),
    "constant without value": (package(program([NO_VALUE])), "not a tensor"),
    "one value too many": (package(program([const("c", BIAS, THREE_AS_TWO)])), "has 3 values"),
    "half a number": (package(program([const("c", BIAS, value(BIAS.astype(np.float16))[:-1])])), "damaged"),
}  # fmt: skip


@pytest.mark.parametrize("case", LOADING)
def test_what_cannot_be_read_is_refused(case: str) -> None:
    files, message = LOADING[case]
    with pytest.raises(EvaluationError, match=message) as caught:
        CoreMLProgram.from_package(files)
    assert "\n" not in str(caught.value)


RUNNING = {
    "two outputs": (
        package(program([RELU.encoded() + ONE_OUTPUT_MORE])),
        {"x": X},
        "makes 1 values, .* declares 2",
    ),
    "other name": (linear(), {"z": X}, r"takes \['x'\]"),
    "other dtype": (linear(), {"x": X.astype(np.float64)}, "declared float32"),
    "other shape": (linear(), {"x": X[0]}, "declared float32"),
    "two rows": (linear(), {"x": np.concatenate([X, X])}, "declared float32"),
    "declared otherwise": (one("relu", "int32"), {"x": X}, "operator relu 'y' is declared int32"),
    "declared larger": (one("relu", shape=(1, 4)), {"x": X}, "operator relu 'y'"),
    "missing argument": (one("add"), {"x": X}, r"add \(y\) cannot be evaluated"),
    "before it is made": (
        package(program([Op("relu", ("y", "float32", (1, 3)), {"x": "later"})])),
        {"x": X},
        "reads 'later' before",
    ),
}


@pytest.mark.parametrize("case", RUNNING)
def test_what_does_not_fit_is_refused(case: str) -> None:
    files, inputs, message = RUNNING[case]
    with pytest.raises(EvaluationError, match=message):
        CoreMLProgram.from_package(files).run(inputs)


def test_open_dimensions_take_any_size() -> None:
    loaded = CoreMLProgram.from_package(
        package(
            program([Op("relu", ("y", "float32", (-1, 3)), {"x": "x"})], inputs=[("x", "float32", (-1, 3))])
        )
    )
    assert loaded.run({"x": np.concatenate([X, X])})["y"].shape == (2, 3)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damage_is_an_error_of_ours_or_an_answer(data: st.DataObject) -> None:
    files = linear()
    path = data.draw(st.sampled_from(sorted(files)))
    at = data.draw(st.integers(0, len(files[path]) - 1))
    content = bytearray(files[path])
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    with np.errstate(all="ignore"), contextlib.suppress(EvaluationError):
        CoreMLProgram.from_package({**files, path: bytes(content)}).run({"x": X})


def test_reading_a_program_needs_none_of_apples_tools() -> None:
    code = (
        "import sys, converters.coreml_eval\n"
        "print(sorted({'coremltools', 'tensorflow', 'google.protobuf'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.convert
def test_a_converted_program_is_read_as_apples_classes_read_it() -> None:
    from coremltools.proto import Model_pb2

    from converters.coreml_eval.package import Package
    from converters.coreml_eval.program import Reference, read_program

    files = built.artifact("coreml").package
    ours = read_program(Package(files))
    spec = Model_pb2.Model.FromString(Package(files).program())
    function = spec.mlProgram.functions["main"]
    theirs = [op for op in function.block_specializations[function.opset].operations if op.type != "const"]
    assert [operation.kind for operation in ours.operations] == [operation.type for operation in theirs]
    for mine, other in zip(ours.operations, theirs, strict=True):
        names = {name: argument.arguments[0].name for name, argument in other.inputs.items()}
        assert {
            name: given.name if isinstance(given, Reference) else "" for name, given in mine.arguments.items()
        } == names
        assert [output.name for output in mine.outputs] == [output.name for output in other.outputs]


@pytest.mark.convert
def test_the_table_holds_what_the_models_use_and_no_more() -> None:
    from converters.coreml_eval.kernels import KERNELS
    from converters.coreml_eval.package import Package
    from converters.coreml_eval.program import read_program
    from converters.sources.feature_graph import program_source
    from converters.targets import coreml

    acts = sum_days(apply("less", 0, daily("count", "session")))
    never_taken = flatten([where(apply("less", 1, 0), context("days_observed"), acts)])
    packages = [
        built.artifact("coreml").package,
        coreml.convert(program_source(every_operator.PROGRAM)),
        coreml.convert(program_source(never_taken)),
    ]
    used = {op.kind for files in packages for op in read_program(Package(files)).operations}
    assert used == set(KERNELS)


def test_package_helpers_write_what_json_reads() -> None:
    assert json.loads(linear()["Manifest.json"])["rootModelIdentifier"] == "root"
    assert named("a", "float32", ()) != named("a", "int32", ())
