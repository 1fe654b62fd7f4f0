"""What a client does with what was counted: shows it, keeps it, has it uploaded, and forgets it.

Whoever predicts pays for counting only: what works with the counts is imported when somebody wants to know.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from edge_sdk.errors import EdgeError, InputError
from edge_sdk.health.alerts import HealthSettings
from edge_sdk.health.noticed import Noticed
from edge_sdk.runtime.pool import remake_after_fork
from edge_sdk.store import Cache, Clock
from edge_sdk.update.control import Control
from edge_sdk.update.policy import Conditions

if TYPE_CHECKING:
    from edge_sdk.health.monitor import Monitor
    from edge_sdk.health.telemetry import TelemetrySettings
    from edge_sdk.health.uploading import Uploaded, Uploader
    from edge_sdk.loading import LoadedModel
    from edge_sdk.runtime.engine import Engine

Upload = Callable[["Uploader", Conditions, Control], "Uploaded"]


class Reporter:
    """The health of one client's models, and what is told of it where the app asked for that.

    Args:
        cache: where what is to be told waits.
        engine: what runs the models.
        clock: the wall clock.
        health: thresholds.
        settings: that something may be told; None where nothing may.
    """

    def __init__(
        self,
        cache: Cache,
        engine: str | Engine,
        clock: Clock,
        health: HealthSettings,
        settings: TelemetrySettings | None,
    ) -> None:
        self._cache, self._engine, self._clock, self._health = cache, engine, clock, health
        self._noticed: deque[Noticed] = deque()
        self._made: Monitor | None = None
        self._after_fork()
        remake_after_fork(self)
        self._control = Control()
        self._stopped = False
        self._latest = ""
        self._uploader: Uploader | None = None
        if settings is not None:
            from edge_sdk.health.telemetry import Telemetry
            from edge_sdk.health.uploading import Uploader

            self._telemetry = Telemetry(cache, lambda: self.monitor.cut(), settings, health, clock)
            self._uploader = Uploader(cache, self._telemetry, clock)

    def _after_fork(self) -> None:
        # In the child of a fork a thread that uploads is gone, and how long loading took its parent tells.
        self._making = threading.Lock()
        self._one = threading.Lock()
        self._noticed = deque(noticed._replace(load_ns=None) for noticed in self._noticed)

    def notice(self, loaded: LoadedModel, load_ns: int | None = None) -> None:
        """A model was loaded; those that take tensors count nothing."""
        if loaded.record.features:
            about = loaded.counters, loaded.record, loaded.reason, loaded.artifact.entry
            self._noticed.append(Noticed(weakref.ref(loaded), *about, load_ns, self._clock()))

    @property
    def monitor(self) -> Monitor:
        """What was counted, of all models so far."""
        from edge_sdk.health.monitor import Monitor

        with self._making:
            self._made = self._made or Monitor(self._engine, self._clock, self._health)
            while self._noticed:
                self._made.watch(self._noticed.popleft())
            return self._made

    @property
    def tells(self) -> bool:
        """Whether the app asked for telemetry."""
        return self._uploader is not None

    def upload(self, upload: Upload, conditions: Conditions, control: Control) -> Uploaded:
        """Upload, one at a time; see :meth:`edge_sdk.client.EdgeClient.upload_telemetry`."""
        if self._uploader is None:
            raise InputError("this client was opened without telemetry; pass TelemetrySettings() to open")
        with self._one:
            self._control = control
            if self._stopped:
                control.cancel()
            return upload(self._uploader, conditions, control)

    def upload_quietly(self, upload: Upload, conditions: Conditions) -> None:
        """The same in the background: how it ended is in :meth:`status`."""
        try:
            done = self.upload(upload, conditions, Control())
            self._latest = f"{done.status.value}, sent {done.sent}" + (
                f": {done.detail}" if done.detail else ""
            )
        except EdgeError as error:
            self._latest = f"failed: {error}"

    @contextmanager
    def forgetting(self) -> Iterator[None]:
        """Around an erase: what is being uploaded is broken off or waited for, and what was counted is forgotten."""
        self._control.cancel()
        with self._one:
            try:
                yield
            finally:
                self.monitor.forget()
                if self._uploader is not None:
                    self._telemetry.begin()

    def stop(self) -> None:
        """Break off what is being uploaded, and begin nothing more."""
        self._stopped = True
        self._control.cancel()

    def keep(self) -> None:
        """Keep what was counted, where it is to be told; what cannot be kept is lost, and nobody is held up."""
        with self._one:
            if self._uploader is not None:
                with suppress(EdgeError):
                    self._telemetry.keep()
            elif self._health.on_alert is not None:
                self.monitor.look()

    def status(self) -> dict[str, Any]:
        """How the models do; what waits in the cache to be told, whoever counted it, and what was dropped."""
        from edge_sdk.health.monitor import health_of_windows, to_json
        from edge_sdk.health.queue import Queue

        queue = Queue(self._cache.folder, self._cache.disk, self._clock)
        kept = health_of_windows(queue.windows(), self._health)
        return {
            "health": [to_json(health) for health in self.monitor.look()],
            "telemetry": {
                "kept": [to_json(health) for health in kept],
                "reports": queue.reports(),
                "dropped": dict(queue.dropped()),
                "latest_upload": self._latest,
            },
        }
