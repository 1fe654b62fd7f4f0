"""Events on their way in: checked whole, then compared with what is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from edge_sdk.errors import InputError
from edge_sdk.features.columns import WINDOW_MS, Columns, columns_of, same
from edge_sdk.features.profile import Profile
from edge_sdk.features.receipts import Dropped, Recorded
from edge_sdk.features.users import User, Users
from feature_spec.errors import DayInputError
from feature_spec.events import Event
from feature_spec.numbers import shown

MOST_AT_ONCE: Final = 5_000
USER_KEY: Final = "user_id"
_LONGEST_ID: Final = 1_000


def check_id(what: str, value: object) -> str:
    """Refuse what is no name of a user or goal.

    Raises:
        InputError: it is none.
    """
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_ID:
        # What is too long may be a name all the same, which an error must not tell.
        found = f"{len(value):,} characters long" if isinstance(value, str) and value else shown(value)
        raise InputError(f"the {what} is {found}; give a text of 1 to {_LONGEST_ID:,} characters")
    return value


def checked(given: Sequence[Event | Mapping[str, Any]], user: str | None) -> tuple[str, list[Event]]:
    """Whose events these are, and the events.

    Raises:
        InputError: one breaks a rule, they are of several users, or nobody says whose they are.
    """
    if len(given) > MOST_AT_ONCE:
        raise InputError(f"{len(given):,} events at once; record at most {MOST_AT_ONCE:,}, in several calls")
    named = set() if user is None else {check_id("user", user)}
    events = []
    for number, item in enumerate(given):
        which = "the event" if len(given) == 1 else f"event {number}"
        if isinstance(item, Event):
            events.append(item)
            continue
        if not isinstance(item, Mapping):
            raise InputError(
                f"{which} is no Event and no row of a log, but {type(item).__name__}: {shown(item)}"
            )
        row = dict(item)
        if USER_KEY in row:
            named.add(check_id("user", row.pop(USER_KEY)))
        try:
            events.append(Event.from_json(row))
        except DayInputError as error:
            raise InputError(f"{which}: {error}") from error
    if not named:
        raise InputError("nobody says whose the event is; give user_id in it, or user=")
    if len(named) > 1:
        raise InputError("events of several users at once; record those of one user, in one call each")
    return named.pop(), events


def add(
    users: Users, label: str, user: User | None, events: Sequence[Event], salt: bytes, now_ms: int
) -> Recorded:
    """Add checked events to a user, inside of :meth:`Users.writing`.

    Returns:
        What became of the events.

    Raises:
        InputError: an id comes again with other content; nothing is kept.
        StoreError: the disk refuses.
    """
    columns = columns_of(events, salt)
    fresh = columns[columns["instant"] >= now_ms - WINDOW_MS]
    too_old = len(columns) - len(fresh)
    new = fresh[_new(user.events if user else columns[:0], fresh)]
    repeated = len(fresh) - len(new)
    before = users.begin(label, Profile()) if user is None else user
    if not len(new):
        # Who recorded them may have died, or been refused, before they were sure to stay.
        users.settle()
        return Recorded(0, repeated, too_old, Dropped())
    profile = before.tail.profile.watched_from(min(now_ms, int(new["instant"].min())))
    _after, dropped = users.write(before, profile, new, now_ms)
    return Recorded(len(new), repeated, too_old, dropped)


def _new(old: Columns, new: Columns) -> list[int]:
    """Indexes of those of ``new`` that are not there yet.

    Raises:
        InputError: an id comes again with other content.
    """
    known: dict[int, Any] = {}
    ids = new["event"]
    for row in old[np.isin(old["event"], ids[ids != 0])]:
        known[int(row["event"])] = row
    kept = []
    for at, name in enumerate(ids.tolist()):
        if name in known:
            if not same(known[name], new[at]):
                raise InputError(
                    f"event {at}: its event_id was recorded with other content; give every event its own id"
                )
            continue
        if name:
            known[name] = new[at]
        kept.append(at)
    return kept
