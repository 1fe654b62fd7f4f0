"""From files to what is judged: an event log in parts, so that memory holds columns of numbers and not its text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any, Final, TypeVar

import numpy as np

from feature_spec import ingest
from feature_spec.instants import DAY_MS, local_milliseconds, parse_instant
from feature_spec.mapping import Mapping, load_mapping
from feature_spec.quality.log import Ints, Log, Subject
from feature_spec.tables import (
    Table,
    optional,
    read_count,
    read_day,
    read_name,
    read_parts,
    read_table,
    read_value,
)

PART_ROWS: Final = 50_000
_HINT: Final = "rename a column, or say in a --mapping which column it is"
_RECEIVED: Final = "received_at"
T = TypeVar("T")


def read_subject(
    files: ingest.DataFiles, zone: str = "UTC", *, now: int | None = None, as_of: int | None = None
) -> Subject:
    """Read what is judged.

    Unlike ``load`` it takes rows that share an event id and differ: that is a finding. A column ``received_at`` of a
    log of time stamps (when a server got the row) is looked at too.

    Args:
        files: where the data is.
        zone: IANA zone of users who have none of their own.
        now: milliseconds since 1970; what happened later is a wrong clock.
        as_of: milliseconds since 1970 for which the data is meant to be fresh.

    Raises:
        DataError: a file that is missing or malformed; the message names file, row and column.
        DefinitionError: a mapping that does not hold.
    """
    labels = None if files.labels is None else read_table(files.labels)
    mapping = None if files.mapping is None else load_mapping(files.mapping)
    parts = read_parts(files.events, PART_ROWS)
    first = next(parts)
    mapping = mapping or ingest.native_mapping(first, labels)
    calendar = mapping.events.timestamp is not None
    people = None if labels is None else ingest.read_people(labels, mapping.labels, calendar)
    zones = ingest.zones_of(zone, files.users, labels, mapping.labels)
    due = (
        []
        if files.assessments is None
        else ingest.due_days(read_table(files.assessments), mapping.due_day, calendar)
    )
    columns = _Columns(mapping)
    columns.add(first)
    for part in parts:
        columns.add(part)
    return Subject(columns.log(zones), people, due_for_all=bool(due), now=now, as_of=as_of)


@dataclass
class _Codes:
    """A number for each name, in the order in which they come."""

    code: dict[str, int] = field(default_factory=dict)

    def of(self, names: Sequence[str]) -> Ints:
        code = self.code
        return np.array([code.setdefault(name, len(code)) for name in names], np.int64)


class _Columns:
    """Collects the parts of a log as arrays."""

    def __init__(self, mapping: Mapping) -> None:
        self._mapping = mapping
        self._users, self._kinds = _Codes(), _Codes()
        self._kinds.of(tuple(mapping.event_types))
        self._parts: dict[str, list[Any]] = {}

    def add(self, part: Table) -> None:
        """Read a part; as strict as ``load``, and with the same words."""
        columns, put = self._mapping.events, self._put

        def cells(column: str | None, read: Callable[[str], T]) -> list[T] | None:
            return None if column is None else part.parse(column, part.need(column, _HINT), read)

        put("user", self._users.of(cells(columns.user, read_name) or ()))
        put("kind", self._kinds.of(cells(columns.event_type, self._type) or ()))
        count = cells(columns.count, read_count)
        put("count", np.ones(part.rows) if count is None else np.array(count, np.float64))
        value = cells(columns.value, read_value)
        put("value", np.full(part.rows, np.nan) if value is None else np.array(value, np.float64))
        if columns.timestamp is None:
            put("day", np.array(cells(columns.day, read_day), np.int64))
        else:
            put("instant", _instants(part, columns.timestamp))
            if _RECEIVED in part.columns:
                put("received", _instants(part, _RECEIVED, empty=True))
        for name, column in (("event_id", columns.event_id), ("goal", columns.goal_id)):
            if column is not None:
                put(name, _hashes(part.need(column, _HINT)))

    def log(self, zones: Callable[[str], tzinfo]) -> Log:
        """All parts as one log."""
        columns = {name: np.concatenate(parts) for name, parts in self._parts.items()}
        if "instant" in columns:
            local = _local(columns["instant"], columns["user"], self._users.code, zones)
            columns["day"], columns["local_ms"] = local // DAY_MS, local % DAY_MS
        return Log(
            users=tuple(self._users.code),
            kinds=tuple(self._kinds.code),
            emissions=self._mapping.event_types,
            user=columns["user"],
            kind=columns["kind"],
            day=columns["day"],
            count=columns["count"],
            value=columns["value"],
            instant=columns.get("instant"),
            local_ms=columns.get("local_ms"),
            event_id=columns.get("event_id"),
            goal=columns.get("goal"),
            received=columns.get("received"),
        )

    def _put(self, name: str, values: Any) -> None:
        self._parts.setdefault(name, []).append(values)

    def _type(self, text: str) -> str:
        ingest.emitted(self._mapping, text)
        return text


def _hashes(texts: Sequence[str]) -> Ints:
    """64 bits of each text, 0 for an empty one. Two of ten million ids are alike with a chance of one to 10^5."""
    return np.array([hash(text) or 1 if text else 0 for text in texts], np.int64)


def _instants(part: Table, column: str, *, empty: bool = False) -> Ints:
    """Milliseconds since 1970 of a column of time stamps; 0 for an empty cell where that is allowed."""
    texts = part.need(column, _HINT)
    try:
        # Most logs are written in one form; NumPy's own parser is laxer, so the shape is checked first.
        if all(len(text) == 20 and text[10] == "T" and text[19] == "Z" for text in texts):
            flat = "".join(texts)
            letters = np.frombuffer(flat.encode("ascii"), np.uint8).reshape(-1, 20)
            digits = letters[:, [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18]]
            marks = letters[:, [4, 7, 13, 16]]
            years = digits[:, :4].astype(np.int64) @ [1000, 100, 10, 1] - 48 * 1111
            shaped = ((digits >= 48) & (digits <= 57)).all() and (marks == [45, 45, 58, 58]).all()
            if shaped and (years >= 1970).all() and (years < 2200).all():
                moments = letters[:, :19].copy().view("S19").ravel().astype("datetime64[s]")
                return moments.astype(np.int64) * 1000
    except (ValueError, UnicodeEncodeError):
        pass  # one of them is no such moment: read one by one, the first bad one is named
    read: Callable[[str], float] = optional(parse_instant) if empty else parse_instant
    return np.array(
        [0 if math.isnan(value) else int(value) for value in part.parse(column, texts, read)], np.int64
    )


def _local(instant: Ints, user: Ints, users: dict[str, int], zones: Callable[[str], tzinfo]) -> Ints:
    """What the clock of each row's user shows, as milliseconds since 1970 on that clock."""
    where = [zones(name) for name in users]
    distinct = {id(zone): zone for zone in where}
    number = {key: place for place, key in enumerate(distinct)}
    zone_of_row = np.array([number[id(zone)] for zone in where], np.int64)[user]
    local = np.empty(len(instant), np.int64)
    for place, zone in enumerate(distinct.values()):
        rows = np.flatnonzero(zone_of_row == place)
        local[rows] = local_milliseconds(instant[rows], zone)
    return local
