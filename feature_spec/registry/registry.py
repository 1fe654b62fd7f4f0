"""All names the source has, by group, and what became of each."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from feature_spec.definition import Feature, FeatureSpec
from feature_spec.errors import DefinitionError
from feature_spec.prebuilt import PREBUILT
from feature_spec.registry import (
    behavioral_patterns,
    contextual_features,
    engagement_metrics,
    goal_metrics,
    interaction_quality,
    temporal_features,
    user_profile,
)
from feature_spec.registry.entry import Definition, Group, Input


@dataclass(frozen=True)
class Registry:
    """Groups of names, each with a definition.

    Raises:
        DefinitionError: one name twice.
    """

    groups: tuple[Group, ...]

    def __post_init__(self) -> None:
        repeated = [name for name in self.names if self.names.count(name) > 1]
        if repeated:
            raise DefinitionError(f"the name {repeated[0]} is in the registry twice; remove one of them")

    def __iter__(self) -> Iterator[tuple[Group, Definition]]:
        for group in self.groups:
            for definition in group.definitions:
                yield group, definition

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every name, in order."""
        return tuple(definition.name for _, definition in self)

    def find(self, name: str) -> tuple[Group, Definition]:
        """The definition of ``name`` and the group it is in.

        Raises:
            DefinitionError: there is none; the message names the nearest.
        """
        for group, definition in self:
            if definition.name == name:
                return group, definition
        part_of = [other for other in self.names if len(name) > 2 and name.lower() in other]
        near = difflib.get_close_matches(name, self.names, n=3) or part_of[:3]
        hint = f"did you mean {' or '.join(near)}?" if near else "see: edge features list"
        raise DefinitionError(f"unknown feature '{name:.60}'; {hint}")

    def select(self, names: Iterable[str]) -> FeatureSpec:
        """The spec of these computed features, in this order: what a model, a graph or an app's code is made of.

        Raises:
            DefinitionError: an unknown name, one that is not computed, one twice, or none.
        """
        chosen = []
        for name in names:
            item = self.find(name)[1]
            if isinstance(item, Input):
                raise DefinitionError(
                    f"{name} is not computed but comes from {item.reporter}; give it to the model beside the features"
                )
            chosen.append(item)
        return FeatureSpec(tuple(chosen))

    @cached_property
    def computed(self) -> FeatureSpec:
        """Every computed feature, in order: what a catalogue looks at. Models take their own selections."""
        return FeatureSpec(tuple(item for _, item in self if isinstance(item, Feature)))


_SOURCE_GROUPS: Final = (
    user_profile.GROUP,
    engagement_metrics.GROUP,
    goal_metrics.GROUP,
    behavioral_patterns.GROUP,
    interaction_quality.GROUP,
    temporal_features.GROUP,
    contextual_features.GROUP,
)
_LISTED: Final = {definition.name for group in _SOURCE_GROUPS for definition in group.definitions}

REGISTRY: Final = Registry(
    (
        *_SOURCE_GROUPS,
        Group(
            "prebuilt",
            "More of the prebuilt models' features",
            tuple(feature for feature in PREBUILT.features if feature.name not in _LISTED),
        ),
    )
)
"""The seven groups of the source, and the prebuilt features that it does not list."""
