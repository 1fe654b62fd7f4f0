"""Small TFLite files written by hand, so that measuring and testing need no TensorFlow."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from edge_sdk.runtime.engine import Array

_VERSION = 3  # of the TFLite schema


class TFLiteWriter:
    """Collects the tensors and operators of a graph, and of graphs that it calls; ``finish`` writes the file.

    The schema classes come with ai-edge-litert; importing them takes about 0.3 s.
    """

    def __init__(self) -> None:
        self._schema = importlib.import_module("ai_edge_litert.schema_py_generated")
        self._buffers = [self._schema.BufferT()]  # the first is the empty one, by convention
        self._tensors: list[Any] = []
        self._operators: list[Any] = []
        self._codes: list[Any] = []
        self._graphs: list[Any] = []

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        data: Array | None = None,
        *,
        dtype: str = "float32",
        variable: bool = False,
        scales: Sequence[float] = (),
        zero_points: Sequence[int] = (),
        axis: int = 0,
    ) -> int:
        """Add a tensor; -1 in the shape is a dimension that may vary.

        Args:
            name: of the tensor.
            shape: its sides.
            data: makes it a constant.
            dtype: as NumPy calls it, or ``string``, ``resource``.
            variable: keeps its value from one run to the next.
            scales, zero_points: of quantized numbers; several are those along ``axis``.
            axis: see ``scales``.

        Returns:
            Its index.
        """
        tensor = self._schema.TensorT()
        tensor.name = name
        tensor.shape = [1 if side < 0 else side for side in shape]
        if -1 in shape:
            tensor.shapeSignature = list(shape)
        tensor.type = getattr(self._schema.TensorType, dtype.upper())
        tensor.isVariable = variable
        tensor.buffer = 0
        if data is not None:
            buffer = self._schema.BufferT()
            buffer.data = np.frombuffer(data.astype(np.dtype(dtype).newbyteorder("<")).tobytes(), np.uint8)
            self._buffers.append(buffer)
            tensor.buffer = len(self._buffers) - 1
        if scales:
            tensor.quantization = self._schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = list(scales), list(zero_points)
            tensor.quantization.quantizedDimension = axis
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def operator(
        self,
        code: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        *,
        version: int = 1,
        kind: str = "",
        **options: int | bool | float | str,
    ) -> None:
        """Add a builtin operator, named as in the schema (``FULLY_CONNECTED``), with its options' fields.

        Args:
            code: its name.
            inputs, outputs: indices of tensors; -1 is an optional input that is not given.
            version: of the operator.
            kind: the schema's name of its options, without the ``Options``, where it is not that of the operator.
            options: the fields.
        """
        made = self._schema.OperatorCodeT()
        made.builtinCode = getattr(self._schema.BuiltinOperator, code)
        made.deprecatedBuiltinCode = min(made.builtinCode, 127)
        made.version = version
        operator = self._operator(made, inputs, outputs)
        wanted = f"{kind or code}Options".replace("_", "").lower()
        for name in vars(self._schema.BuiltinOptions):
            if name.lower() == wanted:  # some operators have nothing to set
                operator.builtinOptionsType = getattr(self._schema.BuiltinOptions, name)
                operator.builtinOptions = getattr(self._schema, f"{name}T")()
        for field, value in options.items():
            setattr(operator.builtinOptions, field, value)

    def custom(self, name: str, inputs: Sequence[int], outputs: Sequence[int], options: bytes = b"") -> None:
        """Add an operator that is not in the schema, with its options as a FlexBuffer."""
        made = self._schema.OperatorCodeT()
        made.builtinCode = made.deprecatedBuiltinCode = self._schema.BuiltinOperator.CUSTOM
        made.customCode = name
        self._operator(made, inputs, outputs).customOptions = np.frombuffer(options, np.uint8)

    def _operator(self, code: Any, inputs: Sequence[int], outputs: Sequence[int]) -> Any:
        self._codes.append(code)
        operator = self._schema.OperatorT()
        operator.opcodeIndex = len(self._codes) - 1
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        self._operators.append(operator)
        return operator

    def graph(self, build: Callable[[], tuple[Sequence[int], Sequence[int]]]) -> int:
        """Add a graph that operators such as WHILE call.

        Args:
            build: adds its tensors and operators to this writer, and returns its inputs and outputs.

        Returns:
            Its number.
        """
        outer = self._tensors, self._operators
        self._tensors, self._operators = [], []
        inputs, outputs = build()
        self._graphs.append(self._graph(inputs, outputs))
        self._tensors, self._operators = outer
        return len(self._graphs)

    def _graph(self, inputs: Sequence[int], outputs: Sequence[int]) -> Any:
        graph = self._schema.SubGraphT()
        graph.name = f"graph {len(self._graphs)}"
        graph.tensors, graph.operators = self._tensors, self._operators
        graph.inputs, graph.outputs = list(inputs), list(outputs)
        return graph

    def finish(
        self, inputs: Mapping[str, int], outputs: Mapping[str, int], signature: str | None = "serving_default"
    ) -> bytes:
        """The file; ``inputs`` and ``outputs`` give tensors their names in the signature."""
        main = self._graph(list(inputs.values()), list(outputs.values()))
        main.name = "main"
        model = self._schema.ModelT()
        model.version = _VERSION
        model.description = "written by hand"
        model.buffers, model.operatorCodes, model.subgraphs = (
            self._buffers,
            self._codes,
            [main, *self._graphs],
        )
        if signature is not None:
            named = self._schema.SignatureDefT()
            named.signatureKey = signature
            named.subgraphIndex = 0
            named.inputs, named.outputs = self._maps(inputs), self._maps(outputs)
            model.signatureDefs = [named]
        builder = importlib.import_module("flatbuffers").Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _maps(self, names: Mapping[str, int]) -> list[Any]:
        maps = []
        for name, index in names.items():
            made = self._schema.TensorMapT()
            made.name, made.tensorIndex = name, index
            maps.append(made)
        return maps


def dense_tflite(widths: Sequence[int], seed: int = 0, *, batch: int = -1, alike: float = 0.0) -> bytes:
    """A network of fully connected layers with random weights: ``features`` [batch, first] to
    ``probability`` [batch, last], ReLU between, logistic at the end.

    Args:
        widths: the width of the input and of each layer.
        seed: of the weights.
        batch: rows of one run; -1 for any.
        alike: share of each layer's rows of weights that are the same row: these deflate to nearly nothing.
    """
    rng = np.random.default_rng(seed)
    writer = TFLiteWriter()
    first = last = writer.tensor("x", (batch, widths[0]))
    for number, (wide, narrow) in enumerate(pairwise(widths), start=1):
        values = rng.normal(size=(narrow, wide)) / np.sqrt(wide)
        values[: int(alike * narrow)] = values[0]
        weights = writer.tensor(f"w{number}", (narrow, wide), values)
        bias = writer.tensor(f"b{number}", (narrow,), rng.normal(size=narrow) / 10)
        made = writer.tensor(f"y{number}", (batch, narrow))
        relu = int(number < len(widths) - 1)
        writer.operator("FULLY_CONNECTED", (last, weights, bias), (made,), fusedActivationFunction=relu)
        last = made
    answer = writer.tensor("p", (batch, widths[-1]))
    writer.operator("LOGISTIC", (last,), (answer,))
    return writer.finish({"features": first}, {"probability": answer})
