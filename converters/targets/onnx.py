"""ONNX, float32, for ONNX Runtime; only the standard operator set, everything in one file."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any, Final

from converters.errors import ConversionError
from converters.frameworks import quiet_stderr, tensorflow
from converters.sources import Source
from feature_spec.extras import require

_OPSET: Final = 17
"""ONNX 1.12 of 2022: every ONNX Runtime from 1.12 on runs it."""


def convert(source: Source) -> bytes:
    """An ONNX file whose input and outputs are named as the source's; the batch may vary.

    The same source gives the same bytes.

    Raises:
        ConversionError: the converter failed, or the file would need more than standard operators.
        MissingExtraError: TensorFlow, tf2onnx or onnx is not installed.
    """
    tf = tensorflow()
    tf2onnx: Any = require("tf2onnx.convert", extra="convert")
    onnx: Any = require("onnx", extra="convert")
    try:
        with _quiet():
            model, _ = tf2onnx.from_function(
                source.function(batch=None), input_signature=source.signature(None), opset=_OPSET
            )
    except (tf.errors.OpError, ValueError, RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ConversionError(f"ONNX cannot express this model: {reason}") from error
    _tidy(model, source, onnx)
    check_standard(model)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        # The converter passes on what it does not know, as if ONNX had such an operator.
        reason = " ".join(str(error).split())[:300]
        raise ConversionError(f"ONNX cannot express this model: {reason}") from error
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def check_standard(model: Any) -> None:
    """Refuse a model that needs custom domains, functions or files beside it.

    Raises:
        ConversionError: it does.
    """
    foreign = sorted({f"{node.domain}.{node.op_type}" for node in model.graph.node if node.domain})
    if foreign:
        raise ConversionError(f"the ONNX file needs operators outside the standard set: {', '.join(foreign)}")
    if model.functions:
        raise ConversionError("the ONNX file brings functions of its own, which phones may not run")
    outside = [tensor.name for tensor in model.graph.initializer if tensor.external_data]
    if outside:
        raise ConversionError(f"the ONNX file keeps {outside[0]} in another file; store it inside")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the converter's log to itself: what it says is in the error, or cannot be acted on."""
    logger = logging.getLogger("tf2onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with quiet_stderr():
            yield
    finally:
        logger.setLevel(level)


def _tidy(model: Any, source: Source, onnx: Any) -> None:
    """Order and names by position: the converter's depend on what it converted before."""
    graph = model.graph
    nodes = _ordered(graph, source.outputs)
    names = {name: name for name in ("", *source.inputs, *source.outputs)}
    inner = [name for node in nodes for name in node.output if name not in names]
    names |= {name: f"value{number}" for number, name in enumerate(inner)}
    used = dict.fromkeys(name for node in nodes for name in node.input if name not in names)
    names |= {name: f"constant{number}" for number, name in enumerate(used)}
    for number, node in enumerate(nodes):
        node.name = f"node{number}"
        node.ClearField("doc_string")
        _replace(node.attribute, sorted(node.attribute, key=lambda attribute: str(attribute.name)))
        for field in (node.input, node.output):
            field[:] = [names[name] for name in field]
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for name, tensor in constants.items():
        tensor.name = names.get(name, name)
    _replace(graph.node, nodes)
    _replace(graph.initializer, [constants[name] for name in used])
    by_name = {output.name: output for output in graph.output}
    inputs = {given.name: given for given in graph.input}
    if set(by_name) != set(source.outputs) or set(inputs) != set(source.inputs):
        raise ConversionError(
            f"the ONNX file has the inputs {sorted(inputs)} and the outputs {sorted(by_name)}, "
            f"promised are {list(source.inputs)} and {source.outputs}"
        )
    _replace(graph.input, [inputs[name] for name in source.inputs])
    _replace(graph.output, [by_name[name] for name in source.outputs])
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    graph.ClearField("value_info")
    graph.name, graph.doc_string, model.doc_string = "model", "", ""
    _replace(model.opset_import, [onnx.helper.make_opsetid("", _OPSET)])
    _replace(model.metadata_props, [])
    model.producer_name, model.producer_version = "coach-edge", ""


def _ordered(graph: Any, outputs: tuple[str, ...]) -> list[Any]:
    """Nodes that the outputs need, each after what it reads; the order follows from the graph alone."""
    maker = {name: node for node in graph.node for name in node.output}
    ordered: list[Any] = []
    done: set[str] = set()
    for output in outputs:
        waiting = [(output, False)]
        while waiting:
            name, inputs_done = waiting.pop()
            if name not in maker or name in done:
                continue
            if inputs_done:
                ordered.append(maker[name])
                done.update(maker[name].output)
            else:
                waiting.append((name, True))
                waiting += [(given, False) for given in reversed(maker[name].input)]
    return ordered


def _replace(field: Any, content: list[Any]) -> None:
    kept = [type(item).FromString(item.SerializeToString()) for item in content]
    del field[:]
    field.extend(kept)
