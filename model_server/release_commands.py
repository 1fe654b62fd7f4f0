"""The ``release`` commands: what is published, and who gets it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click

from edge_sdk.contract.buckets import BUCKETS
from model_server.errors import NotFound

_PERCENT = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,2}))?")


class Percent(click.ParamType[int]):
    """A share from 0 to 100 with at most two decimals, as whole basis points."""

    name = "percent"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Decimal text to basis points, without floating point: 0.29 is 29 and not 28."""
        if isinstance(value, int):
            return value
        match = _PERCENT.fullmatch(value)
        points = int(match[1]) * 100 + int((match[2] or "").ljust(2, "0")) if match else -1
        if not 0 <= points <= 10_000:
            self.fail(f"{value!r} is not a share from 0 to 100 with at most two decimals", param, ctx)
        return points


def server_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--token",
            envvar="COACH_EDGE_TOKEN",
            required=True,
            show_envvar=True,
            help="Admin token of the server; better in the environment, where others cannot see it.",
        ),
        click.option(
            "--server", required=True, metavar="URL", help="The server, such as http://127.0.0.1:8765."
        ),
    ):
        command = option(command)
    return command


def _channel(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--channel", default="stable", show_default=True, help="Channel of the release.")(
        command
    )


@click.group()
def release() -> None:
    """Releases: list them, and say who gets them."""


@release.command("list")
@server_options
def list_releases(server: str, token: str) -> dict[str, Any]:
    """List what is published, newest first, and who gets it now."""
    from model_server.client import AdminClient

    with AdminClient(server, token) as client:
        releases = client.releases()
        try:
            channels = client.directives()["channels"]
        except NotFound:
            channels = {}
    return {"releases": [_row(each, channels) for each in releases]}


@release.command()
@click.argument("model")
@_channel
@click.option("--percent", "points", required=True, type=Percent(), help="Share of devices, 0 to 100.")
@server_options
def rollout(model: str, channel: str, points: int, server: str, token: str) -> dict[str, Any]:
    """Give the newest release of MODEL to a share of the devices; the others keep what they have."""
    return _set(server, token, channel, model, ramp_bp=points)


@release.command()
@click.argument("model")
@_channel
@server_options
def pause(model: str, channel: str, server: str, token: str) -> dict[str, Any]:
    """Stop new installs of MODEL; devices that have it keep it."""
    return _set(server, token, channel, model, paused=True)


@release.command()
@click.argument("model")
@_channel
@server_options
def resume(model: str, channel: str, server: str, token: str) -> dict[str, Any]:
    """Allow new installs of MODEL again."""
    return _set(server, token, channel, model, paused=False)


@release.command()
@click.argument("model")
@_channel
@click.option("--release", "number", required=True, type=click.IntRange(1), help="The release to take back.")
@click.option("--lift", is_flag=True, help="Undo: the release may be used again.")
@server_options
def recall(model: str, channel: str, number: int, lift: bool, server: str, token: str) -> dict[str, Any]:
    """Take a release of MODEL back: devices that have it use the one before as soon as they hear of it.

    A pause only stops new installs; a recall also ends the use of what is installed.
    """
    from model_server.client import AdminClient

    with AdminClient(server, token) as client:
        published = {each["release"] for each in client.releases() if _is(each, model, channel)}
        directive = client.directives()["channels"].get(channel, {}).get(model)
        if directive is None or number not in published:
            has = ", ".join(map(str, sorted(published))) or "none"
            raise NotFound(f"{model} has no release {number} in channel {channel}; it has {has}")
        recalled = set(directive["recalled"]) - {number} if lift else {*directive["recalled"], number}
        directive = client.set_directive(channel, model, recalled=sorted(recalled))
    return _told(channel, model, directive)


def _is(release: dict[str, Any], model: str, channel: str) -> bool:
    return bool((release["model"], release["channel"]) == (model, channel))


def _row(release: dict[str, Any], channels: dict[str, Any]) -> dict[str, Any]:
    """One release as a line: what it is, and who gets it now."""
    directive = channels.get(release["channel"], {}).get(release["model"])
    return {
        **{name: release[name] for name in ("model", "channel", "release", "model_version")},
        "new_installs": "nobody" if directive is None else _who_gets(release["release"], directive),
        "artifacts": [f"{each['target']}-{each['recipe']}" for each in release["artifacts"]],
        "published_at": release["published_at"],
    }


def _who_gets(number: int, directive: dict[str, Any]) -> str:
    if number in directive["recalled"]:
        return "nobody: recalled"
    if number == directive["release"]:
        share = f"{directive['ramp_bp'] / 100:g} % of devices"
    elif number == directive["base_release"] and directive["ramp_bp"] < BUCKETS:
        share = "all other devices"
    else:
        return "nobody"
    return f"nobody while paused, then {share}" if directive["paused"] else share


def _set(server: str, token: str, channel: str, model: str, **changes: Any) -> dict[str, Any]:
    from model_server.client import AdminClient

    with AdminClient(server, token) as client:
        directive = client.set_directive(channel, model, **changes)
    return _told(channel, model, directive)


def _told(channel: str, model: str, directive: dict[str, Any]) -> dict[str, Any]:
    return {
        "model": model,
        "channel": channel,
        "release": directive["release"],
        "percent": directive["ramp_bp"] / 100,
        "paused": directive["paused"],
        "base_release": directive["base_release"],
        "recalled": directive["recalled"],
    }
