"""The client for asyncio: the same client, its blocking calls in threads of their own.

Nothing is implemented twice: every coroutine here waits for the method of the same name. A coroutine that is
cancelled stops waiting. What it asked for goes on in its thread, and ends as it would have; but a refresh and an
update are cancelled with it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from edge_sdk.client import EdgeClient
from edge_sdk.errors import NotAvailable
from edge_sdk.update.control import Control

if TYPE_CHECKING:
    from edge_sdk.erasing import Receipt
    from edge_sdk.features.measuring import FeatureStats
    from edge_sdk.features.receipts import Recorded
    from edge_sdk.features.vector import FeatureValue, FeatureVector
    from edge_sdk.health.monitor import ModelHealth
    from edge_sdk.health.uploading import Uploaded
    from edge_sdk.loading import LoadedModel, Progress
    from edge_sdk.predict.batch import PredictionBatch
    from edge_sdk.predict.prediction import Prediction
    from edge_sdk.runtime.engine import Array
    from edge_sdk.update.policy import Conditions, Refreshed, Updated, UpdatePolicy
    from feature_spec.day_input import Event

T = TypeVar("T")

_THREADS: Final = 4
"""Three sessions of a model at most, and one thread for updates."""


class AsyncModel:
    """A loaded model; see :class:`edge_sdk.loading.LoadedModel`."""

    def __init__(self, model: LoadedModel, executor: ThreadPoolExecutor) -> None:
        self.loaded = model
        self._executor = executor

    async def predict(self, features: Mapping[str, float], **options: Any) -> Prediction:
        """As :meth:`edge_sdk.predict.predictor.Predictor.predict`. The hop to a thread costs some 50 us, and
        keeps a wait for a session from holding up the loop."""
        return await _run(self._executor, partial(self.loaded.predict, features, **options))

    async def predict_batch(
        self, table: Mapping[str, Sequence[float]] | Array, **options: Any
    ) -> PredictionBatch:
        """As :meth:`edge_sdk.predict.predictor.Predictor.predict_batch`."""
        made: PredictionBatch = await _run(
            self._executor, partial(self.loaded.predict_batch, table, **options)
        )
        return made


class AsyncFeatures:
    """The feature store of a client; see :class:`edge_sdk.features.store.FeatureStore`.

    It is opened in the thread of the first call, since that reads the disk.
    """

    def __init__(self, client: EdgeClient, executor: ThreadPoolExecutor) -> None:
        self._client, self._executor = client, executor

    async def record(self, *events: Event | Mapping[str, Any], user: str | None = None) -> Recorded:
        """As :meth:`FeatureStore.record`."""
        return await _run(self._executor, lambda: self._client.features.record(*events, user=user))

    async def know(self, user: str, goal: str | None = None, *args: Any, **options: Any) -> None:
        """As :meth:`FeatureStore.know`."""
        await _run(self._executor, lambda: self._client.features.know(user, goal, *args, **options))

    async def report(self, user: str, name: str, value: float, **options: Any) -> None:
        """As :meth:`FeatureStore.report`."""
        await _run(self._executor, lambda: self._client.features.report(user, name, value, **options))

    async def reported(self, user: str, name: str, **options: Any) -> FeatureValue:
        """As :meth:`FeatureStore.reported`."""
        return await _run(self._executor, lambda: self._client.features.reported(user, name, **options))

    async def vector(
        self, model: str | AsyncModel, user: str, goal: str | None = None, **options: Any
    ) -> FeatureVector:
        """As :meth:`FeatureStore.vector`."""
        loaded = model.loaded if isinstance(model, AsyncModel) else model
        return await _run(self._executor, lambda: self._client.features.vector(loaded, user, goal, **options))

    async def stats(self) -> FeatureStats:
        """As :meth:`FeatureStore.stats`."""
        return await _run(self._executor, lambda: self._client.features.stats())


class AsyncEdgeClient:
    """Make one with :meth:`open`; an asynchronous context manager."""

    def __init__(self, client: EdgeClient, executor: ThreadPoolExecutor) -> None:
        self._client = client
        self._executor = executor

    @classmethod
    async def open(cls, cache_dir: str | os.PathLike[str], *args: Any, **options: Any) -> AsyncEdgeClient:
        """As :meth:`EdgeClient.open`."""
        executor = ThreadPoolExecutor(_THREADS, "edge-aio")
        try:
            client = await _run(executor, partial(EdgeClient.open, cache_dir, *args, **options))
        except BaseException:
            executor.shutdown(wait=False)
            raise
        return cls(client, executor)

    async def refresh(self, progress: Progress | None = None, control: Control | None = None) -> Refreshed:
        """As :meth:`EdgeClient.refresh`; cancelling the coroutine cancels its control."""
        with _cancelling(control) as obeyed:
            return await _run(self._executor, partial(self._client.refresh, progress, obeyed))

    async def update(
        self,
        name: str,
        policy: UpdatePolicy | None = None,
        conditions: Conditions | None = None,
        progress: Progress | None = None,
        control: Control | None = None,
    ) -> Updated:
        """As :meth:`EdgeClient.update`; cancelling the coroutine cancels its control.

        An update in the background is no longer the coroutine's: it is cancelled by ``control`` and by :meth:`close`.
        """
        from edge_sdk.update.policy import UpdatePolicy

        chosen = UpdatePolicy.LATEST if policy is None else policy
        with _cancelling(control) as obeyed:
            return await _run(
                self._executor, partial(self._client.update, name, chosen, conditions, progress, obeyed)
            )

    async def upload_telemetry(
        self, conditions: Conditions | None = None, control: Control | None = None
    ) -> Uploaded:
        """As :meth:`EdgeClient.upload_telemetry`; cancelling the coroutine cancels its control."""
        with _cancelling(control) as obeyed:
            return await _run(self._executor, partial(self._client.upload_telemetry, conditions, obeyed))

    async def health(self) -> tuple[ModelHealth, ...]:
        """As :meth:`EdgeClient.health`."""
        return await _run(self._executor, self._client.health)

    async def wait(self) -> dict[str, Updated]:
        """As :meth:`EdgeClient.wait`."""
        return await _run(self._executor, self._client.wait)

    async def model(self, name: str) -> AsyncModel:
        """As :meth:`EdgeClient.model`."""
        return AsyncModel(await _run(self._executor, partial(self._client.model, name)), self._executor)

    @property
    def features(self) -> AsyncFeatures:
        """As :attr:`EdgeClient.features`."""
        return AsyncFeatures(self._client, self._executor)

    async def erase(self, *args: Any, **options: Any) -> Receipt:
        """As :meth:`EdgeClient.erase`."""
        return await _run(self._executor, partial(self._client.erase, *args, **options))

    async def close(self) -> None:
        """As :meth:`EdgeClient.close`."""
        await _run(self._executor, self._client.close)
        self._executor.shutdown(wait=False)

    async def __aenter__(self) -> AsyncEdgeClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


@contextmanager
def _cancelling(given: Control | None) -> Iterator[Control]:
    """A control that is cancelled with the coroutine that waits in the block."""
    control = given or Control()
    try:
        yield control
    except asyncio.CancelledError:
        control.cancel()
        raise


async def _run(executor: ThreadPoolExecutor, call: Callable[[], T]) -> T:
    try:
        future = asyncio.get_running_loop().run_in_executor(executor, call)
    except RuntimeError as error:  # shut down
        raise NotAvailable("this client was closed; open another") from error
    return await future
