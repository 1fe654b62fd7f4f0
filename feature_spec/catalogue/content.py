"""What a catalogue shows, before any of it is HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from feature_spec.catalogue.distribution import Distribution
from feature_spec.definition import Feature, FeatureSpec
from feature_spec.registry import Definition, Registry


@dataclass(frozen=True)
class Model:
    """A model that takes features.

    Attributes:
        name: for people, such as ``zoo:goal-success``.
        spec: the definitions it was made with.
    """

    name: str
    spec: FeatureSpec


@dataclass(frozen=True)
class Use:
    """That a model takes a feature.

    Attributes:
        model: its name.
        as_here: whether its definition is the registry's; where not, what it computes is another thing.
        version: of its definition.
    """

    model: str
    as_here: bool
    version: int


@dataclass(frozen=True)
class Content:
    """Everything on the page.

    Attributes:
        registry: the names.
        models: who takes them.
        data: what the distributions were made of, in words; empty without data.
        notices: what reading the data left out.
        distributions: by the name of the feature.
    """

    registry: Registry
    models: Sequence[Model] = ()
    data: str = ""
    notices: Sequence[str] = ()
    distributions: Mapping[str, Distribution] = field(default_factory=dict)

    def uses(self, definition: Definition) -> tuple[Use, ...]:
        """The models that take ``definition``, or another definition under its name."""
        found = []
        for model in self.models:
            for feature in model.spec.features:
                if feature.name == definition.name:
                    found.append(Use(model.name, _same(feature, definition), feature.version))
        return tuple(found)


def _same(feature: Feature, definition: Definition) -> bool:
    return isinstance(definition, Feature) and feature.to_json() == definition.to_json()
