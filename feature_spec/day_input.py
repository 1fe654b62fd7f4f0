"""The day input of one user: the reference for everybody who fills the tensors on a device.

The rules, in the order in which the code applies them (docs/protocol/day-input.md explains them):

1. Every event and the context are well-formed, or the whole input is refused.
2. Events with one id and the same content are one event; with other content they are refused.
3. What happened after the as-of instant does not count.
4. An event's day is the local calendar day of its instant; its index is how many calendar days that lies
   before the as-of day. Days before observation began, beyond 90, and after the as-of day do not count.
5. Rows of one day and type add up: counts, numbers of values, sums of values.
6. The acts among what counts say when the last one was, and how many there were before noon.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final

import numpy as np
import numpy.typing as npt

from feature_spec.day_context import Context as Context
from feature_spec.errors import DataError, DayInputError
from feature_spec.events import Event as Event
from feature_spec.events import EventColumns as EventColumns
from feature_spec.events import instant_of
from feature_spec.instants import (
    DAY_MS,
    EPOCH_DAY,
    FIRST_INSTANT,
    LAST_INSTANT,
    Instants,
    local_milliseconds,
    local_moment,
    zone,
)
from feature_spec.numbers import shown
from feature_spec.vocabulary import (
    CHANNELS,
    CONTEXT,
    COUNT,
    EVENT_TYPES,
    MAX_CELL,
    SUM,
    UNKNOWN,
    VALUES,
    WINDOW_DAYS,
)

REASONS: Final = (
    "bad-event",
    "bad-timestamp",
    "bad-zone",
    "unknown-event-type",
    "bad-count",
    "bad-value",
    "event-id-conflict",
    "bad-context",
    "not-observed",
    "too-many",
)
"""Every code that ``DayInputError.reason`` can be."""

_DUE: Final = EVENT_TYPES.index("task_due")
_CELLS: Final = WINDOW_DAYS * len(EVENT_TYPES)
_HOUR_MS: Final = 3_600_000
_NOON_MS: Final = DAY_MS // 2
_REACH_MS: Final = (WINDOW_DAYS + 2) * DAY_MS
"""What is further back lies outside of the window, wherever clocks were moved to."""

_CHUNK: Final = 1 << 16
"""Events taken at a time, so that a log of any length needs a few megabytes besides its columns."""


@dataclass(frozen=True, eq=False)
class DayInput:
    """The two tensors: ``daily`` float32 [90, 8, 3] and ``context`` float32 [14]."""

    daily: npt.NDArray[np.float32]
    context: npt.NDArray[np.float32]


def day_input(
    events: Iterable[Event], as_of: str, zone_name: str, context: Context | None = None
) -> DayInput:
    """The day input of one user at an instant.

    Args:
        events: in any order.
        as_of: RFC 3339; what happened later does not count.
        zone_name: IANA zone in which the user's days are counted.
        context: what else is known.

    Raises:
        DayInputError: the input breaks a rule.
    """
    return day_input_of_columns(EventColumns.of(events), instant_of(as_of), zone_name, context)


def day_input_of_columns(
    events: EventColumns, as_of: int, zone_name: str, context: Context | None = None
) -> DayInput:
    """``day_input`` of columns, for a store that keeps them: as fast as the events are many.

    Any number of events is taken, in memory that does not grow with it but for looking up ids.

    Args:
        events: in any order.
        as_of: milliseconds since 1970-01-01T00:00:00Z; what happened later does not count.
        zone_name: IANA zone in which the user's days are counted.
        context: what else is known.

    Raises:
        DayInputError: the input breaks a rule.
    """
    if isinstance(as_of, bool) or not isinstance(as_of, int | np.integer):
        raise DayInputError(
            "bad-timestamp", f"the as-of instant is {shown(as_of)}; give whole milliseconds since 1970"
        )
    if not FIRST_INSTANT <= as_of <= LAST_INSTANT:
        raise DayInputError(
            "bad-timestamp", f"{shown(as_of)} ms since 1970 is no instant between 1970 and 2199"
        )
    if context is not None and not isinstance(context, Context):
        raise DayInputError(
            "bad-context",
            f"the context is {shown(context)}; give a Context, for JSON that of Context.from_json",
        )
    as_of = int(as_of)
    try:
        where = zone(zone_name if isinstance(zone_name, str) else shown(zone_name))
    except DataError as error:
        raise DayInputError("bad-zone", str(error)) from None
    moment = local_moment(as_of, where)
    today = moment.toordinal() - EPOCH_DAY
    known = _dated(context or Context(), today) | {
        "weekday": moment.weekday(),
        "hour_of_day": moment.hour,
        "day_of_month": moment.day,
        "day_of_year": moment.timetuple().tm_yday,
    }
    observed = known["days_observed"]
    totals = _Totals(as_of, where, today, WINDOW_DAYS if observed is None else int(observed))
    repeats = events.repeats()
    for start in range(0, len(events), _CHUNK):
        part = slice(start, start + _CHUNK)
        totals.add(
            events.instants[part],
            events.types[part],
            events.counts[part],
            None if events.values is None else events.values[part],
            None if repeats is None else repeats[part],
        )
    known |= totals.acts()
    scalars = [UNKNOWN if (value := known[name]) is None else value for name in CONTEXT]
    return DayInput(totals.daily(), np.array(scalars, np.float32))


class _Totals:
    """What the events of one user add up to, taken part by part."""

    def __init__(self, as_of: int, where: tzinfo, today: int, observed: int) -> None:
        self._as_of, self._where, self._today, self._observed = as_of, where, today, observed
        # Doubles, rounded once at the end: sums in float32 would depend on the order of the events.
        self._sums = np.zeros((len(CHANNELS), _CELLS))
        self._last_act: int | None = None
        self._morning_acts = 0.0

    def add(
        self,
        instants: Instants,
        types: npt.NDArray[np.int64],
        counts: npt.NDArray[np.float64],
        values: npt.NDArray[np.float64] | None,
        repeats: npt.NDArray[np.bool_] | None,
    ) -> None:
        """Add a part of the columns; ``repeats`` are rows that do not count."""
        near = (instants <= self._as_of) & (instants > self._as_of - _REACH_MS)
        rows = np.flatnonzero(near if repeats is None else near & ~repeats)
        clock = local_milliseconds(instants[rows], self._where)
        index = self._today - clock // DAY_MS
        # Below 0 where clocks went back over midnight: that day is yet to come.
        inside = (index >= 0) & (index < self._observed)
        rows, clock, index = rows[inside], clock[inside], index[inside]
        kinds, times = types[rows], counts[rows]
        cell = index * len(EVENT_TYPES) + kinds
        self._sums[COUNT] += np.bincount(cell, times, _CELLS)
        if values is not None:
            valued = ~np.isnan(values[rows])
            cell = cell[valued]
            self._sums[VALUES] += np.bincount(cell, minlength=_CELLS)
            self._sums[SUM] += np.bincount(cell, values[rows[valued]], _CELLS)
        acts = (kinds != _DUE) & (times > 0)
        if acts.any():
            latest = int(instants[rows[acts]].max())
            self._last_act = latest if self._last_act is None else max(self._last_act, latest)
            self._morning_acts += float(times[acts & (clock % DAY_MS < _NOON_MS)].sum())

    def daily(self) -> npt.NDArray[np.float32]:
        """float32 [90, 8, 3].

        Raises:
            DayInputError: a cell is beyond 2^24.
        """
        if (np.abs(self._sums) > MAX_CELL).any():
            raise DayInputError(
                "too-many", "a day adds up to more than 2^24 of one event type; check the units"
            )
        return self._sums.T.reshape(WINDOW_DAYS, len(EVENT_TYPES), len(CHANNELS)).astype(np.float32)

    def acts(self) -> dict[str, float | None]:
        """The entries of the context that acts fill.

        Raises:
            DayInputError: there are more than 2^24 acts before noon.
        """
        if self._morning_acts > MAX_CELL:
            raise DayInputError("too-many", "there are more than 2^24 acts before noon; check the counts")
        last = self._last_act
        return {
            "hours_since_last_act": None if last is None else (self._as_of - last) / _HOUR_MS,
            "morning_acts": self._morning_acts,
        }


def _dated(known: Context, today: int) -> dict[str, float | None]:
    """What is known besides events, on the as-of day."""
    since = known.date("observed_since")
    if since is not None and since > today:
        raise DayInputError(
            "not-observed", "observation begins after the as-of day; there is nothing to compute yet"
        )
    return {
        "days_observed": None if since is None else min(today - since + 1, WINDOW_DAYS),
        "account_age_days": _age(known.date("account_since"), today),
        "goal_age_days": _age(known.date("goal_start"), today),
        "goal_total_days": known.goal_total_days,
        "goals_completed_before": known.goals_completed_before,
        "progress": known.progress,
        "goals_active": known.goals_active,
        "goals_overdue": known.goals_overdue,
    }


def _age(since: int | None, today: int) -> int | None:
    """Days since a date; what lies ahead has no age yet, so it is unknown."""
    return None if since is None or since > today else today - since
