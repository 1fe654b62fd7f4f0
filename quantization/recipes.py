"""Recipes as data: what is made smaller, by how much, and what is left alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from quantization.errors import RecipeError


@dataclass(frozen=True)
class Recipe:
    """How the numbers of a model are stored.

    Attributes:
        name: as on the command line, in records and in file names.
        summary: one line for people.
        operators: TFLite operators whose weights are replaced by integers; everything else stays float32.
        weight_bits: width of those integers; 32 where nothing is replaced.
    """

    name: str
    summary: str
    operators: frozenset[str] = frozenset()
    weight_bits: int = 32

    def __post_init__(self) -> None:
        if self.weight_bits not in (8, 32) or (self.weight_bits == 32) != (not self.operators):
            raise RecipeError(
                f"recipe {self.name}: weights are 8 bits of named operators, or 32 bits of none"
            )

    @property
    def changes_weights(self) -> bool:
        """Whether an artifact of this recipe differs from the float32 one."""
        return bool(self.operators)


FP32: Final = Recipe("fp32", "float32 throughout: the reference on a phone")

# Fully connected layers only: quantizing the tables of a forest moved its answers by up to 0.98.
WEIGHT_INT8: Final = Recipe(
    "weight-int8",
    "8-bit weights per output channel in fully connected layers, computed in float32; trees untouched",
    frozenset({"FULLY_CONNECTED"}),
    8,
)

RECIPES: Final[Mapping[str, Recipe]] = MappingProxyType(
    {recipe.name: recipe for recipe in (FP32, WEIGHT_INT8)}
)


def recipe_named(name: str) -> Recipe:
    """The recipe of this name.

    Raises:
        RecipeError: there is none.
    """
    if name not in RECIPES:
        raise RecipeError(f"unknown recipe {name!r}; known: {', '.join(RECIPES)}")
    return RECIPES[name]
