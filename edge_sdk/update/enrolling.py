"""Enrolling a device and asking for key blobs, over a transport (docs/protocol/device-keys.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from edge_sdk.contract import document, identifiers, key_blob
from edge_sdk.contract.document import Fields
from edge_sdk.crypto.device_key import DeviceKeyHolder
from edge_sdk.crypto.enrolment import enrolment_request
from edge_sdk.errors import FormatError, InputError, NotAvailable
from edge_sdk.update.transport import Intercepted, Transport, check_untouched, refusal


@dataclass(frozen=True)
class Enrolment:
    """What the server calls the device, and the credential to keep in a private place."""

    device_id: str
    credential: str = field(repr=False)


def enrol(
    transport: Transport, server: str, holder: DeviceKeyHolder, credential: str, now: datetime, nonce: bytes
) -> Enrolment:
    """Enrol a device key with a token, or in place of the key that ``credential`` is of.

    Raises:
        InputError: the server does not take token or proof; its words are in the message.
        NotAvailable: the key was revoked, or the server enrols no devices.
        RetryLater: no answer.
        VerificationError: an answer of another form.
    """
    body = enrolment_request(holder, server, credential, now, nonce)
    answer = _post(transport, server.rstrip("/") + "/v1/devices", credential, body, 201)
    f = Fields(document.parse(answer, "enrolment", max_bytes=key_blob.MAX_ENVELOPE_BYTES), "enrolment")
    return Enrolment(f.text("device_id"), f.text("credential"))


def ask_for_key(
    transport: Transport, server: str, holder: DeviceKeyHolder, credential: str, bundle_sha256: str
) -> bytes:
    """The envelope with the data key of a bundle, for ``open_key_blob``; unverified.

    Raises:
        InputError: the server does not take the credential.
        NotAvailable: the device was revoked, or no such bundle is published for devices.
        RetryLater: no answer.
    """
    identifiers.sha256_hex(bundle_sha256, "bundle")
    body = json.dumps({"device": key_blob.thumbprint(holder.public_key)}).encode("ascii")
    return _post(transport, f"{server.rstrip('/')}/v1/keys/{bundle_sha256}", credential, body, 200)


def _post(transport: Transport, url: str, credential: str, body: bytes, expected: int) -> bytes:
    headers: Mapping[str, str] = {
        "Authorization": f"Bearer {credential}",
        "Content-Type": "application/json",
    }
    data = b""
    with transport.request("POST", url, headers=headers, body=body) as answer:
        check_untouched(url, answer)
        for piece in answer.pieces():
            data += piece
            if len(data) > key_blob.MAX_ENVELOPE_BYTES:
                raise Intercepted(f"{url} answers with too many bytes; try another network")
    if answer.status == expected:
        return data
    try:
        said = Fields(document.parse(data, "problem", max_bytes=len(data)), "problem").text("detail")
    except FormatError:
        raise refusal(url, answer.status) from None
    if answer.status in (400, 401, 422):
        raise InputError(f"{url}: {said}")
    if answer.status in (403, 404):
        raise NotAvailable(f"{url}: {said}")
    raise refusal(f"{url} ({said})", answer.status)
