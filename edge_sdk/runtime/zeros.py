"""Made-up inputs, for a trial or a warm-up."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edge_sdk.runtime.engine import Array, TensorInfo

FREE_SIDES = (1, 64)
"""Sizes to try for free dimensions; windows slide over the larger one."""

_LIMIT = 64 << 20  # bytes of one input; more is not worth making up


def zeros(inputs: tuple[TensorInfo, ...], free: int) -> Mapping[str, Array] | None:
    """Zeros and empty texts; None where an input would be too large, or can be given by nobody.

    Args:
        inputs: what a model declares.
        free: the size of dimensions that may vary.
    """
    made: dict[str, Array] = {}
    for info in inputs:
        shape = tuple(free if side < 0 else side for side in info.shape)
        if info.dtype.kind == "O" or info.dtype.itemsize * float(np.prod(shape, dtype=np.float64)) > _LIMIT:
            return None
        if info.dtype.kind == "S":
            made[info.name] = np.full(shape, b"", object) if shape else np.ndarray((), "S0", b"")
        else:
            made[info.name] = np.zeros(shape, info.dtype)
    return made
