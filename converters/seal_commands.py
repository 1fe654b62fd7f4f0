"""``edge bundle``: build sealed bundles from a trained model, verify them, open them, make deltas between them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from converters.delta_command import delta
from converters.zoo.progress import Progress, silent
from edge_sdk.crypto.data_key import DataKey
from edge_sdk.crypto.options import app_key_option, bundle_key, command_line_passphrase
from edge_sdk.crypto.sealing import AppKey, Sealed
from edge_sdk.errors import InputError

if TYPE_CHECKING:
    from edge_sdk.contract.record import BundleContent

_TARGETS: Final = ("tflite", "coreml", "onnx")

_bundle_argument = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@click.group()
def bundle() -> None:
    """Seal, verify and open bundles; make deltas between them."""


@bundle.command()
@click.argument("model", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--name", required=True, help="Name of the model, as devices ask for it.")
@click.option("--model-version", required=True, help="Semantic version, such as 1.0.0.")
@click.option(
    "--target",
    "targets",
    multiple=True,
    required=True,
    type=click.Choice(_TARGETS),
    help="What to convert to; may be repeated.",
)
@click.option(
    "--recipe",
    "recipes",
    multiple=True,
    default=("fp32",),
    show_default=True,
    help="How numbers are stored: fp32, weight-int8; may be repeated. Each is built for the targets that can have it.",
)
@click.option(
    "--input",
    "takes",
    type=click.Choice(("features", "days")),
    default="features",
    show_default=True,
    help="What the model takes: its features by name, or the day input as tensors, from which it computes them itself.",
)
@click.option(
    "--tier",
    type=click.Choice(("none", "app-key", "device-key")),
    help="Encryption; by default app-key where there is an app key, else none. device-key: only enrolled devices get "
    "the key; it lies beside the bundle, locked by the passphrase COACH_EDGE_PASSPHRASE_DATA_KEYS, else by a prompted "
    "one, until 'edge publish' gives it to the server.",
)
@click.option(
    "--codec",
    type=click.Choice(("auto", "none")),
    default="auto",
    show_default=True,
    help="auto deflates where that saves at least 15 %; deltas lead only to bundles that are not deflated.",
)
@app_key_option
@click.option(
    "--release",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Release number to note; publishing decides.",
)
@click.option("--channel", default="stable", show_default=True, help="Channel to note; publishing decides.")
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder for the bundles."
)
def build(
    model: Path,
    name: str,
    model_version: str,
    targets: tuple[str, ...],
    recipes: tuple[str, ...],
    takes: str,
    tier: str | None,
    codec: str,
    app_key: AppKey | None,
    release: int,
    channel: str,
    out: Path,
) -> dict[str, Any]:
    """Convert MODEL, prove that all targets agree, and seal them.

    MODEL is a directory that 'edge train' wrote. A bundle is three files: NAME-VERSION-TARGET-RECIPE.bundle, and
    beside it .bundle.segments and .bundle.entry.json; of the tier device-key also .bundle.key.
    """
    if tier == "app-key" and app_key is None:
        raise click.UsageError("--tier app-key needs --app-key FILE")
    from edge_sdk.contract import identifiers
    from edge_sdk.crypto.data_key_files import PASSPHRASE_NAME, DataKeyFile
    from edge_sdk.crypto.sealed_files import write_sealed

    # Asked now, not after a minute of converting.
    identifiers.name(name, "--name")
    identifiers.name(channel, "--channel")
    identifiers.model_version(model_version)
    lent = tier == "device-key"
    passphrase = command_line_passphrase(confirm=True)(PASSPHRASE_NAME) if lent else ""
    if lent and not passphrase:
        raise InputError(f"key {PASSPHRASE_NAME}: the passphrase is empty")
    key = app_key if tier in (None, "app-key") else None
    compress = codec == "auto"
    built = _build(
        model,
        name,
        model_version,
        targets,
        recipes,
        takes,
        key,
        lent,
        compress,
        release,
        channel,
        _progress(),
    )
    bundles = []
    for sealed, data_key in built:
        lock = None if data_key is None else DataKeyFile.lock(data_key, sealed.sha256, passphrase).to_bytes()
        bundles.append({"path": str(write_sealed(sealed, out, lock)), **_described(sealed)})
    return {"bundles": bundles}


bundle.add_command(delta)


@bundle.command()
@_bundle_argument
@app_key_option
def verify(file: Path, app_key: AppKey | None) -> dict[str, Any]:
    """Check every digest and tag of the bundle FILE, and say what it holds."""
    sealed, content = _opened(file, app_key)
    record = content.record
    return {
        "path": str(file),
        **_described(sealed),
        "inputs": [tensor.to_json() for tensor in record.inputs],
        "outputs": [tensor.to_json() for tensor in record.outputs],
        "features": [feature.name for feature in record.features],
        "files": {name: len(data) for name, data in content.files.items()},
    }


@bundle.command(name="open")
@_bundle_argument
@app_key_option
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder to make; it must not exist yet."
)
def open_command(file: Path, app_key: AppKey | None, out: Path) -> dict[str, Any]:
    """Write the files inside the bundle FILE to a private folder, in clear."""
    from converters.errors import ConverterError
    from edge_sdk.crypto.files import new_private_folder, write_new_private

    _, content = _opened(file, app_key)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConverterError(f"{out} exists and is not an empty folder; name a new one for --out")
    try:
        with new_private_folder(out) as folder:
            for name, data in content.files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                write_new_private(folder / name, bytes(data))
    except OSError as error:
        raise ConverterError(f"cannot write {out}: {error.strerror}; nothing was left") from error
    return {"out": str(out), "files": {name: len(data) for name, data in content.files.items()}}


def _build(
    directory: Path,
    name: str,
    model_version: str,
    targets: tuple[str, ...],
    recipes: tuple[str, ...],
    takes: str,
    app_key: AppKey | None,
    lent: bool,
    compress: bool,
    release: int,
    channel: str,
    progress: Progress,
) -> list[tuple[Sealed, DataKey | None]]:
    """The sealed bundles, each with its fresh data key where that is to be lent to devices."""
    from converters.day_facts import day_facts_of
    from converters.pipeline import convert_ensemble
    from converters.seal import facts_of, seal_artifact
    from converters.zoo.comparison import comparison_days, comparison_rows
    from converters.zoo.model_dir import load_model

    model = load_model(directory)
    days = takes == "days"
    facts = day_facts_of(model) if days else facts_of(model)
    rows = comparison_days(model) if days else comparison_rows(model).rows
    conversion = convert_ensemble(model.ensemble, targets, recipes, rows=rows, progress=progress)
    twins = {twin.name: twin for twin in conversion.twins.twins}
    # float32 is always converted, as what the others are measured against; it is sealed if it was asked for.
    wanted = [artifact for artifact in conversion.artifacts if artifact.plan.recipe.name in recipes]
    sealed = []
    for done, artifact in enumerate(wanted):
        progress("seal", done, len(wanted))
        data_key = DataKey.fresh() if lent else None
        made = seal_artifact(
            facts,
            artifact,
            name=name,
            model_version=model_version,
            channel=channel,
            release=release,
            app_key=app_key,
            data_key=data_key,
            compress=compress,
            twin=twins[str(artifact.plan)],
        )
        sealed.append((made, data_key))
    progress("seal", len(wanted), len(wanted))
    return sealed


def _opened(file: Path, app_key: AppKey | None) -> tuple[Sealed, BundleContent]:
    from edge_sdk.crypto.sealed_files import read_sealed
    from edge_sdk.crypto.sealing import open_served

    sealed = read_sealed(file)
    key = bundle_key(file, sealed, app_key)
    return sealed, open_served(sealed.served, sealed.sha256, sealed.entry, key)


def _described(sealed: Sealed) -> dict[str, Any]:
    entry = sealed.entry
    return {
        "model": entry.model,
        "model_version": entry.model_version,
        "target": entry.target,
        "recipe": entry.recipe,
        "channel": entry.channel,
        "release": entry.release,
        "requires": entry.requires,
        "tier": entry.tier,
        "codec": entry.codec,
        "bytes": len(sealed.served),
        "plain_bytes": entry.plain_length,
        "sha256": sealed.sha256,
        "record_sha256": entry.record_sha256,
    }


def _progress() -> Progress:
    given: Progress | None = click.get_current_context().obj
    return given or silent
