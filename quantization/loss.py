"""What a smaller model costs: its answers beside those of the model it was made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from quantization.errors import LossError

Array = NDArray[Any]
Run = Callable[[Mapping[str, Array]], Mapping[str, Array]]
"""Runs a model: inputs by name to outputs by name."""

DECISION: Final = 0.5
"""A probability of at least this is a yes."""


@dataclass(frozen=True)
class Loss:
    """How far a candidate is from its reference over ``n`` rows.

    Attributes:
        n: number of rows compared; never 0.
        agreement: share of rows on which both decide the same, yes meaning a probability of at least 0.5.
        max_abs: largest absolute difference of the probability.
        p99_abs: its 99th percentile over the rows.
        reference_auc: area under the ROC curve of the reference; None without labels.
        auc: the candidate's.
    """

    n: int
    agreement: float
    max_abs: float
    p99_abs: float
    reference_auc: float | None = None
    auc: float | None = None

    @property
    def auc_loss(self) -> float | None:
        """Reference minus candidate: positive where something was lost; None without labels."""
        if self.auc is None or self.reference_auc is None:
            return None
        return self.reference_auc - self.auc


def measure(
    reference: Run,
    candidate: Run,
    inputs: Mapping[str, Array],
    *,
    labels: Array | None = None,
    output: str = "probability",
) -> Loss:
    """Run both models on the same rows and compare one output.

    Args:
        reference: the model before.
        candidate: the model after.
        inputs: arrays by name, one row a case along the first axis.
        labels: [n] of 0 and 1, for the areas under the curve.
        output: name of an output [n] or [n, 1] with the probability.

    Raises:
        LossError: no rows, an output that is missing or not one finite number a row, or unfit labels.
    """
    before, after = (_column(run(inputs), output) for run in (reference, candidate))
    if len(before) != len(after):
        raise LossError(f"{output}: {len(before)} answers before and {len(after)} after; they must be paired")
    difference = np.abs(before - after)
    return Loss(
        n=len(before),
        agreement=float(np.mean((before >= DECISION) == (after >= DECISION))),
        max_abs=float(difference.max()),
        p99_abs=float(np.quantile(difference, 0.99)),
        reference_auc=None if labels is None else area_under_curve(labels, before),
        auc=None if labels is None else area_under_curve(labels, after),
    )


def area_under_curve(labels: Array, scores: Array) -> float:
    """Probability that a positive row scores above a negative one, ties counting half (Mann-Whitney U).

    Args:
        labels: [n] of 0 and 1, with both present.
        scores: [n].

    Raises:
        LossError: labels of another length, with other values, or of one class.
    """
    positive = np.asarray(labels).reshape(-1)
    if len(positive) != len(scores) or not np.isin(positive, (0, 1)).all():
        raise LossError(f"labels must be 0 or 1, one for each of the {len(scores)} rows")
    positive = positive.astype(bool)
    yes, no = int(positive.sum()), int((~positive).sum())
    if not yes or not no:
        raise LossError("labels are all of one class: no curve can be drawn; use rows of both")
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    # The rank of a tied group is the mean of the ranks that it spans.
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    return float((rank[positive].sum() - yes * (yes + 1) / 2) / (yes * no))


def _column(outputs: Mapping[str, Array], name: str) -> NDArray[np.float64]:
    if name not in outputs:
        raise LossError(f"the model has no output {name!r}; it has {', '.join(sorted(outputs))}")
    values = np.asarray(outputs[name], np.float64)
    if not values.size:
        raise LossError("there are no rows to compare; pass at least one")
    if values.size != len(values):
        raise LossError(f"output {name} has shape {values.shape}; one number a row is needed")
    if not np.isfinite(values).all():
        raise LossError(f"output {name} holds a value that is not finite in row {_first_bad(values)}")
    return values.reshape(-1)


def _first_bad(values: NDArray[np.float64]) -> int:
    return int(np.argmax(~np.isfinite(values.reshape(-1))))
