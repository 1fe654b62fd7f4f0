"""What a feature is: a name, a range, what to say when nothing is known, and one expression."""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from feature_spec.canonical import fingerprint
from feature_spec.dtypes import DTYPES, FLAG, FLOAT32
from feature_spec.errors import DefinitionError
from feature_spec.expression import SCALAR, Expression, maximum, minimum, where
from feature_spec.parameters import is_finite
from feature_spec.program import Program, flatten
from feature_spec.units import UNITS, describe
from feature_spec.vocabulary import CHANNELS, CONTEXT, EVENT_TYPES, LAYOUT_VERSION, MAX_CELL, WINDOW_DAYS

if TYPE_CHECKING:
    from feature_spec.numpy_plan import Plan

FORMAT_VERSION: Final = 2
"""Version of the JSON document of a feature spec."""

_LARGEST: Final = 2**31 - 1
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_LAYOUT: Final[dict[str, Any]] = {
    "version": LAYOUT_VERSION,
    "window_days": WINDOW_DAYS,
    "event_types": list(EVENT_TYPES),
    "channels": list(CHANNELS),
    "context": list(CONTEXT),
}


DEFAULT_TTL_S: Final = 3600
"""An hour: what the day input says hardly changes faster."""


@dataclass(frozen=True)
class Feature:
    """One feature: always a finite number within [low, high], whatever is known of the user.

    Attributes:
        name: lower-case words joined by underscores.
        version: grows when the meaning changes; a released definition is never changed in place.
        unit: what the number counts: a text of ``UNITS`` that means the unit of the expression.
        low: smallest value; results are clipped to it.
        high: largest value.
        missing: the value where ``known`` is 0, within [low, high].
        meaning: one sentence for people: what it says and why it is computed so.
        source: where the feature comes from.
        expression: the formula, a scalar.
        known: a scalar, 0 where the inputs of the formula are unknown; None where they never are.
        dtype: one of ``DTYPES``: ``int32`` and ``flag`` are promises that the number is whole, or 0 or 1.
        ttl_s: for how many seconds a computed value is fresh.

    Raises:
        DefinitionError: something is out of range or of the wrong kind.
    """

    name: str
    version: int
    unit: str
    low: float
    high: float
    missing: float
    meaning: str
    source: str
    expression: Expression
    known: Expression | None = None
    dtype: str = FLOAT32
    ttl_s: int = DEFAULT_TTL_S

    def __post_init__(self) -> None:
        self._check_numbers()
        self._check_trees()
        self._check_dtype()

    def _check_numbers(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise DefinitionError(
                f"the feature name {self.name!r} is not lower_case_words of at most 63 characters"
            )
        for key in ("version", "ttl_s"):
            whole = getattr(self, key)
            if isinstance(whole, bool) or not isinstance(whole, int) or not 1 <= whole <= _LARGEST:
                raise DefinitionError(
                    f"feature {self.name}: {key} is {whole!r:.40}; give a positive integer to {_LARGEST}"
                )
        for key in ("unit", "meaning", "source"):
            text = getattr(self, key)
            if not isinstance(text, str) or not text:
                raise DefinitionError(f"feature {self.name}: {key} is empty; say it in words")
            if not _is_unicode(text):
                raise DefinitionError(
                    f"feature {self.name}: {key} holds a lone surrogate, which UTF-8 has not; remove it"
                )
        for key in ("low", "high", "missing"):
            number = getattr(self, key)
            if not is_finite(number):
                raise DefinitionError(
                    f"feature {self.name}: {key} is {number!r:.40}; give a finite number that float32 holds"
                )
            object.__setattr__(self, key, float(number))
        if not self.low <= self.missing <= self.high or self.low >= self.high:
            raise DefinitionError(f"feature {self.name}: need low <= missing <= high and low < high")

    def _check_trees(self) -> None:
        for key in ("expression", "known"):
            tree = getattr(self, key)
            if key == "known" and tree is None:
                continue
            if not isinstance(tree, Expression):
                raise DefinitionError(f"feature {self.name}: {key} is {tree!r:.60}; give an expression")
            if tree.kind != SCALAR:
                raise DefinitionError(
                    f"feature {self.name}: {key} is one number a day; reduce it to one number"
                )
        if self.unit not in UNITS:
            raise DefinitionError(
                f"feature {self.name}: unknown unit {self.unit!r:.60}; the units are {', '.join(UNITS)}"
            )
        try:
            _ = (
                self.guarded
            )  # range and known make the tree larger: what nobody could compute is refused here
        except DefinitionError as error:
            raise DefinitionError(f"feature {self.name}, with its range and known: {error}") from None
        counted = self.expression.unit
        if counted is not None and counted != UNITS[self.unit]:
            raise DefinitionError(
                f"feature {self.name}: the unit '{self.unit}' counts {UNITS[self.unit]}, but the expression "
                f"{describe(counted)}; change the one or the other"
            )

    def _check_dtype(self) -> None:
        if self.dtype not in DTYPES:
            raise DefinitionError(
                f"feature {self.name}: unknown dtype {self.dtype!r:.40}; use one of {', '.join(DTYPES)}"
            )
        if self.dtype == FLOAT32:
            return
        if not (self.expression.whole and all(x.is_integer() for x in (self.low, self.high, self.missing))):
            raise DefinitionError(
                f"feature {self.name}: {self.dtype} needs an expression, low, high and missing that are whole "
                f"whatever the input is, and {self.formula:.60} in {self.low:g}..{self.high:g} is not known to be; "
                "use float32"
            )
        if max(-self.low, self.high) > MAX_CELL:
            raise DefinitionError(
                f"feature {self.name}: {self.dtype} in {self.low:g}..{self.high:g} is beyond 2^24, to which float32 "
                "tells whole numbers apart; narrow the range"
            )
        if self.dtype == FLAG and (self.low, self.high) != (0, 1):
            raise DefinitionError(f"feature {self.name}: a flag is 0..1, not {self.low:g}..{self.high:g}")

    @property
    def formula(self) -> str:
        """The expression in readable form, without the clipping and the missing value."""
        return str(self.expression)

    @cached_property
    def guarded(self) -> Expression:
        """The whole feature as one expression: missing where unknown, clipped to its range."""
        clipped = maximum(minimum(self.expression, self.high), self.low)
        return clipped if self.known is None else where(self.known, clipped, self.missing)

    def to_json(self) -> dict[str, Any]:
        """The definition as JSON; ``from_json`` reads it back."""
        document = {item.name: getattr(self, item.name) for item in fields(self)}
        document["expression"] = self.expression.to_json()
        document["known"] = None if self.known is None else self.known.to_json()
        return document

    @classmethod
    def from_json(cls, data: Any) -> Feature:
        """Read one definition.

        Raises:
            DefinitionError: missing or unknown keys, or a definition that does not hold.
        """
        document = _object(data, [item.name for item in fields(cls)], "a feature")
        document["expression"] = Expression.from_json(document["expression"])
        if document["known"] is not None:
            document["known"] = Expression.from_json(document["known"])
        return cls(**document)


@dataclass(frozen=True)
class FeatureSpec:
    """Features in the order in which a model takes them.

    Raises:
        DefinitionError: no feature, or one name twice.
    """

    features: tuple[Feature, ...]

    def __post_init__(self) -> None:
        for feature in self.features:
            if not isinstance(feature, Feature):
                raise DefinitionError(f"a feature spec is made of features, got {feature!r:.60}")
        if not self.features:
            raise DefinitionError("a feature spec needs at least one feature")
        repeated = sorted(name for name, count in Counter(self.names).items() if count > 1)
        if repeated:
            raise DefinitionError(f"the feature {repeated[0]} is defined twice; remove one of them")

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in order."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def program(self) -> Program:
        """All features, guarded and flattened: what the evaluators run."""
        return flatten(feature.guarded for feature in self.features)

    @cached_property
    def plan(self) -> Plan:
        """The program prepared for NumPy, once."""
        from feature_spec.numpy_plan import Plan  # definitions alone need no NumPy

        return Plan(self.program)

    def __getitem__(self, name: str) -> Feature:
        for feature in self.features:
            if feature.name == name:
                return feature
        raise DefinitionError(f"unknown feature '{name}'; the features are {', '.join(self.names)}")

    def to_json(self) -> dict[str, Any]:
        """The document that goes into a bundle as ``feature_spec.json``."""
        return {
            "version": FORMAT_VERSION,
            "input": copy.deepcopy(_LAYOUT),
            "features": [feature.to_json() for feature in self.features],
        }

    @classmethod
    def from_json(cls, data: Any) -> FeatureSpec:
        """Read a document that ``to_json`` wrote.

        Raises:
            DefinitionError: another version, another day input, missing or unknown keys, a bad feature, or more than
                can be computed.
        """
        version = data.get("version") if isinstance(data, Mapping) else None
        if version is not None and (version != FORMAT_VERSION or isinstance(version, bool)):
            raise DefinitionError(
                f"feature spec version {version!r:.40}: this reader knows version {FORMAT_VERSION}; "
                "write the document anew"
            )
        document = _object(data, ["version", "input", "features"], "a feature spec")
        if document["input"] != _LAYOUT:
            raise DefinitionError(
                f"the feature spec is for another day input than version {LAYOUT_VERSION} of the protocol; "
                "train the model again"
            )
        if not isinstance(document["features"], list):
            raise DefinitionError("the feature spec's 'features' is not a list")
        spec = cls(tuple(Feature.from_json(item) for item in document["features"]))
        _ = spec.program  # what is too large to compute is refused here, and not when it is used
        return spec

    def fingerprint(self) -> str:
        """SHA-256 of the canonical JSON of ``to_json``: equal for equal definitions, texts for people included."""
        return fingerprint(self.to_json())


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _object(data: Any, keys: list[str], what: str) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise DefinitionError(f"{what} is an object with {', '.join(keys)}, not {type(data).__name__}")
    unknown = sorted(str(key) for key in data if key not in keys)
    missing = [key for key in keys if key not in data]
    if unknown or missing:
        problem = f"unknown key '{unknown[0]}'" if unknown else f"missing key '{missing[0]}'"
        raise DefinitionError(f"{what} has the {problem}; its keys are {', '.join(keys)}")
    return dict(data)
