"""Running models on the device: bytes in, a thread-safe model out.

Importing this package loads no engine; the one that ``open_model`` is asked for is loaded at that moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from feature_spec.lazy import exported

if TYPE_CHECKING:
    from edge_sdk.runtime.batching import Batcher as Batcher
    from edge_sdk.runtime.batching import BatchSettings as BatchSettings
    from edge_sdk.runtime.batching import BatchStats as BatchStats
    from edge_sdk.runtime.engine import Engine as Engine
    from edge_sdk.runtime.engine import RunFailed as RunFailed
    from edge_sdk.runtime.engine import Session as Session
    from edge_sdk.runtime.engine import Signature as Signature
    from edge_sdk.runtime.engine import TensorInfo as TensorInfo
    from edge_sdk.runtime.engines import engine_named as engine_named
    from edge_sdk.runtime.model import Model as Model
    from edge_sdk.runtime.model import Warmed as Warmed
    from edge_sdk.runtime.opening import open_model as open_model
    from edge_sdk.runtime.pool import Pool as Pool
    from edge_sdk.runtime.pool import PoolBusy as PoolBusy
    from edge_sdk.runtime.pool import PoolClosed as PoolClosed
    from edge_sdk.runtime.pool import PoolSettings as PoolSettings
    from edge_sdk.runtime.pool import PoolStats as PoolStats
    from edge_sdk.runtime.trial import ModelCrashed as ModelCrashed
    from edge_sdk.runtime.trial import ModelTooSlow as ModelTooSlow
    from edge_sdk.runtime.trial import TrialLimits as TrialLimits
    from edge_sdk.runtime.trial import TrialReport as TrialReport
    from edge_sdk.runtime.trial import TrialUnavailable as TrialUnavailable
    from edge_sdk.runtime.trial import try_out as try_out

_HOME = {
    "BatchSettings": "batching",
    "BatchStats": "batching",
    "Batcher": "batching",
    "Engine": "engine",
    "Model": "model",
    "ModelCrashed": "trial",
    "ModelTooSlow": "trial",
    "Pool": "pool",
    "PoolBusy": "pool",
    "PoolClosed": "pool",
    "PoolSettings": "pool",
    "PoolStats": "pool",
    "RunFailed": "engine",
    "Session": "engine",
    "Signature": "engine",
    "TensorInfo": "engine",
    "TrialLimits": "trial",
    "Warmed": "model",
    "TrialReport": "trial",
    "TrialUnavailable": "trial",
    "engine_named": "engines",
    "open_model": "opening",
    "try_out": "trial",
}

__all__ = sorted(_HOME)

__getattr__, __dir__ = exported(__name__, _HOME)
