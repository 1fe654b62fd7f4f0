"""Engagement: how often and how long somebody is there. All of it is in the log."""

from __future__ import annotations

from typing import Final

from feature_spec.expression import context, daily, less, sum_days, where
from feature_spec.registry.declaring import ALL_ACTS, DAY, SESSIONS, computed
from feature_spec.registry.entry import Group
from feature_spec.surface import known, ratio, recency, streak, windowed_mean, windowed_sum
from feature_spec.vocabulary import WINDOW_DAYS

_MINUTES: Final = sum_days(daily("sum", "session"))
_MEASURED_SESSIONS: Final = sum_days(daily("values", "session"))
_SECONDS: Final = sum_days(daily("sum", "message"))
_MEASURED_MESSAGES: Final = sum_days(daily("values", "message"))
_HOURS: Final = context("hours_since_last_act")

GROUP = Group(
    "engagement_metrics",
    "Engagement",
    (
        computed(
            "sessions_last_7d",
            "events",
            0,
            1_000,
            0,
            windowed_sum(7, SESSIONS),
            dtype="int32",
            meaning="Sessions begun in the last 7 local days, today included. Not scaled up for somebody observed "
            "for fewer days: it is a count, and platform_usage_ratio is the rate.",
        ),
        computed(
            "sessions_last_30d",
            "events",
            0,
            5_000,
            0,
            windowed_sum(30, SESSIONS),
            dtype="int32",
            meaning="Sessions begun in the last 30 local days, today included.",
        ),
        computed(
            "avg_session_duration_min",
            "minutes an event",
            0,
            480,
            0,
            ratio(_MINUTES, _MEASURED_SESSIONS),
            known=less(0, _MEASURED_SESSIONS),
            meaning="Mean length of the sessions of the last 90 days that carry one, in minutes; a session's "
            "value is its length. Sessions without a value do not count as short ones. 0 where none was measured, "
            "480 and more are 480: an app left open over night is no work of eight hours.",
        ),
        computed(
            "total_messages_sent",
            "events",
            0,
            10_000,
            0,
            sum_days(daily("count", "message")),
            dtype="int32",
            meaning="Messages written in the last 90 days: the source says total, but the day input ends there, "
            "and a count that grows for ever says more about the age of an account than about its user.",
        ),
        computed(
            "response_time_avg_sec",
            "seconds an event",
            0,
            DAY,
            DAY,
            ratio(_SECONDS, _MEASURED_MESSAGES),
            known=less(0, _MEASURED_MESSAGES),
            meaning="Mean seconds until the user answered, over the messages of the last 90 days that are answers "
            "(a message's value). A day or more is a day, and so is nothing measured: who never answered is not "
            "quick.",
        ),
        computed(
            "login_streak_days",
            "days",
            0,
            WINDOW_DAYS,
            0,
            streak(SESSIONS),
            dtype="int32",
            meaning="Days in a row with a session, up to today. A today without one does not break the streak: "
            "the day is not over. streak_length counts any act, this one sessions only.",
        ),
        computed(
            "last_active_hours_ago",
            "hours",
            0,
            24 * WINDOW_DAYS,
            24 * WINDOW_DAYS,
            where(known(_HOURS), _HOURS, recency(ALL_ACTS) * 24),
            ttl_s=600,
            meaning="Hours since the last act of any kind, at most 90 days. A log of whole days has no hours: "
            "there it is 24 times the days since the last act, 0 for today. Train on the kind of log that devices "
            "have.",
        ),
        computed(
            "platform_usage_ratio",
            "share",
            0,
            1,
            0,
            windowed_mean(WINDOW_DAYS, less(0, SESSIONS)),
            meaning="Share of the observed days with a session. Days before observation began are missing, not "
            "idle. consistency_score counts days with any act.",
        ),
    ),
)
