"""``edge release``: what the server's admin client does, and what must be signed offline besides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from coach_edge.publish import hand_over
from converters.release.keys import Signers, load_signers
from converters.release.signing import newest_release
from edge_sdk.contract import identifiers
from edge_sdk.contract.manifest import Artifact, Manifest
from edge_sdk.crypto.options import command_line_passphrase
from edge_sdk.errors import FormatError, InputError, NotAvailable
from model_server.client import AdminClient
from model_server.publication import FULL_RAMP
from model_server.release_commands import Percent
from model_server.release_commands import release as server_side

release = click.Group("release", help=server_side.help, commands=dict(server_side.commands))


def _signing(command: Any) -> Any:
    for option in (
        click.option(
            "--token",
            envvar="COACH_EDGE_TOKEN",
            required=True,
            show_envvar=True,
            help="Admin token of the server; better in the environment, where others cannot see it.",
        ),
        click.option("--percent", type=Percent(), default="100", show_default=True, help="Share of devices."),
        click.option(
            "--keys",
            required=True,
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            help="Folder of the offline keys; only targets keys are used.",
        ),
        click.option(
            "--root",
            required=True,
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="The root that devices trust.",
        ),
        click.option("--server", required=True, metavar="URL", help="The server."),
        click.option(
            "--channel",
            default="stable",
            show_default=True,
            help="Channel in which the release was published.",
        ),
    ):
        command = option(command)
    return command


@release.command()
@click.argument("model")
@click.option("--to", "number", required=True, type=click.IntRange(1), help="The release to go back to.")
@_signing
def rollback(model: str, number: int, channel: str, **options: Any) -> dict[str, Any]:
    """Go back to an earlier release of MODEL: a higher number for the same bytes, signed offline.

    Devices that still have the bytes download nothing. A release that was recalled is refused.
    """
    return _again(model, number, channel, channel, **options)


@release.command()
@click.argument("model")
@click.option("--release", "number", required=True, type=click.IntRange(1), help="The release to promote.")
@click.option("--to", "target", required=True, metavar="CHANNEL", help="Channel to promote it to.")
@_signing
def promote(model: str, number: int, target: str, channel: str, **options: Any) -> dict[str, Any]:
    """Publish a release of MODEL in another channel: the same bytes, signed offline."""
    return _again(model, number, channel, target, **options)


def _again(
    model: str,
    number: int,
    channel: str,
    target: str,
    *,
    server: str,
    root: Path,
    keys: Path,
    percent: int,
    token: str,
) -> dict[str, Any]:
    try:
        identifiers.name(target, "channel")
    except FormatError as error:
        raise InputError(str(error)) from error
    root_bytes = root.read_bytes()
    signers = load_signers(keys, root_bytes, command_line_passphrase())
    with AdminClient(server, token) as client:
        return publish_again(
            client,
            root_bytes,
            keys,
            signers,
            model=model,
            release=number,
            channel=channel,
            to_channel=target,
            ramp_bp=percent,
            now=datetime.now(UTC),
        )


def publish_again(
    client: AdminClient,
    root: bytes,
    keys: Path,
    signers: Signers,
    *,
    model: str,
    release: int,
    channel: str,
    to_channel: str,
    ramp_bp: int = FULL_RAMP,
    now: datetime,
) -> dict[str, Any]:
    """Sign the bytes of a release as the next release of a channel; nothing is uploaded.

    Raises:
        NotAvailable: there is no such release, it was recalled, or it is the newest of that channel already.
        ReleaseError: what the server publishes is not signed under ``root``.
        ServerError: the server cannot be reached or refuses.
    """

    def add(published: Manifest | None) -> Sequence[Artifact]:
        artifacts = published.artifacts if published else ()
        wanted = model, channel, release
        found = [a for a in artifacts if (a.entry.model, a.entry.channel, a.entry.release) == wanted]
        newest = newest_release(published, model, to_channel)
        if not found:
            raise NotAvailable(
                f"{model} has no release {release} in channel {channel}; see 'edge release list'"
            )
        if (to_channel, newest) == (channel, release):
            raise NotAvailable(f"release {release} of {model} is the newest in channel {channel} already")
        directive = client.directives()["channels"].get(channel, {}).get(model)
        if directive is not None and release in directive["recalled"]:
            # Under another number its bytes would not be recalled any more, wherever they are.
            raise NotAvailable(
                f"release {release} of {model} was recalled in channel {channel}; to use its bytes again, first: "
                f"edge release recall {model} --channel {channel} --release {release} --lift"
            )
        entries = [replace(a.entry, channel=to_channel, release=newest + 1) for a in found]
        return [Artifact(e.path, a.length, a.sha256, e) for a, e in zip(found, entries, strict=True)]

    return hand_over(client, root, keys, signers, add, lambda: None, ramp_bp=ramp_bp, now=now)
