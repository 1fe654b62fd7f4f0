"""``edge device enroll``: the device's side of enrolment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command()
@click.option("--server", required=True, metavar="URL", help="Server to enrol with.")
@click.option(
    "--token",
    envvar="COACH_EDGE_ENROLMENT_TOKEN",
    required=True,
    show_envvar=True,
    help="Enrolment token; better in the environment, where others cannot see it.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for device.key (made where there is none) and the new device.credential; both private.",
)
def enroll(server: str, token: str, out: Path) -> dict[str, Any]:
    """Make a device key and enrol it, so that this device may open bundles of the tier device-key."""
    import os
    from datetime import UTC, datetime

    from edge_sdk.contract.key_blob import NONCE_BYTES, thumbprint
    from edge_sdk.crypto.credentials import CREDENTIAL_FILE, KEY_FILE
    from edge_sdk.crypto.device_key import DeviceKey
    from edge_sdk.crypto.files import replace_private
    from edge_sdk.update.enrolling import enrol
    from edge_sdk.update.http import HttpTransport

    key = DeviceKey.load_or_create(out / KEY_FILE)
    transport = HttpTransport()
    try:
        enrolled = enrol(transport, server, key, token, datetime.now(UTC), os.urandom(NONCE_BYTES))
    finally:
        transport.close()
    path = out / CREDENTIAL_FILE
    replace_private(path, enrolled.credential.encode("ascii") + b"\n")
    return {
        "device_id": enrolled.device_id,
        "thumbprint": thumbprint(key.public_key),
        "credential": str(path),
    }
