"""Accuracy: numbers and times that can hardly be what they say they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from feature_spec.quality.log import EARLIEST, Floats, Ints, Log, Subject
from feature_spec.quality.rules import NOTHING, Measured, Rule, bad_rows, rows_of
from feature_spec.vocabulary import EVENT_TYPES

ENOUGH: Final = 20
"""Values of a type from which their distribution says something."""
MANY: Final = 1000
"""Rows from which the hours of a day should differ, and a row may be called out of the common run."""
A_DAY: Final = 10_000
"""More events of one type by one user on one day than any person makes, and many machines."""
FAR: Final = 8.0
"""Robust deviations, on a logarithmic scale, from which a number is an outlier."""
_HOUR: Final = 3_600_000


@dataclass(frozen=True)
class _Range:
    """What the values of a type are, and what they look like in another unit."""

    low: float
    high: float
    unit: str
    usual: float
    other: Callable[[float], str] = lambda median: "another unit"


def _share_unit(median: float) -> str:
    return "percent" if median <= 100 else "points"


def _time_unit(median: float) -> str:
    return "milliseconds" if median > 20_000 else "seconds"


_RANGES: Final = {
    "session": _Range(0, 1440, "minutes", 240, _time_unit),
    "task_done": _Range(0, 1, "a share from 0 to 1", 1, _share_unit),
    "progress": _Range(-1, 1, "a share of the goal", 1, _share_unit),
    "check_in": _Range(-100, 100, "a small scale", 100),
    "feedback": _Range(-100, 100, "a small scale", 100),
}
"""Values of other types may be anything within a million: a message's is seconds until the answer."""


def _by_type(log: Log) -> list[tuple[str, Ints, Floats]]:
    """Rows and values of each native type, of those rows that carry a value."""
    native = log.native
    given = ~np.isnan(native.value)
    found = []
    for code, name in enumerate(EVENT_TYPES):
        at = np.flatnonzero(given & (native.kind == code))
        if len(at):
            found.append((name, native.row[at], native.value[at]))
    return found


def _in_other_unit(name: str, values: Floats) -> str:
    """The unit in which the values of a type seem to be, empty where they seem right."""
    known = _RANGES.get(name)
    if known is None or len(values) < ENOUGH:
        return ""
    median = float(np.median(np.abs(values[values != 0]))) if (values != 0).any() else 0.0
    return known.other(median) if median > known.usual else ""


def units(subject: Subject) -> Measured:
    """Types whose values are all of another magnitude than their unit allows."""
    types = _by_type(subject.log)
    wrong = [(name, rows, _in_other_unit(name, values)) for name, rows, values in types]
    found = [(name, rows, unit) for name, rows, unit in wrong if unit]
    says = "; ".join(
        f"the values of {name} look like {unit}, not {_RANGES[name].unit}" for name, _, unit in found
    )
    return Measured(len(types), len(found), rows_of(subject.log, found[0][1]) if found else (), says)


def values_in_range(subject: Subject) -> Measured:
    """Single values that their type cannot have."""
    off, n = [], 0
    for name, rows, values in _by_type(subject.log):
        known = _RANGES.get(name)
        if known is None or _in_other_unit(name, values):
            continue  # one finding is enough: all of them are off, by their unit
        n += len(rows)
        off.append(rows[(values < known.low) | (values > known.high)])
    rows = np.unique(np.concatenate(off)) if off else np.empty(0, np.int64)
    return bad_rows(subject.log, n, rows, f"values outside the range of their type: {len(rows)}")


def _daily(log: Log) -> tuple[Ints, Floats]:
    """Rows and the sum of counts of their user, day and type; the first row stands for each."""
    days = log.day - (log.day.min() if len(log) else 0)
    width = int(days.max()) + 1 if len(log) else 1
    key = (log.user * width + days) * len(log.kinds) + log.kind
    _, first, index = np.unique(key, return_index=True, return_inverse=True)
    total: Floats = np.bincount(index, weights=log.count, minlength=len(first)).astype(np.float64)
    return first.astype(np.int64), total


def counts(subject: Subject) -> Measured:
    """Days on which one user did more of one type than a person can."""
    first, total = _daily(subject.log)
    impossible = first[total > A_DAY]
    return bad_rows(
        subject.log,
        len(first),
        impossible,
        f"days on which a user has more than {A_DAY:,} of one type: {len(impossible)}",
    )


def outliers(subject: Subject) -> Measured:
    """Days of users far out of the common run of their type, by the median and its absolute deviation."""
    log = subject.log
    first, total = _daily(log)
    if len(first) < MANY:
        return NOTHING
    far = []
    for code in range(len(log.kinds)):
        at = np.flatnonzero((log.kind[first] == code) & (total <= A_DAY))
        if len(at) >= ENOUGH:
            size = np.log1p(total[at])
            middle = np.median(size)
            spread = max(1.4826 * float(np.median(np.abs(size - middle))), 0.5)
            far.append(first[at[np.abs(size - middle) > FAR * spread]])
    rows = np.concatenate(far) if far else np.empty(0, np.int64)
    return bad_rows(log, len(first), rows, f"counts of a day far out of the common run: {len(rows)}")


def varies(subject: Subject) -> Measured:
    """Columns that say the same of everybody: a default that was written where nothing was known."""
    found, looked, rows = [], 0, np.empty(0, np.int64)
    for name, at, values in _by_type(subject.log):
        if len(values) < ENOUGH or name == "task_done":
            continue  # a task done may well always be worth all of it
        looked += 1
        if (values == values[0]).all():
            found.append(f"every value of {name} is {values[0]:g}")
            rows = rows if len(rows) else at
    if subject.people is not None:
        since = subject.people.days("account_since")
        given = since[~np.isnan(since)]
        if len(given) >= ENOUGH:
            looked += 1
            if (given == given[0]).all():
                found.append("account_since is the same for everybody")
    return Measured(looked, len(found), rows_of(subject.log, rows), "; ".join(found))


def clock(subject: Subject) -> Measured:
    """Time stamps in the future, or before there were phones."""
    log = subject.log
    if log.instant is None or subject.now is None:
        return NOTHING
    wrong = log.acts[subject.wrong_clock[log.acts]]
    early = int((log.instant[wrong] < EARLIEST).sum())
    return bad_rows(
        log,
        len(log.acts),
        wrong,
        f"time stamps in the future: {len(wrong) - early}, before the year 2000: {early}",
    )


def time_of_day(subject: Subject) -> Measured:
    """Time stamps that are all of one time of the day, or spread evenly over day and night."""
    log = subject.log
    if log.instant is None or log.local_ms is None or len(log.acts) < ENOUGH:
        return NOTHING
    local = log.local_ms[log.acts]
    midnight = log.acts[(local == 0) | (log.instant[log.acts] % (24 * _HOUR) == 0)]
    if 2 * len(midnight) > len(local):
        return bad_rows(
            log,
            len(local),
            midnight,
            f"time stamps at midnight, which are days and not times: {len(midnight)}",
        )
    for clock_ms in (local, log.instant[log.acts] % (24 * _HOUR)):
        times, place, often = np.unique(clock_ms, return_inverse=True, return_counts=True)
        if 2 * often.max() > len(local):
            same = log.acts[place == often.argmax()]
            shown = str(np.datetime64(int(times[often.argmax()]), "ms"))[11:]
            return bad_rows(
                log,
                len(local),
                same,
                f"time stamps that all say {shown}, which are days and not times: {len(same)}",
            )
    if len(local) < MANY:
        return NOTHING
    share = np.bincount(local // _HOUR, minlength=24)[:24] / len(local)
    entropy = -float((share[share > 0] * np.log(share[share > 0])).sum()) / np.log(24)
    even = entropy > 0.995
    return Measured(
        len(local),
        len(local) if even else 0,
        (),
        "people are as busy at night as by day: the hours are made up, or the zones are mixed up"
        if even
        else "",
    )


RULES: Final = (
    Rule(
        "units", "accuracy", 3, math.inf, "types whose values are in another unit",
        "convert them, or scale them in a --mapping", units,
    ),
    Rule(
        "values_in_range", "accuracy", 2, 5.0, "values outside the range of their type",
        "correct them, or leave the cell empty", values_in_range,
    ),
    Rule(
        "counts", "accuracy", 2, 100.0, "more of one type on a day than a person can do",
        "leave out test accounts and machines; check the column", counts,
    ),
    Rule(
        "outliers", "accuracy", 1, 20.0, "counts of a day far out of the common run",
        "look whether a machine made them", outliers,
    ),
    Rule(
        "varies", "accuracy", 1, 1.0, "columns that hold one value only",
        "leave the cells empty where nothing is known", varies,
    ),
    Rule(
        "clock", "accuracy", 3, 10.0, "time stamps in the future, or before the year 2000",
        "drop them, or set them right by when they were received", clock,
    ),
    Rule(
        "time_of_day", "accuracy", 2, 1.0, "time stamps that are all of one time, or spread evenly over the day",
        "give a log of days with the column 'day'; check the zones", time_of_day,
    ),
)  # fmt: skip
