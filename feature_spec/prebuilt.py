"""The ten prebuilt features, each defined once, on the day input.

Where two formulas would do, the one was taken that still means something for a quiet user, a new user and
a user who does too much: every count saturates, every ratio has a value when nothing was asked for.
"""

from __future__ import annotations

import math
from typing import Final

from feature_spec.definition import Feature, FeatureSpec
from feature_spec.dtypes import INT32
from feature_spec.expression import (
    Expression,
    context,
    daily,
    day,
    decay,
    less,
    log1p,
    maximum,
    minimum,
    sum_days,
)
from feature_spec.surface import known, observed, ratio, recency, streak, windowed_mean, windowed_sum
from feature_spec.vocabulary import EVENT_TYPES, WINDOW_DAYS

_FLOW: Final = "Phase 25 ML architecture overview, goal success prediction flow"
_CHURN: Final = "Phase 25 ML architecture overview, churn prediction flow"
_CATEGORIES: Final = "AI/ML integration guide, 4.1 feature categories"
_PIPELINE: Final = "AI/ML integration guide, 4.2 feature engineering pipeline"

# What falls due is asked of the user; everything else the user does.
_ACTS: Final = tuple(name for name in EVENT_TYPES if name != "task_due")
_DONE: Final = daily("count", *_ACTS)
_ACTIVE: Final = less(0, _DONE)

# Days before observation began are missing, not idle: they must not count against anybody.
_OBSERVED: Final = observed()

# A task done without a score is worth a whole task; a score between 0 and 1 says what it was worth.
_EARNED: Final = daily("count", "task_done") - daily("values", "task_done") + daily("sum", "task_done")

_TREND_DAYS: Final = 14
_SATURATION: Final = 40.0
_VELOCITY_DAYS: Final = 28
_HALF_LIFE: Final = 21.0


def _share(part: Expression, whole: float) -> Expression:
    """Logarithm of a count on a scale where ``whole`` is 1: the tenth act says less than the first."""
    return log1p(part) / math.log1p(whole)


def _completion_rate() -> Feature:
    due = sum_days(daily("count", "task_due"))
    return Feature(
        name="completion_rate",
        version=1,
        unit="share",
        low=0,
        high=1,
        missing=0.5,
        meaning="Tasks done per task due in the window; 0.5 where nothing was due, since nobody failed nor proved "
        "anything. Work done ahead of time counts, and more than was due is still 1.",
        source=_FLOW,
        expression=ratio(sum_days(daily("count", "task_done")), due),
        known=less(0, due),
    )


def _streak_length() -> Feature:
    return Feature(
        name="streak_length",
        version=1,
        unit="days",
        low=0,
        high=WINDOW_DAYS,
        missing=0,
        meaning="Days in a row with any act, up to today. A today without one does not break the streak: the day is "
        "not over; it only does not count.",
        source=_FLOW,
        expression=streak(_DONE),
        dtype=INT32,
    )


def _engagement_score() -> Feature:
    # Talking with the coach and finishing work take more resolve than looking at a page.
    weighed = daily(
        "count", "session", "content_view", "progress", message=2, check_in=2, feedback=2, task_done=3
    )
    return Feature(
        name="engagement_score",
        version=1,
        unit="score",
        low=0,
        high=1,
        missing=0,
        meaning="Weighed acts per observed day on a logarithmic scale on which 40 a day is 1: it saturates, because "
        "the hundredth click of a day says little.",
        source=_CHURN,
        expression=_share(windowed_mean(WINDOW_DAYS, weighed), _SATURATION),
    )


def _activity_trend() -> Feature:
    # Rates by observed days, so that the first weeks of an account are not taken for a rise.
    earlier_days = minimum(_OBSERVED, 2 * _TREND_DAYS) - minimum(_OBSERVED, _TREND_DAYS)
    recent = windowed_mean(_TREND_DAYS, _DONE)
    both = windowed_sum(2 * _TREND_DAYS, _DONE)
    earlier = (both - windowed_sum(_TREND_DAYS, _DONE)) / earlier_days
    return Feature(
        name="activity_trend",
        version=1,
        unit="score",
        low=-1,
        high=1,
        missing=0,
        meaning="Acts a day in the last 14 days against the 14 before, as difference over sum: -1 stopped, 0 as "
        "before, 1 just started; 0 where there is nothing to compare.",
        source=_FLOW,
        expression=(recent - earlier) / (recent + earlier),
        known=less(0, both) * less(0, earlier_days),
    )


def _user_experience() -> Feature:
    age, goals = context("account_age_days"), context("goals_completed_before")
    return Feature(
        name="user_experience",
        version=1,
        unit="score",
        low=0,
        high=1,
        missing=0,
        meaning="How used the person is to this kind of work: half for the account's age (a year is full), half for "
        "goals brought to an end before (five are full), both logarithmic.",
        source=_FLOW,
        expression=minimum(_share(age, 365.0), 1) * 0.5 + minimum(_share(goals, 5.0), 1) * 0.5,
        known=known(age) + known(goals),
    )


def _days_since_last_activity() -> Feature:
    return Feature(
        name="days_since_last_activity",
        version=1,
        unit="days",
        low=0,
        high=WINDOW_DAYS,
        missing=WINDOW_DAYS,
        meaning="Days since the last act, 0 for today; 90 where the window holds none.",
        source=_CHURN,
        expression=recency(_DONE),
        dtype=INT32,
    )


def _goal_velocity() -> Feature:
    weeks = minimum(_OBSERVED, _VELOCITY_DAYS) / 7
    return Feature(
        name="goal_velocity",
        version=1,
        unit="share of the goal a week",
        low=0,
        high=0.25,
        missing=0,
        meaning="Progress gained a week over the last 28 days; a goal finished in four weeks is the top of the scale.",
        source=_CATEGORIES,
        expression=windowed_sum(_VELOCITY_DAYS, daily("sum", "progress")) / weeks,
    )


def _consistency_score() -> Feature:
    return Feature(
        name="consistency_score",
        version=1,
        unit="share",
        low=0,
        high=1,
        missing=0,
        meaning="Share of the observed days with any act: one long evening does not make a habit.",
        source=_CATEGORIES,
        expression=sum_days(_ACTIVE * less(day(), _OBSERVED)) / _OBSERVED,
    )


def _momentum_score() -> Feature:
    due = sum_days(daily("count", "task_due") * decay(_HALF_LIFE))
    earned = sum_days(_EARNED * decay(_HALF_LIFE))
    return Feature(
        name="momentum_score",
        version=1,
        unit="score",
        low=0,
        high=1,
        missing=0.5,
        meaning="What recent work was worth against what fell due, both halved every 21 days: late success outweighs "
        "early failure, and poor work is less than done. 0.5 where nothing was due.",
        source=_PIPELINE,
        expression=ratio(earned, due),
        known=less(0, due),
    )


def _progress_vs_time() -> Feature:
    progress, age, total = context("progress"), context("goal_age_days"), context("goal_total_days")
    return Feature(
        name="progress_vs_time",
        version=1,
        unit="ratio",
        low=0,
        high=2,
        missing=1,
        meaning="Progress against the elapsed share of the goal's time: 1 is on plan, 2 or more far ahead. The source "
        "divides by the days left, which explodes at the deadline; elapsed time does not.",
        source=_PIPELINE,
        expression=progress / minimum(maximum(age, 1) / total, 1),
        known=known(progress) * known(age) * known(total),
    )


PREBUILT: Final = FeatureSpec(
    (
        _completion_rate(),
        _streak_length(),
        _engagement_score(),
        _activity_trend(),
        _user_experience(),
        _days_since_last_activity(),
        _goal_velocity(),
        _consistency_score(),
        _momentum_score(),
        _progress_vs_time(),
    )
)
"""The prebuilt features in the order in which every prebuilt model takes them."""
