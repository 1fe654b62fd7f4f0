"""Feature models: converted for one target, and compared with the reference before anybody gets them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from converters.errors import ConversionError, GateError
from converters.gates import run_artifact
from converters.made_up_days import made_up_days
from converters.pipeline import convert_source
from converters.sources import features_source
from converters.targets import Artifact, plan
from feature_spec.definition import FeatureSpec
from feature_spec.files import sync_folder, write_whole
from feature_spec.tensorflow_evaluator import FEATURES_OUTPUT
from quantization.recipes import FP32

PEOPLE: Final = 1000
TOLERANCE: Final = 1e-5
"""Largest difference of a feature, absolute below 1 and relative above."""

MIN_ALIKE: Final = 0.99
"""Share of people of whom every feature must be within ``TOLERANCE``: the others may stand where a comparison of
computed fractions jumps, as docs/protocol/day-input.md tells."""


@dataclass(frozen=True)
class FeatureModel:
    """A feature model, and how it was found.

    Attributes:
        artifact: its files.
        people: made-up people whose features were compared with the reference.
        worst: largest difference of any feature of anybody, absolute below 1 and relative above.
        jumped: people with a feature beyond ``TOLERANCE``.
    """

    artifact: Artifact
    people: int
    worst: float
    jumped: int


def convert_features(spec: FeatureSpec, target: str, people: int = PEOPLE) -> FeatureModel:
    """The features of ``spec`` as a model of one target, in float32.

    Raises:
        UnsupportedError: an unknown target.
        ConversionError: the target cannot express it.
        GateError: it does not compute what the reference computes.
        MissingExtraError: a converter is not installed.
    """
    artifact = convert_source(plan(target, FP32.name), features_source(spec))
    days = made_up_days(spec, people)
    expected = days.features.astype(np.float64)
    given = run_artifact(artifact, days)[FEATURES_OUTPUT]
    if given.shape != expected.shape or not np.isfinite(given).all():
        raise GateError(
            f"{artifact.plan} gives features {given.shape}, or not finite; {expected.shape} are needed"
        )
    apart: Any = (np.abs(given - expected) / np.maximum(1, np.abs(expected))).max(axis=1)
    jumped = int((apart > TOLERANCE).sum())
    if jumped > (1 - MIN_ALIKE) * len(days):
        raise GateError(
            f"{artifact.plan} differs from the reference in the features of {jumped} of {len(days)} people, by up to "
            f"{apart.max():.3g}; compare whole numbers, not computed fractions, in less, equals, bucketize and mod"
        )
    return FeatureModel(artifact, len(days), float(apart.max()), jumped)


def write_artifact(artifact: Artifact, out: Path) -> None:
    """Write the artifact's file, in place of an older one, or its folder, which must not exist: whole or not at all.

    Raises:
        ConversionError: the place is taken, or cannot be written.
    """
    if artifact.is_folder and out.exists():
        raise ConversionError(f"{out} exists; name a new folder for the package")
    partial = out.with_name(f".{out.name}.partial")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if not artifact.is_folder:
            write_whole(out, artifact.content)
            return
        shutil.rmtree(partial, ignore_errors=True)
        for name, content in artifact.package.items():
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            write_whole(partial / name, content)
        partial.replace(out)
        sync_folder(out.parent)
    except OSError as error:
        raise ConversionError(f"{out}: cannot be written ({error.strerror}); choose another --out") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
