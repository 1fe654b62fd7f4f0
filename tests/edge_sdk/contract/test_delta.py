"""The form of a patch: what it makes, and everything that it must not do."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.contract import delta
from edge_sdk.contract.delta import ADD, COPY, MAGIC, MAX_DATA, Operation, Patch
from edge_sdk.errors import FormatError

BASE = bytes(range(200))


def applied(operations: list[Operation], length: int, base: bytes = BASE) -> bytes:
    return bytes(Patch.read(delta.write(len(base), length, b"", operations)).apply(base))


def raw(body: bytes, length: int, base_length: int = len(BASE)) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    head = MAGIC + struct.pack(">IIB", base_length, length, 0)
    return head + deflater.compress(body) + deflater.flush()


def test_copy_difference_and_addition() -> None:
    new = bytes([9, 8, 7]) + BASE[10:50] + bytes(value ^ 1 for value in BASE[60:64])
    made = applied(
        [
            Operation(ADD, 3, 0, new[:3]),
            Operation(COPY, 40, 10),
            Operation(4, 4, 60, delta.difference(BASE[60:64], new[43:], 4)),
        ],
        len(new),
    )
    assert made == new


@pytest.mark.parametrize("word", delta.WORDS)
@given(pair=st.binary(min_size=16, max_size=64))
def test_a_difference_is_undone(word: int, pair: bytes) -> None:
    size = len(pair) // 2 // word * word
    old, new = pair[:size], pair[size : 2 * size]
    operation = Operation(word, size, 0, delta.difference(old, new, word))
    assert applied([operation], size, old) == new


def test_a_difference_is_what_the_page_says() -> None:
    old, new = (np.array(words, "<u2").tobytes() for words in ([5, 5, 5, 0], [5, 4, 6, 65535]))
    # 0, -1, 1, -1 as zig-zag: 0, 1, 2, 1; low bytes first, then high bytes.
    assert delta.difference(old, new, 2) == bytes([0, 1, 2, 1, 0, 0, 0, 0])


def test_the_header_is_handed_out() -> None:
    patch = Patch.read(delta.write(1, 1, b"h" * 40, [Operation(ADD, 1, 0, b"x")]))
    assert (patch.header, bytes(patch.apply(b"y"))) == (b"h" * 40, b"x")


def test_data_longer_than_what_is_inflated_at_a_time() -> None:
    new = np.random.default_rng(1).bytes(MAX_DATA)
    assert applied([Operation(ADD, MAX_DATA, 0, new), Operation(COPY, 5, 0)], MAX_DATA + 5) == new + BASE[:5]


WRONG = {
    "another format": MAGIC[:-2] + b"2\0" + raw(b"", 0)[len(MAGIC) :],
    "no bytes": b"",
    "cut in the lengths": MAGIC + bytes(8),
    "cut in the header": MAGIC + struct.pack(">IIB", 200, 1, 40) + bytes(39),
    "another base": raw(struct.pack(">BII", COPY, 1, 0), 1, 199),
    "makes nothing": raw(struct.pack(">BII", COPY, 0, 0), 1),
    "makes too much": raw(struct.pack(">BII", COPY, 2, 0), 1),
    "makes too little": raw(struct.pack(">BII", COPY, 2, 0), 3),
    "reads beyond the base": raw(struct.pack(">BII", COPY, 2, 199), 2),
    "reads far beyond the base": raw(struct.pack(">BII", COPY, 2, 2**32 - 1), 2),
    "difference beyond the base": raw(struct.pack(">BII", 1, 2, 199) + bytes(2), 2),
    "half a word": raw(struct.pack(">BII", 2, 3, 0) + bytes(3), 3),
    "an unknown operation": raw(struct.pack(">BII", 3, 3, 0) + bytes(3), 3),
    "words of 8 bytes": raw(struct.pack(">BII", 8, 8, 0) + bytes(8), 8),
    "no data": raw(struct.pack(">BI", ADD, 3) + bytes(2), 3),
    "too much data at once": raw(struct.pack(">BI", ADD, MAX_DATA + 1) + bytes(MAX_DATA + 1), MAX_DATA + 1),
    "an operation too many": raw(struct.pack(">BII", COPY, 1, 0) * 2, 1),
    "a byte too many": raw(struct.pack(">BII", COPY, 1, 0) + b"\0", 1),
    "behind the stream": raw(struct.pack(">BII", COPY, 1, 0), 1) + b"\0",
    "cut stream": raw(struct.pack(">BI", ADD, 90) + bytes(range(90)), 90)[:-3],
    "no deflate stream": raw(b"", 1)[:28] + b"\xff\xff\xff",
    "a stream of nothing": raw(b"", 1)[:28],
    "too many operations": raw(struct.pack(">BII", COPY, 1, 0) * (delta.MAX_OPERATIONS + 1), 2**16 + 1),
}


@pytest.mark.parametrize("name", WRONG)
def test_refused(name: str) -> None:
    with pytest.raises(FormatError):
        Patch.read(WRONG[name]).apply(BASE)


def test_the_controls_of_the_refusals_are_accepted() -> None:
    """What is refused above is one step away from these, which are fine."""
    assert bytes(Patch.read(raw(struct.pack(">BII", COPY, 1, 199), 1)).apply(BASE)) == BASE[199:]
    many = raw(struct.pack(">BII", COPY, 1, 0) * delta.MAX_OPERATIONS, delta.MAX_OPERATIONS)
    assert Patch.read(many).apply(BASE) == bytes(delta.MAX_OPERATIONS)
    most = raw(struct.pack(">BI", ADD, MAX_DATA) + bytes(MAX_DATA), MAX_DATA)
    assert Patch.read(most).apply(BASE) == bytes(MAX_DATA)


def test_bytes_behind_a_stream_that_ends_with_a_piece() -> None:
    """A stream is inflated in pieces of 65,536 bytes; this one fills the first exactly."""
    new = bytes(65_521)
    body = struct.pack(">BI", ADD, len(new)) + new
    halves = ((0, body[:1_000]), (1, body[1_000:]))
    stored = [struct.pack("<BHH", last, len(half), len(half) ^ 0xFFFF) + half for last, half in halves]
    stream = b"".join(stored)
    assert len(stream) == 65_536
    head = MAGIC + struct.pack(">IIB", len(BASE), len(new), 0)
    assert Patch.read(head + stream).apply(BASE) == new
    with pytest.raises(FormatError, match="does not end"):
        Patch.read(head + stream + b"!").apply(BASE)


def test_a_bomb_is_not_inflated() -> None:
    """A gigabyte of zeros where one byte is wanted: the reader stops at the first thing that is too much."""
    deflater = zlib.compressobj(wbits=-15)
    bomb = b"".join(deflater.compress(bytes(1 << 20)) for _ in range(64)) + deflater.flush()
    head = MAGIC + struct.pack(">IIB", len(BASE), 1, 0)
    with pytest.raises(FormatError, match="makes nothing"):
        Patch.read(head + bomb).apply(BASE)


@given(st.data())
def test_changed_bytes_never_do_anything_else_than_refuse_or_make_the_length(data: st.DataObject) -> None:
    good = bytearray(
        delta.write(len(BASE), 60, b"", [Operation(COPY, 40, 10), Operation(ADD, 20, 0, bytes(20))])
    )
    at = data.draw(st.integers(0, len(good) - 1))
    good[at] ^= data.draw(st.integers(1, 255))
    patch_length = 60
    try:
        patch = Patch.read(good)
        if patch.length != patch_length:  # the caller compares it with what is signed
            return
        assert len(patch.apply(BASE)) == patch_length
    except FormatError:
        pass
