"""What the registry holds: features that are computed, and inputs that somebody must report.

A log of sessions, messages and tasks cannot say how old a person is or how they feel. Such a name is declared all the
same, as an ``Input``: with a type, a range and a value for "not reported", so that a model which takes it knows what
comes and an app knows what to send. ``Input.encode`` is the one way a reported value becomes columns of a model's row.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from feature_spec.definition import Feature
from feature_spec.errors import DataError, DefinitionError
from feature_spec.numbers import shown
from feature_spec.vocabulary import UNKNOWN

REPORTED: Final = "reported"
TEXT: Final = "text"
ORIGINS: Final = (REPORTED, TEXT)
"""Where an input comes from: a person or a device reports it, or a text model on the device derives it."""

COMPUTED: Final = "computed"
INPUT: Final = "input"
STATUSES: Final = (COMPUTED, INPUT, TEXT)
"""Computed from the day input; declared and reported by somebody; declared and derived from text on the device."""

INPUT_DTYPES: Final = ("float32", "int32", "flag", "category")
NOT_REPORTED: Final = "unknown"
"""The first category of every category input: what holds where nobody reported any."""

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_TEXTS: Final = ("unit", "reporter", "meaning", "why_declared", "source")
Value = float | str


@dataclass(frozen=True)
class Input:
    """A value that no event carries, so that it must be reported.

    Attributes:
        name: lower-case words joined by underscores.
        version: grows when the meaning changes.
        dtype: one of ``INPUT_DTYPES``; a ``flag`` is 0 or 1, a ``category`` one of ``categories``.
        unit: what the number counts.
        low: smallest value; a report below it is refused, not clipped: it is a mistake of the app.
        high: largest value.
        missing: what a model is given where nothing was reported: a number within [low, high] that favours neither
            side, or -1 (unknown, as everywhere in the day input) where low >= 0 and no number is neutral; for a
            category, ``NOT_REPORTED``.
        ttl_s: seconds after which a report is too old to be used.
        origin: one of ``ORIGINS``.
        reporter: who reports it, in words.
        meaning: one or two sentences for people.
        why_declared: why the event log cannot carry it.
        source: where the name comes from.
        categories: the closed list of a category input, ``NOT_REPORTED`` first; empty for numbers.

    Raises:
        DefinitionError: something is out of range or of the wrong kind.
    """

    name: str
    version: int
    dtype: str
    unit: str
    low: float
    high: float
    missing: Value
    ttl_s: int
    origin: str
    reporter: str
    meaning: str
    why_declared: str
    source: str
    categories: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise DefinitionError(
                f"the input name {self.name!r} is not lower_case_words of at most 63 characters"
            )
        for key in ("version", "ttl_s"):
            number = getattr(self, key)
            if isinstance(number, bool) or not isinstance(number, int) or number < 1:
                raise self._bad(f"{key} is {number!r}; give a positive whole number")
        for key in _TEXTS:
            text = getattr(self, key)
            if not isinstance(text, str) or not text:
                raise self._bad(f"{key} is empty; say it in words")
        for key, known in (("dtype", INPUT_DTYPES), ("origin", ORIGINS)):
            if getattr(self, key) not in known:
                raise self._bad(f"{key} is {getattr(self, key)!r}; use one of {', '.join(known)}")
        if not (_is_finite(self.low) and _is_finite(self.high) and self.low < self.high):
            raise self._bad("need finite numbers low < high")
        object.__setattr__(self, "low", float(self.low))
        object.__setattr__(self, "high", float(self.high))
        if self.dtype == "category":
            self._check_categories()
        else:
            self._check_missing()

    def _check_categories(self) -> None:
        names = self.categories
        if (
            len(names) < 3
            or len(set(names)) != len(names)
            or not all(_NAME.fullmatch(name) for name in names)
        ):
            raise self._bad("a category needs at least two different lower_case_words besides 'unknown'")
        if names[0] != NOT_REPORTED or self.missing != NOT_REPORTED:
            raise self._bad(f"'{NOT_REPORTED}' is the first category, and what holds where none was reported")
        if (self.low, self.high) != (0, 1):
            raise self._bad("the columns of a category are 0 or 1; give low 0 and high 1")

    def _check_missing(self) -> None:
        if self.categories:
            raise self._bad("only a category has categories")
        if self.dtype == "flag" and (self.low, self.high) != (0, 1):
            raise self._bad("a flag is 0 or 1; give low 0 and high 1")
        neutral = _is_finite(self.missing) and self.low <= float(self.missing) <= self.high
        if not neutral and not (self.missing == UNKNOWN and self.low >= 0):
            raise self._bad(
                f"missing is {self.missing!r}; give a number within the range, or -1 where low >= 0"
            )

    def _bad(self, what: str) -> DefinitionError:
        return DefinitionError(f"input {self.name}: {what}")

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that it takes in a model's row: one, or one a category."""
        if self.dtype != "category":
            return (self.name,)
        return tuple(f"{self.name}.{category}" for category in self.categories)

    def encode(self, value: object) -> tuple[float, ...]:
        """A reported value as the numbers of its columns; None is "not reported".

        A category becomes one 1 among zeros: categories have no order that a number could stand for.

        Raises:
            DataError: a value that this input does not take.
        """
        if value is None:
            value = self.missing
        elif self.dtype != "category" and not self._takes(value):
            raise DataError(
                f"{self.name} is {shown(value)}; give {self.takes}, or nothing where it is not known"
            )
        if self.dtype != "category":
            return (float(value),)  # type: ignore[arg-type]
        if value not in self.categories:
            raise DataError(f"{self.name} is {shown(value)}; give {self.takes}")
        return tuple(float(category == value) for category in self.categories)

    def _takes(self, value: object) -> bool:
        if not _is_finite(value) or not self.low <= float(value) <= self.high:  # type: ignore[arg-type]
            return False
        return self.dtype == "float32" or float(value).is_integer()  # type: ignore[arg-type]

    @property
    def takes(self) -> str:
        """What may be reported, in words."""
        if self.dtype == "category":
            return "one of " + ", ".join(self.categories)
        if self.dtype == "flag":
            return "0 or 1"
        kind = "a whole number" if self.dtype == "int32" else "a number"
        return f"{kind} from {self.low:g} to {self.high:g}"

    def to_json(self) -> dict[str, Any]:
        """The declaration as JSON; ``from_json`` reads it back."""
        return {item.name: getattr(self, item.name) for item in fields(self)} | {
            "categories": [*self.categories]
        }

    @classmethod
    def from_json(cls, data: Any) -> Input:
        """Read one declaration.

        Raises:
            DefinitionError: missing or unknown keys, or a declaration that does not hold.
        """
        names = [item.name for item in fields(cls)]
        if not isinstance(data, Mapping) or sorted(map(str, data)) != sorted(names):
            raise DefinitionError(f"an input is an object with {', '.join(names)}")
        categories = data["categories"]
        if not isinstance(categories, list) or not all(isinstance(item, str) for item in categories):
            raise DefinitionError("an input's categories are a list of texts")
        return cls(**{**data, "categories": tuple(categories)})


Definition = Feature | Input


def status(definition: Definition) -> str:
    """One of ``STATUSES``."""
    if isinstance(definition, Feature):
        return COMPUTED
    return TEXT if definition.origin == TEXT else INPUT


@dataclass(frozen=True)
class Group:
    """Names that belong together.

    Attributes:
        name: as the source calls it.
        title: for people.
        definitions: in the source's order.
    """

    name: str
    title: str
    definitions: tuple[Definition, ...]


def _is_finite(number: object) -> bool:
    return (
        isinstance(number, int | float) and not isinstance(number, bool) and abs(number) <= sys.float_info.max
    )
