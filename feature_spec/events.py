"""Events of one user: one by one as an app records them, or as columns; valid by construction either way."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feature_spec.errors import DataError, DayInputError
from feature_spec.instants import FIRST_INSTANT, LAST_INSTANT, Instants, parse_instant
from feature_spec.numbers import is_number, is_whole, shown
from feature_spec.tables import MAX_COUNT, MAX_VALUE
from feature_spec.vocabulary import EVENT_TYPES

_KEYS: Final = ("timestamp", "event_type", "count", "value", "event_id", "goal_id")
_CODES: Final = {name: code for code, name in enumerate(EVENT_TYPES)}
_NONE: Final = type(None)

# Every event keeps its numbers as the bytes of a row, so that columns are made by joining them: reading four
# attributes of a thousand events would take longer than everything that follows.
_ROW: Final = struct.Struct("=qqdd")
_ROW_TYPE: Final = np.dtype(
    [("instant", np.int64), ("type", np.int64), ("count", np.float64), ("value", np.float64)]
)


@dataclass(frozen=True)
class Event:
    """Something that happened, as an app records it.

    Attributes:
        timestamp: RFC 3339 with ``Z`` or an offset; finer than milliseconds is dropped.
        event_type: one of ``EVENT_TYPES``.
        count: how often, 0 to 1,000,000.
        value: a number that goes with it, at most 1,000,000 in magnitude; None where there is none.
        event_id: identifies an event that may be delivered twice.
        goal_id: the goal it belongs to; not counted by, but part of the content under an id.
        instant: milliseconds since 1970-01-01T00:00:00Z, derived.
        row: the numbers as bytes, derived; ``EventColumns`` reads them.

    Raises:
        DayInputError: a part breaks a rule.
    """

    timestamp: str
    event_type: str
    count: int = 1
    value: float | None = None
    event_id: str | None = None
    goal_id: str | None = None
    instant: int = field(init=False, repr=False, compare=False)
    row: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "instant", instant_of(self.timestamp))
        if not isinstance(self.event_type, str) or self.event_type not in EVENT_TYPES:
            raise _unknown_type(self.event_type)
        if not is_whole(self.count, 0):
            raise _bad_count(self.count)
        if self.value is not None and not is_number(self.value, -MAX_VALUE, MAX_VALUE):
            raise _bad_value(self.value)
        for name in ("event_id", "goal_id"):
            text = getattr(self, name)
            if text is not None and not (isinstance(text, str) and text):
                raise DayInputError(
                    "bad-event", f"{name} is {shown(text)}; give a text that is not empty, or omit it"
                )
        value = np.nan if self.value is None else self.value
        row = _ROW.pack(self.instant, _CODES[self.event_type], self.count, value)
        object.__setattr__(self, "row", row)

    @classmethod
    def from_json(cls, data: Any) -> Event:
        """Read an event from its JSON object.

        Raises:
            DayInputError: it is no object, lacks a timestamp or type, has an unknown key, or breaks a rule.
        """
        if not isinstance(data, Mapping) or "timestamp" not in data or "event_type" not in data:
            raise DayInputError("bad-event", "an event is an object with at least timestamp and event_type")
        unknown = sorted(str(key) for key in data if key not in _KEYS)
        if unknown:
            raise DayInputError(
                "bad-event", f"an event has the unknown key {shown(unknown[0])}; use {', '.join(_KEYS)}"
            )
        return cls(**{key: value for key, value in data.items() if not (key == "count" and value is None)})


@dataclass(frozen=True, eq=False)
class EventColumns:
    """Events of one user as columns of one length n, in any order.

    Attributes:
        instants: int64 [n], milliseconds since 1970-01-01T00:00:00Z.
        types: int64 [n], index into ``EVENT_TYPES``.
        counts: float64 [n], whole numbers from 0 to 1,000,000.
        values: float64 [n], at most 1,000,000 in magnitude, NaN where there is none; None where no event has one.
        ids: n texts that are not empty, None where an event has none; None where no event has one.
        goals: the same for the goals, which matter only to events with an id.

    Other integer types, and integers for numbers, are converted; nothing is copied that has the right type.

    Raises:
        DayInputError: a column breaks a rule; the message names the first such row.
    """

    instants: Instants
    types: npt.NDArray[np.int64]
    counts: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64] | None = None
    ids: Sequence[str | None] | None = None
    goals: Sequence[str | None] | None = None

    def __post_init__(self) -> None:
        instants = _column("instants", self.instants, "iu", "bad-timestamp")
        types = _column("types", self.types, "iu", "unknown-event-type")
        counts = _column("counts", self.counts, "iuf", "bad-count")
        values = None if self.values is None else _column("values", self.values, "iuf", "bad-value")
        for name, column in (
            ("types", types),
            ("counts", counts),
            ("values", values),
            ("ids", self.ids),
            ("goals", self.goals),
        ):
            if column is not None and len(column) != len(instants):
                raise DayInputError(
                    "bad-event",
                    f"the column {name} has {len(column)} rows for {len(instants)} instants; give one each",
                )
        if len(instants):
            _check_rows(instants, types, counts, values)
        object.__setattr__(self, "instants", instants.astype(np.int64, copy=False))
        object.__setattr__(self, "types", types.astype(np.int64, copy=False))
        object.__setattr__(self, "counts", counts.astype(np.float64, copy=False))
        if values is not None:
            object.__setattr__(self, "values", values.astype(np.float64, copy=False))
        for name in ("ids", "goals"):
            texts = getattr(self, name)
            if texts is not None:
                object.__setattr__(self, name, _texts(name, texts))

    @classmethod
    def of(cls, events: Iterable[Event]) -> EventColumns:
        """The columns of events, in their order.

        Raises:
            DayInputError: something is no event.
        """
        if not isinstance(events, Iterable):
            raise DayInputError("bad-event", f"events are {shown(events)}; give several, or an empty list")
        several = list(events)
        for event in several if set(map(type, several)) - {Event} else ():
            if not isinstance(event, Event):
                raise DayInputError(
                    "bad-event",
                    f"an event is {shown(event)}; give Event objects, for JSON those of Event.from_json",
                )
        rows = np.frombuffer(b"".join([event.row for event in several]), _ROW_TYPE)
        ids = [event.event_id for event in several]
        with_ids = any(ids)
        columns = {
            "instants": rows["instant"],
            "types": rows["type"],
            "counts": rows["count"],
            "values": rows["value"],
            "ids": ids if with_ids else None,
            "goals": [event.goal_id for event in several] if with_ids else None,
        }
        made = cls.__new__(cls)  # every event was checked when it was made
        for name, column in columns.items():
            object.__setattr__(made, name, column)
        return made

    def __len__(self) -> int:
        return len(self.instants)

    def repeats(self) -> npt.NDArray[np.bool_] | None:
        """[n], true where a row repeats an earlier one, id and content alike; None where no row does.

        Raises:
            DayInputError: an id comes with two contents.
        """
        if self.ids is None:
            return None
        distinct, unnamed = set(self.ids), self.ids.count(None)
        if len(distinct) - (unnamed > 0) == len(self) - unnamed:
            return None
        first: dict[str, int] = {}
        firsts = np.array(
            [row if name is None else first.setdefault(name, row) for row, name in enumerate(self.ids)]
        )
        repeats: npt.NDArray[np.bool_] = firsts != np.arange(len(self))
        again = np.flatnonzero(repeats)
        once = firsts[again]
        same = np.ones(len(again), bool)
        for column in (self.instants, self.types, self.counts, self.values):
            if column is not None:
                left, right = column[once], column[again]
                same &= (left == right) | (np.isnan(left) & np.isnan(right))  # no value equals no value
        if self.goals is not None:
            goals = self.goals
            same &= [goals[a] == goals[b] for a, b in zip(once.tolist(), again.tolist(), strict=True)]
        if not same.all():
            name = self.ids[int(again[~same][0])]
            raise DayInputError(
                "event-id-conflict",
                f"the event id {str(name)[:40]!r} comes with two contents; give every event its own id",
            )
        return repeats


def instant_of(text: object) -> int:
    """``parse_instant`` of anything.

    Raises:
        DayInputError: it is no RFC 3339 timestamp.
    """
    if not isinstance(text, str):
        raise DayInputError(
            "bad-timestamp",
            f"a timestamp is {shown(text)}; give a text like 2026-03-01T08:30:00Z, "
            "which isoformat() makes of a datetime that has a zone",
        )
    try:
        return parse_instant(text)
    except DataError as error:
        raise DayInputError("bad-timestamp", str(error)) from None


def _column(name: str, column: npt.ArrayLike, kinds: str, reason: str) -> npt.NDArray[Any]:
    array = np.asarray(column)
    if array.ndim != 1:
        raise DayInputError(
            "bad-event", f"the column {name} has the shape {array.shape}; give one row an event"
        )
    if array.dtype.kind not in kinds and len(array):
        expected = "numbers" if "f" in kinds else "integers"
        raise DayInputError(reason, f"the column {name} has the type {array.dtype}; give {expected}")
    return array


def _check_rows(
    instants: npt.NDArray[Any],
    types: npt.NDArray[Any],
    counts: npt.NDArray[Any],
    values: npt.NDArray[Any] | None,
) -> None:
    # Smallest and largest first: two passes over a good column, and a search only in a bad one.
    if instants.min() < FIRST_INSTANT or instants.max() > LAST_INSTANT:
        row = int(np.argmax((instants < FIRST_INSTANT) | (instants > LAST_INSTANT)))
        raise DayInputError(
            "bad-timestamp",
            f"row {row}: {instants[row]} ms since 1970 is no instant between 1970 and 2199; are these milliseconds?",
        )
    if types.min() < 0 or types.max() >= len(EVENT_TYPES):
        row = int(np.argmax((types < 0) | (types >= len(EVENT_TYPES))))
        raise DayInputError(
            "unknown-event-type",
            f"row {row}: unknown event type {types[row]}; give an index into {', '.join(EVENT_TYPES)}",
        )
    if not (
        counts.min() >= 0 and counts.max() <= MAX_COUNT and (counts == np.floor(counts)).all()
    ):  # NaN is neither
        row = int(np.argmin((counts >= 0) & (counts <= MAX_COUNT) & (counts == np.floor(counts))))
        raise _bad_count(counts[row], f"row {row}: ")
    if values is not None:
        low, high = np.fmin.reduce(values), np.fmax.reduce(values)  # NaN only where all are
        if low < -MAX_VALUE or high > MAX_VALUE:
            row = int(np.argmax(np.abs(values) > MAX_VALUE))
            raise _bad_value(values[row], f"row {row}: ")


def _texts(name: str, texts: Sequence[str | None]) -> list[str | None]:
    listed: list[str | None] = texts.tolist() if isinstance(texts, np.ndarray) else list(texts)
    if {str, _NONE} >= set(map(type, listed)) and "" not in listed:
        return listed
    for row, text in enumerate(listed):
        if text is None or (isinstance(text, str) and text):
            continue
        raise DayInputError(
            "bad-event",
            f"row {row} of {name} is {shown(listed[row])}; give a text that is not empty, or None",
        )
    return listed


def _unknown_type(name: object) -> DayInputError:
    known = ", ".join(EVENT_TYPES)
    return DayInputError("unknown-event-type", f"unknown event type {shown(name)}; use one of {known}")


def _bad_count(count: object, where: str = "") -> DayInputError:
    return DayInputError(
        "bad-count", f"{where}the count {shown(count)} is no whole number from 0 to {MAX_COUNT:,}"
    )


def _bad_value(value: object, where: str = "") -> DayInputError:
    return DayInputError(
        "bad-value", f"{where}the value {shown(value)} is no finite number within ±{MAX_VALUE:,.0f}; omit it"
    )
