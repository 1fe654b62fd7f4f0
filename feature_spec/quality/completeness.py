"""Completeness: what should be there and is not."""

from __future__ import annotations

from typing import Final

import numpy as np

from feature_spec.mapping import PEOPLE_COLUMNS
from feature_spec.quality.log import Subject
from feature_spec.quality.rules import NOTHING, Measured, Rule, bad_rows, bad_users, names
from feature_spec.vocabulary import EVENT_TYPES

BUSY: Final = 5
"""Rows on a usual day from which a day without any is a hole and not chance (e^-5 is under one in a hundred)."""
SPAN: Final = 14
"""Days that a log must span before its days are compared."""
WEEK: Final = 7


def values(subject: Subject) -> Measured:
    """Of the types that carry a value in most rows, the rows that carry none."""
    log, native = subject.log, subject.log.native
    none = np.isnan(native.value)
    total = np.bincount(native.kind, minlength=len(EVENT_TYPES))
    without = np.bincount(native.kind, weights=none, minlength=len(EVENT_TYPES))
    expected = (without < 0.5 * total)[native.kind]
    rows = np.unique(native.row[none & expected])
    return bad_rows(
        log, len(np.unique(native.row[expected])), rows, f"rows without the usual value: {len(rows)}"
    )


def event_ids(subject: Subject) -> Measured:
    """Rows without an id in a log that has ids: they cannot be told from their doubles."""
    if subject.log.event_id is None or not subject.log.event_id.any():
        return NOTHING
    missing = np.flatnonzero(subject.log.event_id == 0)
    return bad_rows(subject.log, len(subject.log), missing, f"rows without an event id: {len(missing)}")


def labels(subject: Subject) -> Measured:
    """Outcomes that nobody knows."""
    if subject.people is None or not subject.people.labels:
        return NOTHING
    unknown = np.stack([column < 0 for column in subject.people.labels.values()])
    cells = int(unknown.sum())
    who = (
        name for name, bad in zip(subject.people.users, np.asarray(unknown.any(axis=0)), strict=True) if bad
    )
    return Measured(unknown.size, cells, names(who), f"labels that are unknown: {cells}" if cells else "")


def people(subject: Subject) -> Measured:
    """Gaps in what is known of most users; an end of observation is rightly unknown while it goes on."""
    if subject.people is None:
        return NOTHING
    columns = [
        np.isnan(subject.people.days("origin" if name == "start_date" else name))
        for name in PEOPLE_COLUMNS
        if name != "observed_until"
    ]
    given = [column for column in columns if not column.all()]
    if not given:
        return NOTHING
    unknown = np.stack(given)
    who = (
        name for name, bad in zip(subject.people.users, np.asarray(unknown.any(axis=0)), strict=True) if bad
    )
    cells = int(unknown.sum())
    return Measured(unknown.size, cells, names(who), f"unknown facts about users: {cells}" if cells else "")


def users_with_events(subject: Subject) -> Measured:
    """Users with labels who never did anything in the log; without labels, whether anybody did anything."""
    if subject.people is None:
        users = subject.log.users
        if len(subject.log.acts):
            return NOTHING
        return bad_users(users, len(users), np.ones(len(users), bool), "nobody did anything")
    active = np.zeros(len(subject.people.users) + 1, bool)
    active[subject.place[np.unique(subject.log.user[subject.log.acts])]] = True  # -1 marks the spare place
    idle = ~active[:-1]
    return bad_users(
        subject.people.users, len(idle), idle, f"users without any event: {int(idle.sum())} of {len(idle)}"
    )


def events_with_labels(subject: Subject) -> Measured:
    """Users in the log of whom nothing else is known: what they did is left out."""
    if subject.people is None:
        return NOTHING
    strangers = subject.place < 0
    return bad_users(
        subject.log.users,
        len(strangers),
        strangers,
        f"users in the log without a label: {int(strangers.sum())} of {len(strangers)}",
    )


def days(subject: Subject) -> Measured:
    """Days on which nobody did anything, where people do things on most days of that kind."""
    done = subject.log.day[subject.log.acts[~subject.wrong_clock[subject.log.acts]]]
    if not len(done):
        return NOTHING
    # Most of the events lie between these: a few with a wrong clock must not make the log a hundred years long.
    first, last = (int(day) for day in np.quantile(done, [0.001, 0.999], method="nearest"))
    if last - first + 1 < SPAN:
        return NOTHING
    volume = np.bincount(done[(done >= first) & (done <= last)] - first, minlength=last - first + 1)
    if np.median(volume) < BUSY:
        return NOTHING
    empty = volume == 0
    weekday = np.arange(len(volume)) % WEEK
    closed = np.array([empty[weekday == day].mean() > 0.8 for day in range(WEEK)])
    open_days = ~closed[weekday]
    holes = np.flatnonzero(empty & open_days) + first
    return Measured(
        int(open_days.sum()),
        len(holes),
        tuple(day_name(subject, int(day)) for day in holes[:3]),
        f"days without an event of anybody: {len(holes)}" if len(holes) else "",
    )


def day_name(subject: Subject, day: int) -> str:
    """A day as people write it: a date in a log of time stamps, a number in a log of days."""
    return f"day {day}" if subject.log.instant is None else str(np.datetime64(day, "D"))


RULES: Final = (
    Rule(
        "days_with_events", "completeness", 3, 5.0, "days in the middle of the log without any event",
        "deliver those days again, or say what happened", days,
    ),
    Rule(
        "users_with_events", "completeness", 1, 1.0, "labelled users who did nothing, or all users where nobody did",
        "compare how the two files name users", users_with_events,
    ),
    Rule(
        "events_with_labels", "completeness", 1, 1.0, "users with events who have no label",
        "add them to the labels, or leave their events out", events_with_labels,
    ),
    Rule(
        "values", "completeness", 2, 1.0, "rows without a value where their type usually has one",
        "fill the value in at the source", values,
    ),
    Rule(
        "event_ids", "completeness", 1, 1.0, "rows without an event id in a log that has ids",
        "give every event an id", event_ids,
    ),
    Rule(
        "labels", "completeness", 1, 1.0, "label cells that are empty",
        "fill them in, or leave those users out", labels,
    ),
    Rule(
        "people", "completeness", 1, 1.0, "empty cells in what else is known of the users",
        "fill them in where the source knows them", people,
    ),
)  # fmt: skip
