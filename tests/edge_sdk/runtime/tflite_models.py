"""TFLite files written by hand, and changed by hand, that no converter is needed for."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from device_tests.simulator.tflite_writer import TFLiteWriter

Tensor = tuple[str, Sequence[int]] | np.ndarray
"""Dtype and shape, or a constant."""


def schema() -> Any:
    return importlib.import_module("ai_edge_litert.schema_py_generated")


def one(
    code: str, inputs: Sequence[Tensor], outputs: Sequence[tuple[str, Sequence[int]]], **options: Any
) -> bytes:
    """One operator: what is not constant is an input ``x0``, ``x1``, …; outputs are ``y0``, ``y1``, …"""
    writer, given, taken = TFLiteWriter(), {}, []
    for number, each in enumerate(inputs):
        if isinstance(each, np.ndarray):
            taken.append(writer.tensor(f"c{number}", each.shape, each, dtype=each.dtype.name))
        else:
            taken.append(writer.tensor(f"x{number}", each[1], dtype=each[0]))
            given[f"x{number}"] = taken[-1]
    made = {
        f"y{number}": writer.tensor(f"y{number}", shape, dtype=d) for number, (d, shape) in enumerate(outputs)
    }
    if code.isupper():
        writer.operator(code, taken, list(made.values()), **options)
    else:
        writer.custom(code, taken, list(made.values()), **options)
    return writer.finish(given, made)


def echo(dtype: str, shape: Sequence[int] = (2,), **quantized: Any) -> bytes:
    """No operator at all: the input ``x`` is the output ``y``."""
    writer = TFLiteWriter()
    x = writer.tensor("x", shape, dtype=dtype, **quantized)
    return writer.finish({"x": x}, {"y": x})


def changed(model: bytes, change: Callable[[Any], object]) -> bytes:
    """The file after ``change`` of its object tree."""
    tree = schema().ModelT.InitFromPackedBuf(bytearray(model))
    change(tree)
    return packed(tree)


def packed(tree: Any) -> bytes:
    builder = importlib.import_module("flatbuffers").Builder(1024)
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def counting_up(*, to: int = 10, into_itself: bool = False) -> bytes:
    """WHILE: ``x`` int32 [1] counts up to ``to``; or its body is the loop itself."""
    writer = TFLiteWriter()
    x, y = (writer.tensor(name, (1,), dtype="int32") for name in "xy")

    def condition() -> tuple[list[int], list[int]]:
        value = writer.tensor("value", (1,), dtype="int32")
        limit = writer.tensor("limit", (1,), np.array([to]), dtype="int32")
        less = writer.tensor("less", (1,), dtype="bool")
        writer.operator("LESS", (value, limit), (less,))
        return [value], [less]

    def body() -> tuple[list[int], list[int]]:
        value, more = (writer.tensor(name, (1,), dtype="int32") for name in ("value", "more"))
        step = writer.tensor("step", (1,), np.array([1]), dtype="int32")
        if into_itself:
            writer.operator("WHILE", (value,), (more,), condSubgraphIndex=1, bodySubgraphIndex=2)
        else:
            writer.operator("ADD", (value, step), (more,))
        return [value], [more]

    calls = {"condSubgraphIndex": writer.graph(condition), "bodySubgraphIndex": writer.graph(body)}
    writer.operator("WHILE", (x,), (y,), **calls)
    return writer.finish({"x": x}, {"y": y})


def for_ever() -> bytes:
    """WHILE whose condition is always true."""
    writer = TFLiteWriter()
    x, y = (writer.tensor(name, (), dtype="bool") for name in "xy")

    def condition() -> tuple[list[int], list[int]]:
        value = writer.tensor("value", (), dtype="bool")
        return [value], [writer.tensor("yes", (), np.array(True), dtype="bool")]

    def body() -> tuple[list[int], list[int]]:
        value = writer.tensor("value", (), dtype="bool")
        return [value], [value]

    calls = {"condSubgraphIndex": writer.graph(condition), "bodySubgraphIndex": writer.graph(body)}
    writer.operator("WHILE", (x,), (y,), **calls)
    return writer.finish({"x": x}, {"y": y})


def either() -> bytes:
    """IF: ``x`` is doubled where ``p`` is true, else less two."""
    writer = TFLiteWriter()
    p, x, y = writer.tensor("p", (), dtype="bool"), writer.tensor("x", (-1,)), writer.tensor("y", (-1,))

    def branch(code: str) -> Callable[[], tuple[list[int], list[int]]]:
        def build() -> tuple[list[int], list[int]]:
            value, made = writer.tensor("value", (-1,)), writer.tensor("made", (-1,))
            writer.operator(code, (value, writer.tensor("two", (1,), np.array([2.0]))), (made,))
            return [value], [made]

        return build

    calls = {
        "thenSubgraphIndex": writer.graph(branch("MUL")),
        "elseSubgraphIndex": writer.graph(branch("SUB")),
    }
    writer.operator("IF", (p, x), (y,), **calls)
    return writer.finish({"p": p, "x": x}, {"y": y})


def detector() -> bytes:
    """The custom operator at the end of SSD models: ``boxes`` [1][6][4] and ``scores`` [1][6][3] to at most three."""
    flexbuffers = importlib.import_module("flatbuffers.flexbuffers")
    options = flexbuffers.Builder()
    with options.Map():
        for name, value in {"max_detections": 3, "max_classes_per_detection": 1, "num_classes": 2}.items():
            options.Int(name, value)
        scales = {"y_scale": 10.0, "x_scale": 10.0, "h_scale": 5.0, "w_scale": 5.0}
        for name, value in {"nms_score_threshold": 0.1, "nms_iou_threshold": 0.5, **scales}.items():
            options.Float(name, value)
    writer = TFLiteWriter()
    boxes, scores = writer.tensor("boxes", (1, 6, 4)), writer.tensor("scores", (1, 6, 3))
    anchors = writer.tensor("anchors", (6, 4), np.tile([0.5, 0.5, 1, 1], (6, 1)))
    outputs = {name: writer.tensor(name, ()) for name in ("locations", "classes", "sureness", "count")}
    writer.custom(
        "TFLite_Detection_PostProcess",
        (boxes, scores, anchors),
        list(outputs.values()),
        bytes(options.Finish()),
    )
    return writer.finish({"boxes": boxes, "scores": scores}, outputs)


def sparse() -> bytes:
    """DENSIFY: ``x`` [2][3] plus a sparse constant with 5 at [0][2] and 7 at [1][0]."""
    made, writer = schema(), TFLiteWriter()
    x, y = writer.tensor("x", (2, 3)), writer.tensor("y", (2, 3))
    constant, dense = writer.tensor("c", (2, 3), np.array([5.0, 7.0])), writer.tensor("d", (2, 3))
    writer.operator("DENSIFY", (constant,), (dense,))
    writer.operator("ADD", (x, dense), (y,))

    def thin(tree: Any) -> None:
        rows, columns = made.DimensionMetadataT(), made.DimensionMetadataT()
        rows.format, rows.denseSize = made.DimensionType.DENSE, 2
        columns.format = made.DimensionType.SPARSE_CSR
        columns.arraySegmentsType = columns.arrayIndicesType = made.SparseIndexVector.Int32Vector
        columns.arraySegments, columns.arrayIndices = made.Int32VectorT(), made.Int32VectorT()
        columns.arraySegments.values, columns.arrayIndices.values = [0, 1, 2], [2, 0]
        sparsity = made.SparsityParametersT()
        sparsity.traversalOrder, sparsity.blockMap, sparsity.dimMetadata = [0, 1], [], [rows, columns]
        tree.subgraphs[0].tensors[constant].sparsity = sparsity

    return changed(writer.finish({"x": x}, {"y": y}), thin)


def with_buffers_behind(model: bytes) -> bytes:
    """The same with its constants behind the flatbuffer, as models of 2 GB and more have them."""
    tree = schema().ModelT.InitFromPackedBuf(bytearray(model))
    constants = [
        (buffer, bytes(buffer.data))
        for buffer in tree.buffers
        if buffer.data is not None and len(buffer.data)
    ]
    for buffer, _ in constants:
        buffer.data, buffer.offset, buffer.size = None, 1 << 20, 1  # not 0, or the fields would not be there
    start, behind = -(-len(packed(tree)) // 16) * 16, b""
    for buffer, data in constants:
        buffer.offset, buffer.size = start + len(behind), len(data)
        behind += data.ljust(-(-len(data) // 16) * 16, b"\0")
    return packed(tree).ljust(start, b"\0") + behind
