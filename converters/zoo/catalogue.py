"""Which models the zoo has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from converters.ensemble import OUTPUTS
from converters.errors import UnsupportedError
from converters.zoo.goal_success.rules import RULES
from edge_sdk.contract.rules import Rules

PREFIX = "zoo:"


@dataclass(frozen=True)
class ZooModel:
    """One model that can be trained by name.

    Attributes:
        name: What ``edge train`` calls it.
        summary: One sentence.
        label: Column of the labels file that it learns.
        outputs: What its graph gives, in order.
        rules: What its predictions mean.
    """

    name: str
    summary: str
    label: str
    outputs: tuple[str, ...]
    rules: Rules


GOAL_SUCCESS = ZooModel(
    name="goal-success",
    summary="Will the person reach the goal? Random forest and neural network, joined by logistic regression.",
    label="goal_success",
    outputs=OUTPUTS,
    rules=RULES,
)

ZOO: Mapping[str, ZooModel] = MappingProxyType({model.name: model for model in (GOAL_SUCCESS,)})


def find(name: str) -> ZooModel:
    """The model of this name, with or without ``zoo:`` before it.

    Raises:
        UnsupportedError: there is none.
    """
    try:
        return ZOO[name.removeprefix(PREFIX)]
    except KeyError:
        raise UnsupportedError(
            f"unknown zoo model '{name}'; the zoo has {', '.join(sorted(ZOO))} (see: edge zoo list)"
        ) from None
