"""From files to a dataset: the one place that joins tables, mapping, zones and people."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from feature_spec.errors import DataError
from feature_spec.instants import parse_date, parse_instant
from feature_spec.instants import zone as zone_named
from feature_spec.mapping import (
    NATIVE_TYPES,
    PEOPLE_COLUMNS,
    Emission,
    EventMapping,
    LabelMapping,
    Mapping,
    load_mapping,
)
from feature_spec.population import Dataset, People
from feature_spec.tables import (
    Table,
    optional,
    read_amount,
    read_count,
    read_day,
    read_label,
    read_name,
    read_table,
    read_value,
)

_OPTIONAL_EVENT_COLUMNS: Final = ("value", "event_id", "goal_id")
_NUMBERS: Final = ("goal_total_days", "goals_completed_before", "goals_active", "goals_overdue")
T = TypeVar("T")

_HINT: Final = "rename a column, or say in a --mapping which column it is"


@dataclass(frozen=True)
class DataFiles:
    """Where the data is.

    Attributes:
        events: the event log.
        labels: outcomes and what else is known of each user.
        assessments: items that fall due on a day for everybody.
        mapping: a mapping file, or the name of a shipped one; None for files in the native format.
        users: user ids with the zone each lives in.
    """

    events: Path
    labels: Path | None = None
    assessments: Path | None = None
    mapping: Path | str | None = None
    users: Path | None = None


@dataclass(frozen=True)
class _Columns:
    """Native events in the order of the file; ``moment`` is an instant in a log of timestamps, else a day."""

    user: list[str] = field(default_factory=list)
    moment: list[int] = field(default_factory=list)
    event_type: list[str] = field(default_factory=list)
    count: list[float] = field(default_factory=list)
    value: list[float] = field(default_factory=list)


def load(files: DataFiles, zone: str = "UTC") -> Dataset:
    """Read, check and join the files.

    Args:
        files: where they are.
        zone: IANA zone in which local days are counted for users who have none of their own.

    Raises:
        DataError: a file that is missing or malformed; the message names file, row and column.
        DefinitionError: a mapping that does not hold.
    """
    table = read_table(files.events)
    labels = None if files.labels is None else read_table(files.labels)
    mapping = native_mapping(table, labels) if files.mapping is None else load_mapping(files.mapping)
    calendar = mapping.events.timestamp is not None
    people = None if labels is None else read_people(labels, mapping.labels, calendar)
    zones = zones_of(zone, files.users, labels, mapping.labels)
    events = _events(table, mapping)
    when: dict[str, Any] = {"instant": events.moment, "zone": zones} if calendar else {"day": events.moment}
    if people is None:
        # Without a start date nobody has a day 0 in a log of timestamps; in a log of days it is day 0.
        names = sorted(set(events.user))
        people = People(tuple(names), origin=np.full(len(names), math.nan if calendar else 0.0))
    due = (
        []
        if files.assessments is None
        else due_days(read_table(files.assessments), mapping.due_day, calendar)
    )
    try:
        dataset = Dataset.from_columns(
            user=events.user,
            event_type=events.event_type,
            count=events.count,
            value=events.value,
            people=people,
            **when,
        )
    except DataError as error:
        where = files.events.name if labels is None else f"{files.events.name} and {labels.name}"
        raise DataError(f"{where}: {error}") from None
    return dataset.with_due(due)


def native_mapping(events: Table, labels: Table | None) -> Mapping:
    """The mapping of files in the native format: which of the optional columns they have."""
    has_day, has_time = "day" in events.columns, "timestamp" in events.columns
    if has_day == has_time:
        problem = "both 'day' and 'timestamp'" if has_day else "no column 'day' or 'timestamp'"
        raise DataError(f"{events.name}: {problem} (it has {', '.join(events.columns)}); give exactly one")
    event_columns = {name: name for name in _OPTIONAL_EVENT_COLUMNS if name in events.columns}
    moment = {"day": "day"} if has_day else {"timestamp": "timestamp"}
    label_columns = {} if labels is None else labels.columns
    reserved = {"user_id", "group", "zone", *PEOPLE_COLUMNS}
    return Mapping(
        events=EventMapping(count="count", **moment, **event_columns),
        event_types=NATIVE_TYPES,
        labels=LabelMapping(
            labels={name: name for name in label_columns if name not in reserved},
            group="group" if "group" in label_columns else None,
            zone="zone" if "zone" in label_columns else None,
            people={name: name for name in PEOPLE_COLUMNS if name in label_columns},
        ),
    )


def zones_of(
    default: str, users: Path | None, labels: Table | None, columns: LabelMapping
) -> Callable[[str], tzinfo]:
    """The zone of each user: from the users file, else from the labels, else the default."""
    fallback = zone_named(default)
    names: dict[str, tzinfo] = {}
    sources = [] if labels is None or columns.zone is None else [(labels, columns.user, columns.zone)]
    if users is not None:
        sources.append((read_table(users), "user_id", "zone"))
    for table, user, column in sources:
        cells = table.parse(
            column, table.need(column, _HINT), lambda text: zone_named(text) if text else None
        )
        for name, where in zip(table.need(user, _HINT), cells, strict=True):
            if where is not None:
                names[name] = where
    return lambda user: names.get(user, fallback)


def _events(table: Table, mapping: Mapping) -> _Columns:
    columns = mapping.events

    def parsed(column: str, read: Callable[[str], T]) -> list[T]:
        return table.parse(column, table.need(column, _HINT), read)

    def maybe(column: str | None, read: Callable[[str], T], default: T) -> list[T]:
        return [default] * table.rows if column is None else parsed(column, read)

    user = parsed(columns.user, read_name)
    kinds = parsed(columns.event_type, lambda text: emitted(mapping, text))
    count = maybe(columns.count, read_count, 1.0)
    value = maybe(columns.value, read_value, math.nan)
    if columns.timestamp is not None:
        moment = parsed(columns.timestamp, parse_instant)
    else:
        moment = parsed(str(columns.day), read_day)
    first = _unrepeated(table, mapping, (user, moment, kinds, count, value))
    out = _Columns()
    for row in first:
        for emission in kinds[row]:
            out.user.append(user[row])
            out.moment.append(moment[row])
            out.event_type.append(emission.event_type)
            out.count.append(count[row])
            out.value.append(value[row] * emission.scale)
    return out


def emitted(mapping: Mapping, foreign: str) -> tuple[Emission, ...]:
    """The events that a foreign type becomes.

    Raises:
        DataError: the mapping does not name it.
    """
    try:
        return mapping.event_types[foreign]
    except KeyError:
        known = ", ".join(mapping.event_types)
        raise DataError(
            f"unknown event type '{foreign[:40]}'; the types are {known}; a mapping may add more"
        ) from None


def _unrepeated(table: Table, mapping: Mapping, content: tuple[list[Any], ...]) -> Iterable[int]:
    """Rows to count: of those of one user with one event id the first, if all say the same.

    Ids are the user's own, as on the phone, which knows nobody else's.
    """
    column = mapping.events.event_id
    if column is None:
        return range(table.rows)
    ids = table.need(column, _HINT)
    goals = [""] * table.rows if mapping.events.goal_id is None else table.need(mapping.events.goal_id, _HINT)
    seen: dict[tuple[str, str], int] = {}
    rows = []
    for row, (user, event_id) in enumerate(zip(content[0], ids, strict=True)):
        first = seen.setdefault((user, event_id), row) if event_id else row
        if first == row:
            rows.append(row)
        elif goals[first] != goals[row] or any(not _same(part[first], part[row]) for part in content):
            raise DataError(
                f"{table.at(row, column)}: the event id '{event_id[:40]}' is that of row {first + 2}, but the "
                "rows differ; give every event its own id"
            )
    return rows


def _same(left: Any, right: Any) -> bool:
    return bool(left == right) or (left != left and right != right)  # no value (NaN) equals no value


def read_people(table: Table, columns: LabelMapping, calendar: bool) -> People:
    """The users of a label file; ``calendar``: its days are dates."""
    users = table.parse(columns.user, table.need(columns.user, _HINT), read_name)
    seen: dict[str, int] = {}
    for row, user in enumerate(users):
        if seen.setdefault(user, row) != row:
            raise DataError(
                f"{table.at(row, columns.user)}: the user '{user[:40]}' is already in row {seen[user] + 2}; "
                "give each user one row"
            )
    read: dict[str, Callable[[str], float]] = dict.fromkeys(
        PEOPLE_COLUMNS, optional(parse_date if calendar else read_day)
    )
    read |= dict.fromkeys(_NUMBERS, optional(read_amount))
    known = {
        key: np.array(table.parse(source, table.need(source, _HINT), read[key]))
        for key, source in columns.people.items()
        if isinstance(source, str)
    }
    # In a log of timestamps day 0 is each user's start date; in a log of days it is day 0 unless one is given.
    origin = known.pop("start_date", np.full(len(users), math.nan if calendar else 0.0))
    for key, source in columns.people.items():
        if not isinstance(source, str):
            known[key] = np.full(len(users), float(source)) + (0.0 if key in _NUMBERS else origin)
    return People(
        users=tuple(users),
        groups=() if columns.group is None else tuple(table.need(columns.group, _HINT)),
        labels={
            name: np.array(table.parse(source, table.need(source, _HINT), read_label), np.int8)
            for name, source in columns.labels.items()
        },
        origin=origin,
        **known,
    )


def due_days(table: Table, column: str, calendar: bool) -> list[int]:
    """Days on which items fall due; a row without a day (an exam at the end) is never due in the window."""
    days = table.parse(column, table.need(column, _HINT), optional(parse_date if calendar else read_day))
    return [int(day) for day in days if not math.isnan(day)]
