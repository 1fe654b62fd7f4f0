"""A patch: operations that make the plain bytes of one bundle from those of another (docs/protocol/deltas.md).

    patch     = "coach-edge/delta/1" 00 | u32be base length | u32be length | u8 h | h header bytes | raw deflate stream
    operation = u8 code | u32be length | u32be start (but for ADD) | data (but for COPY)

Lengths bound everything: the caller compares them with what is signed before anything is inflated, and no
operation makes more than is still wanted.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from edge_sdk.errors import FormatError

Buffer = bytes | bytearray | memoryview

MAGIC: Final = b"coach-edge/delta/1\0"
COPY: Final = 0
ADD: Final = 255
WORDS: Final = (1, 2, 4)
"""Codes of the differences, and the bytes of the words that each compares."""
MAX_DATA: Final = 1 << 20
"""Data of one operation: what a reader must hold of the stream at a time."""
MAX_OPERATIONS: Final = 1 << 16
MAX_SHARE: Final = 0.6
"""Of the served bundle: a longer delta is neither made nor served nor fetched."""

_LENGTHS: Final = struct.Struct(">IIB")
_CODE: Final = struct.Struct(">BI")
_START: Final = struct.Struct(">I")
_PIECE: Final = 1 << 16


@dataclass(frozen=True)
class Operation:
    """One step: ``length`` bytes more.

    Attributes:
        code: COPY, ADD, or the word size of a difference.
        length: how many bytes it makes.
        start: where in the base its source begins; 0 for ADD.
        data: what is added, or the planes of :func:`difference`; empty for COPY.
    """

    code: int
    length: int
    start: int = 0
    data: bytes = b""


@dataclass(frozen=True)
class Patch:
    """A patch whose operations have not been looked at yet.

    Attributes:
        base_length: bytes of the plain bundle that it starts from.
        length: bytes of the one that it makes.
        header: the first bytes of the served bundle where that is encrypted, with salt and nonce prefix; else empty.
        stream: the operations, deflated.
    """

    base_length: int
    length: int
    header: bytes
    stream: memoryview

    @classmethod
    def read(cls, data: Buffer) -> Patch:
        """The patch in these bytes.

        Raises:
            FormatError: it is none, or of a later format.
        """
        view = memoryview(data)
        start = len(MAGIC) + _LENGTHS.size
        if len(view) < start or bytes(view[: len(MAGIC)]) != MAGIC:
            raise FormatError("the delta does not begin as one of coach-edge/delta/1")
        base_length, length, header = _LENGTHS.unpack(view[len(MAGIC) : start])
        if header > len(view) - start:
            raise FormatError("the delta ends within its header")
        return cls(base_length, length, bytes(view[start : start + header]), view[start + header :])

    def apply(self, base: Buffer) -> bytearray:
        """The new plain bytes. Check ``length`` first: so much memory it takes.

        Raises:
            FormatError: another base, an operation that reads or makes too much, or a stream that does not end
                with the last operation.
        """
        source = memoryview(base)
        if len(source) != self.base_length:
            raise FormatError(f"the delta starts from {self.base_length} bytes, not {len(source)}")
        made, at = bytearray(self.length), 0
        target = memoryview(made)  # a slice of a bytearray would be assigned by way of another copy
        stream = _Inflated(self.stream)
        for _ in range(MAX_OPERATIONS):
            if at == self.length:
                break
            at = self._step(stream, source, target, at)
        if at != self.length:
            raise FormatError(f"the delta has more than {MAX_OPERATIONS} operations")
        stream.end()
        return made

    def _step(self, stream: _Inflated, source: memoryview, made: memoryview, at: int) -> int:
        code, length = _CODE.unpack(stream.take(_CODE.size))
        stop: int = at + length
        if not length or stop > self.length:
            raise FormatError("an operation of the delta makes nothing, or more than there is to make")
        if code != COPY and length > MAX_DATA:
            raise FormatError(f"an operation of the delta brings more than {MAX_DATA} bytes")
        if code == ADD:
            made[at:stop] = stream.take(length)
            return stop
        (start,) = _START.unpack(stream.take(_START.size))
        if start + length > len(source):
            raise FormatError("an operation of the delta reads beyond the old bundle")
        old = source[start : start + length]
        if code == COPY:
            made[at:stop] = old
        elif code in WORDS and length % code == 0:
            made[at:stop] = _undo(old, stream.take(length), code)
        else:
            raise FormatError(f"the delta has an operation {code} of {length} bytes, which is none")
        return stop


def write(base_length: int, length: int, header: bytes, operations: Iterable[Operation]) -> bytes:
    """The bytes of a patch; the one who applies it checks it."""
    body = b"".join(part for operation in operations for part in _encoded(operation))
    return MAGIC + _LENGTHS.pack(base_length, length, len(header)) + header + _deflated(body)


def difference(old: Buffer, new: Buffer, word: int) -> bytes:
    """What changed, in words: small changes give small numbers, and each plane of bytes deflates on its own.

    new - old modulo 2^(8 word) in little-endian words, signs zig-zag coded (0, -1, 1, -2 -> 0, 1, 2, 3), then the
    lowest byte of every word, the second lowest of every word, and so on.
    """
    kind = np.dtype(f"<u{word}")
    change = np.frombuffer(new, kind) - np.frombuffer(old, kind)
    coded = (change << 1) ^ -(change >> (8 * word - 1))
    planes: bytes = coded.astype(kind).view(np.uint8).reshape(-1, word).T.tobytes()
    return planes


def _undo(old: memoryview, planes: bytes, word: int) -> bytes:
    kind = np.dtype(f"<u{word}")
    coded = np.ascontiguousarray(np.frombuffer(planes, np.uint8).reshape(word, -1).T).view(kind)[:, 0]
    change = (coded >> 1) ^ -(coded & 1)
    new: bytes = (np.frombuffer(old, kind) + change).astype(kind).tobytes()
    return new


def _encoded(operation: Operation) -> Iterator[bytes]:
    yield _CODE.pack(operation.code, operation.length)
    if operation.code != ADD:
        yield _START.pack(operation.start)
    yield operation.data


def _deflated(body: bytes) -> bytes:
    # Differences of weights are noise with a skewed histogram: often only its Huffman code saves anything.
    streams = []
    for strategy in (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED):
        compressor = zlib.compressobj(9, zlib.DEFLATED, -15, 9, strategy)
        streams.append(compressor.compress(body) + compressor.flush())
    return min(streams, key=len)


class _Inflated:
    """A raw deflate stream, read from its beginning; holds little more than what is asked for."""

    def __init__(self, stream: memoryview) -> None:
        self._stream, self._fed = stream, 0
        self._inflater = zlib.decompressobj(wbits=-15)
        self._ready = bytearray()

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes.

        Raises:
            FormatError: there are fewer, or the stream is broken.
        """
        while len(self._ready) < size:
            if not self._fill():
                raise FormatError("the delta ends before its last operation")
        taken = bytes(memoryview(self._ready)[:size])
        del self._ready[:size]
        return taken

    def end(self) -> None:
        """Check that nothing is left.

        Raises:
            FormatError: something is, or the stream is not complete.
        """
        while not self._ready and self._fill():
            pass
        if (
            self._ready
            or not self._inflater.eof
            or self._inflater.unused_data
            or self._fed < len(self._stream)
        ):
            raise FormatError("the delta does not end with its last operation")

    def _fill(self) -> bool:
        """Inflate some more; False where nothing comes any more."""
        if self._inflater.eof:
            return False
        data: Buffer = self._inflater.unconsumed_tail
        if not data:
            data = self._stream[self._fed : self._fed + _PIECE]
            self._fed += len(data)
        try:
            found = self._inflater.decompress(data, _PIECE)
        except zlib.error as error:
            raise FormatError(f"the delta's deflate stream is broken: {error}") from error
        self._ready += found
        return bool(data or found)
