"""What quantization needs to know of a TFLite file, read from its flatbuffer."""

from __future__ import annotations

import importlib
import struct
from dataclasses import dataclass
from typing import Any, Final

from quantization.errors import ArtifactError

_MARK: Final = b"TFL3"  # file identifier of the TFLite schema, bytes 4..8


@dataclass(frozen=True)
class WeightCount:
    """How many operators of the asked kinds hold their weights as float32, and as 8-bit integers."""

    float32: int
    int8: int


def count_weights(model: bytes, operators: frozenset[str]) -> WeightCount:
    """Count how the operators of a TFLite file store their weights (their second input).

    Args:
        model: content of the file.
        operators: names as in the TFLite schema, such as ``FULLY_CONNECTED``.

    Raises:
        ArtifactError: this is not a TFLite file.
    """
    if model[4:8] != _MARK:
        raise ArtifactError("not a TFLite file (no TFL3 at byte 4); pass one that `edge convert` wrote")
    schema: Any = importlib.import_module("ai_edge_litert.schema_py_generated")  # 0.3 s, so not at the top
    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if name.isupper()}
    types = schema.TensorType
    found = {types.FLOAT32: 0, types.INT8: 0}
    try:
        content = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
        # Old files keep the operator's number in a field of one byte; the schema's rule is to take the larger.
        codes = [
            names.get(max(code.builtinCode, code.deprecatedBuiltinCode)) for code in content.operatorCodes
        ]
        for graph in content.subgraphs:
            for operator in graph.operators:
                if codes[operator.opcodeIndex] in operators:
                    kind = _stored_type(graph, operator.inputs[1], types)
                    found[kind] = found.get(kind, 0) + 1
    except (struct.error, IndexError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(f"the TFLite file is damaged ({error}); convert the model again") from error
    return WeightCount(found[types.FLOAT32], found[types.INT8])


def _stored_type(graph: Any, tensor: int, types: Any) -> int:
    """Type of a tensor as it lies in the file: looks through an operator that widens it."""
    if graph.tensors[tensor].type == types.FLOAT32:
        for operator in graph.operators:
            if tensor in operator.outputs and len(operator.inputs) == 1:
                return int(graph.tensors[operator.inputs[0]].type)
    return int(graph.tensors[tensor].type)
