"""The words of the day input: what may happen, how it is counted, what is known besides.

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
)
"""The entries of ``context``."""

WINDOW_DAYS: Final = 90
"""First axis of ``daily``: index 0 is the as-of day, index 89 the oldest."""

UNKNOWN: Final = -1.0
"""What a context entry holds when nobody knows it; NaN never crosses the boundary."""

COUNT: Final = CHANNELS.index("count")
VALUES: Final = CHANNELS.index("values")
SUM: Final = CHANNELS.index("sum")
