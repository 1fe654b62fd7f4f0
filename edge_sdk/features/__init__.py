"""The feature store: what a user did stays on the phone, and becomes the numbers that a model takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from feature_spec.lazy import exported

if TYPE_CHECKING:
    from edge_sdk.features.measuring import FeatureStats as FeatureStats
    from edge_sdk.features.receipts import Dropped as Dropped
    from edge_sdk.features.receipts import Recorded as Recorded
    from edge_sdk.features.settings import FeatureSettings as FeatureSettings
    from edge_sdk.features.store import FeatureStore as FeatureStore
    from edge_sdk.features.vector import FeatureValue as FeatureValue
    from edge_sdk.features.vector import FeatureVector as FeatureVector
    from edge_sdk.features.vector import Status as Status

_HOME = {
    "Dropped": "receipts",
    "FeatureSettings": "settings",
    "FeatureStats": "measuring",
    "FeatureStore": "store",
    "FeatureValue": "vector",
    "FeatureVector": "vector",
    "Recorded": "receipts",
    "Status": "vector",
}

__all__ = sorted(_HOME)

__getattr__, __dir__ = exported(__name__, _HOME)
