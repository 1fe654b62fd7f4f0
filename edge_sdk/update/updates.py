"""Updating: one request at a time in a process, requests for the same merged, a thread for those in the background."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from edge_sdk.errors import EdgeError, RetryLater
from edge_sdk.loading import Progress, silent
from edge_sdk.store import Cache, Clock
from edge_sdk.trust import Trusted
from edge_sdk.update.borrowing import renew
from edge_sdk.update.device import Device
from edge_sdk.update.errors import Offline
from edge_sdk.update.fetching import TufFetcher
from edge_sdk.update.http import HttpTransport
from edge_sdk.update.installing import install
from edge_sdk.update.policy import Conditions, Refreshed, Updated, UpdateStatus
from edge_sdk.update.refreshing import refresh
from edge_sdk.update.retrying import RetryPolicy
from edge_sdk.update.transport import Transport

if TYPE_CHECKING:
    from edge_sdk.serving import ServingModels

_Request = tuple[str, Conditions]


class Updates:
    """What a client does with a network. Making one imports all that this needs; predicting never does.

    Args:
        cache: what is updated.
        serving: gets each model that was installed.
        server: URL of the server.
        root: what the app ships, where it says so.
        device: for which to choose and prove.
        clock: the wall clock.
        transport: how to reach the server; HTTP by default.
        retry: how often a download is tried again; a few times by default.
    """

    def __init__(
        self,
        cache: Cache,
        serving: ServingModels,
        server: str,
        root: bytes | None,
        device: Device,
        clock: Clock,
        transport: Transport | None,
        retry: RetryPolicy | None,
    ) -> None:
        self._cache, self._serving = cache, serving
        self._server, self._root = server, root
        self._device, self._clock = device, clock
        self._http = HttpTransport() if transport is None else None
        self._transport: Transport = transport or self._over_http()
        self._retry = retry or RetryPolicy()
        self._metadata = TufFetcher(self._transport)
        self._one = threading.Lock()
        self._lock = threading.Lock()
        self._running: dict[_Request, Future[Updated]] = {}
        self._background: dict[str, Updated] = {}
        self._executor: ThreadPoolExecutor | None = None
        self.not_renewed: tuple[str, ...] = ()
        """Why keys could not be renewed when that was tried last, a line each."""

    def refresh(self, progress: Progress | None) -> Refreshed:
        """See :meth:`edge_sdk.client.EdgeClient.refresh`."""
        with self._exclusive():
            return self._refresh(progress)[0]

    def update(self, name: str, conditions: Conditions, progress: Progress | None) -> Updated:
        """Update now. Who asks for what is being fetched already waits for it, and gets the same answer."""
        request = name, conditions
        with self._lock:
            running = self._running.get(request)
            if running is None:
                mine: Future[Updated] = Future()
                self._running[request] = mine
        if running is not None:
            return running.result()
        try:
            done = self._update(name, conditions, progress)
        except BaseException as error:
            self._end(request, mine)
            # What interrupts one caller is nothing to do with those who wait for the same.
            joined = (
                error if isinstance(error, Exception) else RetryLater("the update was interrupted; try again")
            )
            mine.set_exception(joined)
            raise
        self._end(request, mine)
        mine.set_result(done)
        return done

    def start(self, name: str, conditions: Conditions, progress: Progress | None) -> Updated:
        """Update in a thread; one that is under way already, or waits for its turn, is not begun again."""

        def run() -> None:
            try:
                done = self.update(name, conditions, progress)
            except EdgeError as error:
                done = self._told(name, UpdateStatus.FAILED, str(error))
            self._background[name] = done

        started = self._told(name, UpdateStatus.STARTED)
        with self._lock:
            last = self._background.get(name)
            if last is not None and last.status is UpdateStatus.STARTED:
                return started
            if self._executor is None:
                self._executor = ThreadPoolExecutor(1, "edge-update")
            self._background[name] = started
            self._executor.submit(run)
        return started

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
        """Wait, then close the connections."""
        self.wait()
        if self._http is not None:
            self._http.close()

    def _end(self, request: _Request, mine: Future[Updated]) -> None:
        with self._lock:
            if self._running.get(request) is mine:
                del self._running[request]

    def _update(self, name: str, conditions: Conditions, progress: Progress | None) -> Updated:
        with self._exclusive():
            refreshed, trusted = self._refresh(progress)
            if trusted is None:
                return self._told(name, UpdateStatus.OFFLINE, refreshed.detail)
            try:
                done = install(
                    self._cache,
                    self._transport,
                    self._server,
                    trusted,
                    name,
                    self._device,
                    conditions,
                    self._retry,
                    progress or silent,
                )
            except Offline as error:
                return self._told(name, UpdateStatus.OFFLINE, str(error))
            if done.loaded is not None:
                self._serving.adopt(done.loaded, done.until)
            return self._told(name, done.status, done.detail)

    def _told(self, name: str, status: UpdateStatus, detail: str = "") -> Updated:
        return Updated.of(self._cache.state().models.get(name), status, detail, self.not_renewed)

    def _refresh(self, progress: Progress | None) -> tuple[Refreshed, Trusted | None]:
        """Refresh the metadata, and renew what is lent to this device."""
        told = progress or silent
        done, trusted = refresh(self._cache, self._metadata, self._server, self._clock, told, self._root)
        if trusted is None:
            return done, None
        lent = self._device.keyring, self._transport, self._server
        self.not_renewed = renew(self._cache, *lent, trusted.director)
        return replace(done, not_renewed=self.not_renewed), trusted

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        # Threads of this client wait for each other as long as it takes, other processes for a moment only.
        with self._one, self._cache.updating():
            yield

    def _over_http(self) -> HttpTransport:
        assert self._http is not None
        return self._http
