"""A Core ML program as data: decoded from its message, no operator evaluated yet.

Field numbers after MIL.proto and Model.proto in Apple's published Core ML specification.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from converters.coreml_eval.package import Package
from converters.errors import EvaluationError
from edge_sdk.errors import FormatError
from edge_sdk.runtime.protobuf import Message

_ML_PROGRAM: Final = 502
_DTYPES: Final[Mapping[int, np.dtype[Any]]] = {
    1: np.dtype(np.bool_),
    2: np.dtype(np.str_),
    10: np.dtype(np.float16),
    11: np.dtype(np.float32),
    21: np.dtype(np.int8),
    22: np.dtype(np.int16),
    23: np.dtype(np.int32),
    31: np.dtype(np.uint8),
    32: np.dtype(np.uint16),
}

_VARIADIC: Final = frozenset({"concat"})
"""Operators that take several values by one name."""


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Name, dtype and shape of a value; -1 in the shape is a dimension that the program leaves open."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """An argument that is the output of an earlier operation, or an input of the program."""

    name: str


Single = NDArray[Any] | str | Reference
Argument = Single | tuple[Single, ...]
"""What an operator is given by one name: a value, or for some operators several (``concat``)."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One line of the program."""

    kind: str
    arguments: Mapping[str, Argument]
    outputs: tuple[TensorInfo, ...]

    @property
    def label(self) -> str:
        """How a message calls it."""
        return f"{self.kind} ({self.outputs[0].name})"


@dataclass(frozen=True, slots=True)
class Program:
    """Inputs, constants, operations in order, and outputs in the order of the model's description."""

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    constants: Mapping[str, Argument]
    operations: tuple[Operation, ...]


def read_program(package: Package) -> Program:
    """Decode the ``main`` function of a package's program.

    Raises:
        EvaluationError: damaged, not an ML program, or of a form that this evaluator does not know.
    """
    try:
        return _decoded(Message(package.program()), package)
    except FormatError as error:
        raise EvaluationError(str(error)) from error


def _decoded(model: Message, package: Package) -> Program:
    if _ML_PROGRAM not in model:
        raise EvaluationError("the Core ML model is not an ML program; convert it as one")
    functions = model.message(_ML_PROGRAM).mapping(2)
    if set(functions) != {"main"}:
        raise EvaluationError(
            f"the Core ML program has the functions {sorted(functions)}; known is main alone"
        )
    function = functions["main"]
    blocks = function.mapping(3)
    opset = function.string(2)
    if opset not in blocks:
        raise EvaluationError(f"the Core ML program has no block for its operator set {opset!r}")
    constants: dict[str, Argument] = {}
    operations = []
    for message in blocks[opset].messages(3):
        kind, outputs = message.string(1), tuple(_named(output) for output in message.messages(3))
        if not outputs or message.messages(4):
            raise EvaluationError(
                f"operator {kind} of the Core ML program has no outputs or blocks of its own: not known here"
            )
        if kind == "const":
            constants[outputs[0].name] = _value(message.mapping(5).get("val", Message(b"")), package)
        else:
            operations.append(Operation(kind, _arguments(message, package), outputs))
    inputs = tuple(_named(given) for given in function.messages(1))
    made = {output.name: output for operation in operations for output in operation.outputs}
    described = [output.string(1) for output in model.message(2).messages(10)]
    if set(described) != set(blocks[opset].strings(2)) or not set(described) <= set(made):
        raise EvaluationError(
            f"the Core ML model describes the outputs {described}; its program makes others"
        )
    return Program(inputs, tuple(made[name] for name in described), constants, tuple(operations))


def _arguments(operation: Message, package: Package) -> dict[str, Argument]:
    arguments: dict[str, Argument] = {}
    for name, argument in operation.mapping(2).items():
        bound = tuple(_bound(binding, package) for binding in argument.messages(1))
        if len(bound) != 1 and operation.string(1) not in _VARIADIC:
            raise EvaluationError(
                f"operator {operation.string(1)} takes {len(bound)} values as {name}: not known here"
            )
        arguments[name] = bound[0] if len(bound) == 1 else bound
    return arguments


def _bound(binding: Message, package: Package) -> Single:
    return Reference(binding.string(1)) if 1 in binding else _value(binding.message(2), package)


def _named(message: Message) -> TensorInfo:
    return TensorInfo(message.string(1), *_tensor_type(message.message(2)))


def _tensor_type(message: Message) -> tuple[np.dtype[Any], tuple[int, ...]]:
    if 1 not in message:
        raise EvaluationError("the Core ML program passes something that is not a tensor: not known here")
    tensor = message.message(1)
    number = tensor.integer(1)
    if number not in _DTYPES:
        raise EvaluationError(f"the Core ML program uses numbers of kind {number}: not known here")
    shape = tuple(
        dimension.message(1).integer(1) if 1 in dimension else -1 for dimension in tensor.messages(3)
    )
    return _DTYPES[number], shape


def _value(message: Message, package: Package) -> NDArray[Any] | str:
    dtype, shape = _tensor_type(message.message(2))
    if 5 in message:
        blob = message.message(5)
        flat = package.blob(blob.string(1), blob.integer(2))
        if flat.dtype != dtype:
            raise EvaluationError(f"weights are stored as {flat.dtype} where the program says {dtype}")
    else:
        tensor = message.message(3).message(1)
        if dtype.kind == "U":
            return tensor.message(4).string(1)
        flat = _immediate(tensor, dtype)
    if flat.size != prod(shape) or min(shape, default=0) < 0:
        raise EvaluationError(f"a constant of shape {shape} has {flat.size} values: the program is damaged")
    return flat.reshape(shape)


def _immediate(tensor: Message, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Numbers written into the program itself: floats, ints, bools, or the bytes of narrower types."""
    if 1 in tensor:
        return _numbers(tensor.message(1).fixed(1), np.dtype("<f4")).astype(dtype)
    for field in (2, 3):
        if field in tensor:
            return np.array(tensor.message(field).integers(1), np.int64).astype(dtype)
    return _numbers(tensor.message(7).raw(1), dtype.newbyteorder("<")).astype(dtype)


def _numbers(data: bytes, dtype: np.dtype[Any]) -> NDArray[Any]:
    if len(data) % dtype.itemsize:
        raise EvaluationError(f"a constant has {len(data)} bytes of {dtype.name}: the program is damaged")
    return np.frombuffer(data, dtype)
