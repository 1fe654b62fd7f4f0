"""One conversion of one ensemble for all tests of a worker: the converters take seconds to load."""

from __future__ import annotations

from functools import cache

from converters.ensemble import Ensemble
from converters.pipeline import Conversion, convert_ensemble
from converters.targets import TARGETS, Artifact, plan
from quantization.recipes import RECIPES
from tests.converters.sources.builders import random_ensemble, random_rows

ROWS = random_rows(1000, seed=7)


@cache
def ensemble() -> Ensemble:
    return random_ensemble(3, trees=20, depth=7, widths=(64, 32))


@cache
def conversion() -> Conversion:
    return convert_ensemble(ensemble(), TARGETS, tuple(RECIPES), rows=ROWS)


def artifact(target: str, recipe: str = "fp32") -> Artifact:
    (found,) = (made for made in conversion().artifacts if made.plan == plan(target, recipe))
    return found
