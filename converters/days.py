"""Day inputs of people: what a model is fed that computes its own features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from converters.errors import SourceError
from feature_spec.definition import FeatureSpec
from feature_spec.numpy_evaluator import evaluate
from feature_spec.tensorflow_evaluator import CONTEXT_INPUT, DAILY_INPUT

F32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class DayInputs:
    """The day inputs of n people, and the definitions by which a fused model makes features of them.

    Attributes:
        spec: the features, in the order in which the predictor takes them.
        daily: float32 [n, 90, 8, 3].
        context: float32 [n, 14].
    """

    spec: FeatureSpec
    daily: F32
    context: F32

    def __post_init__(self) -> None:
        for name in ("daily", "context"):
            if getattr(self, name).dtype != np.float32:
                raise SourceError(f"{name} is {getattr(self, name).dtype}; a graph takes float32")
        if len(self.daily) != len(self.context):
            raise SourceError(f"{len(self.daily)} people in daily and {len(self.context)} in context")

    def __len__(self) -> int:
        return len(self.daily)

    @cached_property
    def features(self) -> F32:
        """float32 [n, F] as the reference computes them.

        Raises:
            FeatureSpecError: these are no day inputs.
        """
        return evaluate(self.spec, self.daily, self.context)

    @property
    def tensors(self) -> Mapping[str, F32]:
        """By the names of the graph's inputs."""
        return {DAILY_INPUT: self.daily, CONTEXT_INPUT: self.context}

    def taken(self, places: NDArray[np.intp]) -> DayInputs:
        """Some of the people."""
        return DayInputs(self.spec, self.daily[places], self.context[places])
