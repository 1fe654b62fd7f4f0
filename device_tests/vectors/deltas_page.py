"""Vectors for docs/protocol/deltas.md."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from device_tests.vectors import keys, sample
from device_tests.vectors.keys import text
from device_tests.vectors.vector import Vector
from edge_sdk.contract import delta, framing
from edge_sdk.contract.delta import ADD, COPY, MAGIC, MAX_DATA, MAX_OPERATIONS, Operation
from edge_sdk.contract.manifest import Artifact
from edge_sdk.crypto import deltas, sealing, streaming

PAGE: Final = "deltas"
BASE: Final = bytes(range(200))
"""What most patches start from."""

_COPY: Final = Operation(COPY, 20, 30)
_ADD: Final = Operation(ADD, 3, 0, b"abc")
_WORDS: Final = {  # old and new: no change, small ones both ways, the largest, an overflow
    1: (bytes([7, 7, 7, 7, 0, 255]), bytes([7, 8, 6, 135, 255, 0])),
    2: (struct.pack("<5H", 9, 9, 9, 0, 65_535), struct.pack("<5H", 9, 10, 7, 32_768, 3)),
    4: (struct.pack("<4I", 1, 1 << 30, 0, 2**32 - 1), struct.pack("<4I", 1, (1 << 30) - 300, 1 << 31, 0)),
}
# What zlib 1.3 makes of one long operation and of many short ones; other libraries, other bytes.
_MOST_DATA: Final = (
    bytes.fromhex("edc1310100000c022023d8bfac0bb117581a") + bytes(1015) + bytes.fromhex("80b703")
)
_TOO_MUCH_DATA: Final = (
    bytes.fromhex("edc1310100000803a0d9c0fe6567085fa0d94c") + bytes(1016) + bytes.fromhex("be0e")
)
_MOST_OPERATIONS: Final = (
    bytes.fromhex("edc6a101000008c0a0f9ffd316ab1f40a26a3a") + b"\x22" * 1143 + bytes.fromhex("4f16")
)
_TOO_MANY_OPERATIONS: Final = (
    bytes.fromhex("edc6a101000008c0a0f9ffd316bb0f40a26a3a") + b"\x22" * 1143 + bytes.fromhex("5f16")
)


def vectors() -> Iterator[Vector]:
    """All vectors of the page."""
    yield from _patches()
    yield from _broken_patches()
    yield from _rebuilt()


def _stored(body: bytes) -> bytes:
    """A deflate stream of stored blocks: the same on every machine, which no compressor promises."""
    parts = []
    for start in range(0, max(len(body), 1), 0xFFFF):
        piece = body[start : start + 0xFFFF]
        last = start + 0xFFFF >= len(body)
        parts.append(struct.pack("<BHH", last, len(piece), len(piece) ^ 0xFFFF) + piece)
    return b"".join(parts)


def _head(length: int, header: bytes = b"", base_length: int = len(BASE)) -> bytes:
    return MAGIC + struct.pack(">IIB", base_length, length, len(header)) + header


def _body(operations: Sequence[Operation]) -> bytes:
    return b"".join(part for operation in operations for part in delta._encoded(operation))


def _patch(operations: Sequence[Operation], header: bytes = b"", base: bytes = BASE) -> bytes:
    made = sum(operation.length for operation in operations)
    return _head(made, header, len(base)) + _stored(_body(operations))


def _input(patch: bytes, base: bytes = BASE) -> dict[str, Any]:
    return {"base": text(base), "patch": text(patch)}


def _patches() -> Iterator[Vector]:
    def vector(name: str, why: str, patch: bytes, new: bytes, base: bytes = BASE) -> Vector:
        header = delta.Patch.read(patch).header.hex()
        output = {"header": header, "length": len(new), "sha256": hashlib.sha256(new).hexdigest()}
        return Vector(PAGE, "patch", name, why, _input(patch, base), output)

    part = BASE[30:50]
    yield vector("copy", "a part of the old bytes", _patch([_COPY]), part)
    yield vector("copy-to-the-end", "up to the last byte", _patch([Operation(COPY, 5, 195)]), BASE[195:])
    yield vector("add", "new bytes, and nothing of the old ones", _patch([_ADD]), b"abc")
    yield vector(
        "several", "two copies, new bytes between", _patch([_COPY, _ADD, _COPY]), part + b"abc" + part
    )
    yield vector("header", "with the header of an encrypted bundle", _patch([_ADD], bytes(range(40))), b"abc")
    for word, (old, new) in _WORDS.items():
        base = b"x" + old + b"x"  # words begin at any byte
        step = Operation(word, len(new), 1, delta.difference(old, new, word))
        yield vector(f"words-of-{word}", "differences of both signs", _patch([step], base=base), new, base)
    new = bytes(MAX_DATA)
    yield vector("most-data", "1,048,576 bytes in one operation", _head(MAX_DATA) + _MOST_DATA, new)
    new = BASE[:1] * MAX_OPERATIONS
    yield vector("most-operations", "65,536 copies of a byte", _head(len(new)) + _MOST_OPERATIONS, new)


def _broken_patches() -> Iterator[Vector]:
    def vector(name: str, why: str, patch: bytes) -> Vector:
        return Vector(PAGE, "patch", name, why, _input(patch), reason="format")

    def raw(name: str, why: str, body: bytes, length: int) -> Vector:
        return vector(name, why, _head(length) + _stored(body))

    good = _patch([_COPY])
    yield vector("no-bytes", "nothing at all", b"")
    yield vector("other-format", "a format of a later version", good.replace(b"delta/1", b"delta/2"))
    yield vector("cut-in-the-lengths", "it ends before the first operation", good[:25])
    yield vector("cut-in-the-header", "it ends within its header", _head(3, bytes(40))[:-1])
    yield vector("cut-stream", "the last byte is missing", good[:-1])
    yield vector("trailing-byte", "a byte behind the stream", good + b"\0")
    yield vector("no-deflate", "a block of a kind that does not exist", _head(20) + b"\x07" + good[29:])
    yield raw("no-operation", "a stream of nothing", b"", 20)
    yield raw("too-little", "operations end before the length", _body([_COPY]), 21)
    yield raw("too-much", "an operation makes more than is wanted", _body([_COPY]), 19)
    yield raw("operation-too-many", "everything is made already", _body([_COPY, _ADD]), 20)
    yield raw("byte-too-many", "a byte behind the last operation", _body([_COPY]) + b"\0", 20)
    yield raw("nothing-made", "an operation that makes nothing", _body([Operation(COPY, 0, 0), _COPY]), 20)
    yield raw("beyond-the-base", "it copies one byte too many", _body([Operation(COPY, 6, 195)]), 6)
    yield raw(
        "far-beyond-the-base",
        "start and length add up beyond 2^32",
        _body([Operation(COPY, 20, 2**32 - 9)]),
        20,
    )
    yield raw(
        "words-beyond-the-base", "the old words end too late", _body([Operation(2, 2, 199, bytes(2))]), 2
    )
    yield raw("half-a-word", "a length that is no multiple", _body([Operation(4, 6, 0, bytes(6))]), 6)
    yield raw("words-of-8", "no such difference", _body([Operation(8, 8, 0, bytes(8))]), 8)
    yield raw("unknown-operation", "no such code", _body([Operation(3, 3, 0, bytes(3))]), 3)
    yield raw("data-missing", "fewer bytes than the operation says", _body([_ADD])[:-1], 3)
    yield vector("too-much-data", "1,048,577 bytes in one operation", _head(MAX_DATA + 1) + _TOO_MUCH_DATA)
    yield vector("too-many-operations", "65,537 copies", _head(MAX_OPERATIONS + 1) + _TOO_MANY_OPERATIONS)


def _rebuilt() -> Iterator[Vector]:
    app = sealing.AppKey(keys.secret("app"))
    for tier, key in (("none", None), ("app-key", app)):
        old, new = _sealed("1.0.0", BASE[:150], key), _sealed("1.1.0", BASE[:90] + BASE[91:151], key)
        base, wanted = _artifact(old), _artifact(new)
        before, after = (bytes(deltas.plain_of(each.served, each.entry, key)) for each in (old, new))
        header = deltas.header_of(new.served, new.entry)
        same = next(at for at, (a, b) in enumerate(zip(before, after, strict=True)) if a != b)
        steps = [
            Operation(COPY, same, 0),
            Operation(1, len(after) - same, same, delta.difference(before[same:], after[same:], 1)),
        ]
        patch = _patch(steps, header, before)

        def sealed_patch(
            patch: bytes, base: Artifact = base, wanted: Artifact = wanted, key: sealing.AppKey | None = key
        ) -> bytes:
            return deltas.seal(patch, base, wanted, key, lambda size: keys.secret(f"delta {size}")[:size])

        def vector(
            name: str,
            why: str,
            made: bytes,
            reason: str | None = None,
            *,
            old: sealing.Sealed = old,
            new: sealing.Sealed = new,
            opened_with: sealing.AppKey | None = key,
            tier: str = tier,
        ) -> Vector:
            inputs: dict[str, Any] = {
                "base": {"served": text(old.served), "sha256": old.sha256, "entry": old.entry.to_json()},
                "wanted": {"sha256": new.sha256, "entry": new.entry.to_json()},
                "delta": text(made),
            }
            inputs |= {"app_key": opened_with.to_text().strip()} if opened_with else {}
            output = None if reason else {"sha256": new.sha256}
            return Vector(PAGE, "rebuild", f"{tier}-{name}", why, inputs, output, reason)

        delta_bytes = sealed_patch(patch)
        yield vector("plain", "the signed bytes, made again", delta_bytes)
        other = _patch([Operation(ADD, len(after), 0, after[:-1] + b"!")], header, before)
        yield vector("other-result", "other plain bytes than the signed ones", sealed_patch(other), "digest")
        longer = _patch([*steps, _ADD], header, before)
        yield vector("longer", "another length than the signed one", sealed_patch(longer), "mismatch")
        based = _patch([Operation(ADD, len(after), 0, after)], header, before + b"!")
        yield vector("other-base-length", "made from other old bytes", sealed_patch(based), "mismatch")
        headed = _patch(steps, b"" if header else bytes(40), before)
        yield vector("other-header-length", "a header of another tier", sealed_patch(headed), "mismatch")
        yield vector("no-patch", "no patch inside", sealed_patch(b"?" + patch[1:]), "format")
        if key is None:
            continue
        salted = _patch(steps, header[:1] + bytes(32) + header[33:], before)
        yield vector("other-salt", "the right plain bytes under another salt", sealed_patch(salted), "digest")
        flipped = delta_bytes[:-1] + bytes([delta_bytes[-1] ^ 1])
        yield vector("flipped", "a bit of the last tag", flipped, "key")
        yield vector("in-clear", "a patch that is not encrypted", patch, "key")
        turned = sealed_patch(patch, wanted, base)
        yield vector("other-direction", "bound to the bundles in the other order", turned, "key")
        yield vector("no-app-key", "sealed, and no key at hand", delta_bytes, "key", opened_with=None)


def _sealed(version: str, plain: bytes, app_key: sealing.AppKey | None) -> sealing.Sealed:
    """A short stand-in for a bundle: nobody looks into it."""
    entry = replace(
        sample.sealed(version=version, app_key=app_key).entry,
        plain_length=len(plain),
        plain_sha256=hashlib.sha256(plain).hexdigest(),
    )
    served = plain
    if secret := sealing.data_key_of(entry, app_key):
        salt, prefix = (
            keys.secret(f"salt {version}"),
            keys.secret(f"prefix {version}")[: streaming.PREFIX_BYTES],
        )
        served = streaming.encrypt(plain, secret, entry.associated_data, salt, prefix)
    return sealing.Sealed(served, framing.segment_list(served), entry)


def _artifact(sealed: sealing.Sealed) -> Artifact:
    return Artifact(sealed.entry.path, len(sealed.served), sealed.sha256, sealed.entry)
