"""Private keys at rest: one file a key, encrypted with its own passphrase; the public half is readable.

AES-256-GCM(scrypt(passphrase, salt), nonce, 32-byte Ed25519 seed), bound to the key's name and public key
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_sdk.contract import document, identifiers
from edge_sdk.contract.document import Fields
from edge_sdk.errors import FormatError, InputError
from feature_spec.canonical import canonical_json

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FORMAT = "coach-edge/key/1"
MAX_BYTES = 4_000
SCRYPT_LOG_N = 17
"""Cost of a guess: 128 MiB and about 0.3 s (the first of OWASP's recommended scrypt settings)."""

_KEY_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
Passphrase = Callable[[str], str]
"""Key name to passphrase: a prompt, the environment, or a test's own."""


def environment_variable(name: str) -> str:
    """Where a passphrase may be found: ``COACH_EDGE_PASSPHRASE_ROOT_1`` for ``root-1``."""
    return "COACH_EDGE_PASSPHRASE_" + name.replace("-", "_").upper()


def generate() -> Ed25519PrivateKey:
    """A fresh Ed25519 key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.generate()


def public_hex(key: Ed25519PrivateKey) -> str:
    """The raw public key in hex."""
    return key.public_key().public_bytes_raw().hex()


@dataclass(frozen=True)
class KeyFile:
    """A parsed key file; the private key stays locked until :meth:`unlock`."""

    name: str
    public: str
    log_n: int
    salt: bytes
    nonce: bytes
    sealed: bytes

    def __post_init__(self) -> None:
        if not _KEY_NAME.fullmatch(self.name):
            raise InputError(f"key name {self.name!r}: use a-z, 0-9 and '-', starting with a letter")
        identifiers.sha256_hex(self.public, f"key {self.name}: public")
        if (len(self.salt), len(self.nonce), len(self.sealed)) != (16, 12, 48):
            raise FormatError("salt, nonce and sealed key have 16, 12 and 48 bytes")

    @classmethod
    def lock(
        cls,
        name: str,
        key: Ed25519PrivateKey,
        passphrase: str,
        *,
        log_n: int = SCRYPT_LOG_N,
        random: Callable[[int], bytes] = os.urandom,
    ) -> KeyFile:
        """Encrypt a private key.

        Raises:
            InputError: a bad name or an empty passphrase.
        """
        if not passphrase:
            raise InputError(f"key {name}: the passphrase is empty")
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        salt, nonce, public = random(16), random(12), public_hex(key)
        cipher = AESGCM(stretched(passphrase, salt, log_n))
        sealed = cipher.encrypt(nonce, key.private_bytes_raw(), _bound(name, public))
        return cls(name, public, log_n, salt, nonce, sealed)

    def unlock(self, passphrase: str) -> Ed25519PrivateKey:
        """The private key.

        Raises:
            InputError: wrong passphrase, or a damaged file.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            cipher = AESGCM(stretched(passphrase, self.salt, self.log_n))
            seed = cipher.decrypt(self.nonce, self.sealed, _bound(self.name, self.public))
        except InvalidTag as error:
            variable = environment_variable(self.name)
            raise InputError(
                f"key {self.name}: wrong passphrase or damaged file; type it again, or check {variable}"
            ) from error
        return Ed25519PrivateKey.from_private_bytes(seed)

    def to_bytes(self) -> bytes:
        return canonical_json(
            {
                "format": FORMAT,
                "name": self.name,
                "public": self.public,
                "scrypt_log_n": self.log_n,
                "salt": self.salt.hex(),
                "nonce": self.nonce.hex(),
                "sealed": base64.b64encode(self.sealed).decode("ascii"),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes, what: str) -> KeyFile:
        """Parse a key file; ``what`` names it in messages.

        Raises:
            InputError: not a key file.
        """
        try:
            f = Fields(document.parse(data, what, max_bytes=MAX_BYTES), what)
            f.format(FORMAT)
            salt, nonce = bytes.fromhex(f.text("salt")), bytes.fromhex(f.text("nonce"))
            sealed = document.decode_base64(f.text("sealed"), "sealed")
            # The bounds keep a planted file from asking for all memory or for next to no work.
            return cls(
                f.text("name"), f.text("public"), f.integer("scrypt_log_n", 10, 20), salt, nonce, sealed
            )
        except (FormatError, ValueError) as error:
            raise InputError(f"{what} is not a key file: {error}") from error


def stretched(passphrase: str, salt: bytes, log_n: int) -> bytes:
    """The 32-byte key that scrypt makes of a passphrase, at the cost of 2 to the power of ``log_n``."""
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    return Scrypt(salt=salt, length=32, n=2**log_n, r=8, p=1).derive(passphrase.encode())


def _bound(name: str, public: str) -> bytes:
    return f"{FORMAT}\0{name}\0{public}".encode()
