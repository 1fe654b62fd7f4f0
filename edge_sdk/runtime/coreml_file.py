"""What a Core ML package says of itself: its inputs and outputs.

Field numbers after Model.proto and FeatureTypes.proto in Apple's published Core ML specification.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from edge_sdk.errors import FormatError
from edge_sdk.runtime.engine import TensorInfo
from edge_sdk.runtime.protobuf import Message

_DESCRIPTION: Final = 2
_INPUT, _OUTPUT, _STATE = 1, 10, 13
_NAME, _TYPE = 1, 3
_MULTI_ARRAY: Final = 5
_SHAPE, _DTYPE, _ENUMERATED, _RANGES = 1, 2, 21, 31
_LOWER, _UPPER = 1, 2
DTYPES: Final[Mapping[int, np.dtype[Any]]] = {
    65552: np.dtype(np.float16),
    65568: np.dtype(np.float32),
    65600: np.dtype(np.float64),
    131080: np.dtype(np.int8),
    131104: np.dtype(np.int32),
}


def described(
    files: Mapping[str, bytes | memoryview],
) -> tuple[tuple[TensorInfo, ...], tuple[TensorInfo, ...]]:
    """Inputs and outputs of a package, given as bytes by path inside it.

    Raises:
        FormatError: a file is missing or damaged, or the model takes or gives other things than arrays.
    """
    description = Message(_program(files)).message(_DESCRIPTION)
    if description.messages(_STATE):
        raise FormatError(
            "the Core ML model keeps state between runs, which is not supported; convert without"
        )
    inputs = tuple(_info(feature) for feature in description.messages(_INPUT))
    outputs = tuple(_info(feature) for feature in description.messages(_OUTPUT))
    if not inputs or not outputs:
        raise FormatError(f"Core ML model with {len(inputs)} inputs and {len(outputs)} outputs")
    return inputs, outputs


def _program(files: Mapping[str, bytes | memoryview]) -> bytes:
    try:
        manifest = json.loads(bytes(files["Manifest.json"]))
        root = manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"]
        return bytes(files[f"Data/{root}"])
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"not a Core ML package: {type(error).__name__} {error} in its manifest") from error


def _info(feature: Message) -> TensorInfo:
    name, kind = feature.string(_NAME), feature.message(_TYPE)
    if _MULTI_ARRAY not in kind:
        raise FormatError(f"Core ML model: {name} is not an array; images and sequences are not supported")
    array = kind.message(_MULTI_ARRAY)
    dtype, shape = DTYPES.get(array.integer(_DTYPE)), array.integers(_SHAPE)
    if dtype is None:
        raise FormatError(f"Core ML model: {name} is of the unknown number type {array.integer(_DTYPE)}")
    for place, sizes in enumerate(array.message(_RANGES).messages(1)):
        if sizes.integer(_LOWER) != sizes.integer(_UPPER):
            shape[place : place + 1] = [-1]
    for other in array.message(_ENUMERATED).messages(1):
        sides = other.integers(1)
        if len(sides) != len(shape):
            raise FormatError(f"Core ML model: {name} comes in several ranks, which is not supported")
        shape = [had if had == side else -1 for had, side in zip(shape, sides, strict=True)]
    if not shape:
        raise FormatError(f"Core ML model: {name} has no declared shape; convert it with one")
    return TensorInfo(name, dtype, tuple(shape))
