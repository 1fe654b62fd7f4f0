"""Tink's streaming AEAD, AES256_GCM_HKDF_1MB, over whole byte strings (docs/protocol/encryption.md).

    header  = 0x28 | salt (32) | nonce prefix (7), part of the first ciphertext segment
    key     = HKDF-SHA256(data key, salt, info = associated data), 32 bytes
    segment = AES-256-GCM(key, nonce = prefix | u32be(index) | 01 if last else 00)

Cross-checked against the tink package in the tests.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

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
    if (len(data_key), len(salt), len(prefix)) != (DATA_KEY_BYTES, SALT_BYTES, PREFIX_BYTES):
        raise ValueError("data key, salt and nonce prefix have 32, 32 and 7 bytes")
    cipher = _cipher(data_key, salt, associated_data)
    view = memoryview(plain)
    parts = [bytes([HEADER_BYTES]), salt, prefix]
    for nonce, _start, low, high in _layout(len(view), prefix):
        parts.append(cipher.encrypt(nonce, view[low:high], None))
    return b"".join(parts)


def decrypt(served: bytes | memoryview, data_key: bytes, associated_data: bytes) -> bytearray:
    """The plaintext, all of it verified; nothing is handed out before the last tag is checked.

    Raises:
        VerificationError: wrong key, wrong associated data, or changed, reordered or cut bytes.
    """
    from cryptography.exceptions import InvalidTag

    view = memoryview(served)
    segments = max(-(-len(view) // SEGMENT_BYTES), 1)
    length = len(view) - HEADER_BYTES - segments * TAG_BYTES
    if length < 0 or view[0] != HEADER_BYTES or len(data_key) != DATA_KEY_BYTES:
        raise VerificationError("the sealed bundle has no valid header, or the key has no 32 bytes")
    salt, prefix = bytes(view[1 : 1 + SALT_BYTES]), bytes(view[1 + SALT_BYTES : HEADER_BYTES])
    layout = _layout(length, prefix)
    if len(layout) != segments:  # else up to 16 stray bytes behind a segment would go unread
        raise VerificationError("the sealed bundle ends within a tag; fetch it again")
    cipher = _cipher(data_key, salt, associated_data)
    plain = bytearray(length)
    target = memoryview(plain)
    try:
        for nonce, start, low, high in layout:
            cipher.decrypt_into(nonce, view[start : start + high - low + TAG_BYTES], None, target[low:high])
    except InvalidTag as error:
        target[:] = bytes(length)  # decrypt_into leaves unverified plaintext behind
        raise VerificationError(
            "the sealed bundle does not open: another key, other metadata, or changed bytes; fetch it again"
        ) from error
    return plain


def _cipher(data_key: bytes, salt: bytes, associated_data: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return AESGCM(HKDF(SHA256(), 32, salt, associated_data).derive(data_key))


def _layout(length: int, prefix: bytes) -> list[tuple[bytes, int, int, int]]:
    """For each segment: nonce, start in the ciphertext, and the plaintext range [low, high)."""
    layout: list[tuple[bytes, int, int, int]] = []
    low, start, room = 0, HEADER_BYTES, SEGMENT_BYTES - HEADER_BYTES - TAG_BYTES
    while True:
        high = min(low + room, length)
        last = high == length
        layout.append((prefix + struct.pack(">I", len(layout)) + bytes([last]), start, low, high))
        if last:
            return layout
        start += room + TAG_BYTES
        low, room = high, SEGMENT_BYTES - TAG_BYTES
