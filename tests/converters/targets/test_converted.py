"""What comes out of the converters: names, shapes, operators, bytes that repeat."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import subprocess
import sys
from typing import Any

import pytest

from converters.ensemble import OUTPUTS
from converters.errors import ConversionError
from converters.frameworks import quiet_stderr, tensorflow
from converters.sources import Source, ensemble_source
from converters.targets import coreml, onnx, tflite
from device_tests.simulator.tflite_writer import TFLiteWriter
from tests.converters.sources import built
from tests.converters.sources.builders import random_ensemble

pytestmark = pytest.mark.convert


def test_tflite_has_one_signature_with_the_names_and_a_batch_that_varies() -> None:
    from edge_sdk.runtime import open_model

    with open_model(built.artifact("tflite").content) as model:
        assert [(info.name, info.shape) for info in model.inputs] == [("features", (-1, 10))]
        assert {info.name: info.shape for info in model.outputs} == {
            "probability": (-1, 1),
            "confidence": (-1, 1),
            "contributions": (-1, 10),
        }


def test_tflite_tables_are_narrow_and_nothing_is_planned_at_run_time() -> None:
    schema: Any = importlib.import_module("ai_edge_litert.schema_py_generated")
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(built.artifact("tflite").content, 0))
    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if name.isupper()}
    used = {names[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes}
    # These read or make shapes at run time, which keeps XNNPACK from taking the graph.
    assert not used & {"SHAPE", "RANGE", "FILL", "BROADCAST_TO", "TILE", "WHILE", "SELECT_V2"}
    tables = [tensor for tensor in model.subgraphs[0].tensors if tensor.type == schema.TensorType.UINT8]
    nodes = len(built.ensemble().forest.feature)
    assert sorted(int(tensor.shape[0]) for tensor in tables if len(tensor.shape) == 1) == [nodes, nodes]


def test_custom_operators_are_refused_and_named() -> None:
    tf = tensorflow()
    spec = tf.TensorSpec([1, 10], tf.float32)
    function = tf.function(tf.math.digamma, input_signature=[spec])
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], tf.Module()
    )
    converter.allow_custom_ops = True
    with quiet_stderr():
        model = converter.convert()
    assert tflite.foreign_operators(model) == ("Digamma",)
    with pytest.raises(ConversionError, match="do not have: Digamma"):
        tflite.check_builtin(model)


@pytest.mark.parametrize("data", [b"", b"TFL3", bytes(200), b"\x1c\0\0\0TFL3" + b"\xff" * 200])
def test_what_is_no_tflite_file_is_refused(data: bytes) -> None:
    with pytest.raises(ConversionError, match="TFLite"):
        tflite.check_builtin(data)


def betainc_source() -> Source:
    def graph(tf: Any, features: Any, *, batch: int | None) -> dict[str, Any]:
        return {"y": tf.math.betainc(features, features, features)}

    return Source({"features": (10,)}, ("y",), graph)


@pytest.mark.parametrize("target", [tflite, coreml, onnx])
def test_a_model_that_a_target_cannot_express_is_one_error(
    target: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConversionError) as caught:
        target.convert(betainc_source())
    assert "betainc" in str(caught.value).lower()
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_variables_are_refused() -> None:
    variable: Any = []

    def graph(tf: Any, features: Any, *, batch: int | None) -> dict[str, Any]:
        if not variable:
            variable.append(tf.Variable(2.0))
        return {"y": features * variable[0]}

    with pytest.raises(ConversionError, match="variables"):
        tflite.convert(Source({"features": (10,)}, ("y",), graph))


def test_onnx_is_standard_and_named() -> None:
    import onnx as library

    model = library.load_from_string(built.artifact("onnx").content)
    assert [(item.domain, item.version) for item in model.opset_import] == [("", 17)]
    assert [value.name for value in model.graph.input] == ["features"]
    assert [value.name for value in model.graph.output] == list(OUTPUTS)
    assert {value.type.tensor_type.shape.dim[0].dim_param for value in model.graph.output} == {"batch"}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda model: setattr(model.graph.node[0], "domain", "com.example"), "com.example"),
        (lambda model: model.graph.initializer[0].external_data.add(), "another file"),
        (lambda model: model.functions.add(), "functions of its own"),
    ],
)
def test_onnx_beyond_the_standard_is_refused(damage: Any, message: str) -> None:
    import onnx as library

    model = library.load_from_string(built.artifact("onnx").content)
    onnx.check_standard(model)
    damage(model)
    with pytest.raises(ConversionError, match=message):
        onnx.check_standard(model)


def test_coreml_is_for_ios15_and_named() -> None:
    from coremltools.proto import FeatureTypes_pb2, Model_pb2

    files = built.artifact("coreml").package
    assert list(files) == sorted([coreml.MANIFEST, coreml.PROGRAM, coreml.WEIGHTS])
    spec = Model_pb2.Model.FromString(files[coreml.PROGRAM])
    assert spec.specificationVersion == 6
    shapes = {
        value.name: list(value.type.multiArrayType.shape)
        for value in (*spec.description.input, *spec.description.output)
    }
    assert shapes == {
        "features": [1, 10],
        "probability": [1, 1],
        "confidence": [1, 1],
        "contributions": [1, 10],
    }
    kinds = {value.type.multiArrayType.dataType for value in spec.description.output}
    assert kinds == {FeatureTypes_pb2.ArrayFeatureType.FLOAT32}
    assert not any("date" in key for key in spec.description.metadata.userDefined)


def test_coreml_manifest_names_both_items() -> None:
    manifest = json.loads(built.artifact("coreml").package[coreml.MANIFEST])
    items = manifest["itemInfoEntries"]
    assert items[manifest["rootModelIdentifier"]]["path"] == "com.apple.CoreML/model.mlmodel"
    assert {item["path"] for item in items.values()} == {
        "com.apple.CoreML/model.mlmodel",
        "com.apple.CoreML/weights",
    }


_AGAIN = """
import hashlib, json, sys
from converters.sources import ensemble_source
from converters.targets import coreml, onnx, tflite
from tests.converters.sources.builders import random_ensemble
if len(sys.argv) > 1:  # something else first: counters inside the converters must not show
    onnx.convert(ensemble_source(random_ensemble(1)))
    coreml.convert(ensemble_source(random_ensemble(1)))
source = ensemble_source(random_ensemble(2))
files = {"tflite": tflite.convert(source), "onnx": onnx.convert(source), **coreml.convert(source)}
print(json.dumps({name: hashlib.sha256(data).hexdigest() for name, data in files.items()}))
"""


def convert_all(source: Source) -> dict[str, bytes]:
    return {"tflite": tflite.convert(source), "onnx": onnx.convert(source), **coreml.convert(source)}


def test_the_same_source_gives_the_same_bytes_whatever_came_before() -> None:
    first = convert_all(ensemble_source(random_ensemble(2)))
    convert_all(ensemble_source(random_ensemble(1)))
    assert convert_all(ensemble_source(random_ensemble(2))) == first


@pytest.mark.slow
def test_the_same_source_gives_the_same_bytes_in_another_process() -> None:
    here = convert_all(ensemble_source(random_ensemble(2)))
    expected = {name: hashlib.sha256(data).hexdigest() for name, data in here.items()}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _AGAIN, "more"],
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == expected


def test_state_in_resource_variables_is_refused() -> None:
    writer = TFLiteWriter()
    x, y = writer.tensor("x", (1, 1)), writer.tensor("y", (1, 1))
    writer.operator("LOGISTIC", (x,), (y,))
    plain = writer.finish({"x": x}, {"y": y})
    tflite.check_builtin(plain)
    handle = writer.tensor("h", (), dtype="int32")
    writer.operator("VAR_HANDLE", (), (handle,))
    with pytest.raises(ConversionError, match=r"keeps state between runs \(VAR_HANDLE\)"):
        tflite.check_builtin(writer.finish({"x": x}, {"y": y}))
