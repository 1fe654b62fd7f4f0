"""What the engines can run, as the tokens that entries require."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from edge_sdk.errors import InputError

# ONNX Runtime runs every opset from 7 on; 23 came with 1.22, and 1.23 is the oldest that this package allows.
_ONNX = frozenset({"onnx", *(f"onnx-opset{opset}" for opset in range(7, 24))})

CAPABILITIES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "litert": frozenset({"tflite"}),
        "onnxruntime": _ONNX,
        "coreml": frozenset({"coreml-ios15"}),
        "tflite-runtime": frozenset({"tflite"}),
    }
)


def capabilities_of(engine: str) -> frozenset[str]:
    """Tokens of an engine.

    Raises:
        InputError: not one of ours; say what it can run.
    """
    if engine not in CAPABILITIES:
        raise InputError(
            f"what the engine {engine!r} can run is not known; choose {', '.join(CAPABILITIES)}, or pass capabilities"
        )
    return CAPABILITIES[engine]
