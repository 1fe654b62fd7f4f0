"""Messages between two processes: a few words in JSON, and arrays.

A message is the length of its head (4 bytes, little-endian), the head, and the bytes of the arrays one after another.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from edge_sdk.runtime.engine import Array

_LENGTH = struct.Struct("<I")
_TEXTS = "texts"


def send(stream: IO[bytes], head: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Write a message."""
    described: list[tuple[str, str, tuple[int, ...], list[int]]] = []
    parts: list[bytes] = []
    for name, array in arrays.items():
        if array.dtype.kind in "OS":
            # NumPy's own kind of text drops zeros at the end when it is asked for Python's.
            texts = (
                [array.tobytes()] if array.dtype.kind == "S" and not array.ndim else array.ravel().tolist()
            )
            described.append((name, _TEXTS, array.shape, [len(text) for text in texts]))
            parts += texts
        else:
            described.append((name, array.dtype.str, array.shape, []))
            parts.append(np.ascontiguousarray(array).tobytes())
    encoded = json.dumps({**head, "arrays": described}).encode()
    stream.write(_LENGTH.pack(len(encoded)) + encoded)
    for part in parts:
        stream.write(part)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict[str, Any], dict[str, Array]]:
    """Read a message.

    Raises:
        EOFError: the other side is gone.
    """
    head = json.loads(_exactly(stream, _LENGTH.unpack(_exactly(stream, _LENGTH.size))[0]))
    return head, {
        name: _array(stream, kind, tuple(shape), sizes) for name, kind, shape, sizes in head.pop("arrays")
    }


def _array(stream: IO[bytes], kind: str, shape: tuple[int, ...], sizes: list[int]) -> Array:
    if kind != _TEXTS:
        dtype = np.dtype(kind)
        return np.frombuffer(bytearray(_exactly(stream, math.prod(shape) * dtype.itemsize)), dtype).reshape(
            shape
        )
    texts = [_exactly(stream, size) for size in sizes]
    if not shape:
        return np.ndarray((), f"S{len(texts[0])}", texts[0])
    array = np.empty(len(texts), object)
    array[:] = texts
    return array.reshape(shape)


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise EOFError("the other process is gone")
    return data
