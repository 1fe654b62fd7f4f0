"""Compression of the whole bundle: ``none`` or one raw deflate stream (RFC 1951), with exact lengths."""

from __future__ import annotations

import zlib

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
    if codec == "none":
        if len(data) != plain_length:
            raise FormatError(f"the bundle has {len(data)} bytes, but its entry says {plain_length}")
        return data
    if codec != "deflate":
        raise FormatError(f"codec {codec!r} is not known")
    if plain_length > MAX_RATIO * len(data):
        raise FormatError(f"the bundle would inflate more than {MAX_RATIO} times")
    inflater = zlib.decompressobj(wbits=-15)
    try:
        plain = inflater.decompress(data, plain_length + 1)  # one byte more shows an over-long stream
    except zlib.error as error:
        raise FormatError(f"the bundle's deflate stream is broken: {error}") from error
    if len(plain) != plain_length or not inflater.eof or inflater.unused_data:
        raise FormatError("the bundle's deflate stream does not end exactly at the signed length")
    return plain
