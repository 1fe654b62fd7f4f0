"""The data key of a bundle on its way from ``edge bundle build`` to ``edge publish``: a file, locked by a passphrase.

AES-256-GCM(scrypt(passphrase, salt), nonce, data key), bound to the digest of the served bytes.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge_sdk.contract import document, identifiers
from edge_sdk.contract.document import Fields
from edge_sdk.crypto.data_key import DataKey
from edge_sdk.crypto.keyfiles import MAX_BYTES, SCRYPT_LOG_N, Passphrase, environment_variable, stretched
from edge_sdk.crypto.sealed_files import KEY, beside
from edge_sdk.crypto.sealing import Sealed
from edge_sdk.errors import FormatError, InputError
from feature_spec.canonical import canonical_json

FORMAT: Final = "coach-edge/data-key-file/1"
PASSPHRASE_NAME: Final = "data-keys"
"""What the passphrase of all such files is asked for as."""


@dataclass(frozen=True)
class DataKeyFile:
    """A locked data key."""

    bundle: str
    log_n: int
    salt: bytes
    nonce: bytes
    sealed: bytes

    def __post_init__(self) -> None:
        identifiers.sha256_hex(self.bundle, "bundle")
        if (len(self.salt), len(self.nonce), len(self.sealed)) != (16, 12, 48):
            raise FormatError("salt, nonce and sealed key have 16, 12 and 48 bytes")

    @classmethod
    def lock(
        cls,
        key: DataKey,
        bundle: str,
        passphrase: str,
        *,
        log_n: int = SCRYPT_LOG_N,
        random: Callable[[int], bytes] = os.urandom,
    ) -> DataKeyFile:
        """Encrypt a data key.

        Args:
            key: of the bundle.
            bundle: digest of the served bytes.
            passphrase: not empty.
            log_n: cost of a guess.
            random: source of salt and nonce.

        Raises:
            InputError: the passphrase is empty.
        """
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if not passphrase:
            raise InputError(f"key {PASSPHRASE_NAME}: the passphrase is empty")
        salt, nonce = random(16), random(12)
        sealed = AESGCM(stretched(passphrase, salt, log_n)).encrypt(nonce, key.secret, _bound(bundle))
        return cls(bundle, log_n, salt, nonce, sealed)

    def unlock(self, passphrase: str) -> DataKey:
        """The data key.

        Raises:
            InputError: wrong passphrase, or a damaged file.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            cipher = AESGCM(stretched(passphrase, self.salt, self.log_n))
            return DataKey(cipher.decrypt(self.nonce, self.sealed, _bound(self.bundle)))
        except InvalidTag as error:
            variable = environment_variable(PASSPHRASE_NAME)
            raise InputError(
                f"the data key does not unlock: wrong passphrase or damaged file; type it again, or check {variable}"
            ) from error

    def to_bytes(self) -> bytes:
        return canonical_json(
            {
                "format": FORMAT,
                "bundle": self.bundle,
                "scrypt_log_n": self.log_n,
                "salt": self.salt.hex(),
                "nonce": self.nonce.hex(),
                "sealed": base64.b64encode(self.sealed).decode("ascii"),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> DataKeyFile:
        """Parse such a file.

        Raises:
            FormatError: it is none.
        """
        f = Fields(document.parse(data, "data key file", max_bytes=MAX_BYTES), "data key file")
        f.format(FORMAT)
        try:
            salt, nonce = bytes.fromhex(f.text("salt")), bytes.fromhex(f.text("nonce"))
        except ValueError as error:
            raise FormatError(f"data key file: {error}") from error
        sealed = document.decode_base64(f.text("sealed"), "data key file: sealed")
        return cls(f.text("bundle"), f.integer("scrypt_log_n", 10, 20), salt, nonce, sealed)


def read_data_key(bundle: Path, sealed: Sealed, passphrase: Passphrase) -> DataKey:
    """The data key that lies beside a bundle.

    Args:
        bundle: path of the ``.bundle`` file.
        sealed: what was read from it.
        passphrase: gives that of :data:`PASSPHRASE_NAME`.

    Raises:
        InputError: there is none, it is of another bundle, or does not unlock.
    """
    path = beside(bundle, KEY)
    try:
        locked = DataKeyFile.from_bytes(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing; build the bundle again with 'edge bundle build'") from error
    except FormatError as error:
        raise InputError(f"{path} holds no data key: {error}; build the bundle again") from error
    if locked.bundle != sealed.sha256:
        raise InputError(f"{path} is of another bundle; build the bundle again")
    try:
        key = locked.unlock(passphrase(PASSPHRASE_NAME))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    key.checked_for(sealed.entry)
    return key


def _bound(bundle: str) -> bytes:
    return f"{FORMAT}\0{bundle}".encode()
