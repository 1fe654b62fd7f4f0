"""Goals: what was taken on, and what became of it. The app counts goals; the log has tasks and progress."""

from __future__ import annotations

from typing import Final

from feature_spec.expression import context, less
from feature_spec.prebuilt import PREBUILT
from feature_spec.registry.declaring import DAY, MONTH, computed, number
from feature_spec.registry.entry import Group
from feature_spec.surface import known, ratio

_ACTIVE: Final = context("goals_active")
_COMPLETED: Final = context("goals_completed_before")
_OVERDUE: Final = context("goals_overdue")
_MOST_GOALS: Final = 100

GROUP = Group(
    "goal_metrics",
    "Goals",
    (
        computed(
            "active_goals_count",
            "goals",
            0,
            _MOST_GOALS,
            1,
            _ACTIVE,
            known=known(_ACTIVE),
            dtype="int32",
            meaning="Goals that run now, as the app counts them; 1 where it does not say, since features are "
            "computed for somebody who has a goal.",
        ),
        computed(
            "completed_goals_count",
            "goals",
            0,
            _MOST_GOALS,
            0,
            _COMPLETED,
            known=known(_COMPLETED),
            dtype="int32",
            meaning="Goals brought to an end before this one, as the app counts them; 0 where it does not say.",
        ),
        computed(
            "goal_completion_rate",
            "share",
            0,
            1,
            0.5,
            ratio(_COMPLETED, _COMPLETED + _ACTIVE),
            known=known(_COMPLETED) * known(_ACTIVE) * less(0, _COMPLETED + _ACTIVE),
            meaning="Goals brought to an end among those brought to an end or still running; 0.5 where either is "
            "unknown or there is no goal at all. Goals that were given up are in neither count: the app does not "
            "report them.",
        ),
        number(
            "avg_goal_duration_days",
            "days",
            0,
            3_650,
            reporter="the app's goal records",
            meaning="Mean days from setting a goal to bringing it to an end, over the goals that were.",
            why="The day input knows this goal's age and plan (goal_age_days, goal_total_days), and of earlier "
            "goals only how many there were.",
            ttl_s=DAY,
        ),
        computed(
            "overdue_goals_count",
            "goals",
            0,
            _MOST_GOALS,
            0,
            _OVERDUE,
            known=known(_OVERDUE),
            dtype="int32",
            meaning="Goals past their end and not reached, as the app counts them; 0 where it does not say.",
        ),
        PREBUILT["goal_velocity"],
        number(
            "goal_complexity_score",
            "score",
            0,
            1,
            missing=0.5,
            reporter="the coach or the user, when the goal is set or changed",
            meaning="How many things must come together for this goal, 0 one habit, 1 many people and steps; 0.5 "
            "where nobody judged it.",
            why="A judgement of the goal's content; the log has dates and counts. How many tasks fall due says "
            "how finely a coach divides the work, not how complex it is.",
            ttl_s=MONTH,
        ),
        number(
            "milestone_completion_rate",
            "share",
            0,
            1,
            missing=0.5,
            reporter="the app's goal plan",
            meaning="Milestones reached among those whose date has passed; 0.5 where none has: nobody failed nor "
            "proved anything.",
            why="The log has tasks, and nothing says which of them is a milestone. For tasks there is "
            "completion_rate.",
            ttl_s=DAY,
        ),
    ),
)
