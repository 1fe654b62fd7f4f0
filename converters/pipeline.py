"""From an ensemble to artifacts that are proven to agree: plan, convert, quantize, compare, and only then write."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from converters.days import DayInputs
from converters.ensemble import Ensemble
from converters.errors import ConversionError, GateError, UnsupportedError
from converters.gates import TwinsReport, check, compare_twins
from converters.sources import Source, days_source, ensemble_source
from converters.targets import Artifact, Plan, plan, plans
from converters.zoo.progress import Progress, silent
from quantization.errors import QuantizationError
from quantization.recipes import FP32
from quantization.weight_int8 import quantize_weights

REPORT: Final = "conversion.json"
_FORMAT: Final = "coach-edge/conversion/1"


@dataclass(frozen=True)
class Conversion:
    """Artifacts of one model, and the proof that they agree."""

    artifacts: tuple[Artifact, ...]
    twins: TwinsReport

    def to_json(self) -> dict[str, Any]:
        """Sizes and agreement, as ``edge convert --json`` prints them."""
        return {
            "format": _FORMAT,
            "artifacts": [
                {
                    "target": artifact.plan.target,
                    "recipe": artifact.plan.recipe.name,
                    "path": f"{artifact.plan}/{artifact.payload}",
                    "bytes": artifact.size,
                    "sha256": artifact.sha256,
                }
                for artifact in self.artifacts
            ],
            "twins": self.twins.to_json(),
        }


def wanted_plans(targets: Sequence[str], recipes: Sequence[str], *, days: bool) -> tuple[Plan, ...]:
    """What to make, checked before any time is spent.

    Raises:
        UnsupportedError: as ``convert_ensemble``.
    """
    wanted = plans(tuple(targets), tuple(recipes))
    changing = [each.recipe.name for each in wanted if each.recipe.changes_weights]
    if days and changing:
        raise UnsupportedError(
            f"a model that takes days cannot be stored as {changing[0]}, which would change the weights that its "
            f"features are made with; use {FP32.name}"
        )
    return wanted


def convert_ensemble(
    ensemble: Ensemble,
    targets: Sequence[str],
    recipes: Sequence[str] = (FP32.name,),
    *,
    rows: NDArray[np.float32] | DayInputs,
    progress: Progress = silent,
) -> Conversion:
    """Convert a model for every target, quantize where a recipe says so, and prove that all twins agree.

    Args:
        ensemble: the trained model.
        targets: of ``converters.targets.TARGETS``.
        recipes: of ``quantization.recipes.RECIPES``; each is made for the targets that can have it, and
            float32, the reference on a device, for all of them.
        rows: float32 [n, F] on which the twins are compared, n at least 1; best people held out of training. Day
            inputs make models that take days: the features are computed in front of the ensemble, in one graph.
        progress: told the stages ``convert`` (artifacts made) and ``twins`` (0 or 1).

    Raises:
        UnsupportedError: an unknown target or recipe, or a recipe that fits none of the targets, or days.
        ConversionError: a target cannot express the model.
        GateError: twins disagree, or there are no rows.
        MissingExtraError: a converter is not installed.
    """
    wanted = wanted_plans(targets, recipes, days=isinstance(rows, DayInputs))
    if not len(rows):
        raise GateError("no rows to compare the twins on: nothing can be proven; pass some held-out rows")
    source = days_source(rows.spec, ensemble) if isinstance(rows, DayInputs) else ensemble_source(ensemble)
    made: dict[Plan, Artifact] = {}
    progress("convert", 0, len(wanted))
    for each in wanted:
        made[each] = _made(each, source, made)
        progress("convert", len(made), len(wanted))
    progress("twins", 0, 1)
    artifacts = tuple(made.values())
    report = compare_twins(ensemble, artifacts, rows)
    check(report)
    progress("twins", 1, 1)
    return Conversion(artifacts, report)


def write_conversion(conversion: Conversion, out: Path) -> None:
    """Write ``TARGET-RECIPE/model…`` for every artifact and ``conversion.json``: all of it, or nothing.

    Raises:
        ConversionError: ``out`` exists and is not an empty directory, or cannot be written.
    """
    partial = out.with_name(f".{out.name}.partial")
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise ConversionError(f"{out} exists and is not empty; name a new directory for the artifacts")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for artifact in conversion.artifacts:
            for name, content in artifact.files.items():
                _write(partial / str(artifact.plan) / name, content)
        _write(partial / REPORT, json.dumps(conversion.to_json(), indent=1).encode() + b"\n")
        partial.replace(out)
    except OSError as error:
        raise ConversionError(f"cannot write {out}: {error.strerror}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _made(each: Plan, source: Source, made: dict[Plan, Artifact]) -> Artifact:
    if each.recipe.changes_weights:
        exact = made[plan(each.target, FP32.name)]
        try:
            return Artifact.of(each, quantize_weights(exact.content, each.recipe))
        except QuantizationError as error:
            raise ConversionError(f"{each}: {error}") from error
    return convert_source(each, source)


def convert_source(each: Plan, source: Source) -> Artifact:
    """A source as it is, in float32, for the target of the plan.

    Raises:
        ConversionError: the target cannot express the model.
        MissingExtraError: a converter is not installed.
    """
    # Each target's tools are its own extra seconds: only what is asked for is loaded.
    from converters.targets import coreml, onnx, tflite

    if each.target == "tflite":
        return Artifact.of(each, tflite.convert(source))
    if each.target == "coreml":
        return Artifact.of(each, coreml.convert(source))
    return Artifact.of(each, onnx.convert(source))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
