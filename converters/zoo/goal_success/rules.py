"""What a goal-success prediction means for a coach: risk factors and actions, as data for the record.

A risk factor needs two things: the feature is in a range that people would call a problem, and it did cost
this person at least a hundredth of success probability by the model's own account. The first alone would
blame what does not matter here, the second alone what is only below the median.
"""

from __future__ import annotations

from typing import Final

from edge_sdk.contract.rules import Condition, Rule, Rules

_COSTS: Final = -0.01
"""Contribution, in probability, below which a feature counts as holding somebody back."""


def _factor(key: str, feature: str, op: str, than: float) -> Rule:
    return Rule(
        key, (Condition("feature", feature, op, than), Condition("contribution", feature, "<", _COSTS))
    )


def _likely(op: str, than: float) -> Condition:
    return Condition("output", "probability", op, than)


RULES: Final = Rules(
    risk_factors=(
        _factor("low_completion", "completion_rate", "<", 0.5),
        _factor("low_quality", "momentum_score", "<", 0.4),
        _factor("behind_schedule", "progress_vs_time", "<", 0.7),
        _factor("declining_activity", "activity_trend", "<", -0.2),
        _factor("inactive_days", "days_since_last_activity", ">=", 5.0),
        _factor("broken_streak", "streak_length", "<", 1.0),
        _factor("low_engagement", "engagement_score", "<", 0.2),
        _factor("low_consistency", "consistency_score", "<", 0.25),
        _factor("stalled", "goal_velocity", "<", 0.02),
    ),
    actions=(
        Rule("schedule_check_in", (_likely("<", 0.4),)),
        Rule("send_nudge", (_likely("<", 0.75),), ("inactive_days",)),
        Rule("break_goal_into_steps", (_likely("<", 0.6),), ("low_completion",)),
        Rule("adjust_deadline", (_likely("<", 0.5),), ("behind_schedule",)),
        Rule("plan_regular_days", (_likely("<", 0.6),), ("low_consistency",)),
        Rule("review_recent_work", (_likely("<", 0.6),), ("low_quality",)),
        Rule("celebrate_streak", (_likely(">=", 0.5), Condition("feature", "streak_length", ">=", 7.0))),
    ),
)
"""The keys are for an app to translate. Features that the prebuilt spec has, outputs that the ensemble has."""
