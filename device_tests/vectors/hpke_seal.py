"""HPKE's sender with an ephemeral key that is given: vectors must come out the same on every machine.

Written out from RFC 9180 (sections 4.1, 4.2 and 5.1), apart from the library that the product uses, so that each
checks the other. Never for anything but vectors: an ephemeral key that is used twice gives the data key away.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from device_tests.vectors import keys
from edge_sdk.crypto.hpke import decode_public, encode_public

_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_KEM: Final = struct.pack(">H", 0x0010)
_KEM_SUITE: Final = b"KEM" + _KEM
_SUITE: Final = b"HPKE" + _KEM + struct.pack(">HH", 0x0001, 0x0002)


def private(name: str) -> ec.EllipticCurvePrivateKey:
    """The P-256 key whose scalar is ``keys.secret(name)`` modulo the order less one, plus one."""
    return ec.derive_private_key(int.from_bytes(keys.secret(name), "big") % (_ORDER - 1) + 1, ec.SECP256R1())


def seal(plain: bytes, public_key: bytes, info: bytes, ephemeral: ec.EllipticCurvePrivateKey) -> bytes:
    """Encapsulated point, ciphertext, tag."""
    encapsulated = encode_public(ephemeral.public_key())
    shared = ephemeral.exchange(ec.ECDH(), decode_public(public_key))
    eae = _extract(_KEM_SUITE, b"", b"eae_prk", shared)
    secret = _expand(_KEM_SUITE, eae, b"shared_secret", encapsulated + public_key, 32)
    context = b"\0" + _extract(_SUITE, b"", b"psk_id_hash", b"") + _extract(_SUITE, b"", b"info_hash", info)
    schedule = _extract(_SUITE, secret, b"secret", b"")
    key, nonce = (
        _expand(_SUITE, schedule, label, context, n) for label, n in ((b"key", 32), (b"base_nonce", 12))
    )
    return encapsulated + AESGCM(key).encrypt(nonce, plain, b"")


def _extract(suite: bytes, salt: bytes, label: bytes, data: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + data, hashlib.sha256)


def _expand(suite: bytes, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
    labelled = struct.pack(">H", length) + b"HPKE-v1" + suite + label + info
    return hmac.digest(prk, labelled + b"\1", hashlib.sha256)[:length]  # one block: no length is above 32
