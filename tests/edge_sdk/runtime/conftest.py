"""Tiny models that need no TensorFlow to be made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from device_tests.simulator.tflite_writer import TFLiteWriter
from tests.converters.coreml_eval.packages import Op, block, const, feature, package, program
from tests.edge_sdk.runtime.fakes import WEIGHTS


@pytest.fixture(scope="session")
def affine() -> Callable[..., bytes]:
    """Makes a TFLite model ``features`` [batch][3] -> ``score`` [batch][4]."""

    def make(batch: int = -1, signature: str | None = "serving_default", version: int = 1) -> bytes:
        writer = TFLiteWriter()
        x = writer.tensor("x", (batch, 3))
        w = writer.tensor("w", (4, 3), WEIGHTS)
        b = writer.tensor("b", (4,), np.full(4, 0.5))
        y = writer.tensor("y", (batch, 4))
        writer.operator("FULLY_CONNECTED", (x, w, b), (y,), version=version)
        return writer.finish({"features": x}, {"score": y}, signature)

    return make


@pytest.fixture(scope="session")
def affine_onnx() -> Callable[..., bytes]:
    """Makes the same as ONNX; ``batch`` is a number or the name of a free dimension."""

    def make(batch: int | str = "rows") -> bytes:
        import onnx
        from onnx import TensorProto, helper, numpy_helper

        graph = helper.make_graph(
            [helper.make_node("Gemm", ["features", "w", "b"], ["score"], transB=1)],
            "affine",
            [helper.make_tensor_value_info("features", TensorProto.FLOAT, [batch, 3])],
            [helper.make_tensor_value_info("score", TensorProto.FLOAT, [batch, 4])],
            [
                numpy_helper.from_array(WEIGHTS, "w"),
                numpy_helper.from_array(np.full(4, 0.5, np.float32), "b"),
            ],
        )
        model: Any = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())

    return make


@pytest.fixture(scope="session")
def affine_coreml() -> Callable[..., dict[str, bytes]]:
    """Makes the same as a Core ML package."""

    def make(batch: int = -1) -> dict[str, bytes]:
        linear = {"x": "features", "weight": "w", "bias": "b"}
        operations = [
            const("w", WEIGHTS),
            const("b", np.full(4, 0.5, np.float32)),
            Op("linear", ("score", "float32", (batch, 4)), linear),
        ]
        described = block(1, feature("features", "float32", (batch, 3)))
        described += block(10, feature("score", "float32", (batch, 4)))
        inputs = [("features", "float32", (batch, 3))]
        return package(program(operations, ("score",), inputs, features=described))

    return make


@pytest.fixture(scope="session")
def two_in_two_out() -> bytes:
    """TFLite: ``left`` and ``right`` float32 [any][2] -> ``sum``, ``difference``."""
    writer = TFLiteWriter()
    left, right = writer.tensor("l", (-1, 2)), writer.tensor("r", (-1, 2))
    total, difference = writer.tensor("s", (-1, 2)), writer.tensor("d", (-1, 2))
    writer.operator("ADD", (left, right), (total,))
    writer.operator("SUB", (left, right), (difference,))
    return writer.finish({"left": left, "right": right}, {"sum": total, "difference": difference})


@pytest.fixture(scope="session")
def counter() -> bytes:
    """TFLite with a hidden state: ``x`` [1][1] -> ``total`` [1][1], the sum of all it has seen."""
    writer = TFLiteWriter()
    x = writer.tensor("x", (1, 1))
    one = writer.tensor("w", (1, 1), np.ones((1, 1)))
    again = writer.tensor("r", (1, 1), np.ones((1, 1)))
    zero = writer.tensor("b", (1,), np.zeros(1))
    state = writer.tensor("state", (1, 1), variable=True)
    total = writer.tensor("total", (1, 1))
    writer.operator("RNN", (x, one, again, zero, state), (total,))
    return writer.finish({"x": x}, {"total": total})
