"""The operators of an iOS 15 program that our models use, in NumPy, each after its page in the MIL reference.

Every kernel computes in the dtype it is given (float32 stays float32), as a phone's CPU does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from converters.errors import EvaluationError

Array = NDArray[Any]
Kernel = Callable[..., Array]

_CASTS: Final = MappingProxyType(
    {"bool": np.bool_, "fp16": np.float16, "fp32": np.float32, "int32": np.int32}
)


def _add(*, x: Array, y: Array) -> Array:
    return np.add(x, y)


def _cast(*, x: Array, dtype: str) -> Array:
    if dtype not in _CASTS:
        raise EvaluationError(f"cast to {dtype!r} is not known; known: {', '.join(_CASTS)}")
    return x.astype(_CASTS[dtype])


def _expand_dims(*, x: Array, axes: Array) -> Array:
    return np.expand_dims(x, tuple(int(axis) for axis in axes))


def _gather(*, x: Array, indices: Array, axis: Array) -> Array:
    side = x.shape[int(axis)]
    # Beyond the table a phone reads whatever lies there; here it is an error.
    if indices.size and (indices.min() < -side or indices.max() >= side):
        raise EvaluationError(f"gather reads place {int(indices.max())} of a table of {side}")
    return np.take(x, indices, axis=int(axis))


def _greater(*, x: Array, y: Array) -> Array:
    return np.greater(x, y)


def _linear(*, x: Array, weight: Array, bias: Array | None = None) -> Array:
    product: Array = x @ weight.T
    return product if bias is None else product + bias


def _maximum(*, x: Array, y: Array) -> Array:
    return np.maximum(x, y)


def _minimum(*, x: Array, y: Array) -> Array:
    return np.minimum(x, y)


def _mul(*, x: Array, y: Array) -> Array:
    return np.multiply(x, y)


def _pad(*, x: Array, pad: Array, mode: str = "constant", constant_val: Array | float = 0.0) -> Array:
    if mode != "constant":
        raise EvaluationError(f"pad with mode {mode!r} is not known; known: constant")
    ends = [(int(before), int(after)) for before, after in pad.reshape(-1, 2)]
    # The list is for the last dimensions; those before it are not padded.
    ends = [(0, 0)] * (x.ndim - len(ends)) + ends
    return np.pad(x, ends, constant_values=np.asarray(constant_val, x.dtype))


def _reduce_mean(*, x: Array, axes: Array, keep_dims: Array) -> Array:
    sides = tuple(int(axis) for axis in axes)
    mean: Array = np.mean(x, axis=sides, keepdims=bool(keep_dims), dtype=x.dtype)
    return mean


def _relu(*, x: Array) -> Array:
    answer: Array = np.maximum(x, x.dtype.type(0))
    return answer


def _reshape(*, x: Array, shape: Array) -> Array:
    if (shape == 0).any():
        raise EvaluationError("reshape with a 0 (keep this dimension) is not known")
    return x.reshape(tuple(int(side) for side in shape))


def _sigmoid(*, x: Array) -> Array:
    half = x.dtype.type(0.5)
    # tanh cannot overflow, as exp(-x) can.
    answer: Array = half * np.tanh(half * x) + half
    return answer


def _slice_by_index(
    *,
    x: Array,
    begin: Array,
    end: Array,
    stride: Array | None = None,
    begin_mask: Array | None = None,
    end_mask: Array | None = None,
    squeeze_mask: Array | None = None,
) -> Array:
    """Python's slices, side by side; a masked begin or end is open, a squeezed side is one place."""
    picks: list[slice | int] = []
    for side in range(x.ndim):
        if squeeze_mask is not None and squeeze_mask[side]:
            picks.append(int(begin[side]))
            continue
        start = None if begin_mask is not None and begin_mask[side] else int(begin[side])
        stop = None if end_mask is not None and end_mask[side] else int(end[side])
        picks.append(slice(start, stop, 1 if stride is None else int(stride[side])))
    return np.asarray(x[tuple(picks)])


def _sqrt(*, x: Array) -> Array:
    return np.sqrt(x)


def _sub(*, x: Array, y: Array) -> Array:
    return np.subtract(x, y)


KERNELS: Final[Mapping[str, Kernel]] = MappingProxyType(
    {
        "add": _add,
        "cast": _cast,
        "expand_dims": _expand_dims,
        "gather": _gather,
        "greater": _greater,
        "linear": _linear,
        "maximum": _maximum,
        "minimum": _minimum,
        "mul": _mul,
        "pad": _pad,
        "reduce_mean": _reduce_mean,
        "relu": _relu,
        "reshape": _reshape,
        "sigmoid": _sigmoid,
        "slice_by_index": _slice_by_index,
        "sqrt": _sqrt,
        "sub": _sub,
    }
)
