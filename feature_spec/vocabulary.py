"""The words of the day input, version 2: what may happen, how it is counted, what is known besides.

Order is part of the format: it is the order of the tensors' axes (docs/protocol/day-input.md).
"""

from __future__ import annotations

from typing import Final

EVENT_TYPES: Final[tuple[str, ...]] = (
    "session",
    "message",
    "task_due",
    "task_done",
    "progress",
    "check_in",
    "content_view",
    "feedback",
)
"""Second axis of ``daily``."""

CHANNELS: Final[tuple[str, ...]] = ("count", "values", "sum")
"""Third axis of ``daily``: number of events, how many of them carry a value, sum of those values."""

CONTEXT: Final[tuple[str, ...]] = (
    "days_observed",
    "account_age_days",
    "goal_age_days",
    "goal_total_days",
    "goals_completed_before",
    "progress",
    "hours_since_last_act",
    "weekday",
    "hour_of_day",
    "day_of_month",
    "day_of_year",
    "morning_acts",
    "goals_active",
    "goals_overdue",
)
"""The entries of ``context``."""

MAX_CELL: Final = float(2**24)
"""Largest count or absolute sum in one entry of a tensor: up to here float32 still tells integers apart."""

CONTEXT_RANGES: Final[dict[str, tuple[float, float]]] = {
    "days_observed": (1, 90),
    "account_age_days": (0, MAX_CELL),
    "goal_age_days": (0, MAX_CELL),
    "goal_total_days": (1, MAX_CELL),
    "goals_completed_before": (0, MAX_CELL),
    "progress": (0, 1),
    # 90 days, and room for what clocks were set back by.
    "hours_since_last_act": (0, 92 * 24),
    "weekday": (0, 6),
    "hour_of_day": (0, 23),
    "day_of_month": (1, 31),
    "day_of_year": (1, 366),
    "morning_acts": (0, MAX_CELL),
    "goals_active": (0, MAX_CELL),
    "goals_overdue": (0, MAX_CELL),
}
"""Smallest and largest value of each entry of ``context`` where it is known."""

LAYOUT_VERSION: Final = 2
"""Version of the day input: grows when a tensor's axes change."""

WINDOW_DAYS: Final = 90
"""First axis of ``daily``: index 0 is the as-of day, index 89 the oldest."""

UNKNOWN: Final = -1.0
"""What a context entry holds when nobody knows it; NaN never crosses the boundary."""

COUNT: Final = CHANNELS.index("count")
VALUES: Final = CHANNELS.index("values")
SUM: Final = CHANNELS.index("sum")
