"""The closed table of engines: a name in a file can pick one of these and nothing else."""

from __future__ import annotations

from collections.abc import Callable

from edge_sdk.errors import InputError
from edge_sdk.runtime.engine import Engine


def _litert() -> Engine:
    from edge_sdk.runtime.litert import LiteRT

    return LiteRT()


def _onnxruntime() -> Engine:
    from edge_sdk.runtime.ort import OnnxRuntime

    return OnnxRuntime()


def _coreml() -> Engine:
    from edge_sdk.runtime.coreml import CoreML

    return CoreML()


def _tflite_runtime() -> Engine:
    from edge_sdk.runtime.tflite_runtime import TFLiteRuntime

    return TFLiteRuntime()


_ENGINES: dict[str, Callable[[], Engine]] = {
    "litert": _litert,
    "onnxruntime": _onnxruntime,
    "coreml": _coreml,
    "tflite-runtime": _tflite_runtime,
}

ENGINE_NAMES = tuple(_ENGINES)


def engine_named(name: str) -> Engine:
    """The engine of that name, its library imported.

    Raises:
        InputError: no such engine.
        MissingExtraError: its library is not installed.
        NotAvailable: this system has none, or it is not installed.
    """
    if name not in _ENGINES:
        raise InputError(f"no engine is called {name!r}; choose one of {', '.join(ENGINE_NAMES)}")
    return _ENGINES[name]()
