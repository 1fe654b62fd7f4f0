"""What the zoo has, and that its rules fit what its models give."""

from __future__ import annotations

import pytest

from converters.ensemble import OUTPUTS
from converters.errors import ConverterError
from converters.zoo.catalogue import GOAL_SUCCESS, ZOO, find
from edge_sdk.contract.rules import Rules
from feature_spec.prebuilt import PREBUILT

TYPICAL = {
    "completion_rate": 0.9,
    "streak_length": 9.0,
    "engagement_score": 0.5,
    "activity_trend": 0.1,
    "user_experience": 0.5,
    "days_since_last_activity": 0.0,
    "goal_velocity": 0.06,
    "consistency_score": 0.7,
    "momentum_score": 0.8,
    "progress_vs_time": 1.0,
}


def test_found_with_and_without_the_prefix() -> None:
    assert find("goal-success") is find("zoo:goal-success") is GOAL_SUCCESS


@pytest.mark.parametrize("name", ["churn", "zoo:", "", "Goal-Success"])
def test_unknown_models_are_refused_by_name(name: str) -> None:
    with pytest.raises(ConverterError, match="the zoo has goal-success"):
        find(name)


@pytest.mark.parametrize("model", ZOO.values(), ids=lambda model: model.name)
def test_rules_name_only_what_there_is_and_survive_as_data(model: object) -> None:
    rules = GOAL_SUCCESS.rules
    rules.check_names(OUTPUTS, PREBUILT.names)
    assert Rules.from_json(rules.to_json()) == rules


def advice(
    probability: float, features: dict[str, float], costs: dict[str, float]
) -> tuple[set[str], set[str]]:
    given = GOAL_SUCCESS.rules.evaluate(
        {"probability": probability, "confidence": 0.8},
        dict.fromkeys(PREBUILT.names, 0.0) | costs,
        TYPICAL | features,
    )
    return set(given.risk_factors), set(given.actions)


def test_a_person_on_plan_is_told_so() -> None:
    assert advice(0.9, {}, {}) == (set(), {"celebrate_streak"})


def test_trouble_that_costs_is_named_and_acted_on() -> None:
    factors, actions = advice(
        0.3,
        {"completion_rate": 0.2, "days_since_last_activity": 12.0, "streak_length": 0.0},
        {"completion_rate": -0.2, "days_since_last_activity": -0.1},
    )
    assert factors == {"low_completion", "inactive_days"}
    assert actions == {"schedule_check_in", "send_nudge", "break_goal_into_steps"}


def test_a_low_value_that_costs_nothing_is_no_risk_factor() -> None:
    assert advice(0.8, {"completion_rate": 0.2}, {"completion_rate": 0.0})[0] == set()


def test_a_cost_without_a_low_value_is_no_risk_factor() -> None:
    assert advice(0.8, {}, {"completion_rate": -0.2})[0] == set()
