"""TFLite, float32, for LiteRT on Android and everywhere else."""

from __future__ import annotations

import importlib
import re
import struct
from collections.abc import Callable
from typing import Any

from converters.errors import ConversionError
from converters.frameworks import quiet_stderr, tensorflow
from converters.sources import Source
from feature_spec.extras import require

_RESOURCE_OPERATORS = frozenset({"ASSIGN_VARIABLE", "CALL_ONCE", "READ_VARIABLE", "VAR_HANDLE"})


def convert(source: Source) -> bytes:
    """A TFLite file with one signature, whose names are the source's; the batch may be resized.

    The same source gives the same bytes.

    Raises:
        ConversionError: the converter failed, or operators came out that the runtime does not bring itself.
        MissingExtraError: TensorFlow is not installed.
    """
    tf = tensorflow()
    # The converter takes the signature from a module that owns the function; without it names are lost.
    owner = tf.Module()
    owner.model = source.function(batch=None)
    concrete = owner.model.get_concrete_function()
    if concrete.captured_inputs:
        raise ConversionError("the source holds variables; build it of constants, or answers may become NaN")
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], owner)
    failure = require("tensorflow.lite.python.convert_phase", extra="convert").ConverterError
    try:
        with quiet_stderr():
            model: bytes = converter.convert()
    except (failure, tf.errors.OpError, ValueError, RuntimeError) as error:
        raise ConversionError(f"TFLite cannot express this model: {_reason(error)}") from error
    check_builtin(model)
    return model


def check_builtin(model: bytes) -> None:
    """Refuse a file that needs operators beyond the runtime's own, or that keeps state in resource variables.

    Nothing resets those between two predictions but a new interpreter.

    Raises:
        ConversionError: it does, or it is not a TFLite file.
    """
    foreign, variables = foreign_operators(model), resource_operators(model)
    if variables:
        raise ConversionError(
            f"the TFLite file keeps state between runs ({', '.join(variables)}); make the state an input and an output"
        )
    if foreign:
        raise ConversionError(
            f"the TFLite file needs operators that phones do not have: {', '.join(foreign)}; "
            "write the model with builtin operators"
        )


def foreign_operators(model: bytes) -> tuple[str, ...]:
    """Names of the custom and Flex operators that a TFLite file uses.

    Raises:
        ConversionError: not a readable TFLite file.
    """
    # Flex operators are custom ones by construction: their code is CUSTOM, their name starts with Flex.
    return _named(model, lambda code, custom: custom if code == "CUSTOM" else None)


def resource_operators(model: bytes) -> tuple[str, ...]:
    """Names of the operators on resource variables that a TFLite file uses.

    Raises:
        ConversionError: not a readable TFLite file.
    """
    return _named(model, lambda code, custom: code if code in _RESOURCE_OPERATORS else None)


def _named(model: bytes, name: Callable[[str, str], str | None]) -> tuple[str, ...]:
    if model[4:8] != b"TFL3":
        raise ConversionError("not a TFLite file (no TFL3 at byte 4)")
    schema: Any = importlib.import_module("ai_edge_litert.schema_py_generated")  # 0.3 s, so not at the top
    builtin = {code: text for text, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    try:
        root = schema.Model.GetRootAs(model, 0)
        codes = [root.OperatorCodes(number) for number in range(root.OperatorCodesLength())]
        names = (
            name(builtin[code.BuiltinCode()], (code.CustomCode() or b"unnamed").decode("utf-8", "replace"))
            for code in codes
        )
        return tuple(sorted(found for found in names if found is not None))
    except (struct.error, IndexError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConversionError(f"the TFLite file is damaged: {error}") from error


def _reason(error: Exception) -> str:
    """The converter's page of intermediate code, brought down to the operators that it names at its end."""
    named = re.findall(r"(?:Custom|Flex) ops: (.+)", str(error))
    return f"no builtin operator for {', '.join(named)}" if named else " ".join(str(error).split())[:300]
