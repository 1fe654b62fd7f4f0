"""Many predictions at once, as columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_sdk.predict.prediction import Reason


@dataclass(frozen=True, slots=True)
class PredictionBatch:
    """Answers for a table of rows, in its order.

    Attributes:
        values: each scalar output, [rows].
        contributions: for each feature, [rows]; empty where the model has none.
        risk_factors, actions: for each rule, whether it applies, bool [rows].
        filled: columns that were not given, and got the record's defaults.
        reason, model_version, release, feature_age_s: as in ``Prediction``, for all rows.
        queue_ms: checking, and waiting for sessions; compute_ms: in the engine. For all rows together.
    """

    values: dict[str, NDArray[Any]]
    contributions: dict[str, NDArray[Any]]
    risk_factors: dict[str, NDArray[np.bool_]]
    actions: dict[str, NDArray[np.bool_]]
    filled: tuple[str, ...]
    reason: Reason
    model_version: str
    release: int
    feature_age_s: float
    queue_ms: float
    compute_ms: float

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))
