"""Consistency: what contradicts itself, the labels, or the rest of the log."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from feature_spec.quality.log import DUE, Ints, Subject
from feature_spec.quality.rules import NOTHING, Measured, Rule, bad_rows, bad_users, names
from feature_spec.vocabulary import EVENT_TYPES

ONE_EACH: Final = 0.2
"""Share of repeated keys up to which a log of days has one row a user, day and type, so that a repeat is a slip."""
WHOLE: Final = 1.02
"""Gains may add up to a little more than the whole goal, by rounding."""
MANY: Final = 20
"""Labelled users from which labels that are all alike are no coincidence."""
_DONE: Final = EVENT_TYPES.index("task_done")
_PROGRESS: Final = EVENT_TYPES.index("progress")


def _repeats(subject: Subject) -> tuple[Ints, Ints]:
    """Rows whose event id an earlier row of their user has, split into equal and different content."""
    log = subject.log
    if log.event_id is None:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    given = np.flatnonzero(log.event_id)
    order = given[np.lexsort((log.user[given], log.event_id[given]))]  # stable
    ids, users = log.event_id[order], log.user[order]
    alike = (ids[1:] == ids[:-1]) & (users[1:] == users[:-1])
    again = np.flatnonzero(alike) + 1
    # Each repeat is compared with the first row of its id; within an id the order is that of the file.
    start = np.concatenate(([0], np.flatnonzero(~alike) + 1)) if len(ids) else again
    first = order[start[np.searchsorted(start, again, side="right") - 1]]
    repeat = order[again]
    moment = log.day if log.instant is None else log.instant
    same = (
        (moment[first] == moment[repeat])
        & (log.kind[first] == log.kind[repeat])
        & (log.count[first] == log.count[repeat])
        & (np.nan_to_num(log.value[first], nan=1e300) == np.nan_to_num(log.value[repeat], nan=1e300))
    )
    if log.goal is not None:
        same &= log.goal[first] == log.goal[repeat]
    return repeat[same], repeat[~same]


def delivered_twice(subject: Subject) -> Measured:
    """Rows that repeat an event id and its content: counted once, and a sign of a pipeline that retries."""
    if subject.log.event_id is None:
        return NOTHING
    same, _ = _repeats(subject)
    return bad_rows(
        subject.log, len(subject.log), same, f"rows that repeat an event id and its content: {len(same)}"
    )


def event_ids_agree(subject: Subject) -> Measured:
    """Rows that have the event id of another event; reading the log for features fails on them."""
    if subject.log.event_id is None:
        return NOTHING
    _, other = _repeats(subject)
    return bad_rows(
        subject.log, len(subject.log), other, f"rows that share an event id with another event: {len(other)}"
    )


def rows_once(subject: Subject) -> Measured:
    """Rows without an id whose user, moment and type an earlier row has: probably added up twice."""
    log = subject.log
    if not log.as_written:
        return NOTHING
    free = np.arange(len(log)) if log.event_id is None else np.flatnonzero(log.event_id == 0)
    if not len(free):
        return NOTHING
    moment = log.day if log.instant is None else log.instant
    parts = [log.kind[free], moment[free], log.user[free]]
    if log.goal is not None:
        parts.append(log.goal[free])
    order = np.lexsort(parts)  # stable: equal keys stay in the order of the file
    equal = np.ones(len(order) - 1, bool)
    for part in parts:
        equal &= part[order][1:] == part[order][:-1]
    repeated = free[order[1:][equal]]
    if log.instant is None and len(repeated) > ONE_EACH * len(free):
        return NOTHING  # a log with a row an event: a repeat is just the next event of that day
    return bad_rows(
        log, len(free), repeated, f"rows that repeat user, time and type of another: {len(repeated)}"
    )


def done_was_due(subject: Subject) -> Measured:
    """Users who did tasks and never had one due: their completion rate says nothing."""
    log, native = subject.log, subject.log.native
    did = np.unique(log.user[native.row[native.kind == _DONE]])
    had = np.zeros(len(log.users), bool)
    had[log.user[native.row[native.kind == DUE]]] = True
    lacking = did[~had[did]] if not subject.due_for_all else did[:0]
    return Measured(
        len(did),
        len(lacking),
        names(log.users[user] for user in lacking),
        f"users who did tasks and never had one due: {len(lacking)}" if len(lacking) else "",
    )


def progress_sums(subject: Subject) -> Measured:
    """Users whose gains add up to more than a whole goal, or to less than nothing."""
    log, native = subject.log, subject.log.native
    gains = (native.kind == _PROGRESS) & ~np.isnan(native.value)
    user = log.user[native.row[gains]]
    # Each goal has a whole of its own; rows that name none are taken for one.
    kinds, goal = np.unique(
        user * 0 if log.goal is None else log.goal[native.row[gains]], return_inverse=True
    )
    whole, part = np.unique(user * len(kinds) + goal, return_inverse=True)
    total = np.bincount(part, weights=native.value[gains], minlength=len(whole))
    wrong = np.flatnonzero((total > WHOLE) | (total < 1 - WHOLE))
    off, places = np.unique(whole[wrong] // max(len(kinds), 1), return_index=True)
    return Measured(
        len(np.unique(user)),
        len(off),
        names(f"{log.users[user]}: {total[wrong[at]]:.3g}" for user, at in zip(off, places, strict=True)),
        f"users whose progress adds up to more than a goal, or below 0: {len(off)}" if len(off) else "",
    )


def observed(subject: Subject) -> Measured:
    """Rows before a user was observed, or after: the outcome may be known by then. Wrong clocks are told elsewhere."""
    log = subject.log
    if subject.people is None:
        return NOTHING
    rows = log.acts[~subject.wrong_clock[log.acts]]
    begin, end = subject.known("observed_from")[rows], subject.known("observed_until")[rows]
    bounded = ~(np.isnan(begin) & np.isnan(end))
    day = log.day[rows]
    outside = rows[(day < begin) | (day >= end)]
    return bad_rows(
        log, int(bounded.sum()), outside, f"rows before or after their user was observed: {len(outside)}"
    )


def dates_in_order(subject: Subject) -> Measured:
    """Users who end before they begin."""
    if subject.people is None:
        return NOTHING
    end = subject.people.days("observed_until")
    starts = np.stack([subject.people.days(name) for name in ("observed_from", "account_since")])
    known = ~np.isnan(end) & ~np.isnan(starts).all(axis=0)
    wrong = np.asarray((starts > end).any(axis=0))
    return bad_users(
        subject.people.users,
        len(known),
        wrong,
        f"users who stopped being observed before they began: {int(wrong.sum())}",
    )


def labels_fit(subject: Subject) -> Measured:
    """Labels that are all alike, or that contradict each other or the log."""
    people = subject.people
    if people is None or not people.labels:
        return NOTHING
    wrong = np.zeros(len(people.users), bool)
    says = []
    for name, column in people.labels.items():
        known = column[column >= 0]
        if len(known) >= MANY and (known == known[0]).all():
            wrong[:] = True
            says.append(f"the label '{name}' is {known[0]} for everybody")
    reached, left = people.labels.get("goal_success"), people.labels.get("churned")
    if reached is not None and left is not None and ((reached == 1) & (left == 1)).any():
        wrong |= (reached == 1) & (left == 1)
        says.append(f"users who reached the goal and churned: {int(((reached == 1) & (left == 1)).sum())}")
    done = np.bincount(subject.place[subject.log.user[subject.log.acts]] + 1, minlength=len(wrong) + 1)[1:]
    if reached is not None and ((reached == 1) & (done == 0)).any():
        wrong |= (reached == 1) & (done == 0)
        says.append(
            f"users who reached the goal without any event: {int(((reached == 1) & (done == 0)).sum())}"
        )
    return bad_users(people.users, len(wrong), wrong, ", ".join(says))


RULES: Final = (
    Rule(
        "event_ids_agree", "consistency", 3, math.inf, "rows that have the event id of another event of their user",
        "give every event its own id", event_ids_agree,
    ),
    Rule(
        "delivered_twice", "consistency", 1, 1.0, "rows that repeat an event id and its content",
        "let the pipeline drop what it has sent", delivered_twice,
    ),
    Rule(
        "rows_once", "consistency", 2, 5.0, "rows without an id that repeat user, time and type",
        "drop doubles, or give every event an id", rows_once,
    ),
    Rule(
        "done_was_due", "consistency", 1, 0.5, "users who did tasks and never had one due",
        "log task_due, or give --assessments", done_was_due,
    ),
    Rule(
        "progress_sums", "consistency", 2, 5.0, "users whose progress adds up to more than a goal",
        "progress is the gain since the last report, as a share of the goal", progress_sums,
    ),
    Rule(
        "observed", "consistency", 3, 5.0, "rows before or after their user was observed",
        "correct observed_from or observed_until, or drop the rows", observed,
    ),
    Rule(
        "dates_in_order", "consistency", 1, 5.0, "users who stopped being observed before they began",
        "correct the dates", dates_in_order,
    ),
    Rule(
        "labels_fit", "consistency", 3, 5.0, "labels that are all alike, or contradict each other or the log",
        "check how the labels were made", labels_fit,
    ),
)  # fmt: skip
