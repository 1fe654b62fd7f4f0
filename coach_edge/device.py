"""``edge device``: the device's command beside those of the server's admin client."""

from __future__ import annotations

import click

from edge_sdk.device_commands import enroll
from model_server.device_commands import device as server_side

device = click.Group("device", help=server_side.help, commands={"enroll": enroll, **server_side.commands})
