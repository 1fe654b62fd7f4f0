"""Tensors and operators of a model file, read without running it."""

from __future__ import annotations

import importlib
import struct
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from edge_sdk.errors import FormatError
from feature_spec.extras import require


def tflite(model: bytes) -> dict[str, Any]:
    """Inputs, outputs, signatures and operator counts of a TFLite file; apps use the names of the signature.

    Raises:
        FormatError: not a TFLite file.
    """
    if model[4:8] != b"TFL3":
        raise FormatError("not a TFLite file")
    schema: Any = importlib.import_module("ai_edge_litert.schema_py_generated")
    try:
        root = schema.Model.GetRootAs(model, 0)
        graph = root.Subgraphs(0)
        names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
        dtypes = {code: name for name, code in vars(schema.TensorType).items() if isinstance(code, int)}
        codes = [names[root.OperatorCodes(i).BuiltinCode()] for i in range(root.OperatorCodesLength())]
        operators = [codes[graph.Operators(i).OpcodeIndex()] for i in range(graph.OperatorsLength())]

        def tensor(index: int) -> dict[str, Any]:
            found = graph.Tensors(index)
            free = found.ShapeSignatureAsNumpy() if found.ShapeSignatureLength() else found.ShapeAsNumpy()
            shape = [int(size) for size in free] if found.ShapeLength() else []
            return {"name": found.Name().decode(), "dtype": dtypes[found.Type()].lower(), "shape": shape}

        return {
            "inputs": [tensor(graph.Inputs(i)) for i in range(graph.InputsLength())],
            "outputs": [tensor(graph.Outputs(i)) for i in range(graph.OutputsLength())],
            "signatures": {
                signature.SignatureKey().decode(): {
                    "inputs": _names(signature.InputsLength(), signature.Inputs),
                    "outputs": _names(signature.OutputsLength(), signature.Outputs),
                }
                for signature in map(root.SignatureDefs, range(root.SignatureDefsLength()))
            },
            "operators": _counted(operators),
        }
    except (struct.error, IndexError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise FormatError(f"the TFLite file is damaged: {error}") from error


def onnx(model: bytes) -> dict[str, Any]:
    """Inputs, outputs, operator counts and opset of an ONNX file.

    Raises:
        FormatError: not an ONNX file.
        MissingExtraError: the extra ``convert`` is not installed.
    """
    library = require("onnx", extra="convert")
    from google.protobuf.message import DecodeError

    try:
        proto = library.load_model_from_string(model)
    except DecodeError as error:
        raise FormatError(f"not an ONNX file: {error}") from error
    if not proto.graph.node:
        raise FormatError("not an ONNX file: it has no operators")

    def tensor(value: Any) -> dict[str, Any]:
        kind = value.type.tensor_type
        shape = [size.dim_value if size.HasField("dim_value") else -1 for size in kind.shape.dim]
        dtype = library.helper.tensor_dtype_to_np_dtype(kind.elem_type)
        return {"name": value.name, "dtype": str(dtype), "shape": shape}

    return {
        "inputs": [tensor(value) for value in proto.graph.input],
        "outputs": [tensor(value) for value in proto.graph.output],
        "operators": _counted([node.op_type for node in proto.graph.node]),
        "opset": max(item.version for item in proto.opset_import),
    }


def coreml(files: Mapping[str, bytes]) -> dict[str, Any]:
    """Inputs, outputs and operator counts of a Core ML package, given its files."""
    from converters.coreml_eval import CoreMLProgram

    program = CoreMLProgram.from_package(files)

    def tensor(value: Any) -> dict[str, Any]:
        return {"name": value.name, "dtype": str(value.dtype), "shape": list(value.shape)}

    return {
        "inputs": [tensor(value) for value in program.inputs],
        "outputs": [tensor(value) for value in program.outputs],
    }


def _names(count: int, item: Callable[[int], Any]) -> list[str]:
    return [item(number).Name().decode() for number in range(count)]


def _counted(operators: list[str]) -> dict[str, int]:
    return dict(sorted(Counter(operators).items(), key=lambda pair: (-pair[1], pair[0])))
