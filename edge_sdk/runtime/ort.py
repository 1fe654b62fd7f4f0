"""ONNX Runtime behind the engine interface (extra ``onnx``)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from edge_sdk.errors import FormatError, UpdateRequired
from edge_sdk.runtime.engine import Array, Session, Signature, TensorInfo
from feature_spec.extras import require

_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
    "tensor(int16)": np.int16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}
_QUIET = 3  # errors only: a warning of the library on stderr is nothing a caller can act on


class OnnxRuntime:
    """ONNX Runtime on its CPU provider, one thread a session."""

    name = "onnxruntime"

    def __init__(self) -> None:
        # On Linux the import otherwise writes a device id and a telemetry queue into the home directory.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        self._library = require("onnxruntime", extra="onnx")

    def load(self, model: bytes, threads: int = 1) -> Session:
        """Make a session.

        Raises:
            FormatError: not a readable ONNX model, or one with inputs that are not tensors.
            UpdateRequired: an opset or operator that this ONNX Runtime does not have.
        """
        options = self._library.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _QUIET
        try:
            native = self._library.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the library's classes have no common base but this one
            reason = " ".join(str(error).split())
            if "is not a registered function/op" in reason or "under development" in reason:
                raise UpdateRequired(f"this ONNX Runtime is too old for the model: {reason}") from error
            raise FormatError(f"ONNX Runtime cannot load the model: {reason}") from error
        return _OnnxSession(native)


def _info(node: Any) -> TensorInfo:
    if node.type not in _DTYPES:
        raise FormatError(
            f"ONNX model: {node.name} is a {node.type}; only plain number tensors are supported"
        )
    shape = tuple(side if isinstance(side, int) else -1 for side in node.shape)
    return TensorInfo(node.name, np.dtype(_DTYPES[node.type]), shape)


class _OnnxSession:
    def __init__(self, native: Any) -> None:
        self.inputs = tuple(_info(node) for node in native.get_inputs())
        self.outputs = tuple(_info(node) for node in native.get_outputs())
        if not self.inputs or not self.outputs:
            raise FormatError(f"ONNX model with {len(self.inputs)} inputs and {len(self.outputs)} outputs")
        self.signatures = (Signature("main", self.inputs, self.outputs),)
        self._names = [info.name for info in self.outputs]
        self._native = native

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return dict(zip(self._names, self._native.run(self._names, inputs), strict=True))

    def reset(self) -> None:
        """Nothing to forget: an ONNX graph keeps no state between runs."""

    def close(self) -> None:
        self._native = None
