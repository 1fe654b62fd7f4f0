"""Who wraps data keys at rest: a key encryption key in a local file, or a service (``model_server.kms``)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edge_sdk.crypto.files import keep_first_private, replace_private
from model_server.errors import StartError, StateError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEK_FILE = "key-encryption-keys"
KEK_BYTES = 32
NONCE_BYTES = 12
_PURPOSE = "coach-edge/bundle-key/1"
Random = Callable[[int], bytes]


class KeyProvider(Protocol):
    """Wraps and unwraps; what is wrapped for one bundle does not unwrap for another."""

    @property
    def key_id(self) -> str:
        """The key encryption key that wraps now."""

    def wrap(self, data_key: bytes, bundle_sha256: str) -> bytes:
        """Wrap under the present key; raises StorageError where the service is away."""

    def unwrap(self, wrapped: bytes, bundle_sha256: str, key_id: str) -> bytes:
        """The data key; raises StateError where key, bundle or bytes are not those it was wrapped with."""


class LocalKeyProvider:
    """AES-256-GCM under keys that this server holds: the first wraps, all unwrap."""

    def __init__(self, keys: Sequence[bytes], random: Random = os.urandom) -> None:
        """Hold key encryption keys of 32 bytes, the present one first.

        Raises:
            StartError: none, or one of another length.
        """
        if not keys or any(len(key) != KEK_BYTES for key in keys):
            raise StartError(f"key encryption keys have {KEK_BYTES} bytes each, and there is at least one")
        self._keys = {_key_id(key): key for key in keys}
        self._current, self._random = _key_id(keys[0]), random

    def __repr__(self) -> str:
        return f"LocalKeyProvider({', '.join(self._keys)})"

    @property
    def key_id(self) -> str:
        """Of the present key; tells keys apart, no more."""
        return self._current

    def wrap(self, data_key: bytes, bundle_sha256: str) -> bytes:
        """Nonce, ciphertext, tag."""
        nonce = self._random(NONCE_BYTES)
        bound = _bound(bundle_sha256, self._current)
        return nonce + self._cipher(self._current).encrypt(nonce, data_key, bound)

    def unwrap(self, wrapped: bytes, bundle_sha256: str, key_id: str) -> bytes:
        """The data key.

        Raises:
            StateError: the key is not here, or the bytes are not what it wrapped for this bundle.
        """
        from cryptography.exceptions import InvalidTag

        if key_id not in self._keys:
            raise StateError(
                f"a data key is wrapped by {key_id}, which is not here; put it back into the file"
            )
        nonce, sealed = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
        try:
            return self._cipher(key_id).decrypt(nonce, sealed, _bound(bundle_sha256, key_id))
        except (InvalidTag, ValueError) as error:
            raise StateError(f"the data key of bundle {bundle_sha256} does not unwrap; restore it") from error

    def _cipher(self, key_id: str) -> AESGCM:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(self._keys[key_id])


def load_local(path: Path, random: Random = os.urandom) -> LocalKeyProvider:
    """The keys of a private file, made with one key where there is none.

    One key a line in base64, the present one first.

    Raises:
        StartError: it can be neither read nor made, or holds something else.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            keep_first_private(
                path, _line(random(KEK_BYTES))
            )  # before it wraps anything, it is there for good
        return LocalKeyProvider(_read(path), random)
    except OSError as error:
        raise StartError(f"cannot keep the key encryption keys in {path}: {error.strerror}") from error


def add_key(path: Path, random: Random = os.urandom) -> LocalKeyProvider:
    """Put a fresh key in front; the old ones stay, to unwrap until everything is wrapped again.

    Raises:
        StartError: the file does not hold keys, or cannot be written.
    """
    try:
        _read(path)
        replace_private(path, _line(random(KEK_BYTES)) + path.read_bytes())
    except OSError as error:
        raise StartError(f"cannot keep the key encryption keys in {path}: {error.strerror}") from error
    return load_local(path, random)


def _read(path: Path) -> list[bytes]:
    try:
        return [base64.b64decode(line, validate=True) for line in path.read_bytes().split()]
    except (binascii.Error, ValueError) as error:
        raise StartError(f"{path} holds something else than one base64 key a line; restore it") from error


def _line(key: bytes) -> bytes:
    return base64.b64encode(key) + b"\n"


def _key_id(key: bytes) -> str:
    return "kek-" + hashlib.sha256(b"coach-edge/kek-id/1\0" + key).hexdigest()[:16]


def _bound(bundle_sha256: str, key_id: str) -> bytes:
    return "\0".join((_PURPOSE, bundle_sha256, key_id)).encode()
