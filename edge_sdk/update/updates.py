"""Updating: one undertaking at a time in a process, requests for the same merged, those in the background in turn."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from edge_sdk.errors import EdgeError
from edge_sdk.loading import Progress
from edge_sdk.store import Cache, Clock
from edge_sdk.trust import Trusted
from edge_sdk.update.borrowing import renew
from edge_sdk.update.control import Cancelled, Control
from edge_sdk.update.device import Device
from edge_sdk.update.errors import Offline
from edge_sdk.update.http import HttpTransport
from edge_sdk.update.installing import install
from edge_sdk.update.limits import HttpLimits
from edge_sdk.update.merging import Shared
from edge_sdk.update.policy import Conditions, Refreshed, Updated, UpdateStatus
from edge_sdk.update.refreshing import refresh
from edge_sdk.update.retrying import RetryPolicy
from edge_sdk.update.transport import Transport
from edge_sdk.update.undertaking import Undertaking

if TYPE_CHECKING:
    from edge_sdk.health.uploading import Uploaded, Uploader
    from edge_sdk.serving import ServingModels

_Request = tuple[str, Conditions]


class Updates:
    """What a client does with a network. Making one imports all that this needs; predicting never does.

    Args:
        cache: what is updated.
        serving: gets each model that was installed.
        server: URL of the server.
        mirrors: URLs of others that have bundles.
        root: what the app ships, where it says so.
        device: for which to choose and prove.
        clock: the wall clock.
        transport: how to reach the servers; HTTP by default.
        limits: of that HTTP.
        retry: how often and how long to try; by default a few times, for an hour.
    """

    def __init__(
        self,
        cache: Cache,
        serving: ServingModels,
        server: str,
        mirrors: tuple[str, ...],
        root: bytes | None,
        device: Device,
        clock: Clock,
        transport: Transport | None,
        limits: HttpLimits | None,
        retry: RetryPolicy | None,
    ) -> None:
        self._cache, self._serving, self._root = cache, serving, root
        self._device, self._clock = device, clock
        self._http = HttpTransport(limits) if transport is None else None
        made = transport or self._http
        assert made is not None
        self._network = Undertaking(made, server, mirrors, retry or RetryPolicy())
        self._one = threading.Lock()
        self._lock = threading.Lock()
        self._closed = False
        self._running: dict[Shared[Updated], _Request] = {}
        self._background: dict[str, Updated] = {}
        self._executor: ThreadPoolExecutor | None = None
        self.not_renewed: tuple[str, ...] = ()
        """Why keys could not be renewed when that was tried last, a line each."""

    def refresh(self, progress: Progress, control: Control) -> Refreshed:
        """See :meth:`edge_sdk.client.EdgeClient.refresh`."""
        undertaking = replace(self._network, progress=progress, control=control)
        with self._exclusive():
            return self._refresh(undertaking)[0]

    def update(self, name: str, conditions: Conditions, progress: Progress, control: Control) -> Updated:
        """Update now. Who asks for what is being fetched already waits for it, and gets the same answer."""
        request, begun = (name, conditions), None
        with self._lock:
            if self._closed:
                raise Cancelled("this client was closed before the update began; open another")
            for shared, same in self._running.items():
                begun = begun or (shared.join(control, progress) if same == request else None)
            begun = begun or self._begin(request).join(control, progress)
        assert begun is not None
        return begun()

    def start(self, name: str, conditions: Conditions, progress: Progress, control: Control) -> Updated:
        """Update in a thread; one that is under way already, or waits for its turn, is not begun again."""

        def run() -> None:
            done = replace(started, status=UpdateStatus.FAILED)
            try:
                done = self.update(name, conditions, progress, control)
            except EdgeError as error:
                status = UpdateStatus.CANCELLED if isinstance(error, Cancelled) else UpdateStatus.FAILED
                done = replace(started, status=status, detail=str(error))
                done = self._told(name, status, str(error))  # with what a recall left active
            except BaseException as error:
                done = replace(done, detail=f"{type(error).__name__}: {error}")
                raise
            finally:  # however it ended: what seems to be under way is not begun again
                self._background[name] = done

        started = self._told(name, UpdateStatus.STARTED)
        with self._lock:
            last = self._background.get(name)
            if last is not None and last.status is UpdateStatus.STARTED:
                return started
            if self._executor is None:
                self._executor = ThreadPoolExecutor(1, "edge-background")
            self._background[name] = started
            self._executor.submit(run)
        return started

    def upload(self, uploader: Uploader, conditions: Conditions, control: Control) -> Uploaded:
        """See :meth:`edge_sdk.client.EdgeClient.upload_telemetry`."""
        network = self._network
        return uploader.upload(network.transport, network.server, conditions, network.retry, control)

    def later(self, work: Callable[[], None]) -> None:
        """Do something else in the background, after what waits there; not any more once closed."""
        with self._lock:
            if not self._closed:
                self._executor = self._executor or ThreadPoolExecutor(1, "edge-background")
                self._executor.submit(work)

    def wait(self) -> dict[str, Updated]:
        """Wait for the updates in the background; how the latest of each model ended."""
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=True)
        return self.background

    @property
    def background(self) -> dict[str, Updated]:
        """How the latest update in the background of each model ended, or that it has not."""
        return dict(self._background)

    def close(self) -> None:
        """Cancel what is under way, wait until it has ended, and close the connections.

        What calls this from its own progress cannot be waited for: it ends when that returns.
        """
        with self._lock:
            self._closed = True
            running = list(self._running)
        for shared in running:
            shared.cancel()
        if self._http is not None:
            self._http.close()
        if any(shared.is_here for shared in running):
            return
        for shared in running:
            shared.ended()
        self.wait()

    def _begin(self, request: _Request) -> Shared[Updated]:
        def work(control: Control, progress: Progress) -> Updated:
            try:
                return self._update(*request, progress, control)
            finally:  # who comes later wants to know what is new since
                with self._lock:
                    del self._running[shared]

        shared = Shared(work)
        self._running[shared] = request
        return shared

    def _update(self, name: str, conditions: Conditions, progress: Progress, control: Control) -> Updated:
        undertaking = replace(self._network, progress=progress, control=control)
        with self._exclusive():
            refreshed, trusted = self._refresh(undertaking)
            if trusted is None:
                return self._told(name, UpdateStatus.OFFLINE, refreshed.detail)
            try:
                done = install(self._cache, undertaking, trusted, name, self._device, conditions)
            except Offline as error:
                return self._told(name, UpdateStatus.OFFLINE, str(error))
            if done.loaded is not None:
                self._serving.adopt(done.loaded, done.until)
            return self._told(name, done.status, done.detail)

    def _told(self, name: str, status: UpdateStatus, detail: str = "") -> Updated:
        return Updated.of(self._cache.state().models.get(name), status, detail, self.not_renewed)

    def _refresh(self, undertaking: Undertaking) -> tuple[Refreshed, Trusted | None]:
        """Refresh the metadata, and renew what is lent to this device."""
        done, trusted = refresh(self._cache, undertaking, self._clock, self._root)
        if trusted is None:
            return done, None
        lent = self._device.keyring, undertaking.transport, undertaking.server
        self.not_renewed = renew(self._cache, *lent, trusted.director)
        return replace(done, not_renewed=self.not_renewed), trusted

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        # Threads of this client wait for each other as long as it takes, other processes for a moment only.
        with self._one, self._cache.updating():
            yield
