"""Context: how somebody is just now. Only the person knows, or a wearable; what recently went well is in the log."""

from __future__ import annotations

from typing import Final

from feature_spec.expression import daily, less, maximum
from feature_spec.registry.declaring import EARNED, HOUR, MONTH, WEEK, category, computed, number
from feature_spec.registry.entry import Group
from feature_spec.surface import windowed_sum

_RECENT_DAYS: Final = 7
_EARNED: Final = windowed_sum(_RECENT_DAYS, EARNED)
_GAINED: Final = windowed_sum(_RECENT_DAYS, daily("sum", "progress"))
_DUE: Final = windowed_sum(_RECENT_DAYS, daily("count", "task_due"))
_DONE: Final = windowed_sum(_RECENT_DAYS, daily("count", "task_done"))

# A whole task, a twentieth of the goal, and nothing: each moved by half a thousandth, since sums of scores that come to
# exactly that would fall on either side of it in single and in double precision.
_WHOLE_TASK: Final = 0.9995
_LEAP: Final = 0.0495
_LOSS: Final = -0.0005

_CHECK_IN: Final = "the user, in a check-in"

GROUP = Group(
    "contextual_features",
    "Context",
    (
        category(
            "current_mood_encoding",
            "energised",
            "calm",
            "tense",
            "low",
            "neutral",
            reporter=_CHECK_IN,
            meaning="Mood in the four fields of pleasure and arousal (Russell, 1980) or in their middle, as one "
            "column each.",
            why="A check-in event may carry an answer, but in the app's own unit; which mood it was is not in the "
            "log.",
            ttl_s=4 * HOUR,
        ),
        number(
            "stress_level",
            "score",
            0,
            1,
            missing=0.5,
            reporter=_CHECK_IN + ", or a wearable that estimates it from heart-rate variability",
            meaning="0 at ease, 1 as much as the user can imagine; 0.5 where nobody says.",
            why="Not seen in what somebody does in an app: both a busy and a quiet day may be stress.",
            ttl_s=4 * HOUR,
        ),
        number(
            "energy_level",
            "score",
            0,
            1,
            missing=0.5,
            reporter=_CHECK_IN + ", or a wearable from sleep and activity",
            meaning="0 exhausted, 1 full of energy; 0.5 where nobody says.",
            why="Sleep and movement are not events of the log.",
            ttl_s=4 * HOUR,
        ),
        number(
            "confidence_score",
            "score",
            0,
            1,
            missing=0.5,
            reporter=_CHECK_IN,
            meaning="How sure the user is to reach this goal, 0 not at all, 1 certain; 0.5 where nobody says.",
            why="What somebody believes is not what he does; a model that took behaviour for belief would say it "
            "twice.",
            ttl_s=WEEK,
        ),
        computed(
            "recent_achievement_flag",
            "flag",
            0,
            1,
            0,
            maximum(less(_WHOLE_TASK, _EARNED), less(_LEAP, _GAINED)),
            dtype="flag",
            meaning="1 where the last 7 days brought work worth a whole task, or a twentieth of the goal.",
        ),
        computed(
            "recent_setback_flag",
            "flag",
            0,
            1,
            0,
            maximum(less(_DONE * 2, _DUE), less(_GAINED, _LOSS)),
            dtype="flag",
            meaning="1 where in the last 7 days less than half of what fell due was done, or the goal moved "
            "backwards.",
        ),
        number(
            "external_events_impact",
            "score",
            -1,
            1,
            missing=0,
            reporter="the user or the coach, when something outside happens",
            meaning="How what happens outside (a move, an illness, a new job) bears on the goal: -1 stops it, 1 "
            "carries it; 0 where nothing was reported.",
            why="The log ends where the app ends.",
            ttl_s=WEEK,
        ),
        number(
            "social_support_score",
            "score",
            0,
            1,
            missing=0.5,
            reporter="a questionnaire in the app",
            meaning="How much help the user can count on, 0 none, 1 whenever needed; 0.5 where nobody says.",
            why="Other people are not in one user's log.",
            ttl_s=MONTH,
        ),
    ),
)
