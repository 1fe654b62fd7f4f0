"""The closed table of engines: a name in a file can pick one of these and nothing else."""

from __future__ import annotations

import platform
from collections.abc import Callable
from functools import cache

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


_DISTRIBUTIONS = {"litert": "ai-edge-litert", "onnxruntime": "onnxruntime"}


@cache
def engine_version(name: str) -> str:
    """The version of an engine's library; empty where it is not known, as for an engine of the app's own."""
    if name == "coreml":
        return platform.mac_ver()[0]
    if name not in _DISTRIBUTIONS:
        return ""
    from importlib.metadata import PackageNotFoundError, version  # 50 ms, for who asks

    try:
        return version(_DISTRIBUTIONS[name])
    except PackageNotFoundError:
        return ""
