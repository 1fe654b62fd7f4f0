"""Vectors for docs/protocol/bundle.md: the container and the codec."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import replace

from device_tests.vectors import lax_zip, sample
from device_tests.vectors.keys import text
from device_tests.vectors.lax_zip import Member
from device_tests.vectors.vector import Vector
from edge_sdk.contract import bundle, codec
from edge_sdk.contract.record import bundle_files

PAGE = "bundle"
FILES = {"a.txt": b"first", "b/c.bin": bytes(range(40))}

# Deflate streams are frozen here: implementations of zlib differ in how they compress, not in how they inflate.
_PACKED = bytes.fromhex("2bc94855284ecc4d5528cf2f4a29d6512821c04fcc4b018ba5e6a5940c885600")
_BOMB = bytes.fromhex("edc13101000000c2a0f54f6d0d0fa000000000000000000000000000000000000000783036")
"""20,000 zero bytes."""
_FORTY_X = bytes.fromhex("aba8200e0000")
_NOTHING = bytes.fromhex("0300")


def vectors() -> Iterator[Vector]:
    """All vectors of these parts."""
    yield from _zips()
    yield from _codecs()


def stored(data: bytes) -> bytes:
    """One stored deflate block: the same bytes from every implementation."""
    size = len(data).to_bytes(2, "little")
    return b"\x01" + size + bytes(byte ^ 255 for byte in size) + data


def _zips() -> Iterator[Vector]:
    for name, files in {
        "two-files": FILES,
        "one-empty-file": {"a": b""},
        "sixty-four-files": {f"f{n:02}": b"" for n in range(64)},
        "longest-name": {"d/" + "n" * 198: b"x"},
        "sample": dict(bundle_files(sample.record(sample.rest()), sample.rest())),
    }.items():
        plain = bundle.write(files)
        yield Vector(
            PAGE, "zip", name, "a canonical ZIP", {"zip": text(plain)}, {"files": sample.digests(files)}
        )
    for name, (why, data) in _bad_zips().items():
        yield Vector(PAGE, "zip", name, why, {"zip": text(data)}, reason="format")


def _bad_zips() -> dict[str, tuple[str, bytes]]:
    def named(*names: str) -> bytes:
        return lax_zip.write([Member(name.encode(), b"x") for name in names])

    good = bundle.write(FILES)
    first, last = lax_zip.members(FILES)
    descriptor = zlib.crc32(last.data).to_bytes(4, "little") + len(last.data).to_bytes(4, "little") * 2
    hole = lax_zip.write([replace(first, after=b"hidden"), last])
    # Both directory entries point to the same local header: the second file would be the first one's bytes.
    overlap = bytearray(lax_zip.write([Member(b"a", b"x"), Member(b"b", b"x")]))
    overlap[-22 - 4 - 1 : -22 - 1] = bytes(4)
    return {
        "empty": ("no bytes at all", b""),
        "no-files": ("a bundle has at least one file", lax_zip.write([])),
        "sixty-five-files": ("at most 64 files", named(*(f"f{n:02}" for n in range(65)))),
        "dot-dot": ("a name that leaves the folder", named("../a")),
        "dot-dot-inside": ("a name that climbs", named("a/../b")),
        "dot": ("a part that is a dot", named("./a")),
        "absolute": ("an absolute name", named("/a")),
        "folder-entry": ("folders have no entry of their own", named("a/")),
        "double-slash": ("an empty part", named("a//b")),
        "backslash": ("a separator elsewhere", named("a\\b")),
        "drive": ("a colon is no name character", named("c:a")),
        "space": ("a space is no name character", named("a b")),
        "not-ascii": ("names are ASCII", named("caf\u00e9")),
        "empty-name": ("a name has characters", named("")),
        "name-too-long": ("at most 200 characters", named("n" * 201)),
        "duplicate": ("a name twice", named("a", "a")),
        "case-twins": ("names that collide on some file systems", named("A", "a")),
        "file-and-folder": ("a file that is also a folder", named("a", "a/b")),
        "file-and-folder-by-case": ("a file that is also a folder where case is ignored", named("A", "a/b")),
        "unsorted": ("files stand in the order of their names", named("b", "a")),
        "trailing-byte": ("a byte behind the end", good + b"\0"),
        "leading-byte": ("a byte before the start", b"\0" + good),
        "prefix": ("a prefix with right offsets", lax_zip.write([first, last], prefix=b"#!/bin/sh\n")),
        "comment": ("an archive comment", lax_zip.write([first, last], comment=b"hello")),
        "hole": ("bytes between two files", hole),
        "truncated": ("the last byte is missing", good[:-1]),
        "overlap": ("two files in the same place", bytes(overlap)),
        "data-descriptor": (
            "lengths behind the data",
            lax_zip.changed(FILES, flags=0x0808, after=descriptor),
        ),
        "zip64": ("a ZIP64 extra field", lax_zip.changed(FILES, extra=b"\x01\0\x08\0" + bytes(8))),
        "deflated-member": (
            "files are stored, compression is the codec's",
            lax_zip.changed(FILES, method=8, data=_FORTY_X, length=40, crc=zlib.crc32(b"x" * 40)),
        ),
        "encrypted-flag": ("ZIP's own encryption", lax_zip.changed(FILES, flags=0x0801)),
        "no-utf8-flag": ("the UTF-8 flag is always set", lax_zip.changed(FILES, flags=0)),
        "other-time": ("times are fixed", lax_zip.changed(FILES, time=1)),
        "other-date": ("dates are fixed", lax_zip.changed(FILES, date=0x5A21)),
        "symbolic-link": (
            "Unix attributes of a link",
            lax_zip.changed(FILES, version_made=0x0314, attributes=0xA1FF0000),
        ),
        "file-comment": ("a comment of a file", lax_zip.changed(FILES, comment=b"hello")),
        "wrong-crc": ("the checksum of other bytes", lax_zip.changed(FILES, crc=0)),
        "wrong-length": ("a length beyond the file", lax_zip.changed(FILES, length=41)),
        "other-local-name": (
            "directory and local header disagree",
            lax_zip.changed(FILES, local_name=b"b/d.bin"),
        ),
    }


def _codecs() -> Iterator[Vector]:
    plain = b"the same words, the same words, the same words, and the end" * 3

    def vector(name: str, why: str, kind: str, data: bytes, length: int, good: bool = False) -> Vector:
        output = {"sha256": hashlib.sha256(plain).hexdigest()} if good else None
        inputs = {"codec": kind, "data": text(data), "plain_length": length}
        return Vector(PAGE, "codec", name, why, inputs, output, None if good else "format")

    yield vector("none", "the bytes as they are", "none", plain, len(plain), True)
    yield vector("deflate", "one raw deflate stream", "deflate", _PACKED, len(plain), True)
    yield vector(
        "deflate-stored",
        "stored blocks are deflate too",
        "deflate",
        stored(plain),
        len(plain),
        True,
    )
    yield vector("none-short", "fewer bytes than the entry says", "none", plain[:-1], len(plain))
    yield vector("none-long", "more bytes than the entry says", "none", plain + b"!", len(plain))
    yield vector("unknown", "a codec that this page does not fix", "zstd", _PACKED, len(plain))
    yield vector("deflate-short", "the stream ends before the length", "deflate", _PACKED, len(plain) + 1)
    yield vector("deflate-long", "the stream goes on beyond the length", "deflate", _PACKED, len(plain) - 1)
    yield vector("deflate-cut", "the stream has no end", "deflate", _PACKED[:-1], len(plain))
    yield vector("deflate-trailing", "a byte behind the stream", "deflate", _PACKED + b"\0", len(plain))
    yield vector("deflate-two-streams", "a second stream", "deflate", _PACKED + _NOTHING, len(plain))
    yield vector(
        "zlib-header",
        "a zlib stream is not a raw one",
        "deflate",
        b"\x78\xda" + _PACKED + zlib.adler32(plain).to_bytes(4, "big"),
        len(plain),
    )
    yield vector("broken", "a block type that does not exist", "deflate", b"\x07" + _PACKED[1:], len(plain))
    yield vector("bomb", f"more than {codec.MAX_RATIO} times as long", "deflate", _BOMB, 20_000)
