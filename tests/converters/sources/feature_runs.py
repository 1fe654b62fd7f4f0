"""Feature models of all three targets, made once for each spec and run on many users."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt

from converters.coreml_eval import CoreMLProgram
from converters.sources import Source
from converters.targets import coreml, onnx, tflite

Cells = npt.NDArray[np.float32]
Run = Callable[[Cells, Cells], Cells]

COREML_ROWS = 1000
"""A Core ML program is for a fixed number of rows; a thousand at once keep the tests short."""


def runners(source: Source) -> dict[str, Run]:
    """By target: ``features`` of n users from ``daily`` and ``context``."""
    return {"tflite": _litert(source), "onnx": _onnxruntime(source), "coreml": _coreml(source)}


def _litert(source: Source) -> Run:
    from ai_edge_litert.interpreter import Interpreter

    signature = Interpreter(model_content=tflite.convert(source)).get_signature_runner("serving_default")
    return lambda daily, context: np.asarray(signature(daily=daily, context=context)["features"])


def _onnxruntime(source: Source) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(onnx.convert(source))
    return lambda daily, context: np.asarray(session.run(None, {"daily": daily, "context": context})[0])


def _coreml(source: Source) -> Run:
    @cache
    def program(rows: int) -> CoreMLProgram:
        return CoreMLProgram.from_package(coreml.convert(source, rows=rows))

    def run(daily: Cells, context: Cells) -> Cells:
        answers = []
        for start in range(0, len(daily), COREML_ROWS):
            part = {
                "daily": daily[start : start + COREML_ROWS],
                "context": context[start : start + COREML_ROWS],
            }
            few = len(part["daily"]) < COREML_ROWS
            chosen = program(1 if few else COREML_ROWS)
            answers.append((chosen.run_rows if few else chosen.run)(part)["features"])
        return np.concatenate(answers)

    return run


def distance(left: Cells, right: Cells) -> npt.NDArray[np.float64]:
    """Difference of each number, relative above 1 and absolute below; what is no number is infinitely far."""
    assert left.shape == right.shape
    assert left.size
    apart = np.abs(left.astype(np.float64) - right) / np.maximum(1.0, np.abs(left.astype(np.float64)))
    return np.nan_to_num(apart, nan=np.inf)
