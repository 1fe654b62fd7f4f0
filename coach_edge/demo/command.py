"""``edge demo``: events in, a verified offline prediction out; every step the real one."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from coach_edge.demo.stages import Stages
from coach_edge.demo.workdir import Workdir
from converters.zoo.progress import Progress
from edge_sdk.crypto.options import read_app_key
from edge_sdk.crypto.sealing import Sealed
from edge_sdk.errors import EdgeError
from feature_spec.commands import data_options, share
from feature_spec.dataset import DataFiles

MODEL, VERSION, CHANNEL = "goal-success", "1.0.0", "stable"
TARGETS = ("tflite", "onnx", "coreml")
RECIPES = ("fp32", "weight-int8")
CHILD_SECONDS = 120


@click.command()
@click.option(
    "--workdir",
    type=click.Path(path_type=Path),
    default=Path("edge-demo"),
    show_default=True,
    help="Folder to fill; an earlier demo's is replaced, anything else is refused.",
)
@data_options
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Where all randomness starts.",
)
@click.option(
    "--quality-threshold",
    type=float,
    callback=share,
    default=0.95,
    show_default=True,
    help="Score of `edge features check` below which the data is refused.",
)
@click.pass_context
def demo(
    ctx: click.Context,
    workdir: Path,
    data: DataFiles | None,
    cutoff_days: tuple[int, ...],
    zone: str,
    seed: int,
    quality_threshold: float,
) -> dict[str, Any]:
    """Train, convert, seal, sign, serve, fetch, stop the server, and predict offline.

    Without --events the model learns from a synthetic population.
    """
    stages = Stages(ctx.obj)
    with Workdir.building(workdir) as place:
        report = _run(place, stages, data, cutoff_days, zone, seed, quality_threshold)
        report = {"workdir": str(workdir), **report, "next": _next(workdir)}
        place.write_report(report)
    return report


def _run(
    place: Workdir,
    stages: Stages,
    data: DataFiles | None,
    cutoff_days: tuple[int, ...],
    zone: str,
    seed: int,
    quality_threshold: float,
) -> dict[str, Any]:
    report: dict[str, Any] = {"stages": stages.rows}
    with stages.stage("train"):
        report |= _train(place, data, cutoff_days, zone, seed, quality_threshold, stages.progress)
    with stages.stage("convert"):
        conversion, facts, compared = _convert(place, stages.progress)
        report["twins"] = {**compared, **conversion.twins.to_json()}
    with stages.stage("seal"):
        sealed = _seal(place, conversion, facts, stages.progress)
        report["artifacts"] = [
            {
                "target": artifact.plan.target,
                "recipe": artifact.plan.recipe.name,
                "model_kb": artifact.size / 1e3,
                "bundle_kb": len(each.served) / 1e3,
            }
            for artifact, each in zip(conversion.artifacts, sealed, strict=True)
        ]
    with stages.stage("parity"):
        report["parity"] = _parity(place, sealed)
    _distribute(place, sealed, stages, report)
    with stages.stage("predict"):
        report |= _predict(place, report.pop("people"), report["fetched"])
    return report


def _train(
    place: Workdir,
    data: DataFiles | None,
    cutoff_days: tuple[int, ...],
    zone: str,
    seed: int,
    quality_threshold: float,
    progress: Progress,
) -> dict[str, Any]:
    from converters.zoo import training
    from converters.zoo.model_dir import save_model

    source = (
        training.synthetic_data(seed, cutoff_days)
        if data is None
        else training.file_data(data, cutoff_days, zone, "not stated")
    )
    model = training.train(
        MODEL, source, seed=seed, progress=progress, quality_threshold=quality_threshold
    ).model
    save_model(model, place.model)
    record = model.training
    rows = [
        dict(zip(model.spec.names, map(float, person.features), strict=True)) for person in record.held_out
    ]
    place.people.write_text(json.dumps(rows, indent=1) + "\n")
    summary = record.data
    return {
        "data": {
            "source": summary.source,
            "people": summary.people,
            "rows": summary.rows,
            "base_rate": summary.base_rate,
            "quality": record.quality["score"],
            "notices": list(summary.notices),
        },
        "metrics": dict(record.metrics),
        "people": [{"user": person.user, "reached": bool(person.label)} for person in record.held_out],
    }


def _convert(place: Workdir, progress: Progress) -> tuple[Any, Any, dict[str, int]]:
    from converters.pipeline import convert_ensemble
    from converters.seal import facts_of
    from converters.zoo.comparison import comparison_rows
    from converters.zoo.model_dir import load_model

    model = load_model(place.model)
    compared = comparison_rows(model)
    conversion = convert_ensemble(model.ensemble, TARGETS, RECIPES, rows=compared.rows, progress=progress)
    return conversion, facts_of(model), {"people": compared.people, "made_up": compared.made_up}


def _seal(place: Workdir, conversion: Any, facts: Any, progress: Progress) -> list[Sealed]:
    from converters.release.keys import init_keys
    from converters.seal import seal_artifact
    from edge_sdk.crypto.sealed_files import write_sealed

    init_keys(place.keys, place.passphrase, datetime.now(UTC))
    app_key = read_app_key(place.keys / "app.key")
    twins = {twin.name: twin for twin in conversion.twins.twins}
    sealed = []
    for done, artifact in enumerate(conversion.artifacts):
        progress("seal", done, len(conversion.artifacts))
        sealed.append(
            seal_artifact(
                facts,
                artifact,
                name=MODEL,
                model_version=VERSION,
                app_key=app_key,
                twin=twins[str(artifact.plan)],
            )
        )
        write_sealed(sealed[-1], place.bundles)
    progress("seal", len(sealed), len(sealed))
    return sealed


def _parity(place: Workdir, sealed: list[Sealed]) -> dict[str, Any]:
    from device_tests import parity
    from device_tests.errors import VerdictFailed
    from edge_sdk.crypto.sealing import open_served

    key = read_app_key(place.keys / "app.key")
    verdict = parity.run([open_served(each.served, each.sha256, each.entry, key) for each in sealed])
    if verdict.failures:
        raise VerdictFailed(f"parity failed: {verdict.failures[0]}", verdict.to_json())
    return verdict.to_json()


def _distribute(place: Workdir, sealed: list[Sealed], stages: Stages, report: dict[str, Any]) -> None:
    """Serve, sign, publish and fetch; when this returns the server is gone."""
    from coach_edge.publish import publish_release
    from converters.release.keys import load_signers
    from model_server.client import AdminClient
    from model_server.keys import load_keys
    from model_server.serve import start

    root = (place.keys / "root.json").read_bytes()
    phrases = _passphrases(place)
    online = load_keys(place.keys / "online", root, phrases.__getitem__)
    with start(root=root, keys=online, data=place.server, bind="127.0.0.1:0") as server:
        with stages.stage("sign"):
            signers = load_signers(place.keys, root, phrases.__getitem__)
        with stages.stage("publish"), AdminClient(server.url, server.token) as client:
            report["release"] = publish_release(
                client,
                sealed,
                root,
                place.keys,
                signers,
                channel=CHANNEL,
                now=datetime.now(UTC),
                progress=stages.progress,
            )
        with stages.stage("fetch"):
            arguments = ["--server", server.url, "--root", str(place.keys / "root.json")]
            arguments += ["--cache", str(place.cache), "--app-key", str(place.keys / "app.key"), "--json"]
            fetched = _child("coach_edge", "fetch", MODEL, *arguments)
            report["fetched"] = {key: fetched[key] for key in ("status", "release", "target", "recipe")}


def _passphrases(place: Workdir) -> dict[str, str]:
    from edge_sdk.crypto.keyfiles import environment_variable

    lines = (place.root / "passphrases.env").read_text().splitlines()
    by_variable = dict(line.removeprefix("export ").split("=", 1) for line in lines)
    names = [path.stem for path in place.keys.glob("*/*.key")]
    return {name: by_variable[environment_variable(name)] for name in names}


def _predict(place: Workdir, people: list[dict[str, Any]], fetched: dict[str, Any]) -> dict[str, Any]:
    """Ten people whom the model never saw, with the server gone."""
    bundle = place.bundles / f"{MODEL}-{VERSION}-{fetched['target']}-{fetched['recipe']}.bundle"
    files = (place.cache, place.keys / "app.key", bundle, place.people)
    told = _child("coach_edge.demo.device", *map(str, files))
    predictions = [person | answer for person, answer in zip(people, told.pop("predictions"), strict=True)]
    return {"predictions": predictions, **told}


def _next(workdir: Path) -> list[str]:
    """What to try on the folder that is left."""
    cache, key = workdir / "cache", workdir / "keys" / "app.key"
    bundle = workdir / "bundles" / f"{MODEL}-{VERSION}-tflite-fp32.bundle"
    return [
        f"edge status --cache {cache}",
        f"edge predict {MODEL} --cache {cache} --app-key {key} --input {workdir / 'people.json'}",
        f"edge inspect {bundle} --app-key {key}",
        f"edge parity run {workdir / 'bundles'}/*.bundle --app-key {key}",
    ]


def _child(module: str, *arguments: str) -> Any:
    """Run a module of ours in a fresh interpreter and parse what it prints.

    Raises:
        EdgeError: it failed; its last line says why.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        text=True,
        timeout=CHILD_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise EdgeError(f"{module} {arguments[0]}: {last.removeprefix('edge: ')}")
    return json.loads(done.stdout)
