"""What the health of a client begins with: that a model was loaded."""

from __future__ import annotations

import weakref
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from edge_sdk.contract.entry import Entry
    from edge_sdk.contract.record import Record
    from edge_sdk.loading import LoadedModel
    from edge_sdk.predict.counters import PredictionCounters
    from edge_sdk.predict.prediction import Reason


class Noticed(NamedTuple):
    """A model that was loaded, when, and how long that took where somebody measured it. Its counters begin there."""

    loaded: weakref.ref[LoadedModel]
    counters: PredictionCounters
    record: Record
    reason: Reason
    entry: Entry
    load_ns: int | None
    at: datetime
