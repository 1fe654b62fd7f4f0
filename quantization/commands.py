"""The ``quantize`` command: a model file in, a smaller one out."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import click

from feature_spec.files import write_whole
from quantization.errors import ArtifactError, QuantizationError
from quantization.recipes import RECIPES, recipe_named
from quantization.weight_int8 import quantize_weights


@click.command()
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option(
    "--recipe", required=True, metavar="NAME", help=f"How to store the numbers: {', '.join(RECIPES)}."
)
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write the smaller file; written whole or not at all.",
)
def quantize(artifact: Path, recipe: str, out: Path) -> dict[str, Any]:
    """Make the TFLite file ARTIFACT smaller by a recipe and write the result to --out."""
    chosen = recipe_named(recipe)
    if os.path.realpath(artifact) == os.path.realpath(out):
        raise ArtifactError(f"--out {out} is the file that is read; choose another name")
    try:
        before = artifact.read_bytes()
    except OSError as error:
        raise ArtifactError(f"cannot read {artifact}: {error.strerror}") from error
    try:
        after = quantize_weights(before, chosen)
    except QuantizationError as error:
        raise type(error)(f"{artifact}: {error}") from error
    _write(out, after)
    return {
        "recipe": chosen.name,
        "input": _described(artifact, before),
        "output": _described(out, after),
        "ratio": round(len(after) / len(before), 4),
    }


def _described(path: Path, content: bytes) -> dict[str, Any]:
    return {"path": str(path), "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _write(path: Path, content: bytes) -> None:
    try:
        write_whole(path, content)
    except OSError as error:
        raise ArtifactError(f"cannot write {path}: {error.strerror}") from error
