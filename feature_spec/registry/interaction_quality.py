"""Interaction quality: how somebody writes. The log counts messages and never holds a word of them, on purpose."""

from __future__ import annotations

from feature_spec.registry.declaring import DAY, from_text, number
from feature_spec.registry.entry import Group

GROUP = Group(
    "interaction_quality",
    "Interaction quality",
    (
        from_text(
            "message_depth_score",
            meaning="How much the messages of the last 30 days explain, 0 a word or two, 1 reasons, examples and "
            "consequences; the mean over messages.",
            why="A message event has a count and the seconds until the answer; depth is in the words.",
        ),
        from_text(
            "emotional_range",
            meaning="How many different feelings the messages of the last 30 days show and how far apart they "
            "lie, 0 always the same, 1 the whole scale.",
            why="Feelings are in the words; no event says which.",
        ),
        from_text(
            "openness_score",
            meaning="How much the writer tells of himself, 0 nothing personal, 1 openly; the mean over messages "
            "of the last 30 days. Not the personality trait of the same name, which needs a questionnaire.",
            why="Whether a message tells something personal is in its words.",
        ),
        from_text(
            "action_orientation",
            meaning="Share of the messages of the last 30 days that name a next step of the writer's own.",
            why="Intentions are in the words; done tasks say what became of them, and completion_rate counts "
            "those.",
        ),
        from_text(
            "reflection_depth",
            meaning="How far the writer looks at his own part in what happened, 0 telling events, 1 questioning "
            "himself; the mean over messages of the last 30 days.",
            why="Reflection is in the words.",
        ),
        from_text(
            "question_asking_rate",
            meaning="Share of the messages of the last 30 days that ask something.",
            why="A message event does not say whether it is a question; a question mark is part of the text, and "
            "not every language writes one.",
        ),
        number(
            "feedback_incorporation_rate",
            "share",
            0,
            1,
            reporter="the coaching app, which knows which task came from which suggestion",
            meaning="Share of the coach's suggestions of the last 30 days that the user made a task and did.",
            why="The log has tasks and ratings, but no suggestions, and nothing links a task to the one it came "
            "from. The event type feedback is the user rating something: the other direction.",
            ttl_s=DAY,
        ),
        from_text(
            "insight_acknowledgment",
            meaning="Share of the coach's insights of the last 30 days that the user took up in an answer.",
            why="That an answer takes up an insight is in the words of both; the log holds neither.",
        ),
    ),
)
