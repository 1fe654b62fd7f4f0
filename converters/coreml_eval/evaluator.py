"""Running a Core ML program where Core ML is not: its operators one by one, on NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.coreml_eval.kernels import KERNELS
from converters.coreml_eval.package import Package
from converters.coreml_eval.program import (
    Argument,
    Operation,
    Program,
    Reference,
    Single,
    TensorInfo,
    read_program,
)
from converters.errors import EvaluationError

Array = NDArray[Any]


class CoreMLProgram:
    """A program that can be run; holds no state between runs, so any number of threads may use it.

    Attributes:
        inputs: name, dtype and shape of each input.
        outputs: the same of each output.
    """

    def __init__(self, program: Program) -> None:
        unknown = sorted({operation.kind for operation in program.operations} - set(KERNELS))
        if unknown:
            raise EvaluationError(
                f"the Core ML program uses operators that cannot be evaluated here: {', '.join(unknown)}"
            )
        self.inputs: tuple[TensorInfo, ...] = program.inputs
        self.outputs: tuple[TensorInfo, ...] = program.outputs
        self._program = program

    @classmethod
    def from_package(cls, files: Mapping[str, bytes]) -> CoreMLProgram:
        """Read an ``.mlpackage`` given as bytes by path inside it.

        Raises:
            EvaluationError: a file is missing or damaged, or the program uses something unknown here.
        """
        return cls(read_program(Package(files)))

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Evaluate once, on arrays of exactly the declared dtypes and shapes.

        Raises:
            EvaluationError: an input does not fit, or an operator made what its declaration does not say.
        """
        values: dict[str, Argument] = {**self._program.constants, **self._checked(inputs)}
        for operation in self._program.operations:
            self._step(operation, values)
        # A copy: what an operator returned may be a view of a constant or of the caller's input.
        return {info.name: np.array(_one(Reference(info.name), values)) for info in self.outputs}

    def run_rows(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Evaluate a program made for one row once for each row, and lay the answers one below the other.

        Raises:
            EvaluationError: as ``run``; or there are no rows, or inputs of different numbers of rows.
        """
        counts = {len(array) for array in inputs.values()}
        if len(counts) != 1 or 0 in counts:
            raise EvaluationError("inputs must have the same number of rows, and at least one")
        answers = [
            self.run({name: array[row : row + 1] for name, array in inputs.items()})
            for row in range(counts.pop())
        ]
        return {info.name: np.concatenate([answer[info.name] for answer in answers]) for info in self.outputs}

    def _checked(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        expected = [info.name for info in self.inputs]
        if set(inputs) != set(expected):
            raise EvaluationError(f"the Core ML program takes {expected}, given are {sorted(inputs)}")
        for info in self.inputs:
            _check(info, np.asarray(inputs[info.name]), "input")
        return {name: np.asarray(array) for name, array in inputs.items()}

    def _step(self, operation: Operation, values: dict[str, Argument]) -> None:
        arguments = {name: _resolved(value, values) for name, value in operation.arguments.items()}
        try:
            result = KERNELS[operation.kind](**arguments)
        except (TypeError, ValueError, IndexError) as error:
            raise EvaluationError(
                f"Core ML operator {operation.label} cannot be evaluated: {error}"
            ) from error
        made = result if isinstance(result, tuple) else (result,)
        if len(made) != len(operation.outputs):
            raise EvaluationError(
                f"Core ML operator {operation.label} makes {len(made)} values, "
                f"the program declares {len(operation.outputs)}"
            )
        for info, value in zip(operation.outputs, made, strict=True):
            _check(info, value, f"operator {operation.kind}")
            values[info.name] = value


def _resolved(argument: Argument, values: Mapping[str, Argument]) -> Array | str | tuple[Array | str, ...]:
    if isinstance(argument, tuple):
        return tuple(_one(each, values) for each in argument)
    return _one(argument, values)


def _one(argument: Single, values: Mapping[str, Argument]) -> Array | str:
    if not isinstance(argument, Reference):
        return argument
    value = values.get(argument.name)
    if value is None or isinstance(value, Reference | tuple):
        raise EvaluationError(f"the Core ML program reads {argument.name!r} before it is made")
    return value


def _check(info: TensorInfo, value: Array, what: str) -> None:
    fits = len(info.shape) == value.ndim and all(
        side in (-1, given) for side, given in zip(info.shape, value.shape, strict=True)
    )
    if value.dtype != info.dtype or not fits:
        raise EvaluationError(
            f"Core ML {what} {info.name!r} is declared {info.dtype.name} {info.shape}, "
            f"but is {value.dtype.name} {value.shape}"
        )
