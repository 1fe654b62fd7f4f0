"""Tink's streaming AEAD, AES256_GCM_HKDF_1MB, over whole byte strings (docs/protocol/encryption.md).

    header  = 0x28 | salt (32) | nonce prefix (7), part of the first ciphertext segment
    key     = HKDF-SHA256(data key, salt, info = associated data), 32 bytes
    segment = AES-256-GCM(key, nonce = prefix | u32be(index) | 01 if last else 00)

Cross-checked against the tink package in the tests.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from edge_sdk.contract.codec import Buffer
from edge_sdk.contract.framing import SEGMENT_BYTES
from edge_sdk.errors import VerificationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

DATA_KEY_BYTES = 32
SALT_BYTES = 32
PREFIX_BYTES = 7
HEADER_BYTES = 1 + SALT_BYTES + PREFIX_BYTES
TAG_BYTES = 16


def encrypt(
    plain: bytes | memoryview, data_key: bytes, associated_data: bytes, salt: bytes, prefix: bytes
) -> bytes:
    """Ciphertext of ``plain``; ``salt`` and ``prefix`` must be fresh random bytes for every call."""
    return b"".join(encrypted(plain, data_key, associated_data, salt, prefix))


def encrypted(
    plain: bytes | memoryview, data_key: bytes, associated_data: bytes, salt: bytes, prefix: bytes
) -> Iterator[bytes]:
    """The same in pieces of at most a segment."""
    if (len(data_key), len(salt), len(prefix)) != (DATA_KEY_BYTES, SALT_BYTES, PREFIX_BYTES):
        raise ValueError("data key, salt and nonce prefix have 32, 32 and 7 bytes")
    cipher = _cipher(data_key, salt, associated_data)
    view = memoryview(plain)
    yield bytes([HEADER_BYTES]) + salt + prefix
    for piece in _layout(len(view), prefix):
        yield cipher.encrypt(piece.nonce, view[piece.low : piece.high], None)


class Piece(NamedTuple):
    """One segment: its nonce, where its ciphertext and tag lie in [start, stop), and its plaintext [low, high)."""

    nonce: bytes
    start: int
    stop: int
    low: int
    high: int


class Decryption:
    """A ciphertext of which every segment is opened on its own, in any order, by any thread.

    Args:
        header: the first bytes of the ciphertext.
        length: of the ciphertext.
        data_key, associated_data: as it was sealed with.

    Attributes:
        pieces: the segments; all of them, each with the right number of bytes, are the whole ciphertext.

    Raises:
        VerificationError: no ciphertext has this header and length, or no key this length.
    """

    def __init__(self, header: Buffer, length: int, data_key: bytes, associated_data: bytes) -> None:
        segments = max(-(-length // SEGMENT_BYTES), 1)
        plain = length - HEADER_BYTES - segments * TAG_BYTES
        if plain < 0 or header[0] != HEADER_BYTES or len(data_key) != DATA_KEY_BYTES:
            raise VerificationError("the sealed bundle has no valid header, or the key has no 32 bytes")
        salt, prefix = bytes(header[1 : 1 + SALT_BYTES]), bytes(header[1 + SALT_BYTES : HEADER_BYTES])
        self.pieces = _layout(plain, prefix)
        if len(self.pieces) != segments:  # else up to 16 stray bytes behind a segment would go unread
            raise VerificationError("the sealed bundle ends within a tag; fetch it again")
        self._cipher = _cipher(data_key, salt, associated_data)

    def open_into(self, index: int, sealed: memoryview, target: memoryview) -> None:
        """Decrypt the bytes of segment ``index``; ``target`` holds them once its tag was good, else zeros.

        Raises:
            VerificationError: the tag is not good.
        """
        from cryptography.exceptions import InvalidTag

        try:
            self._cipher.decrypt_into(self.pieces[index].nonce, sealed, None, target)
        except InvalidTag as error:
            target[:] = bytes(len(target))  # decrypt_into leaves unverified plaintext behind
            raise VerificationError(
                "the sealed bundle does not open: another key, other metadata, or changed bytes; fetch it again"
            ) from error


def decrypt(served: bytes | memoryview, data_key: bytes, associated_data: bytes) -> bytearray:
    """The plaintext, all of it verified; nothing is handed out before the last tag is checked.

    Raises:
        VerificationError: wrong key, wrong associated data, or changed, reordered or cut bytes.
    """
    view = memoryview(served)
    decryption = Decryption(view[:HEADER_BYTES], len(view), data_key, associated_data)
    plain = bytearray(decryption.pieces[-1].high)
    target = memoryview(plain)
    try:
        for index, piece in enumerate(decryption.pieces):
            decryption.open_into(index, view[piece.start : piece.stop], target[piece.low : piece.high])
    except VerificationError:
        target[:] = bytes(len(target))
        raise
    return plain


def _cipher(data_key: bytes, salt: bytes, associated_data: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return AESGCM(HKDF(SHA256(), 32, salt, associated_data).derive(data_key))


def _layout(length: int, prefix: bytes) -> list[Piece]:
    layout: list[Piece] = []
    low, start, room = 0, HEADER_BYTES, SEGMENT_BYTES - HEADER_BYTES - TAG_BYTES
    while True:
        high = min(low + room, length)
        last = high == length
        nonce = prefix + struct.pack(">I", len(layout)) + bytes([last])
        layout.append(Piece(nonce, start, start + high - low + TAG_BYTES, low, high))
        if last:
            return layout
        start += room + TAG_BYTES
        low, room = high, SEGMENT_BYTES - TAG_BYTES
