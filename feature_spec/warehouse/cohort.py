"""A log that was read for training, in the warehouse: whole days, and one as-of day for each user."""

from __future__ import annotations

from typing import Any

import numpy as np

from feature_spec.definition import FeatureSpec
from feature_spec.instants import DAY_MS
from feature_spec.population import Dataset
from feature_spec.vocabulary import CONTEXT, EVENT_TYPES, WINDOW_DAYS
from feature_spec.warehouse.compute import features
from feature_spec.warehouse.engine import Engine
from feature_spec.warehouse.packages import arrow


def snapshot_features(
    spec: FeatureSpec, engine: Engine, dataset: Dataset, cutoff_day: int | None
) -> tuple[Any, tuple[str, ...]]:
    """Every feature of ``spec`` for everybody who was observed at the cut-off.

    Args:
        spec: the definitions.
        engine: where to compute.
        dataset: the log.
        cutoff_day: as for ``Dataset.snapshot``.

    Returns:
        A ``pyarrow.Table`` in the order of the users' ids, user_id and the features; and notices.

    Raises:
        DataError: as ``Dataset.snapshot``.
    """
    cut = dataset.cut(cutoff_day)
    names = arrow.array(dataset.people.users)
    nothing = np.isnan(dataset.value)
    log = arrow.table(
        {
            "user_id": names.take(arrow.array(dataset.user)),
            # A day without a clock: its midnight, in a zone without offsets.
            "instant": dataset.day * DAY_MS,
            "event_type": arrow.array(EVENT_TYPES).take(arrow.array(dataset.event_type)),
            "count": dataset.count,
            "value": arrow.array(dataset.value, mask=nothing),
        }
    )
    today = cut.as_of[cut.kept].astype(np.int64)
    context = cut.context[cut.kept].astype(np.float64)
    observed = cut.days_observed[cut.kept]
    asked = arrow.table(
        {
            "request": np.arange(len(cut.kept)),
            "user_id": names.take(arrow.array(cut.kept)),
            "as_of": (today + 1) * DAY_MS - 1,
            "today": today,
            "offset0": np.zeros(len(today), np.int64),
            "observed": np.where(np.isnan(observed), WINDOW_DAYS, observed).astype(np.int64),
            **{name: context[:, place] for place, name in enumerate(CONTEXT)},
        }
    )
    largest = max(
        1.0, float(dataset.count.max(initial=0)), float(np.abs(dataset.value[~nothing]).max(initial=0))
    )
    found = features(spec, engine, engine.register(log), engine.register(asked), largest, ("user_id",))
    return found, cut.notices
