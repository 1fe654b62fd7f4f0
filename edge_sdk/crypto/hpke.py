"""HPKE (RFC 9180) base mode, one message: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, no AAD."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_sdk.errors import FormatError, VerificationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.hpke import Suite


def seal(plain: bytes, public_key: bytes, info: bytes) -> bytes:
    """Encapsulated point (65 bytes), ciphertext, tag (16).

    Raises:
        FormatError: ``public_key`` is no uncompressed point of the curve.
    """
    return _suite().encrypt(plain, decode_public(public_key), info=info)


def open_sealed(sealed: bytes, private: EllipticCurvePrivateKey, info: bytes) -> bytes:
    """The plaintext.

    Raises:
        VerificationError: for another key or ``info``, or changed.
    """
    from cryptography.exceptions import InvalidTag

    try:
        return _suite().decrypt(sealed, private, info=info)
    except (InvalidTag, ValueError) as error:
        raise VerificationError(
            "the key blob does not open: for another device key, other metadata, or changed bytes"
        ) from error


def decode_public(point: bytes) -> EllipticCurvePublicKey:
    """A public key from its uncompressed point, which lies on the curve.

    Raises:
        FormatError: it does not.
    """
    from cryptography.hazmat.primitives.asymmetric import ec

    if len(point) != 65:  # the compressed form would give one key two thumbprints
        raise FormatError("the public key is not an uncompressed P-256 point of 65 bytes")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError as error:
        raise FormatError("the public key is no point of the curve P-256") from error


def encode_public(public: EllipticCurvePublicKey) -> bytes:
    """The uncompressed point: 04, x, y."""
    from cryptography.hazmat.primitives import serialization

    return public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def verify_signature(public_key: bytes, signature: bytes, message: bytes) -> None:
    """Check an ECDSA signature (P-256, SHA-256, DER) of a device.

    Raises:
        FormatError: ``public_key`` is no uncompressed point of the curve.
        VerificationError: not signed by it.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        decode_public(public_key).verify(signature, message, ec.ECDSA(SHA256()))
    except InvalidSignature as error:
        raise VerificationError("the proof is not signed by the device key that it names") from error


def _suite() -> Suite:
    from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

    return Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
