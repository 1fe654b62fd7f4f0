"""Writes Core ML packages by hand, so that the evaluator is tested without Core ML's own tools."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

ARRAY_KINDS = {"float16": 65552, "float32": 65568, "int32": 131104}
KINDS = {"bool": 1, "str": 2, "float16": 10, "float32": 11, "int32": 23, "uint8": 31}
PROGRAM = "Data/com.apple.CoreML/model.mlmodel"
WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def number(place: int, value: int) -> bytes:
    return varint(place << 3) + varint(value)


def block(place: int, content: bytes | str) -> bytes:
    data = content.encode() if isinstance(content, str) else content
    return varint(place << 3 | 2) + varint(len(data)) + data


def entry(place: int, key: str, value: bytes) -> bytes:
    return block(place, block(1, key) + block(2, value))


def tensor_type(dtype: str, shape: Sequence[int]) -> bytes:
    sides = b"".join(block(3, block(1, number(1, side)) if side >= 0 else block(2, b"")) for side in shape)
    return block(1, number(1, KINDS[dtype]) + number(2, len(shape)) + sides)


def named(name: str, dtype: str, shape: Sequence[int]) -> bytes:
    return block(1, name) + block(2, tensor_type(dtype, shape))


def value(array: np.ndarray | str) -> bytes:
    """An immediate value, as a program writes small constants."""
    if isinstance(array, str):
        return block(2, tensor_type("str", ())) + block(3, block(1, block(4, block(1, array))))
    kind = array.dtype.name
    if kind == "float32":
        content = block(1, block(1, array.astype("<f4").tobytes()))
    elif kind in ("int32", "bool"):
        packed = b"".join(varint(int(item)) for item in array.ravel())
        content = block(2 if kind == "int32" else 3, block(1, packed))
    else:
        content = block(7, block(1, array.tobytes()))
    return block(2, tensor_type(kind, array.shape)) + block(3, block(1, content))


def blob_value(array: np.ndarray, offset: int, file: str = "@model_path/weights/weight.bin") -> bytes:
    """A value that lies in the weights file."""
    return block(2, tensor_type(array.dtype.name, array.shape)) + block(5, block(1, file) + number(2, offset))


def blob_file(array: np.ndarray) -> bytes:
    """A weights file with one blob, whose metadata starts at byte 64."""
    kind = {"float16": 1, "float32": 2}[array.dtype.name]
    metadata = struct.pack("<IIQQ", 0xDEADBEEF, kind, array.nbytes, 128).ljust(64, b"\0")
    return struct.pack("<II", 1, 2).ljust(64, b"\0") + metadata + array.tobytes()


@dataclass
class Op:
    """One operation: arguments are names of values, or values."""

    kind: str
    output: tuple[str, str, Sequence[int]]
    arguments: Mapping[str, str | bytes] = field(default_factory=dict)

    def encoded(self) -> bytes:
        inputs = b"".join(
            entry(2, name, block(1, block(1, given) if isinstance(given, str) else block(2, given)))
            for name, given in self.arguments.items()
        )
        return block(1, self.kind) + inputs + block(3, named(*self.output))


def const(name: str, array: np.ndarray, encoded: bytes | None = None) -> bytes:
    return (
        block(1, "const")
        + block(3, named(name, array.dtype.name, array.shape))
        + entry(5, "val", encoded or value(array))
    )


def feature(name: str, dtype: str, shape: Sequence[int]) -> bytes:
    """How a model's description tells an array; -1 is a dimension that may vary, from 1 up."""
    ranges = b"".join(
        block(1, number(1, max(side, 1)) + number(2, side))  # an upper bound of -1 is none
        for side in shape
    )
    array = b"".join(number(1, max(side, 1)) for side in shape) + number(2, ARRAY_KINDS[dtype])
    return block(1, name) + block(3, block(5, array + (block(31, ranges) if -1 in shape else b"")))


def program(
    operations: Sequence[Op | bytes],
    outputs: Sequence[str] = ("y",),
    inputs: Sequence[tuple[str, str, Sequence[int]]] = (("x", "float32", (1, 3)),),
    *,
    described: Sequence[str] | None = None,
    features: bytes = b"",
    function: str = "main",
    opset: str = "CoreML5",
) -> bytes:
    body = b"".join(block(2, name) for name in outputs)
    body += b"".join(block(3, item if isinstance(item, bytes) else item.encoded()) for item in operations)
    code = b"".join(block(1, named(*given)) for given in inputs) + block(2, opset) + entry(3, "CoreML5", body)
    description = features or b"".join(
        block(10, block(1, name)) for name in (outputs if described is None else described)
    )
    return number(1, 6) + block(2, description) + block(502, number(1, 1) + entry(2, function, code))


def package(model: bytes, weights: bytes | None = None) -> dict[str, bytes]:
    item = {"path": "com.apple.CoreML/model.mlmodel"}
    manifest = {"rootModelIdentifier": "root", "itemInfoEntries": {"root": item}}
    files = {"Manifest.json": json.dumps(manifest).encode(), PROGRAM: model}
    return files if weights is None else {**files, WEIGHTS: weights}
