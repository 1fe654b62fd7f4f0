"""The body of a device's request to enrol (docs/protocol/device-keys.md)."""

from __future__ import annotations

import base64
import json
from datetime import datetime

from edge_sdk.contract import identifiers
from edge_sdk.contract.key_blob import Statement, credential_sha256, origin_of
from edge_sdk.crypto.device_key import DeviceKeyHolder


def enrolment_request(
    holder: DeviceKeyHolder, server: str, credential: str, now: datetime, nonce: bytes
) -> bytes:
    """The JSON to send to ``/v1/devices`` with the credential as bearer token.

    Args:
        holder: of the device key to enrol.
        server: URL of the server.
        credential: enrolment token, or the device's credential so far, to replace its key.
        now: the present moment.
        nonce: 16 fresh random bytes.

    Raises:
        FormatError: ``server`` is not an address, or the nonce is too short.
    """
    issued = now.replace(microsecond=0)
    said = Statement(origin_of(server), holder.public_key, credential_sha256(credential), issued, nonce)
    body = {
        "origin": said.origin,
        "public_key": base64.b64encode(said.public_key).decode("ascii"),
        "issued": identifiers.format_time(issued),
        "nonce": base64.b64encode(nonce).decode("ascii"),
        "signature": base64.b64encode(holder.sign(said.to_bytes())).decode("ascii"),
    }
    return json.dumps(body).encode("ascii")
