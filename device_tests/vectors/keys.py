"""Test keys: SHA-256 of a published label, so that everybody can make them and nobody may trust them."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

LABEL: Final = "coach-edge test key: "
SIGNERS: Final = (
    "root-1",
    "root-2",
    "root-3",
    "root-4",
    "root-5",
    "targets-1",
    "targets-2",
    "snapshot",
    "timestamp",
    "director",
    "director-2",
)


def secret(name: str) -> bytes:
    """32 bytes: the seed of a signing key, an app key, a data key, or whatever a vector needs as random."""
    return hashlib.sha256((LABEL + name).encode()).digest()


def signer(name: str) -> Ed25519PrivateKey:
    """The Ed25519 key whose seed is :func:`secret`."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(secret(name))


def public(name: str) -> str:
    """The raw public key of :func:`signer`, in hex."""
    return signer(name).public_key().public_bytes_raw().hex()


def text(data: bytes) -> str:
    """Standard base64, as the vectors write bytes."""
    return base64.b64encode(data).decode("ascii")
