"""The ``device`` commands of the server's side: tokens to enrol with, who is enrolled, and revoking."""

from __future__ import annotations

from typing import Any

import click

from model_server.release_commands import server_options


@click.group()
def device() -> None:
    """Devices that may open bundles of the tier device-key."""


@device.command()
@click.option(
    "--uses", type=click.IntRange(1), default=1, show_default=True, help="How many may enrol with it."
)
@click.option(
    "--hours", type=click.IntRange(1, 8784), default=24, show_default=True, help="How long it is good."
)
@server_options
def token(uses: int, hours: int, server: str, token: str) -> dict[str, Any]:
    """Make a token with which devices enrol; the app's backend gives it to them."""
    from model_server.client import AdminClient

    with AdminClient(server, token) as client:
        return {"token": client.issue_enrolment_token(hours * 3600, uses), "uses": uses, "hours": hours}


@device.command("list")
@server_options
def list_devices(server: str, token: str) -> dict[str, Any]:
    """List enrolled and revoked devices, the newest first."""
    from model_server.client import AdminClient

    with AdminClient(server, token) as client:
        return {"devices": client.devices()}


@device.command()
@click.argument("device_id")
@server_options
def revoke(device_id: str, server: str, token: str) -> dict[str, Any]:
    """Hand out no more keys to DEVICE_ID; leases that it has run to their end."""
    from model_server.client import AdminClient

    with AdminClient(server, token) as client:
        return client.revoke_device(device_id)
