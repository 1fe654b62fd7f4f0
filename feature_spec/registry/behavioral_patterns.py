"""Behaviour: when and how somebody works. Habits are in the log; types of persons come from questionnaires."""

from __future__ import annotations

import math
from functools import reduce
from operator import add
from typing import Final

from feature_spec.expression import context, daily, day, less, sum_days, xlogx
from feature_spec.prebuilt import PREBUILT
from feature_spec.registry.declaring import ACTS, ALL_ACTS, MONTH, category, computed
from feature_spec.registry.entry import Group
from feature_spec.surface import known, ratio

_MORNING: Final = context("morning_acts")
_TOTAL: Final = sum_days(ALL_ACTS)
_DAYS_SINCE_DUE: Final = sum_days(daily("count", "task_due") * day())
_DAYS_SINCE_DONE: Final = sum_days(daily("count", "task_done") * day())
_SPREAD: Final = reduce(add, [xlogx(ratio(sum_days(daily("count", kind)), _TOTAL)) for kind in ACTS])
_QUESTIONNAIRE: Final = "a questionnaire in the app"

GROUP = Group(
    "behavioral_patterns",
    "Behaviour",
    (
        computed(
            "morning_person_score",
            "share",
            0,
            1,
            0.5,
            ratio(_MORNING, _TOTAL),
            known=known(_MORNING) * less(0, _TOTAL),
            meaning="Share of the acts of the last 90 days that happened before noon on the user's own clock; 0.5 "
            "where the log has no time of day or no act.",
        ),
        PREBUILT["consistency_score"],
        computed(
            "procrastination_index",
            "share",
            0,
            1,
            0,
            1 - ratio(_DAYS_SINCE_DONE, _DAYS_SINCE_DUE),
            known=less(0, _DAYS_SINCE_DUE),
            meaning="Of the days that passed since tasks fell due, the share in which they stayed open: 0 all "
            "done on time, 1 none done until today. Whichever task an act finished, the sums of days are the "
            "same, so no matching is needed. Work done ahead of time counts in the user's favour. 0 where nothing "
            "was due before today.",
        ),
        PREBUILT["momentum_score"],
        computed(
            "focus_area_diversity",
            "score",
            0,
            1,
            0,
            _SPREAD * (-1 / math.log(len(ACTS))),
            meaning="How evenly the acts of the last 90 days spread over the seven kinds of acts: their entropy "
            "over ln 7, 0 all of one kind, 1 all kinds alike. The log names no topics, so the areas are what the "
            "user does, not what it is about.",
        ),
        category(
            "learning_style_vector",
            "visual",
            "aural",
            "reading",
            "kinesthetic",
            reporter=_QUESTIONNAIRE,
            meaning="How the user says he likes to learn (the four of Fleming's VARK), as one column each. A "
            "preference for the app's surface: studies found no gain in learning from matching it (Pashler and "
            "others, 2008).",
            why="Which kind of content was viewed is not in the log, and a view would not say that it was "
            "preferred.",
            ttl_s=MONTH,
        ),
        category(
            "motivation_type",
            "intrinsic",
            "identified",
            "introjected",
            "external",
            "amotivated",
            reporter=_QUESTIONNAIRE,
            meaning="Why the user follows the goal, on the scale of self-determination theory (Ryan and Deci, "
            "2000), as one column each.",
            why="Two people with the same log may act for opposite reasons.",
            ttl_s=MONTH,
        ),
        category(
            "stress_response_pattern",
            "problem_solving",
            "seeking_support",
            "avoidance",
            reporter=_QUESTIONNAIRE,
            meaning="What the user mostly does under stress (the three of the Coping Strategy Indicator, "
            "Amirkhan, 1990), as one column each.",
            why="The log does not know when the user is under stress, so it cannot know what he does then.",
            ttl_s=MONTH,
        ),
    ),
)
