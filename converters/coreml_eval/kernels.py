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
Kernel = Callable[..., Array | tuple[Array, ...]]

_CASTS: Final = MappingProxyType(
    {"bool": np.bool_, "fp16": np.float16, "fp32": np.float32, "int32": np.int32}
)


def _abs(*, x: Array) -> Array:
    return np.abs(x)


def _add(*, x: Array, y: Array) -> Array:
    return np.add(x, y)


def _cast(*, x: Array, dtype: str) -> Array:
    if dtype not in _CASTS:
        raise EvaluationError(f"cast to {dtype!r} is not known; known: {', '.join(_CASTS)}")
    return x.astype(_CASTS[dtype])


def _concat(*, values: tuple[Array, ...] | Array, axis: Array, interleave: Array | bool = False) -> Array:
    if interleave:
        raise EvaluationError("concat that interleaves is not known")
    return np.concatenate(values if isinstance(values, tuple) else (values,), axis=int(axis))


def _equal(*, x: Array, y: Array) -> Array:
    return np.equal(x, y)


def _expand_dims(*, x: Array, axes: Array) -> Array:
    return np.expand_dims(x, tuple(int(axis) for axis in axes))


def _floor_div(*, x: Array, y: Array) -> Array:
    # NumPy's own floor_divide corrects the quotient; this is the operator as it is defined.
    answer: Array = np.floor(x / y).astype(x.dtype)
    return answer


def _gather(*, x: Array, indices: Array, axis: Array) -> Array:
    side = x.shape[int(axis)]
    # Beyond the table a phone reads whatever lies there; here it is an error.
    if indices.size and (indices.min() < -side or indices.max() >= side):
        raise EvaluationError(f"gather reads place {int(indices.max())} of a table of {side}")
    return np.take(x, indices, axis=int(axis))


def _greater(*, x: Array, y: Array) -> Array:
    return np.greater(x, y)


def _identity(*, x: Array) -> Array:
    return x


def _less(*, x: Array, y: Array) -> Array:
    return np.less(x, y)


def _linear(*, x: Array, weight: Array, bias: Array | None = None) -> Array:
    product: Array = x @ weight.T
    return product if bias is None else product + bias


def _log(*, x: Array, epsilon: Array | float = 1e-45) -> Array:
    answer: Array = np.log(x + np.asarray(epsilon, x.dtype))
    return answer


def _matmul(
    *, x: Array, y: Array, transpose_x: Array | bool = False, transpose_y: Array | bool = False
) -> Array:
    left = np.swapaxes(x, -1, -2) if transpose_x else x
    right = np.swapaxes(y, -1, -2) if transpose_y else y
    product: Array = left @ right
    return product


def _maximum(*, x: Array, y: Array) -> Array:
    return np.maximum(x, y)


def _minimum(*, x: Array, y: Array) -> Array:
    return np.minimum(x, y)


def _mul(*, x: Array, y: Array) -> Array:
    return np.multiply(x, y)


def _not_equal(*, x: Array, y: Array) -> Array:
    return np.not_equal(x, y)


def _pad(*, x: Array, pad: Array, mode: str = "constant", constant_val: Array | float = 0.0) -> Array:
    if mode != "constant":
        raise EvaluationError(f"pad with mode {mode!r} is not known; known: constant")
    ends = [(int(before), int(after)) for before, after in pad.reshape(-1, 2)]
    # The list is for the last dimensions; those before it are not padded.
    ends = [(0, 0)] * (x.ndim - len(ends)) + ends
    return np.pad(x, ends, constant_values=np.asarray(constant_val, x.dtype))


def _real_div(*, x: Array, y: Array) -> Array:
    return np.divide(x, y)


def _reduce_mean(*, x: Array, axes: Array, keep_dims: Array) -> Array:
    sides = tuple(int(axis) for axis in axes)
    mean: Array = np.mean(x, axis=sides, keepdims=bool(keep_dims), dtype=x.dtype)
    return mean


def _reduce_min(*, x: Array, axes: Array, keep_dims: Array | bool = False) -> Array:
    answer: Array = np.min(x, axis=tuple(int(axis) for axis in axes), keepdims=bool(keep_dims))
    return answer


def _reduce_sum(*, x: Array, axes: Array, keep_dims: Array | bool = False) -> Array:
    sides = tuple(int(axis) for axis in axes)
    total: Array = np.sum(x, axis=sides, keepdims=bool(keep_dims), dtype=x.dtype)
    return total


def _relu(*, x: Array) -> Array:
    answer: Array = np.maximum(x, x.dtype.type(0))
    return answer


def _reshape(*, x: Array, shape: Array) -> Array:
    if (shape == 0).any():
        raise EvaluationError("reshape with a 0 (keep this dimension) is not known")
    return x.reshape(tuple(int(side) for side in shape))


def _select(*, cond: Array, a: Array, b: Array) -> Array:
    return np.where(cond, a, b)


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


def _topk(
    *, x: Array, k: Array, axis: Array | int = -1, ascending: Array | bool = False
) -> tuple[Array, Array]:
    """The first ``k`` in order, and where they stood; of equals the one that stood first."""
    order = np.argsort(x if ascending else -x, axis=int(axis), kind="stable")
    first = np.take(order, np.arange(int(k)), axis=int(axis))
    return np.take_along_axis(x, first, axis=int(axis)), first.astype(np.int32)


def _transpose(*, x: Array, perm: Array) -> Array:
    return np.transpose(x, tuple(int(side) for side in perm))


KERNELS: Final[Mapping[str, Kernel]] = MappingProxyType(
    {
        "abs": _abs,
        "add": _add,
        "cast": _cast,
        "concat": _concat,
        "equal": _equal,
        "expand_dims": _expand_dims,
        "floor_div": _floor_div,
        "gather": _gather,
        "greater": _greater,
        "identity": _identity,
        "less": _less,
        "linear": _linear,
        "log": _log,
        "matmul": _matmul,
        "maximum": _maximum,
        "minimum": _minimum,
        "mul": _mul,
        "not_equal": _not_equal,
        "pad": _pad,
        "real_div": _real_div,
        "reduce_mean": _reduce_mean,
        "reduce_min": _reduce_min,
        "reduce_sum": _reduce_sum,
        "relu": _relu,
        "reshape": _reshape,
        "select": _select,
        "sigmoid": _sigmoid,
        "slice_by_index": _slice_by_index,
        "sqrt": _sqrt,
        "sub": _sub,
        "topk": _topk,
        "transpose": _transpose,
    }
)
