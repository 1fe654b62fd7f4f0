"""What is asked for, checked before any time is spent: which targets there are and which recipes fit them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, get_args

from converters.errors import UnsupportedError
from quantization.errors import RecipeError
from quantization.recipes import FP32, WEIGHT_INT8, Recipe, recipe_named

Target = Literal["tflite", "coreml", "onnx"]
TARGETS: Final[tuple[Target, ...]] = get_args(Target)

_IMPOSSIBLE: Final[Mapping[tuple[Target, str], str]] = MappingProxyType(
    {
        ("coreml", WEIGHT_INT8.name): "iOS15 allows float32 or float16 only: weight compression needs iOS16",
        ("onnx", WEIGHT_INT8.name): "it rewrites TFLite files; ONNX is written as float32",
    }
)


@dataclass(frozen=True)
class Plan:
    """One artifact to make."""

    target: Target
    recipe: Recipe

    def __str__(self) -> str:
        return f"{self.target}-{self.recipe.name}"


def plan(target: str, recipe: str) -> Plan:
    """The plan for one artifact.

    Raises:
        UnsupportedError: the target or the recipe is unknown, or they do not go together; says why.
    """
    known, chosen = _known_target(target), _known_recipe(recipe)
    if (known, chosen.name) in _IMPOSSIBLE:
        raise UnsupportedError(
            f"recipe {chosen.name} cannot be made for {known}: {_IMPOSSIBLE[known, chosen.name]}"
        )
    return Plan(known, chosen)


def plans(targets: tuple[str, ...], recipes: tuple[str, ...]) -> tuple[Plan, ...]:
    """Every target as fp32, the reference, and with each further recipe that it can have.

    Asking for a recipe that none of the targets can have is an error; that some cannot is not: who asks for
    three targets and a small TFLite file means what we make.

    Raises:
        UnsupportedError: an unknown or repeated name, no target, or a recipe that fits none of the targets.
    """
    if not targets or len(set(targets)) != len(targets):
        raise UnsupportedError(f"name each target once, and at least one of {', '.join(TARGETS)}")
    wanted = (FP32.name, *(recipe for recipe in recipes if recipe != FP32.name))
    if len(set(wanted)) != len(wanted):
        raise UnsupportedError("name each recipe once")
    for target in targets:
        _known_target(target)
    made = []
    for recipe in wanted:
        fitting, refusals = [], []
        for target in targets:
            try:
                fitting.append(plan(target, recipe))
            except UnsupportedError as error:
                refusals.append(error)
        if not fitting:
            raise refusals[0]
        made += fitting
    return tuple(made)


def _known_target(target: str) -> Target:
    if target not in TARGETS:
        raise UnsupportedError(f"unknown target {target!r}; known: {', '.join(TARGETS)}")
    return target


def _known_recipe(recipe: str) -> Recipe:
    try:
        return recipe_named(recipe)
    except RecipeError as error:
        raise UnsupportedError(str(error)) from error
