"""User profile: who somebody is. Nearly all of it is known to the account system and to no event."""

from __future__ import annotations

from typing import Final

from feature_spec.expression import context
from feature_spec.registry.declaring import DAY, MONTH, WEEK, category, computed, number
from feature_spec.registry.entry import Group
from feature_spec.surface import known

_ACCOUNT: Final = "the account system, from what the user entered"
_ACCOUNT_AGE: Final = context("account_age_days")

GROUP = Group(
    "user_profile",
    "User profile",
    (
        number(
            "age",
            "years",
            13,
            120,
            whole=True,
            reporter=_ACCOUNT,
            meaning="Age in completed years.",
            why="No event says how old a person is. There is no neutral age, so an unknown one is -1.",
            ttl_s=MONTH,
        ),
        category(
            "gender",
            "woman",
            "man",
            "nonbinary",
            "self_described",
            reporter=_ACCOUNT + "; never guessed from a name",
            meaning="As the user states it. Declared so that somebody can measure whether a model treats people "
            "alike; no prebuilt model takes it.",
            why="No event says it, and nothing may infer it.",
            ttl_s=MONTH,
        ),
        number(
            "timezone",
            "minutes from UTC",
            -720,
            840,
            missing=0,
            whole=True,
            reporter="the device's clock",
            meaning="Offset of the user's zone from UTC at the as-of instant. The zone itself is given to the day "
            "input, where it decides on which day an event falls; that is where it matters. 0 (UTC) where "
            "unknown, as the day input has it.",
            why="Events carry instants; an offset in a timestamp says when, never where somebody lives.",
            ttl_s=DAY,
        ),
        computed(
            "account_age_days",
            "days",
            0,
            3_650,
            0,
            _ACCOUNT_AGE,
            known=known(_ACCOUNT_AGE),
            dtype="int32",
            meaning="Local days since the account was made; 0 where nobody says, as for a new one; ten years and "
            "more are ten.",
        ),
        category(
            "subscription_tier",
            "free",
            "trial",
            "basic",
            "premium",
            "team",
            reporter="the billing system",
            meaning="What the user pays for now. An app with other tiers maps them to these.",
            why="Payments are no events of the log.",
            ttl_s=DAY,
        ),
        number(
            "coach_count",
            "coaches",
            0,
            50,
            whole=True,
            reporter="the account system",
            meaning="Coaches, human or not, who work with the user now.",
            why="A message event does not say to whom it went.",
            ttl_s=DAY,
        ),
        number(
            "team_size",
            "people",
            0,
            10_000,
            whole=True,
            reporter="the account system of a team's plan",
            meaning="People in the user's team, the user included; 0 for somebody without a team.",
            why="One user's log knows nobody else.",
            ttl_s=WEEK,
        ),
    ),
)
