"""The key pair of a device, and opening what was sealed for it (docs/protocol/device-keys.md)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edge_sdk.contract import identifiers, key_blob
from edge_sdk.contract.key_blob import KeyBlob
from edge_sdk.crypto import dsse, hpke
from edge_sdk.crypto.files import keep_first_private
from edge_sdk.errors import FormatError, InputError, LeaseExpired, VerificationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

CLOCK_SKEW = timedelta(seconds=300)
"""How far ahead of the device's clock a lease may begin."""

DATA_KEY_BYTES = 32


class DeviceKeyHolder(Protocol):
    """Whoever holds the private key. A Secure Enclave or key store uses it and never gives it out."""

    @property
    def public_key(self) -> bytes:
        """The uncompressed P-256 point, 65 bytes."""

    def open(self, sealed: bytes, info: bytes) -> bytes:
        """HPKE base mode, DHKEM(P-256), HKDF-SHA256, AES-256-GCM; raises VerificationError."""

    def sign(self, message: bytes) -> bytes:
        """ECDSA, P-256, SHA-256, DER; for enrolment only, whose statement no other document can be."""


class DeviceKey:
    """A key in software, for devices without a key store. Who can read its file has the device's keys."""

    def __init__(self, private: EllipticCurvePrivateKey) -> None:
        self._private = private

    def __repr__(self) -> str:
        return f"DeviceKey({key_blob.thumbprint(self.public_key)[:16]}…)"

    @classmethod
    def generate(cls) -> DeviceKey:
        """A fresh key."""
        from cryptography.hazmat.primitives.asymmetric import ec

        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def load(cls, path: Path) -> DeviceKey:
        """The key of a file.

        Raises:
            InputError: there is none, or it is no key.
        """
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import load_der_private_key

        try:
            private = load_der_private_key(path.read_bytes(), None)
        except OSError as error:
            raise InputError(f"cannot read the device key {path}: {error.strerror}; enrol first") from error
        except (ValueError, TypeError) as error:
            raise InputError(f"{path} holds no device key; delete it and enrol again") from error
        if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(private.curve, ec.SECP256R1):
            raise InputError(f"{path} holds no P-256 key; delete it and enrol again")
        return cls(private)

    @classmethod
    def load_or_create(cls, path: Path) -> DeviceKey:
        """The key of a file, made where there is none. Of two processes that make it, both get the first one's.

        Raises:
            InputError: the file is there and holds no key.
            OSError: it cannot be written.
        """
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            keep_first_private(path, cls.generate()._to_der())
        return cls.load(path)

    @property
    def public_key(self) -> bytes:
        """The uncompressed P-256 point, 65 bytes."""
        return hpke.encode_public(self._private.public_key())

    def open(self, sealed: bytes, info: bytes) -> bytes:
        """What was sealed for this key.

        Raises:
            VerificationError: for another key or ``info``, or changed.
        """
        return hpke.open_sealed(sealed, self._private, info)

    def sign(self, message: bytes) -> bytes:
        """ECDSA, P-256, SHA-256, DER."""
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.hashes import SHA256

        return self._private.sign(message, ec.ECDSA(SHA256()))

    def _to_der(self) -> bytes:
        from cryptography.hazmat.primitives import serialization

        return self._private.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def seal_key_blob(data_key: bytes, public_key: bytes, lease: key_blob.Lease, sign: dsse.Signer) -> bytes:
    """The signed envelope that gives one device one data key; the server's half of :func:`open_key_blob`.

    Raises:
        FormatError: ``public_key`` is no point of the curve, or not the key that the lease names.
    """
    if key_blob.thumbprint(public_key) != lease.device:
        raise InputError("the lease names another device key than the one to seal for")
    blob = KeyBlob(lease, hpke.seal(data_key, public_key, lease.info))
    return sign(key_blob.PAYLOAD_TYPE, blob.to_bytes())


def verified_key_blob(envelope: bytes, director_keys: Mapping[str, str]) -> KeyBlob:
    """The key blob in an envelope that the director has signed; whose it is, and until when, is still to be asked.

    Args:
        envelope: as ``POST /v1/keys/{sha256}`` answers.
        director_keys: key id -> raw Ed25519 public key in hex, as the signed targets name the director.

    Raises:
        VerificationError: somebody else has signed it, or nobody.
        FormatError: it is no key blob.
    """
    if len(envelope) > key_blob.MAX_ENVELOPE_BYTES:
        raise FormatError(f"a key blob has at most {key_blob.MAX_ENVELOPE_BYTES} bytes, not {len(envelope)}")
    return KeyBlob.from_bytes(dsse.verify(envelope, key_blob.PAYLOAD_TYPE, director_keys, 1))


def open_key_blob(
    envelope: bytes,
    director_keys: Mapping[str, str],
    holder: DeviceKeyHolder,
    bundle_sha256: str,
    now: datetime,
) -> bytes:
    """The data key in an envelope, once all of it is verified.

    1. The director has signed it (HPKE's base mode says nothing about the sender).
    2. It is for this device key and this bundle.
    3. Its lease is in force.
    4. It opens, with the same bundle, device and lease bound into it.

    Args:
        envelope, director_keys: see :func:`verified_key_blob`.
        holder: of the device's private key.
        bundle_sha256: digest of the served bytes that are to be opened.
        now: the later of the clock and the highest signed time seen, so that a clock set back extends no lease.

    Raises:
        LeaseExpired: ask the server for a new one; until then, fall back.
        VerificationError: anything else is wrong; nothing is handed out.
    """
    blob = verified_key_blob(envelope, director_keys)  # 1
    lease = blob.lease
    if lease.device != key_blob.thumbprint(holder.public_key):  # 2
        raise VerificationError("the key blob is for another device; ask the server for one of your own")
    if lease.bundle != bundle_sha256:
        raise VerificationError("the key blob is for another bundle; ask the server for the one you need")
    if lease.issued > now + CLOCK_SKEW:  # 3
        raise VerificationError(
            f"the lease of the key begins at {identifiers.format_time(lease.issued)}, ahead of this clock; set it"
        )
    if lease.expires <= now:
        raise LeaseExpired(
            f"the lease of the key ended at {identifiers.format_time(lease.expires)}; go online to renew it"
        )
    data_key = holder.open(blob.sealed, lease.info)  # 4
    if len(data_key) != DATA_KEY_BYTES:
        raise VerificationError("the key blob does not open to a data key of 32 bytes")
    return data_key
