"""Time: what calendar and clock show at the as-of instant, in the user's zone, and how long ago things were."""

from __future__ import annotations

from typing import Final

from feature_spec.expression import context, less, where
from feature_spec.registry.declaring import DAY, SESSIONS, computed, flag
from feature_spec.registry.entry import Group
from feature_spec.surface import bucketize, known, recency
from feature_spec.vocabulary import WINDOW_DAYS

_HOUR: Final = context("hour_of_day")
_WEEKDAY: Final = context("weekday")
_DAY_OF_MONTH: Final = context("day_of_month")
_DAY_OF_YEAR: Final = context("day_of_year")
_GOAL_AGE: Final = context("goal_age_days")

_SEASON_STARTS: Final = (60, 152, 244, 335)
"""1 March, 1 June, 1 September, 1 December as days of a year without 29 February."""

# In a leap year these four days come one later. So the last days of the months before them have the numbers that
# the first days have in other years; only they have a day of the month above 28 there.
_COMMON_DAY: Final = where(less(28, _DAY_OF_MONTH), _DAY_OF_YEAR - 1, _DAY_OF_YEAR)
_SEASON: Final = bucketize(_SEASON_STARTS, _COMMON_DAY) % 4

GROUP = Group(
    "temporal_features",
    "Time",
    (
        computed(
            "hour_of_day",
            "hour of the day",
            0,
            23,
            12,
            _HOUR,
            known=known(_HOUR),
            dtype="int32",
            ttl_s=600,
            meaning="Hour on the user's own clock, 0 to 23; 12 in a log of whole days. 23 and 0 are neighbours: a "
            "linear model wants buckets of it.",
        ),
        computed(
            "day_of_week",
            "weekday",
            0,
            6,
            3,
            _WEEKDAY,
            known=known(_WEEKDAY),
            dtype="int32",
            meaning="Local weekday, 0 Monday to 6 Sunday; 3, the middle, where days are no dates. A number by "
            "name only: one_hot makes columns of it.",
        ),
        computed(
            "week_of_month",
            "bucket",
            1,
            5,
            3,
            bucketize((8, 15, 22, 29), _DAY_OF_MONTH) + 1,
            known=known(_DAY_OF_MONTH),
            dtype="int32",
            meaning="1 for the first seven days of the local month, 5 for what comes after the 28th; weeks of a "
            "month and not of a calendar, so that they do not depend on which day a week begins. 3 where days are "
            "no dates.",
        ),
        computed(
            "is_weekend",
            "flag",
            0,
            1,
            0,
            less(4.5, _WEEKDAY),
            known=known(_WEEKDAY),
            dtype="flag",
            meaning="1 on Saturday and Sunday. Where the weekend is Friday and Saturday, take day_of_week "
            "instead. 0 where days are no dates.",
        ),
        flag(
            "is_holiday",
            reporter="the device's calendar, for the user's region",
            meaning="1 on a public holiday where the user lives; 0 where nobody says.",
            why="Holidays differ by region and are set by law each year; neither is in the log.",
            ttl_s=DAY // 24,
        ),
        computed(
            "season",
            "bucket",
            0,
            3,
            0,
            _SEASON,
            known=known(_DAY_OF_YEAR) * known(_DAY_OF_MONTH),
            dtype="int32",
            meaning="Meteorological season of the northern hemisphere by the local date: 0 winter (December to "
            "February), 1 spring, 2 summer, 3 autumn, whole months, right in leap years too. The log does not "
            "know the hemisphere: south of the equator 0 is summer. 0 where days are no dates.",
        ),
        computed(
            "days_since_last_session",
            "days",
            0,
            WINDOW_DAYS,
            WINDOW_DAYS,
            recency(SESSIONS),
            dtype="int32",
            meaning="Days since the last session, 0 for today; 90 where the window holds none. "
            "days_since_last_activity counts any act.",
        ),
        computed(
            "time_since_goal_set",
            "days",
            0,
            3_650,
            0,
            _GOAL_AGE,
            known=known(_GOAL_AGE),
            dtype="int32",
            meaning="Local days since this goal was set; 0 where nobody says, as for a new one.",
        ),
    ),
)
