"""Mappings: TOML files that say how a foreign log becomes events, due items and people. Never code."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Final

from feature_spec.errors import DefinitionError
from feature_spec.vocabulary import EVENT_TYPES

FORMAT_VERSION: Final = 1
"""Version of the mapping file."""

PEOPLE_COLUMNS: Final = (
    "start_date",
    "observed_from",
    "observed_until",
    "account_since",
    "goal_start",
    "goal_total_days",
    "goals_completed_before",
    "goals_active",
    "goals_overdue",
)
"""What may be known of a user besides labels; the meaning is in ``population.People``."""


@dataclass(frozen=True)
class Emission:
    """One native event that a foreign event becomes: its type, and the factor its value is multiplied by."""

    event_type: str
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.event_type not in EVENT_TYPES:
            raise DefinitionError(
                f"'{self.event_type}' is no event type; the types are {', '.join(EVENT_TYPES)}"
            )
        if not math.isfinite(self.scale):
            raise DefinitionError(f"the scale of '{self.event_type}' is {self.scale}; give a finite number")


@dataclass(frozen=True)
class EventMapping:
    """Which column of the event log holds what; None where the log has no such column.

    Attributes:
        user: user id.
        event_type: foreign type, a key of ``Mapping.event_types``.
        day: whole day number; exactly one of this and ``timestamp``.
        timestamp: RFC 3339 timestamp.
        count: how often; each row counts once if None.
        value: a number that goes with the event.
        event_id: identifies an event that may be reported twice.
        goal_id: part of the content that a repeated event id must repeat.
    """

    user: str = "user_id"
    event_type: str = "event_type"
    day: str | None = None
    timestamp: str | None = None
    count: str | None = None
    value: str | None = None
    event_id: str | None = None
    goal_id: str | None = None

    def __post_init__(self) -> None:
        if (self.day is None) == (self.timestamp is None):
            raise DefinitionError("events need exactly one of the columns 'day' and 'timestamp'")


@dataclass(frozen=True)
class LabelMapping:
    """Which column of the label file holds what.

    Attributes:
        user: user id.
        labels: outcome name to column; a cell is a whole number from 0 to 100, or empty for unknown.
        group: who must not be split between training and test; the user if None.
        zone: IANA zone of the user; the one of ``--zone`` if None.
        people: columns, or one number for everybody, for the names in ``PEOPLE_COLUMNS``.
    """

    user: str = "user_id"
    labels: Dict[str, str] = field(default_factory=dict)
    group: str | None = None
    zone: str | None = None
    people: Dict[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True)
class Mapping:
    """How a foreign log is read.

    Attributes:
        events: columns of the event log.
        event_types: foreign type to the native events it becomes; an empty list drops it on purpose.
        labels: columns of the label file.
        due_day: column of the assessments file with the day on which an item falls due for everybody who is
            observed then; a row without a day is never due in the window and is left out.
    """

    events: EventMapping
    event_types: Dict[str, tuple[Emission, ...]]
    labels: LabelMapping = field(default_factory=LabelMapping)
    due_day: str = "day"


NATIVE_TYPES: Final = {name: (Emission(name),) for name in EVENT_TYPES}
"""The event types of a log that speaks our language."""


def shipped() -> tuple[str, ...]:
    """Names of the mappings that come with the package."""
    folder = resources.files("feature_spec") / "mappings"
    return tuple(
        sorted(item.name[: -len(".toml")] for item in folder.iterdir() if item.name.endswith(".toml"))
    )


def load_mapping(source: Path | str) -> Mapping:
    """Read a mapping file, or one that comes with the package by its name.

    Raises:
        DefinitionError: no such file, not TOML, an unknown key, or a value that does not hold.
    """
    if str(source) in shipped():
        text = (resources.files("feature_spec") / "mappings" / f"{source}.toml").read_text("utf-8")
        return parse_mapping(text, f"{source}.toml")
    path = Path(source)
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise DefinitionError(f"{path.name}: not UTF-8 text; save it as UTF-8") from error
    except OSError as error:
        raise DefinitionError(
            f"mapping {source}: cannot be read ({error.strerror}); give a path or one of {', '.join(shipped())}"
        ) from error
    return parse_mapping(text, path.name)


def parse_mapping(text: str, name: str) -> Mapping:
    """Parse the text of a mapping file; ``name`` is what messages call it.

    Raises:
        DefinitionError: not TOML, an unknown key, or a value that does not hold.
    """
    try:
        return _mapping(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise DefinitionError(f"{name}: not valid TOML: {error}") from error
    except DefinitionError as error:
        raise DefinitionError(f"{name}: {error}") from None


def _mapping(document: dict[str, Any]) -> Mapping:
    _known(document, "", ("version", "events", "event_types", "due", "labels"))
    version = document.get("version")
    if version != FORMAT_VERSION or isinstance(version, bool):
        raise DefinitionError(f"version is {version!r}; write version = {FORMAT_VERSION}")
    events = _section(document, "events", tuple(EventMapping.__dataclass_fields__))
    due = _section(document, "due", ("day",))
    table = document.get("event_types")
    if not isinstance(table, dict) or not table:
        raise DefinitionError("[event_types] is missing; say what each foreign event type becomes")
    return Mapping(
        events=EventMapping(**{key: _text(value, f"events.{key}") for key, value in events.items()}),
        event_types={
            foreign: _emissions(value, f"event_types.{foreign}") for foreign, value in table.items()
        },
        labels=_labels(document),
        due_day=_text(due.get("day", "day"), "due.day"),
    )


def _labels(document: dict[str, Any]) -> LabelMapping:
    section = _section(document, "labels", ("user", "columns", "group", "zone", *PEOPLE_COLUMNS))
    columns = section.get("columns", {})
    if not isinstance(columns, dict):
        raise DefinitionError("labels.columns is a table of label names and columns")
    people: dict[str, str | int] = {}
    for key in PEOPLE_COLUMNS:
        value = section.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and key != "start_date":
            people[key] = value
        elif value is not None:
            people[key] = _text(value, f"labels.{key}")
    return LabelMapping(
        user=_text(section.get("user", "user_id"), "labels.user"),
        labels={name: _text(value, f"labels.columns.{name}") for name, value in columns.items()},
        group=_text(section["group"], "labels.group") if "group" in section else None,
        zone=_text(section["zone"], "labels.zone") if "zone" in section else None,
        people=people,
    )


def _emissions(value: Any, key: str) -> tuple[Emission, ...]:
    items = value if isinstance(value, list) else [value]
    emissions = []
    for item in items:
        entry = {"as": item} if isinstance(item, str) else item
        if not isinstance(entry, dict) or "as" not in entry:
            raise DefinitionError(
                f'{key} is an event type, or a list of {{ as = "event type", scale = number }}'
            )
        _known(entry, f"{key}.", ("as", "scale"))
        scale = entry.get("scale", 1.0)
        if isinstance(scale, bool) or not isinstance(scale, int | float):
            raise DefinitionError(f"{key}.scale is {scale!r}; give a number")
        try:
            emissions.append(Emission(_text(entry["as"], f"{key}.as"), float(scale)))
        except DefinitionError as error:
            raise DefinitionError(f"{key}: {error}") from None
    return tuple(emissions)


def _section(document: dict[str, Any], name: str, keys: tuple[str, ...]) -> dict[str, Any]:
    section = document.get(name, {})
    if not isinstance(section, dict):
        raise DefinitionError(f"{name} is a table; write [{name}]")
    _known(section, f"{name}.", keys)
    return section


def _known(table: dict[str, Any], prefix: str, keys: tuple[str, ...]) -> None:
    for key in table:
        if key not in keys:
            raise DefinitionError(f"unknown key '{prefix}{key}'; the keys there are {', '.join(keys)}")


def _text(value: Any, key: str) -> str:
    if not isinstance(value, str) or not value:
        raise DefinitionError(f"{key} is {value!r}; give the name of a column")
    return value
