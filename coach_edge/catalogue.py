"""``edge features``: the commands of the features, and the catalogue page, which knows the models that take them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import click

from converters.feature_command import graph
from converters.zoo.catalogue import PREFIX, ZOO
from converters.zoo.model_dir import load_model
from edge_sdk.contract import bundle, document
from edge_sdk.contract.record import BundleContent
from edge_sdk.crypto.options import app_key_option, bundle_key
from edge_sdk.crypto.sealed_files import BUNDLE, read_sealed
from edge_sdk.crypto.sealing import AppKey, open_served
from edge_sdk.errors import InputError
from feature_spec.catalogue import Content, Model, distributions, page
from feature_spec.commands import data_options, write_atomically
from feature_spec.commands import features as definitions
from feature_spec.dataset import DataFiles, load
from feature_spec.definition import FeatureSpec
from feature_spec.errors import DataError, DefinitionError
from feature_spec.prebuilt import PREBUILT
from feature_spec.registry import REGISTRY

_MAX_SPEC_BYTES: Final = 1_000_000


@click.command()
@data_options
@click.option(
    "--model",
    "models",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="A folder of 'edge train' or a .bundle: show which features it takes, as for the zoo's models (repeatable).",
)
@click.option(
    "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="HTML file to write."
)
@app_key_option
def catalogue(
    data: DataFiles | None,
    cutoff_days: tuple[int, ...],
    zone: str,
    models: tuple[Path, ...],
    out: Path,
    app_key: AppKey | None,
) -> dict[str, Any]:
    """Write one HTML page of all features: formulas, ranges, distributions on a log, and which models take them.

    The page loads nothing from anywhere. It holds histograms of the log given and no row of it; without --events it has
    definitions only.
    """
    if len(cutoff_days) > 1:
        raise click.UsageError("Give one --cutoff-day: the page shows one distribution a feature.")
    if data is None and cutoff_days:
        raise click.UsageError("--cutoff-day needs --events.")
    _check_out(out, data, models)
    takers = _distinct([*_zoo(), *(_model(path, app_key) for path in models)])
    content = _content(data, cutoff_days, zone, takers)
    html = page(content).encode("utf-8")
    write_atomically(out, html)
    return {
        "out": str(out),
        "bytes": len(html),
        "features": len(REGISTRY.names),
        "distributions": len(content.distributions),
        "models": [model.name for model in takers],
        "notices": [*content.notices],
    }


features = click.Group(
    definitions.name,
    help=definitions.help,
    commands={**definitions.commands, "catalogue": catalogue, "graph": graph},
)
"""What ``edge features`` mounts: the features' own room may not know the converters."""


def _check_out(out: Path, data: DataFiles | None, models: Iterable[Path]) -> None:
    read = [*models]
    if data is not None:
        read += [
            path for path in (data.events, data.labels, data.assessments, data.users) if path is not None
        ]
        read += [] if data.mapping is None else [Path(data.mapping)]
    if any(os.path.realpath(path) == os.path.realpath(out) for path in read):
        raise DataError(f"--out {out} is a file that is read; choose another name")


def _content(
    data: DataFiles | None, cutoff_days: tuple[int, ...], zone: str, models: Sequence[Model]
) -> Content:
    if data is None:
        return Content(REGISTRY, models)
    snapshot = load(data, zone).snapshot(cutoff_days[0] if cutoff_days else None)
    when = f"at the end of day {cutoff_days[0]}" if cutoff_days else "at the end of the log"
    return Content(
        registry=REGISTRY,
        models=models,
        data=f"{data.events.name}, {len(snapshot.users):,} users {when}",
        notices=snapshot.notices,
        distributions=distributions(REGISTRY.computed.features, snapshot.daily, snapshot.context),
    )


def _zoo() -> list[Model]:
    """The zoo's models take the prebuilt features (converters.zoo.training)."""
    return [Model(PREFIX + name, PREBUILT) for name in ZOO]


def _model(path: Path, app_key: AppKey | None) -> Model:
    """What the model at ``path`` was made with.

    Raises:
        InputError: it is neither a trained model nor a bundle, is sealed with another key, or takes no features.
    """
    if path.is_dir():
        trained = load_model(path)
        return Model(f"{trained.training.model} ({path.name})", trained.spec)
    if not path.name.endswith(BUNDLE):
        raise InputError(f"{path} is no folder of 'edge train' and no .bundle; give one of these as --model")
    sealed = read_sealed(path)
    if sealed.entry.tier == "app-key" and app_key is None:
        raise InputError(f"{path} is sealed with {sealed.entry.key_id}; give --app-key to look inside")
    key = bundle_key(path, sealed, app_key)
    opened = open_served(sealed.served, sealed.sha256, sealed.entry, key)
    return Model(f"{opened.record.model} {opened.record.model_version}", _spec(path, opened))


def _spec(path: Path, content: BundleContent) -> FeatureSpec:
    if bundle.FEATURE_SPEC_NAME not in content.files:
        raise InputError(
            f"{path} takes no features by name, so the catalogue has nothing to say of it; leave it out"
        )
    data = bytes(content.files[bundle.FEATURE_SPEC_NAME])
    try:
        return FeatureSpec.from_json(document.parse(data, "feature_spec.json", max_bytes=_MAX_SPEC_BYTES))
    except DefinitionError as error:
        raise InputError(f"{path}: {error}; build the bundle again with this version") from error


def _distinct(models: Iterable[Model]) -> list[Model]:
    """The twins of a model (TFLite, Core ML, ONNX) are one taker."""
    return list({(model.name, model.spec.fingerprint()): model for model in models}.values())
