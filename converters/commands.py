"""``edge train``, ``edge zoo`` and ``edge convert``; they return what they found out.

Heavy modules are imported inside the commands: ``edge --help`` must not wait for TensorFlow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from converters.targets.plan import TARGETS
from converters.zoo.progress import Progress, silent
from feature_spec.commands import data_options, share
from feature_spec.dataset import DataFiles
from quantization.recipes import FP32, RECIPES


@click.group()
def zoo() -> None:
    """Models that can be trained by name."""


@zoo.command("list")
def list_zoo() -> dict[str, Any]:
    """List the zoo's models: what they predict, what they give, what their rules can say."""
    from converters.zoo.catalogue import ZOO

    return {
        "models": [
            {
                "name": model.name,
                "summary": model.summary,
                "label": model.label,
                "outputs": list(model.outputs),
                "risk_factors": [rule.key for rule in model.rules.risk_factors],
                "actions": [rule.key for rule in model.rules.actions],
            }
            for model in ZOO.values()
        ]
    }


@click.command()
@click.argument("name")
@data_options
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="Directory for the trained model; new, empty, or an older model to replace.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Where all randomness comes from; the same seed and data give the same model on one machine.",
)
@click.option(
    "--licence",
    default="not stated",
    show_default=True,
    help="Licence and attribution of the data, to be kept with the model.",
)
@click.option(
    "--quality-threshold",
    type=float,
    callback=share,
    default=0.95,
    show_default=True,
    help="Score of `edge features check` below which the data is refused; kept with the model.",
)
def train(
    name: str,
    data: DataFiles | None,
    cutoff_days: tuple[int, ...],
    zone: str,
    out: Path,
    seed: int,
    licence: str,
    quality_threshold: float,
) -> dict[str, Any]:
    """Fit the zoo model NAME and measure it on people it never saw.

    Without --events it is fitted on a synthetic population made from the seed.
    """
    from converters.zoo import training
    from converters.zoo.catalogue import find
    from converters.zoo.model_dir import check_out, save_model

    find(name)
    check_out(out)
    if data is None:
        source = training.synthetic_data(seed, cutoff_days)
    else:
        source = training.file_data(data, cutoff_days, zone, licence)
    trained = training.train(
        name, source, seed=seed, progress=_progress(), quality_threshold=quality_threshold
    ).model
    save_model(trained, out)
    record = trained.training
    return {
        "model": record.model,
        "out": str(out),
        "seed": seed,
        "data": record.data.to_json(),
        "quality": dict(record.quality),
        "metrics": dict(record.metrics),
        "held_out": [{"user": row.user, "cutoff": row.cutoff} for row in record.held_out],
    }


@click.command()
@click.argument("model")
@click.option(
    "--target",
    "targets",
    type=click.Choice(TARGETS),
    multiple=True,
    required=True,
    help="What to convert to; repeat it for several, which are then proven to agree.",
)
@click.option(
    "--recipe",
    "recipes",
    metavar="NAME",
    multiple=True,
    default=(FP32.name,),
    show_default=True,
    help=f"How to store the numbers: {', '.join(RECIPES)}. Repeatable; {FP32.name} is always made.",
)
@click.option(
    "--input",
    "takes",
    type=click.Choice(("features", "days")),
    default="features",
    show_default=True,
    help="What the model takes: its features, or the day input, from which the same graph computes them.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="Directory for the artifacts; new or empty.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Where the randomness comes from when MODEL is a zoo model and has to be trained first.",
)
def convert(
    model: str, targets: tuple[str, ...], recipes: tuple[str, ...], takes: str, out: Path, seed: int
) -> dict[str, Any]:
    """Convert MODEL, a directory written by `edge train`, or zoo:NAME, and prove that the twins agree.

    A zoo model is fitted on its synthetic population first. The twins answer 1,000 rows that took no part in
    training: of people set aside, and made-up ones where those are too few. Nothing is written unless all agree
    with the source. Models that take days are judged by their decisions: a last digit of a feature may be the other
    branch of a tree.
    """
    from converters import pipeline
    from converters.zoo.catalogue import PREFIX
    from converters.zoo.comparison import comparison_days, comparison_rows
    from converters.zoo.model_dir import load_model
    from converters.zoo.training import synthetic_data, train

    pipeline.wanted_plans(targets, recipes, days=takes == "days")
    if model.startswith(PREFIX):
        trained = train(model, synthetic_data(seed), seed=seed, progress=_progress()).model
    else:
        trained = load_model(Path(model))
    if takes == "days":
        days = comparison_days(trained)
        rows: Any = days
        counts = {"people": 0, "made_up": len(days)}
    else:
        compared = comparison_rows(trained)
        rows, counts = compared.rows, {"people": compared.people, "made_up": compared.made_up}
    conversion = pipeline.convert_ensemble(
        trained.ensemble, targets, recipes, rows=rows, progress=_progress()
    )
    pipeline.write_conversion(conversion, out)
    model_name = trained.training.model
    return {"model": model_name, "input": takes, "out": str(out), "rows": counts, **conversion.to_json()}


def _progress() -> Progress:
    """Who wants to know how far the work is: the terminal that mounted the command, or nobody."""
    given: Progress | None = click.get_current_context().obj
    return given or silent
