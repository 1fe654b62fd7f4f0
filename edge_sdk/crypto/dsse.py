"""DSSE envelopes: a payload, its type, and Ed25519 signatures over both (docs/protocol/manifest.md).

The envelope is the one of the DSSE specification, version 1; key ids are those of the TUF metadata.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from edge_sdk.contract import document
from edge_sdk.contract.document import Fields
from edge_sdk.errors import FormatError, VerificationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MAX_BYTES = 8_000_000
MAX_SIGNATURES = 16
_KEY = re.compile("[0-9A-Fa-f]{64}")


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """What is signed: ``DSSEv1 <length> <type> <length> <payload>``, lengths in decimal."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(payload_type: str, payload: bytes, keys: Mapping[str, Ed25519PrivateKey]) -> bytes:
    """An envelope with one signature by each key (key id -> private key), as JSON bytes."""
    message = pre_authentication_encoding(payload_type, payload)
    signatures = [{"keyid": key_id, "sig": _b64(key.sign(message))} for key_id, key in sorted(keys.items())]
    envelope = {"payloadType": payload_type, "payload": _b64(payload), "signatures": signatures}
    return json.dumps(envelope, separators=(",", ":"), sort_keys=True).encode()


def verify(envelope: bytes, payload_type: str, keys: Mapping[str, str], threshold: int) -> bytes:
    """The payload, once enough distinct keys are seen to have signed it.

    1. The envelope parses strictly and has the expected payload type.
    2. Each signature by a known key is checked; unknown keys and bad signatures count for nothing.
    3. Distinct public keys with a good signature reach the threshold.

    Args:
        envelope: the JSON bytes as received.
        payload_type: the only acceptable type.
        keys: key id -> raw Ed25519 public key in hex.
        threshold: how many distinct keys must have signed; at least 1.

    Raises:
        FormatError: not an envelope of that type.
        VerificationError: too few good signatures.
    """
    fields = Fields(document.parse(envelope, "envelope", max_bytes=MAX_BYTES), "envelope")
    found = fields.text("payloadType")
    if found != payload_type:
        raise FormatError(f"envelope: payload type {found!r}, expected {payload_type!r}")
    payload = document.decode_base64(fields.text("payload"), "envelope: payload")
    message = pre_authentication_encoding(payload_type, payload)
    signatures = fields.array("signatures")
    if len(signatures) > MAX_SIGNATURES:
        raise FormatError(f"envelope: more than {MAX_SIGNATURES} signatures")
    good: set[bytes] = set()  # by the key's bytes: one key under two ids, or in two spellings, is one
    for value in signatures:
        item = Fields(value, "envelope: signature")
        public = keys.get(item.text("keyid"))
        signature = document.decode_base64(item.text("sig"), "envelope: signature")
        if public is not None and _is_good(raw := _public_bytes(public), signature, message):
            good.add(raw)
    if threshold < 1 or len(good) < threshold:
        raise VerificationError(
            f"{payload_type}: signed by {len(good)} of the {threshold} keys that must sign; do not use it"
        )
    return payload


def _public_bytes(public_hex: str) -> bytes:
    if not _KEY.fullmatch(public_hex):  # bytes.fromhex would pass over white space
        return b""  # no key at all: like an unknown one, it counts for nothing
    return bytes.fromhex(public_hex)


def _is_good(public: bytes, signature: bytes, message: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


Signer = Callable[[str, bytes], bytes]
"""Payload type and payload to envelope: how a holder of keys is passed to code that needs a signature."""
