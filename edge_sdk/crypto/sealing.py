"""Sealing a bundle and opening it again: codec, then encryption by tier."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_sdk.contract import codec, document, framing
from edge_sdk.contract.entry import Entry
from edge_sdk.contract.record import BundleContent, Record, open_plain
from edge_sdk.crypto import streaming
from edge_sdk.crypto.data_key import DataKey
from edge_sdk.crypto.opening import InMemory, open_segments
from edge_sdk.errors import FormatError, InputError, VerificationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

APP_KEY_BYTES = 32
NONCE_BYTES = 12
Random = Callable[[int], bytes]


@dataclass(frozen=True)
class AppKey:
    """The key that an app carries to unwrap data keys. It hides models from a glance, not from a debugger."""

    secret: bytes

    def __post_init__(self) -> None:
        if len(self.secret) != APP_KEY_BYTES:
            raise InputError(f"an app key has {APP_KEY_BYTES} bytes, not {len(self.secret)}")

    def __repr__(self) -> str:
        return f"AppKey({self.key_id})"

    @property
    def key_id(self) -> str:
        """``app-`` and the first 16 hex digits of SHA-256 of a label and the key; tells keys apart, no more."""
        return "app-" + hashlib.sha256(b"coach-edge/app-key-id/1\0" + self.secret).hexdigest()[:16]

    @classmethod
    def from_text(cls, text: str) -> AppKey:
        """The key from its text form: standard base64 of 32 bytes, white space around it allowed."""
        try:
            return cls(document.decode_base64(text.strip(), "the app key"))
        except FormatError as error:
            raise InputError(
                "the app key is not base64 text of 32 bytes; make one with 'edge keys init'"
            ) from error

    def to_text(self) -> str:
        return base64.b64encode(self.secret).decode("ascii") + "\n"


BundleKey = AppKey | DataKey
"""What opens a bundle: the key of the app, or the data key of this one bundle."""


@dataclass(frozen=True)
class Sealed:
    """A bundle as it is served, its segment list, and its entry (whose channel and release may still change)."""

    served: bytes
    segments: bytes
    entry: Entry

    @property
    def sha256(self) -> str:
        """Digest of the served bytes."""
        return hashlib.sha256(self.served).hexdigest()


def seal(
    plain: bytes,
    *,
    channel: str,
    release: int,
    requires: str,
    app_key: AppKey | None = None,
    data_key: DataKey | None = None,
    compress: bool = True,
    random: Random = os.urandom,
) -> Sealed:
    """Compress, encrypt (where there is a key) and describe a plain bundle.

    Args:
        plain: the bundle.
        channel, release, requires: for the entry.
        app_key: for the tier ``app-key``; it wraps a fresh data key.
        data_key: for the tier ``device-key``; fresh, and the caller brings it to the server.
        compress: where it pays; False leaves the bundle as it is, so that deltas can lead to it.
        random: source of data key, salt and nonces.

    Raises:
        FormatError: ``plain`` is not a consistent bundle.
        InputError: both keys are given.
    """
    if app_key is not None and data_key is not None:
        raise InputError("a bundle is of one tier; give an app key or a data key, not both")
    content = open_plain(plain)
    record = content.record
    chosen, packed = codec.compress(plain) if compress else ("none", plain)
    tier, key_id, wrapped, served = "none", "", "", packed
    if app_key is not None:
        tier, key_id = "app-key", app_key.key_id
        bound = _bound(record, key_id)
        secret, nonce = random(streaming.DATA_KEY_BYTES), random(NONCE_BYTES)
        wrapped = base64.b64encode(nonce + _aes_gcm(app_key).encrypt(nonce, secret, bound)).decode("ascii")
        served = _encrypt(packed, secret, bound, random)
    elif data_key is not None:
        tier, key_id = "device-key", data_key.key_id
        served = _encrypt(packed, data_key.secret, _bound(record, key_id), random)
    segments = framing.segment_list(served)
    entry = Entry(
        model=record.model,
        model_version=record.model_version,
        channel=channel,
        release=release,
        target=record.target,
        recipe=record.recipe,
        requires=requires,
        tier=tier,
        key_id=key_id,
        wrapped_key=wrapped,
        codec=chosen,
        plain_length=len(plain),
        plain_sha256=hashlib.sha256(plain).hexdigest(),
        record_sha256=hashlib.sha256(content.record_bytes).hexdigest(),
        segments_sha256=hashlib.sha256(segments).hexdigest(),
        state=record.state,
    )
    return Sealed(served, segments, entry)


def data_key_of(entry: Entry, key: BundleKey | None) -> bytes | None:
    """The 32 bytes that decrypt a bundle, by its tier; None where it is not encrypted.

    Args:
        entry: of the bundle, signed.
        key: of the app, or the data key that was lent for this very bundle.

    Raises:
        InputError: the bundle is sealed, and this is not the kind of key, or not the app key, that it needs.
        VerificationError: the wrapped data key does not open, or the data key is of another bundle.
    """
    if entry.tier == "none":
        return None
    if entry.tier == "app-key":
        return _unwrap(entry, key)
    if not isinstance(key, DataKey):
        raise InputError(
            f"{entry.path}: tier {entry.tier} needs an enrolled device; this one has no device key"
        )
    return key.checked_for(entry)


def open_served(
    served: bytes | memoryview, sha256: str, entry: Entry, key: BundleKey | None = None
) -> BundleContent:
    """Verify and open a served bundle, in memory only: :func:`open_segments` once its digest is right.

    Raises:
        VerificationError: it is not what was signed; nothing is handed out.
        InputError: the bundle is sealed and no key was given, or one of another kind.
    """
    if hashlib.sha256(served).hexdigest() != sha256:
        raise VerificationError(f"{entry.path}: the bytes are not the signed ones; fetch them again")
    return open_segments(InMemory(served), entry, data_key_of(entry, key), known=False).content


def _encrypt(packed: bytes, secret: bytes, bound: bytes, random: Random) -> bytes:
    salt, prefix = random(streaming.SALT_BYTES), random(streaming.PREFIX_BYTES)
    return streaming.encrypt(packed, secret, bound, salt, prefix)


def _unwrap(entry: Entry, app_key: BundleKey | None) -> bytes:
    from cryptography.exceptions import InvalidTag

    if not isinstance(app_key, AppKey):
        raise InputError(
            f"{entry.path} is sealed with app key {entry.key_id}; pass that key "
            "(--app-key FILE; in Python credential=AppKey.from_text(...))"
        )
    if app_key.key_id != entry.key_id:
        raise InputError(
            f"{entry.path} is sealed with app key {entry.key_id}, and this key is {app_key.key_id}"
        )
    try:
        wrapped = document.decode_base64(entry.wrapped_key, "wrapped_key")
        return _aes_gcm(app_key).decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], entry.associated_data)
    except (FormatError, ValueError, InvalidTag) as error:
        raise VerificationError(
            f"{entry.path}: the wrapped data key does not open with this app key"
        ) from error


def _bound(record: Record, key_id: str) -> bytes:
    return framing.associated_data(record.model, record.model_version, record.target, record.recipe, key_id)


def _aes_gcm(app_key: AppKey) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(app_key.secret)
