"""What a golden vector is made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

NOON: Final = "2026-03-31T12:00:00Z"
"""A Tuesday, two days after clocks changed in Europe."""

MORNING: Final = "2026-03-31T09:00:00Z"

KNOWN: Final = {
    "observed_since": "2026-01-15",
    "account_since": "2025-11-01",
    "goal_start": "2026-01-15",
    "goal_total_days": 120,
    "goals_completed_before": 2,
    "progress": 0.5,
    "goals_active": 3,
    "goals_overdue": 1,
}
"""A context in which everything is known."""


@dataclass(frozen=True)
class Case:
    """One input: events as JSON objects, an instant, a zone, and what else is known."""

    name: str
    why: str
    events: tuple[Any, ...] = ()
    as_of: Any = NOON
    zone: Any = "UTC"
    context: Any = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The ``input`` object of the vector."""
        return {"as_of": self.as_of, "zone": self.zone, "context": self.context, "events": list(self.events)}


def at(timestamp: Any, event_type: Any = "session", **rest: Any) -> dict[str, Any]:
    """An event at a time."""
    return {"timestamp": timestamp, "event_type": event_type, **rest}


def ago(days: float, event_type: str = "session", **rest: Any) -> dict[str, Any]:
    """An event so many times 24 hours before ``NOON``."""
    instant = datetime(2026, 3, 31, 12, tzinfo=UTC) - timedelta(days=days)
    return at(instant.strftime("%Y-%m-%dT%H:%M:%SZ"), event_type, **rest)


def powers(*timestamps: str) -> tuple[dict[str, Any], ...]:
    """Events with the counts 1, 2, 4, ...: any two sums of them differ, so a cell says which events are in it."""
    return tuple(at(timestamp, count=2**place) for place, timestamp in enumerate(timestamps))
