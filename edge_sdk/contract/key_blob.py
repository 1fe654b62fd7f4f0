"""Documents of the tier ``device-key``: the key blob and the enrolment statement (docs/protocol/device-keys.md)."""

from __future__ import annotations

import base64
import hashlib
import struct
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from edge_sdk.contract import document, identifiers
from edge_sdk.contract.document import Fields
from edge_sdk.errors import FormatError
from feature_spec.canonical import canonical_json

FORMAT = "coach-edge/key-blob/1"
PAYLOAD_TYPE = "application/vnd.coach-edge.key.v1+json"
MAX_ENVELOPE_BYTES = 10_000
MAX_BYTES = 2_000
POINT_BYTES = 65
SEALED_BYTES = POINT_BYTES + 32 + 16
"""Encapsulated P-256 point, the encrypted data key, tag."""

NONCE_BYTES = 16
_INFO_LABEL = "coach-edge/device-key/1"
_STATEMENT_LABEL = "coach-edge/enrolment/1"


def thumbprint(public_key: bytes) -> str:
    """SHA-256 in hex of an uncompressed P-256 point (04, x, y: 65 bytes), the form that phones export.

    Raises:
        FormatError: not of that length and form; whether it lies on the curve is for who uses it to check.
    """
    if len(public_key) != POINT_BYTES or public_key[0] != 4:
        raise FormatError("the device's public key is not an uncompressed P-256 point of 65 bytes")
    return hashlib.sha256(public_key).hexdigest()


@dataclass(frozen=True)
class Lease:
    """For which bundle, which device key and how long a data key is handed out.

    Attributes:
        bundle: SHA-256 of the served bytes.
        device: thumbprint of the device key.
        issued, expires: in force from the one until before the other.
    """

    bundle: str
    device: str
    issued: datetime
    expires: datetime

    def __post_init__(self) -> None:
        identifiers.sha256_hex(self.bundle, "key blob: bundle")
        identifiers.sha256_hex(self.device, "key blob: device")
        if self.expires <= self.issued:
            raise FormatError("key blob: the lease ends before it begins")

    @property
    def info(self) -> bytes:
        """What HPKE binds the data key to; see :func:`edge_sdk.contract.framing.associated_data` for the form.

        The signature covers the same fields. They are in ``info`` as well so that a data key sealed for one
        bundle or lease cannot be put under another by whoever can have documents signed but knows no key.
        """
        times = (identifiers.format_time(self.issued), identifiers.format_time(self.expires))
        return _fields(_INFO_LABEL, self.bundle, self.device, *times)


@dataclass(frozen=True)
class KeyBlob:
    """A data key for one device: its lease, and HPKE's encapsulated point and ciphertext."""

    lease: Lease
    sealed: bytes

    def __post_init__(self) -> None:
        if len(self.sealed) != SEALED_BYTES:
            raise FormatError(
                f"key blob: the sealed key has {len(self.sealed)} bytes in place of {SEALED_BYTES}"
            )

    def to_bytes(self) -> bytes:
        """The payload to sign: canonical JSON."""
        return canonical_json(
            {
                "format": FORMAT,
                "bundle": self.lease.bundle,
                "device": self.lease.device,
                "issued": identifiers.format_time(self.lease.issued),
                "expires": identifiers.format_time(self.lease.expires),
                "sealed": base64.b64encode(self.sealed).decode("ascii"),
            }
        )

    @classmethod
    def from_bytes(cls, payload: bytes) -> KeyBlob:
        """The blob of a verified payload.

        Raises:
            FormatError: malformed.
        """
        f = Fields(document.parse(payload, "key blob", max_bytes=MAX_BYTES), "key blob")
        f.format(FORMAT)
        lease = Lease(
            f.text("bundle"),
            f.text("device"),
            f.checked("issued", identifiers.parse_time),
            f.checked("expires", identifiers.parse_time),
        )
        return cls(lease, document.decode_base64(f.text("sealed"), "key blob: 'sealed'"))


@dataclass(frozen=True)
class Statement:
    """What a device signs to enrol. Each field stops one attack:

    Attributes:
        origin: scheme, host and port; a proof made for another server is not taken by this one.
        public_key: nobody enrols a key that they do not hold.
        credential_sha256: of the token (or old device credential) that goes with it; who overhears the proof
            cannot use it with a token of their own, nor the token with a key of their own proof.
        issued: an old proof is refused, so that nonces need not be remembered for ever.
        nonce: 16 random bytes; within that time a proof is taken once.
    """

    origin: str
    public_key: bytes
    credential_sha256: str
    issued: datetime
    nonce: bytes

    def __post_init__(self) -> None:
        thumbprint(self.public_key)
        identifiers.sha256_hex(self.credential_sha256, "enrolment: credential")
        if len(self.nonce) != NONCE_BYTES:
            raise FormatError(f"enrolment: the nonce has {len(self.nonce)} bytes in place of {NONCE_BYTES}")

    def to_bytes(self) -> bytes:
        """The bytes under the signature (ECDSA P-256, SHA-256)."""
        return _fields(
            _STATEMENT_LABEL,
            self.origin,
            thumbprint(self.public_key),
            self.credential_sha256,
            identifiers.format_time(self.issued),
            self.nonce.hex(),
        )


def credential_sha256(credential: str) -> str:
    """How a statement names a token, and how a server keeps one: tokens are 256 random bits, so a hash will do."""
    return hashlib.sha256(credential.encode()).hexdigest()


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL as a proof names it: lower case, without a port that goes without saying.

    Raises:
        FormatError: not an http or https address.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise FormatError(f"{url!r} is not an address such as https://models.example")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    usual = {"http": 80, "https": 443}[parts.scheme]
    port = "" if parts.port in (None, usual) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def _fields(*parts: str) -> bytes:
    encoded = [part.encode() for part in parts]
    return b"".join(struct.pack(">I", len(part)) + part for part in encoded)
