"""Core ML programs evaluated on NumPy: a twin of what an iPhone computes, on any machine."""

from converters.coreml_eval.evaluator import CoreMLProgram as CoreMLProgram
from converters.coreml_eval.program import TensorInfo as TensorInfo

__all__ = ["CoreMLProgram", "TensorInfo"]
