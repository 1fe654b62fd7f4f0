"""The names that the source document lists, written out here, against the registry: none is silently missing."""

from __future__ import annotations

import pytest

from feature_spec import PREBUILT
from feature_spec.definition import Feature
from feature_spec.errors import DefinitionError
from feature_spec.registry import COMPUTED, INPUT, REGISTRY, TEXT, Group, Input, Registry, status

# FEATURE_REGISTRY of the AI/ML integration guide, 4.1: 7 and six times 8 names.
SOURCE = {
    "user_profile": """
        age gender timezone account_age_days subscription_tier coach_count team_size""",
    "engagement_metrics": """
        sessions_last_7d sessions_last_30d avg_session_duration_min total_messages_sent response_time_avg_sec
        login_streak_days last_active_hours_ago platform_usage_ratio""",
    "goal_metrics": """
        active_goals_count completed_goals_count goal_completion_rate avg_goal_duration_days overdue_goals_count
        goal_velocity goal_complexity_score milestone_completion_rate""",
    "behavioral_patterns": """
        morning_person_score consistency_score procrastination_index momentum_score focus_area_diversity
        learning_style_vector motivation_type stress_response_pattern""",
    "interaction_quality": """
        message_depth_score emotional_range openness_score action_orientation reflection_depth question_asking_rate
        feedback_incorporation_rate insight_acknowledgment""",
    "temporal_features": """
        hour_of_day day_of_week week_of_month is_weekend is_holiday season days_since_last_session
        time_since_goal_set""",
    "contextual_features": """
        current_mood_encoding stress_level energy_level confidence_score recent_achievement_flag
        recent_setback_flag external_events_impact social_support_score""",
}


def test_every_name_of_the_source_is_there_in_its_group_and_place() -> None:
    listed = {group.name: [item.name for item in group.definitions] for group in REGISTRY.groups}
    assert {name: text.split() for name, text in SOURCE.items()} == {
        name: names for name, names in listed.items() if name != "prebuilt"
    }
    assert sum(len(text.split()) for text in SOURCE.values()) == 55


def test_the_prebuilt_features_are_there_and_the_same() -> None:
    assert set(PREBUILT.names) <= set(REGISTRY.names)
    for feature in PREBUILT.features:
        assert REGISTRY.find(feature.name)[1] is feature
    assert [group.name for group in REGISTRY.groups][-1] == "prebuilt"


def test_how_many_are_computed() -> None:
    source = [item for group, item in REGISTRY if group.name != "prebuilt"]
    count = {kind: sum(status(item) == kind for item in source) for kind in (COMPUTED, INPUT, TEXT)}
    assert count == {COMPUTED: 28, INPUT: 20, TEXT: 7}
    assert len(REGISTRY.computed.features) == 28 + 7


def test_what_is_not_computed_says_why() -> None:
    for _, item in REGISTRY:
        if isinstance(item, Input):
            assert len(item.why_declared) > 20, item.name
            assert item.reporter, item.name
        assert item.meaning.endswith("."), item.name
        assert item.ttl_s > 0, item.name


def test_an_unknown_name_names_the_nearest() -> None:
    with pytest.raises(DefinitionError, match="did you mean sessions_last_7d"):
        REGISTRY.find("session_last_7d")
    with pytest.raises(DefinitionError, match="edge features list"):
        REGISTRY.find("xyz")
    assert isinstance(REGISTRY.find("sessions_last_7d")[1], Feature)


def test_a_name_twice_is_refused() -> None:
    group = Group("a", "A", (PREBUILT["goal_velocity"], PREBUILT["goal_velocity"]))
    with pytest.raises(DefinitionError, match="goal_velocity is in the registry twice"):
        Registry((group,))
