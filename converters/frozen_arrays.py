"""Array attributes of frozen dataclasses: checked, copied, read-only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from converters.errors import SourceError

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]


def freeze(owner: object, name: str, dtype: type[np.generic], ndim: int) -> None:
    """Replace an array attribute by a checked, read-only copy of exactly this dtype.

    For ``__post_init__`` of a frozen dataclass.

    Raises:
        SourceError: not numeric, of other dimensions, not finite, or not expressible in the dtype.
    """
    given = np.asarray(getattr(owner, name))
    if given.ndim != ndim or given.dtype.kind not in "iuf":
        raise SourceError(
            f"{name} must be a numeric array of {ndim} dimensions, got {given.dtype} {given.shape}"
        )
    if not np.isfinite(given).all():
        raise SourceError(f"{name} holds a value that is not finite")
    with np.errstate(over="ignore", invalid="ignore"):  # judged just below
        array = np.array(given, dtype=dtype, order="C")
    if np.issubdtype(dtype, np.integer) and (array != given).any():
        raise SourceError(f"{name} must hold whole numbers that fit {np.dtype(dtype).name}")
    if not np.isfinite(array).all():
        raise SourceError(f"{name} holds a value too large for {np.dtype(dtype).name}")
    array.flags.writeable = False
    object.__setattr__(owner, name, array)
