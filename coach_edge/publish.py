"""``edge publish``: sign offline with the converters, upload with the server's admin client."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click

from coach_edge.deltas import ReleaseDelta, deltas_between
from converters.release import memory
from converters.release.keys import Signers, load_signers, offline_folder
from converters.release.signing import artifact_of, newest_release, read_targets, sign_publication
from edge_sdk.contract.manifest import Artifact, Manifest
from edge_sdk.crypto.data_key import DataKey
from edge_sdk.crypto.options import app_key_option, bundle_key, command_line_passphrase
from edge_sdk.crypto.sealed_files import read_sealed
from edge_sdk.crypto.sealing import AppKey, Sealed
from edge_sdk.errors import InputError
from model_server.client import AdminClient
from model_server.errors import Conflict
from model_server.publication import FULL_RAMP
from model_server.release_commands import Percent

_file = click.Path(exists=True, dir_okay=False, path_type=Path)
Progress = Callable[[str, int, int], None]


@click.command()
@click.argument("bundles", nargs=-1, required=True, type=_file)
@click.option("--server", required=True, help="Address of the server, such as http://127.0.0.1:8765.")
@click.option("--root", required=True, type=_file, help="The root that devices trust.")
@click.option(
    "--keys",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the offline keys; only targets keys are used.",
)
@click.option("--channel", default="stable", show_default=True, help="Channel to publish to.")
@click.option(
    "--release", type=click.IntRange(1), help="Release number; by default one more than the newest there."
)
@click.option(
    "--percent",
    type=Percent(),
    default="100",
    show_default=True,
    help="Share of devices that get the release at once; widen it with 'edge release rollout'.",
)
@click.option(
    "--delta-from",
    "delta_from",
    multiple=True,
    type=_file,
    help="Bundle that devices have and the server too, such as the release before; may be repeated. Devices that have "
    "it fetch a delta where that saves at least 40 %. Needs the app key of sealed bundles.",
)
@app_key_option
@click.option(
    "--token",
    envvar="COACH_EDGE_TOKEN",
    required=True,
    show_envvar=True,
    help="Admin token of the server; better in the environment, where others cannot see it.",
)
@click.pass_context
def publish(
    ctx: click.Context,
    bundles: tuple[Path, ...],
    server: str,
    root: Path,
    keys: Path,
    channel: str,
    release: int | None,
    percent: int,
    delta_from: tuple[Path, ...],
    app_key: AppKey | None,
    token: str,
) -> dict[str, Any]:
    """Sign BUNDLES as one release and hand them to a server.

    Bundles of the tier device-key bring the locked data keys that lie beside them (passphrase:
    COACH_EDGE_PASSPHRASE_DATA_KEYS, else a prompt); the server gets those first, over HTTPS or on this machine only.
    """
    sealed, olds = [read_sealed(path) for path in bundles], [read_sealed(path) for path in delta_from]
    found = zip((*bundles, *delta_from), (*sealed, *olds), strict=True)
    ask = cache(command_line_passphrase())  # once, for however many bundles
    opening = {each.sha256: bundle_key(path, each, app_key, ask) for path, each in found}
    deltas = deltas_between(olds, sealed, opening)
    root_bytes = root.read_bytes()
    signers = load_signers(keys, root_bytes, command_line_passphrase())
    with AdminClient(server, token) as client:
        return publish_release(
            client,
            sealed,
            root_bytes,
            keys,
            signers,
            channel=channel,
            release=release,
            ramp_bp=percent,
            deltas=deltas,
            now=datetime.now(UTC),
            progress=ctx.obj,
            data_keys={digest: key for digest, key in opening.items() if isinstance(key, DataKey)},
        )


def publish_release(
    client: AdminClient,
    bundles: Sequence[Sealed],
    root: bytes,
    keys: Path,
    signers: Signers,
    *,
    channel: str,
    release: int | None = None,
    ramp_bp: int = FULL_RAMP,
    deltas: Sequence[ReleaseDelta] = (),
    now: datetime,
    progress: Progress,
    data_keys: Mapping[str, DataKey] = MappingProxyType({}),
) -> dict[str, Any]:
    """Sign, upload objects, then hand over the signed metadata: what is signed is there before it is named.

    Args:
        client: of the server.
        bundles: of one model; they become one release.
        root: what devices trust.
        keys: the folder of the offline keys, where what was signed last is remembered.
        signers: the unlocked keys of that folder.
        channel: to publish to.
        release: its number; by default one more than the newest.
        ramp_bp: basis points of devices that get it at once.
        deltas: that lead to these bundles from those of releases before.
        now: when it is signed.
        progress: told how many bundles are uploaded.
        data_keys: of the bundles of tier ``device-key``, by digest of the served bytes.

    Raises:
        ReleaseError: the release does not grow, or what the server publishes is not signed under ``root``.
        InputError: bundles of several models.
        ServerError: the server cannot be reached or refuses.
    """
    models = {sealed.entry.model for sealed in bundles}
    if len(models) != 1:
        raise InputError(f"the bundles are of {', '.join(sorted(models))}; publish one model at a time")
    (model,) = models
    for sealed in bundles:
        if sealed.entry.tier == "device-key" and sealed.sha256 not in data_keys:
            raise InputError(f"{sealed.entry.path} is sealed for devices, and its data key is not given")

    def add(published: Manifest | None) -> list[Artifact]:
        number = release or newest_release(published, model, channel) + 1
        return [artifact_of(sealed, channel=channel, release=number) for sealed in bundles]

    def upload() -> None:
        for done, sealed in enumerate(bundles):
            progress("upload", done, len(bundles))
            if sealed.sha256 in data_keys:
                client.put_data_key(sealed.sha256, data_keys[sealed.sha256].secret)
            client.put_object(sealed.served)
            client.put_object(sealed.segments)
        progress("upload", len(bundles), len(bundles))
        for delta in deltas:
            delta.upload(client)

    done = hand_over(client, root, keys, signers, add, upload, ramp_bp=ramp_bp, now=now)
    return {**done, "deltas": [delta.to_json() for delta in deltas]} if deltas else done


def hand_over(
    client: AdminClient,
    root: bytes,
    keys: Path,
    signers: Signers,
    add: Callable[[Manifest | None], Sequence[Artifact]],
    upload: Callable[[], None],
    *,
    ramp_bp: int,
    now: datetime,
) -> dict[str, Any]:
    """Sign one more release on top of what the server has, and hand it over.

    Args:
        client: of the server.
        root: what devices trust.
        keys: the folder of the offline keys, where what was signed last is remembered.
        signers: the unlocked keys of that folder.
        add: from what is published, the artifacts of the new release.
        upload: brings their bytes to the server, where they are not there yet.
        ramp_bp: basis points of devices that get it at once.
        now: when it is signed.
    """
    previous = client.current_targets()
    published = None if previous is None else read_targets(previous, root)
    base_version = published.version if published else 0
    folder = offline_folder(keys)
    if (last := memory.read(folder)) is not None:
        last.check_base(base_version, previous)
    additions = add(published)
    publication = sign_publication(
        previous, root, additions, keys=signers.keys, director=signers.director, issued=now
    )
    upload()
    memory.write(folder, memory.Signed.of(base_version + 1, publication.targets, previous))
    try:
        client.publish(publication, base_version=base_version, ramp_bp=ramp_bp)
    except Conflict:
        memory.restore(folder, last)  # somebody else was first: what was signed here is not what comes next
        raise
    entry = additions[0].entry
    return {
        "model": entry.model,
        "channel": entry.channel,
        "release": entry.release,
        "percent": ramp_bp / 100,
        "artifacts": [
            {"path": artifact.path, "bytes": artifact.length, "sha256": artifact.sha256}
            for artifact in additions
        ],
    }
