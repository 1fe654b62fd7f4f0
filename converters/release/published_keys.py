"""The keys of the protocol's test vectors, which the whole world knows, are never signed with or for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from typing import Final

from converters.errors import ReleaseError

_PREFIX: Final = "coach-edge test key: "
_ROLES: Final = (
    "root",
    "targets",
    "snapshot",
    "timestamp",
    "director",
    "app",
    "device",
    "other",
)
PUBLISHED_NAMES: Final = tuple(
    f"{role}{number}" for role in _ROLES for number in ("", *(f"-{n}" for n in range(1, 10)))
)
"""The names that vectors may take: a key of a vector is the SHA-256 of the label ``coach-edge test key: <name>``."""


def published_secret(name: str) -> bytes:
    """The 32 bytes of a vector's key: an Ed25519 seed or an app key.

    Raises:
        ValueError: a name that vectors may not take, so that no vector's key goes unrefused.
    """
    if name not in PUBLISHED_NAMES:
        raise ValueError(f"{name!r} is not among the names of published keys: {', '.join(PUBLISHED_NAMES)}")
    return hashlib.sha256((_PREFIX + name).encode()).digest()


def refuse_vector_keys(public: Iterable[str], app_key_ids: Iterable[str] = ()) -> None:
    """Refuse keys whose secret half is printed in the documentation.

    Args:
        public: raw Ed25519 public keys in hex.
        app_key_ids: ids of app keys, as entries carry them.

    Raises:
        ReleaseError: one of them is such a key.
    """
    for key, label in ((key, _published_public().get(key)) for key in public):
        if label:
            raise ReleaseError(
                f"key {key[:16]}… is the published test key '{label}', which anybody can sign with; "
                "make keys with 'edge keys init'"
            )
    for key_id, label in ((key_id, _published_app_keys().get(key_id)) for key_id in app_key_ids):
        if label:
            raise ReleaseError(
                f"app key {key_id} is the published test key '{label}', which hides nothing; "
                "make keys with 'edge keys init' and seal again"
            )


@cache
def _published_public() -> dict[str, str]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    def public(name: str) -> str:
        key = Ed25519PrivateKey.from_private_bytes(published_secret(name))
        return key.public_key().public_bytes_raw().hex()

    return {public(name): _PREFIX + name for name in PUBLISHED_NAMES}


@cache
def _published_app_keys() -> dict[str, str]:
    from edge_sdk.crypto.sealing import AppKey

    return {AppKey(published_secret(name)).key_id: _PREFIX + name for name in PUBLISHED_NAMES}
