"""Compression of the whole bundle: ``none`` or one raw deflate stream (RFC 1951), with exact lengths."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from edge_sdk.errors import FormatError

Buffer = bytes | bytearray | memoryview

MAX_RATIO = 100
WORTHWHILE = 0.85
"""Deflate is used where it leaves at most this share: inflating costs more at load than it saves below that."""


def compress(plain: bytes) -> tuple[str, bytes]:
    """The codec that pays for these bytes, and the bytes in it; deterministic for one zlib."""
    compressor = zlib.compressobj(level=9, wbits=-15)
    deflated = compressor.compress(plain) + compressor.flush()
    if len(deflated) <= WORTHWHILE * len(plain) and len(plain) <= MAX_RATIO * len(deflated):
        return "deflate", deflated
    return "none", plain


def decompress(codec: str, data: Buffer, plain_length: int) -> Buffer:
    """Exactly ``plain_length`` bytes.

    Raises:
        FormatError: another length, trailing bytes, a broken stream, or a ratio beyond 100.
    """
    check(codec, len(data), plain_length)
    return data if codec == "none" else b"".join(inflate([data], plain_length, plain_length))


def check(codec: str, length: int, plain_length: int) -> None:
    """Refuse what cannot come out right before anything is done.

    Args:
        codec: of the bundle.
        length: in that codec.
        plain_length: what the entry says it becomes.

    Raises:
        FormatError: no such codec, a length that does not go with it, or a ratio beyond 100.
    """
    if codec == "none":
        if length != plain_length:
            raise FormatError(f"the bundle has {length} bytes, but its entry says {plain_length}")
    elif codec != "deflate":
        raise FormatError(f"codec {codec!r} is not known")
    elif plain_length > MAX_RATIO * length:
        raise FormatError(f"the bundle would inflate more than {MAX_RATIO} times")


def inflate(packed: Iterable[Buffer], plain_length: int, piece: int) -> Iterator[bytes]:
    """The plain bytes of a deflate stream, in pieces.

    Args:
        packed: the stream, in pieces of any size.
        plain_length: what must come out in all; never more does.
        piece: the longest piece that is wanted.

    Raises:
        FormatError: another length, trailing bytes, or a broken stream.
    """
    inflater, left = zlib.decompressobj(wbits=-15), plain_length
    for data in packed:
        waiting: Buffer = data
        while True:
            limit = min(piece, left + 1)  # one byte more than is left shows a stream that is too long
            try:
                plain = inflater.decompress(waiting, limit)
            except zlib.error as error:
                raise FormatError(f"the bundle's deflate stream is broken: {error}") from error
            left -= len(plain)
            if left < 0 or inflater.unused_data:
                raise FormatError("the bundle's deflate stream does not end exactly at the signed length")
            yield plain
            waiting = inflater.unconsumed_tail
            if not waiting and len(plain) < limit:  # of a full piece, more may be inside still
                break
    if left or not inflater.eof:
        raise FormatError("the bundle's deflate stream does not end exactly at the signed length")
