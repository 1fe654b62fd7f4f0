"""Made-up logs for the warehouse bench: users who do something forty times in a hundred days, stored by time."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from feature_spec.extras import Late
from feature_spec.vocabulary import EVENT_TYPES

EVENTS_PER_USER: Final = 40
AS_OF_MS: Final = 1_774_958_400_000
"""2026-03-31T12:00:00Z, for everybody."""
DAY_MS: Final = 86_400_000
_SPAN_DAYS: Final = 100
_ROW_GROUP: Final = 500_000

arrow: Any = Late("pyarrow", extra="warehouse")
parquet: Any = Late("pyarrow.parquet", extra="warehouse")


def write(folder: Path, users: int, seed: int) -> None:
    """Write ``events.parquet`` and ``requests.parquet`` for ``users`` users into ``folder``."""
    random = np.random.default_rng(seed)
    names = arrow.array([f"user-{number:08d}" for number in range(users)])
    events = users * EVENTS_PER_USER
    instants = np.sort(AS_OF_MS + DAY_MS - random.integers(0, _SPAN_DAYS * DAY_MS, events))
    with_value = random.random(events, np.float32) < 0.5
    log = {
        "user_id": names.take(arrow.array(random.integers(0, users, events))),
        "timestamp": arrow.array(instants, arrow.timestamp("ms", tz="UTC")),
        "event_type": arrow.array(EVENT_TYPES).take(
            arrow.array(random.integers(0, len(EVENT_TYPES), events, np.int8))
        ),
        "count": random.integers(1, 4, events, np.int32),
        "value": arrow.array(random.random(events), mask=~with_value),
    }
    parquet.write_table(arrow.table(log), folder / "events.parquet", row_group_size=_ROW_GROUP)
    today = AS_OF_MS // DAY_MS
    asked = {
        "user_id": names,
        "as_of": arrow.array(np.full(users, AS_OF_MS), arrow.timestamp("ms", tz="UTC")),
        "observed_since": _dates(today - random.integers(20, 200, users)),
        "account_since": _dates(today - random.integers(0, 900, users)),
        "goal_start": _dates(today - random.integers(0, 200, users)),
        "goal_total_days": random.integers(30, 300, users),
        "goals_completed_before": random.integers(0, 8, users),
        "progress": random.random(users),
    }
    parquet.write_table(arrow.table(asked), folder / "requests.parquet")


def _dates(days: np.ndarray[Any, Any]) -> Any:
    return arrow.array(days.astype(np.int32), arrow.date32())
