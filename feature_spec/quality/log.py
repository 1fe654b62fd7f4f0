"""What is judged: an event log as columns, and what is known of its users."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from feature_spec.mapping import NATIVE_TYPES, Emission
from feature_spec.population import Dataset, People
from feature_spec.vocabulary import EVENT_TYPES

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

DUE: Final = EVENT_TYPES.index("task_due")
EARLIEST: Final = 946_684_800_000
"""2000-01-01: no phone recorded events before; a clock that was never set starts at 1970."""


@dataclass(frozen=True, eq=False)
class Native:
    """The events that rows stand for; a foreign row may be several.

    Attributes:
        row: index of the row.
        kind: index into ``EVENT_TYPES``.
        value: the value in the unit of its type, NaN where there is none.
    """

    row: Ints
    kind: Ints
    value: Floats


@dataclass(frozen=True, eq=False)
class Log:
    """Rows of an event log in the order of the file, one entry a row in every array.

    Attributes:
        users: names of users, by code.
        kinds: what the rows call their event types, by code.
        user: code of the user.
        kind: code of the event type.
        day: local day number.
        count: how often.
        value: as written, NaN where there is none.
        instant: milliseconds since 1970; None in a log of whole days.
        local_ms: milliseconds since local midnight; None in a log of whole days.
        event_id: 64-bit hash of the id, 0 where there is none; None without such a column.
        goal: hash of the goal's id; None without such a column.
        received: milliseconds since 1970, 0 where unknown; None without such a column.
        emissions: which events a row of a type stands for.
        first_row: number of the first row as a spreadsheet shows it.
        as_written: the rows are those of a file; where a mapping has been applied, two may have become alike.
    """

    users: tuple[str, ...]
    kinds: tuple[str, ...]
    user: Ints
    kind: Ints
    day: Ints
    count: Floats
    value: Floats
    instant: Ints | None = None
    local_ms: Ints | None = None
    event_id: Ints | None = None
    goal: Ints | None = None
    received: Ints | None = None
    emissions: Mapping[str, tuple[Emission, ...]] = field(default_factory=lambda: NATIVE_TYPES)
    first_row: int = 2
    as_written: bool = True

    def __len__(self) -> int:
        return len(self.user)

    @functools.cached_property
    def native(self) -> Native:
        """The events that the rows stand for."""
        rows, kinds, values = [], [], []
        for code, name in enumerate(self.kinds):
            row = np.flatnonzero(self.kind == code)
            for emission in self.emissions[name]:
                rows.append(row)
                kinds.append(np.full(len(row), EVENT_TYPES.index(emission.event_type)))
                values.append(self.value[row] * emission.scale)
        if not rows:
            return Native(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
        return Native(*(np.concatenate(part) for part in (rows, kinds, values)))

    @functools.cached_property
    def acts(self) -> Ints:
        """Rows in which somebody did something: all but those that only say what fell due, are left out or count 0."""
        done = np.array(
            [
                any(emission.event_type != "task_due" for emission in self.emissions[name])
                for name in self.kinds
            ],
            bool,
        )
        return (
            np.flatnonzero(done[self.kind] & (self.count > 0)) if len(self.kinds) else np.empty(0, np.int64)
        )

    @classmethod
    def of_dataset(cls, dataset: Dataset) -> Log:
        """The rows of a dataset in memory, which has whole days and no ids."""
        return cls(
            users=dataset.people.users,
            kinds=EVENT_TYPES,
            user=dataset.user,
            kind=dataset.event_type,
            day=dataset.day,
            count=dataset.count,
            value=dataset.value,
            as_written=False,
        )


@dataclass(frozen=True, eq=False)
class Subject:
    """A log and what it is judged against.

    Attributes:
        log: the rows.
        people: what is known of the users; None without labels.
        due_for_all: items fall due for everybody, so nobody lacks what is due.
        now: milliseconds since 1970; what happened later is a wrong clock.
        as_of: the instant for which the data is meant to be fresh; None where nobody said.
    """

    log: Log
    people: People | None = None
    due_for_all: bool = False
    now: int | None = None
    as_of: int | None = None

    @functools.cached_property
    def place(self) -> Ints:
        """For each user of the log the index among the people, -1 for who is not among them."""
        if self.people is None:
            return np.full(len(self.log.users), -1)
        index = {name: position for position, name in enumerate(self.people.users)}
        return np.array([index.get(name, -1) for name in self.log.users], np.int64)

    @functools.cached_property
    def wrong_clock(self) -> npt.NDArray[np.bool_]:
        """Rows whose time stamp lies in the future, or before there were phones."""
        if self.log.instant is None or self.now is None:
            return np.zeros(len(self.log), bool)
        return np.asarray((self.log.instant > self.now) | (self.log.instant < EARLIEST))

    def known(self, column: str) -> Floats:
        """A column of the people for each row of the log, NaN where unknown."""
        if self.people is None:
            return np.full(len(self.log), np.nan)
        values = np.append(self.people.days(column), np.nan)
        return values[self.place[self.log.user]]
