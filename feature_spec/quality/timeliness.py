"""Timeliness: is what happened lately in the log, and did it come in time?"""

from __future__ import annotations

from typing import Final

import numpy as np

from feature_spec.instants import DAY_MS
from feature_spec.quality.completeness import BUSY, WEEK, day_name
from feature_spec.quality.log import Subject
from feature_spec.quality.rules import NOTHING, Measured, Rule, bad_rows

FRESH_DAYS: Final = 2
"""A log that ends within this many days of the as-of instant is up to date."""
LATE_MS: Final = DAY_MS
"""An event that came a day after it happened was not there when a feature of that day was computed."""
SKEW_MS: Final = 5 * 60_000
"""Clocks may disagree by this much; what was received earlier than that had not happened yet."""
TAIL_DAYS: Final = 3
USUAL_WEEKS: Final = 4
THIN: Final = 0.2
"""A day with less than this share of what is usual on its weekday was not delivered whole."""


def newest(subject: Subject) -> Measured:
    """How many days before the as-of instant the log ends, beyond what is up to date; out of thirty."""
    log = subject.log
    if subject.as_of is None or not len(log.acts):
        return NOTHING
    days = log.day[log.acts]
    if log.instant is None:
        last = int(days.max())
        age = subject.as_of // DAY_MS - last
    else:
        before = log.instant[log.acts][log.instant[log.acts] <= subject.as_of]
        if not len(before):
            return Measured(30, 30, (), "nothing happened before the as-of instant")
        last = int(before.max() // DAY_MS)
        age = (subject.as_of - int(before.max())) // DAY_MS
    late = int(np.clip(age - FRESH_DAYS, 0, 30))
    says = f"the newest event is {age} days old" if late else ""
    return Measured(30, late, (day_name(subject, last),) if late else (), says)


def delivery(subject: Subject) -> Measured:
    """Rows received more than a day after they happened, or before."""
    log = subject.log
    if log.received is None or log.instant is None:
        return NOTHING
    known = np.flatnonzero(log.received)
    delay = log.received[known] - log.instant[known]
    late, early = known[delay > LATE_MS], known[delay < -SKEW_MS]
    return bad_rows(
        log,
        len(known),
        np.concatenate([late, early]),
        f"rows that came more than a day late: {len(late)}, before they happened: {len(early)}",
    )


def end_delivered(subject: Subject) -> Measured:
    """The log's last days, each beside the same weekday of the four weeks before them."""
    log = subject.log
    before = log.day[log.acts[~subject.wrong_clock[log.acts]]]
    if not len(before):
        return NOTHING
    # A log of time stamps may rightly end in the middle of its last day.
    last = int(before.max()) - (log.instant is not None)
    before = before[before <= last]
    span = TAIL_DAYS + USUAL_WEEKS * WEEK
    recent = before[before > last - span] - (last - span + 1)
    volume = np.bincount(recent, minlength=span).astype(np.float64)
    if not len(before) or before.min() > last - span + 1 or np.median(volume) < BUSY:
        return NOTHING
    # The same weekday of each week before: index -1 of the tail lies 7, 14, 21 and 28 days behind.
    usual = np.stack([volume[span - TAIL_DAYS - week * WEEK : span - week * WEEK] for week in range(1, 5)])
    middle = np.median(usual, axis=0)
    thin = np.flatnonzero((volume[-TAIL_DAYS:] < THIN * middle) & (middle >= BUSY))
    return Measured(
        TAIL_DAYS,
        len(thin),
        tuple(day_name(subject, last - TAIL_DAYS + 1 + int(day)) for day in thin),
        f"the last {TAIL_DAYS} days hold far less than usual on their weekdays" if len(thin) else "",
    )


RULES: Final = (
    Rule(
        "newest", "timeliness", 3, 1.0, "days between the newest event and --as-of, from the third on, out of 30",
        "deliver what happened since", newest,
    ),
    Rule(
        "delivery", "timeliness", 2, 1.0, "rows received more than a day late, or before they happened",
        "wait before computing features, and look at the clocks", delivery,
    ),
    Rule(
        "end_delivered", "timeliness", 1, 1.0, "last days with far less than is usual on their weekday",
        "end the log on a day that is all there", end_delivered,
    ),
)  # fmt: skip
