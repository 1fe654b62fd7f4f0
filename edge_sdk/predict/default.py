"""A model that does not load here, whose record is known: its declared default answers, and nothing else does."""

from __future__ import annotations

import numpy as np

from edge_sdk.contract.record import Record, TensorSpec
from edge_sdk.errors import RetryLater
from edge_sdk.runtime.engine import Array, Signature, TensorInfo
from edge_sdk.runtime.model import Model
from edge_sdk.runtime.pool import Pool


class OnlyDefault(RetryLater):
    """The model does not work on this device. Its predictions are the declared default; update it."""


def default_only(record: Record, problem: str) -> Model:
    """A model with the record's inputs and outputs that has no session for anybody.

    A predictor on it takes that for what it is, no answer in time, and answers with the record's fallback.
    """
    like = _Nothing(record)

    def make() -> _Nothing:
        raise OnlyDefault(problem)

    return Model(Pool(make), like)


class _Nothing:
    """What the inputs and outputs would be."""

    def __init__(self, record: Record) -> None:
        self.inputs = tuple(map(_info, record.inputs))
        self.outputs = tuple(map(_info, record.outputs))
        self.signatures: tuple[Signature, ...] = ()

    def run(self, inputs: object) -> dict[str, Array]:
        raise AssertionError("a pool that makes no sessions lends none")

    def reset(self) -> None:
        """Nothing to forget."""

    def close(self) -> None:
        """Nothing to give back."""


def _info(tensor: TensorSpec) -> TensorInfo:
    return TensorInfo(tensor.name, np.dtype(tensor.dtype), tensor.shape)
