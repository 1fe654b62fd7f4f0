"""When the events of many users happened: what a log of timestamps knows, and one of days does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo

import numpy as np
import numpy.typing as npt

from feature_spec.errors import DataError
from feature_spec.instants import DAY_MS, Instants, last_instant, local_milliseconds
from feature_spec.vocabulary import MAX_CELL, WINDOW_DAYS

_HOUR_MS = 3_600_000
_NOON_MS = DAY_MS // 2
_FEW = 0.01


@dataclass(frozen=True, eq=False)
class Clocks:
    """The times of events, and the zones by which they are told.

    Attributes:
        instant: int64 [events], milliseconds since 1970-01-01T00:00:00Z.
        clock: int64 [events], what calendar and clock showed, as milliseconds since 1970-01-01T00:00 on that clock.
        zones: the zone of each user.
    """

    instant: Instants
    clock: npt.NDArray[np.int64]
    zones: tuple[tzinfo, ...]

    @classmethod
    def of(cls, instant: Instants, owner: npt.NDArray[np.int64], zones: Sequence[tzinfo]) -> Clocks:
        """Tell the local time of each event.

        Args:
            instant: [events].
            owner: [events], index of the user in ``zones``.
            zones: one for each user.

        Raises:
            DataError: an instant outside of 1970 to 2199.
        """
        distinct = {where: index for index, where in enumerate(dict.fromkeys(zones))}
        place = np.array([distinct[where] for where in zones], np.int64)[owner]
        clock = np.empty_like(instant)
        for where, index in distinct.items():
            rows = np.flatnonzero(place == index)
            clock[rows] = local_milliseconds(instant[rows], where)
        return cls(instant, clock, tuple(zones))

    @property
    def day(self) -> npt.NDArray[np.int64]:
        """[events], days since 1970-01-01 of each event's local day."""
        return self.clock // DAY_MS

    def and_days(self, days: npt.NDArray[np.int64]) -> Clocks:
        """The same with events behind them that have a day and no time; they count as noon, and as no act."""
        noon = days * DAY_MS + _NOON_MS
        return Clocks(np.append(self.instant, noon), np.append(self.clock, noon), self.zones)

    def context(
        self, as_of: npt.NDArray[np.float64], owner: npt.NDArray[np.int64], counts: npt.NDArray[np.float64]
    ) -> dict[str, npt.NDArray[np.float64]]:
        """What the clock says at the end of each user's day.

        Args:
            as_of: [users], days since 1970-01-01.
            owner: [events], index of the user.
            counts: [events], how many acts each event is: 0 where it does not count or is none.

        Returns:
            Entries of ``CONTEXT`` by name, [users] each, NaN where unknown.

        Raises:
            DataError: an as-of day outside of 1970 to 2199, or more than 2^24 acts before noon.
        """
        keys = list(zip(as_of.astype(np.int64).tolist(), self.zones, strict=True))
        ends = {key: last_instant(*key) for key in set(keys)}
        end = np.array([ends[key] for key in keys], np.int64)
        hour = {
            (day, where): int(local_milliseconds(np.array([at]), where)[0]) % DAY_MS // _HOUR_MS
            for (day, where), at in ends.items()
        }
        acts = np.flatnonzero(counts > 0)
        last = np.full(len(as_of), np.nan)
        np.fmax.at(last, owner[acts], self.instant[acts].astype(np.float64))
        early = acts[self.clock[acts] % DAY_MS < _NOON_MS]
        mornings = np.bincount(owner[early], counts[early], len(as_of))
        if (mornings > MAX_CELL).any():
            raise DataError("a user has more than 2^24 acts before noon; check the counts")
        return {
            "hours_since_last_act": (end - last) / _HOUR_MS,
            "hour_of_day": np.array([hour[key] for key in keys], np.float64),
            "morning_acts": mornings,
        }


def check_end(done: npt.NDArray[np.int64], last_day: float, calendar: bool) -> None:
    """Refuse a log whose last day lies so far behind nearly everything that features look back on nothing.

    One event of a clock that is wrong is enough for that, and the numbers alone do not show it.

    Args:
        done: days on which anybody did anything, one for each row.
        last_day: the day that features look back from.
        calendar: whether day numbers are dates.

    Raises:
        DataError: it is one.
    """
    near = int((done > last_day - WINDOW_DAYS).sum())
    if near >= _FEW * len(done):
        return
    day = str(np.datetime64(int(last_day), "D")) if calendar else f"day {last_day:.0f}"
    raise DataError(
        f"only {near} of {len(done)} rows lie in the {WINDOW_DAYS} days up to {day}, the log's last day, from where "
        "features look back; drop the rows of a wrong clock ('edge features check' finds them), or give --cutoff-day"
    )
