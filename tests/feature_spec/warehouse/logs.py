"""Inputs of the day input as tables of the warehouse: one user an input, every cell as text as in a CSV file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from feature_spec import PREBUILT
from feature_spec.definition import FeatureSpec
from feature_spec.warehouse.compute import compute
from feature_spec.warehouse.engine import Engine

_EVENT = ("timestamp", "event_type", "count", "value", "event_id", "goal_id")
_CONTEXT = (
    "observed_since",
    "account_since",
    "goal_start",
    "goal_total_days",
    "goals_completed_before",
    "goals_active",
    "goals_overdue",
    "progress",
)


def tables(inputs: Iterable[tuple[str, Mapping[str, Any]]]) -> tuple[pa.Table, pa.Table]:
    """Events and requests of users with one input each, as in ``vector_cases``."""
    events: dict[str, list[str | None]] = {key: [] for key in ("user_id", *_EVENT)}
    requests: dict[str, list[str | None]] = {key: [] for key in ("user_id", "as_of", "zone", *_CONTEXT)}
    for user, given in inputs:
        for event in given["events"]:
            for key in _EVENT:
                events[key].append(_text({"count": 1, **event}.get(key)))
            events["user_id"].append(user)
        for key in _CONTEXT:
            requests[key].append(_text(given["context"].get(key)))
        for key, value in (("user_id", user), ("as_of", given["as_of"]), ("zone", given["zone"])):
            requests[key].append(value)
    schema = pa.string()
    return tuple(  # type: ignore[return-value]
        pa.table({key: pa.array(column, schema) for key, column in table.items()})
        for table in (events, requests)
    )


def features(
    engine: Engine, events: pa.Table, requests: pa.Table, spec: FeatureSpec = PREBUILT, zone: str = "UTC"
) -> npt.NDArray[np.float32]:
    """The features of every request, in order."""
    found = compute(spec, engine, engine.register(events), engine.register(requests), zone)
    assert found.num_rows == requests.num_rows
    assert found["user_id"].to_pylist() == [str(user) for user in requests["user_id"].to_pylist()]
    return np.stack([found[name].to_numpy() for name in spec.names], axis=1)


def _text(cell: Any) -> str | None:
    return None if cell is None else str(cell)
