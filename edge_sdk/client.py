"""The client: a cache, a server behind it when there is one, and the models that predict.

Opening a cache and predicting import nothing that could reach a network.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from edge_sdk.contract import identifiers
from edge_sdk.contract.manifest import Artifact
from edge_sdk.errors import (
    EdgeError,
    FormatError,
    InputError,
    NotAvailable,
    RetryLater,
    StoreError,
    VerificationError,
)
from edge_sdk.store import Cache, Clock, Disk, Slot, System
from edge_sdk.trust.resolving import PREFERENCE
from edge_sdk.update.capabilities import capabilities_of
from edge_sdk.update.policy import (
    Conditions,
    Refreshed,
    Updated,
    UpdatePolicy,
    UpdateStatus,
)

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from tuf.ngclient import FetcherInterface

    from edge_sdk.crypto.sealing import AppKey
    from edge_sdk.loading import LoadedModel, Progress
    from edge_sdk.runtime.engine import Engine
    from edge_sdk.store.disk import Stamp
    from edge_sdk.trust import Trusted
    from edge_sdk.update.fetching import HttpFetcher

Random = Callable[[int], bytes]


class _Held(NamedTuple):
    """A loaded model, what was active then, and for a stand-in what lay there in place of its bundle."""

    active: Artifact
    loaded: LoadedModel
    stamp: Stamp | None = None


class EdgeClient:
    """Models on a device: fetched and verified when there is a network, used without one.

    Any thread may use a client. Several processes may share a cache: one of them updates at a time, and
    nobody waits for that to predict. Make one with :meth:`open`.

    What comes over a network is verified; the cache folder itself is the app's own, and who can write to it can
    replace what runs (see ``edge_sdk.store.cache``).
    """

    def __init__(
        self,
        cache: Cache,
        *,
        server: str | None,
        root: bytes | None,
        channel: str,
        credential: AppKey | None,
        engine: str | Engine,
        max_sessions: int,
        capabilities: frozenset[str],
        preference: tuple[str, ...],
        clock: Clock,
        fetcher: FetcherInterface | None,
    ) -> None:
        self._cache = cache
        self._server = server
        self._root = root
        self._channel = channel
        self._credential = credential
        self._engine = engine
        self._max_sessions = max_sessions
        self._capabilities = capabilities
        self._preference = preference
        self._clock = clock
        self._fetcher = fetcher
        self._http: HttpFetcher | None = None
        self._closed = False
        self._models: dict[str, _Held] = {}
        # A model that was replaced serves whoever still holds it, and is gone when nobody does.
        self._alive: weakref.WeakSet[LoadedModel] = weakref.WeakSet()
        self._loading = threading.Lock()
        self._updating = threading.Lock()
        self._background: dict[str, Updated] = {}
        self._threads = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None

    @classmethod
    def open(
        cls,
        cache_dir: str | os.PathLike[str],
        server: str | None = None,
        root: bytes | None = None,
        channel: str = "stable",
        credential: AppKey | None = None,
        engine: str | Engine = "litert",
        max_sessions: int = 3,
        *,
        clock: Clock | None = None,
        system: System | None = None,
        fetcher: FetcherInterface | None = None,
        capabilities: frozenset[str] | None = None,
        recipes: tuple[str, ...] = PREFERENCE,
        random: Random = os.urandom,
    ) -> EdgeClient:
        """Open a cache, or make one.

        Args:
            cache_dir: the folder; it is made where a root is given.
            server: URL of the server; without one, what is installed can be used.
            root: TUF root metadata that the app ships. A new cache pins it; there is no unverified mode. Later
                calls may leave it out. A cache that trusts a root already keeps to it and to those that it leads
                to: it opens and predicts whatever is given, and :meth:`refresh` and :meth:`update` refuse a root
                of somebody else, changing nothing. A newer or older root of the same publisher, as an update of
                the app may ship it, is fine: one that the trusted root leads to, or that leads to the trusted
                one, each version signed by the thresholds of the one before.
            channel: which channel's releases to follow.
            credential: the app key, for bundles that are sealed with one.
            engine: ``litert``, ``onnxruntime``, or an engine of your own (then say its capabilities).
            max_sessions: how many threads may compute in one model at once, 1 to 3.
            clock: the wall clock, which decides what has expired; that of ``system`` by default.
            system: the disk and the clocks; the operating system by default.
            fetcher: how to reach the server; HTTP by default.
            capabilities: what the device can run; by default what the engine can.
            recipes: which to take where a release has several that fit, best first; then the smallest.
            random: source of the install id of a new cache.

        Raises:
            InputError: an argument is wrong, such as a root that is none for a new cache.
            NotAvailable: there is no cache, and no root to make one with.
            StoreError: the cache is damaged, or the disk refuses.
        """
        _check_arguments(channel, credential, max_sessions)
        engine_name = engine if isinstance(engine, str) else engine.name
        can = capabilities_of(engine_name) if capabilities is None else frozenset(capabilities)
        base = None if server is None else _base_url(server)
        disk = Disk(system)
        return cls(
            Cache.open(Path(cache_dir), root, random, disk),
            server=base,
            root=root,
            channel=channel,
            credential=credential,
            engine=engine,
            max_sessions=max_sessions,
            capabilities=can,
            preference=tuple(recipes),
            clock=clock or disk.system.now,
            fetcher=fetcher,
        )

    # -- with a network --------------------------------------------------------------------------------

    def refresh(self, progress: Progress | None = None) -> Refreshed:
        """Bring the metadata up to date; no model changes.

        Returns:
            UPDATED, UNCHANGED, or OFFLINE where the server cannot be reached.

        Raises:
            InputError: the client has no server, or the cache trusts another root than was given to :meth:`open`.
            VerificationError: something is not as it must be; the cache is as it was.
            NotAvailable: the server has no metadata.
            RetryLater: another process is updating the cache.
            StoreError: the disk refuses.
        """
        with self._exclusive():
            return self._refresh(progress)[0]

    def update(
        self,
        name: str,
        policy: UpdatePolicy = UpdatePolicy.LATEST,
        conditions: Conditions | None = None,
        progress: Progress | None = None,
    ) -> Updated:
        """Bring one model up to date.

        Whatever goes wrong, the model that was active stays so and keeps predicting.

        Args:
            name: of the model.
            policy: LOCAL looks at the cache only; LOCAL_UPDATE_IN_BACKGROUND returns at once and lets a thread
                do the rest; LATEST returns when it is done.
            conditions: under which a bundle may be downloaded.
            progress: told stage, done and total; from the thread, where there is one.

        Returns:
            How it ended, and what is active.

        Raises:
            InputError: the client has no server, the cache trusts another root than was given to :meth:`open`, or
                the bundle is sealed for another key.
            NotAvailable: the server has no such model in the channel.
            UpdateRequired: the model needs a newer SDK.
            RetryLater: the download broke off, or another process is updating the cache.
            VerificationError: something is not as it must be, or the model does not work here.
            StoreError: the disk refuses.
        """
        self._check_open()
        _checked_name(name, "model")
        wanted = conditions or Conditions()
        if policy is UpdatePolicy.LOCAL:
            return self._told(name, UpdateStatus.LOCAL)
        self._need_server()
        if policy is UpdatePolicy.LOCAL_UPDATE_IN_BACKGROUND:
            return self._start(name, wanted, progress)
        return self._update_now(name, wanted, progress)

    def wait(self) -> dict[str, Updated]:
        """Wait for the updates in the background.

        Returns:
            How the latest of each model ended.
        """
        with self._threads:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=True)
        return dict(self._background)

    def _update_now(self, name: str, conditions: Conditions, progress: Progress | None) -> Updated:
        from edge_sdk.loading import silent
        from edge_sdk.update.errors import Offline
        from edge_sdk.update.installing import Device, install

        with self._exclusive():
            refreshed, trusted = self._refresh(progress)
            if trusted is None:
                return self._told(name, UpdateStatus.OFFLINE, refreshed.detail)
            device = Device(
                self._channel,
                self._engine,
                self._capabilities,
                self._preference,
                self._max_sessions,
                self._credential,
            )
            try:
                done = install(
                    self._cache,
                    self._storage(),
                    self._need_server(),
                    trusted,
                    name,
                    device,
                    conditions,
                    progress or silent,
                )
            except Offline as error:
                return self._told(name, UpdateStatus.OFFLINE, str(error))
            if done.loaded is not None:
                with self._loading:
                    self._keep(_Held(done.loaded.artifact, done.loaded))
            return self._told(name, done.status, done.detail)

    def _start(self, name: str, conditions: Conditions, progress: Progress | None) -> Updated:
        from concurrent.futures import ThreadPoolExecutor

        def run() -> None:
            try:
                self._background[name] = self._update_now(name, conditions, progress)
            except EdgeError as error:
                self._background[name] = self._told(name, UpdateStatus.FAILED, str(error))

        started = self._told(name, UpdateStatus.STARTED)
        with self._threads:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(1, "edge-update")
            self._background[name] = started
            self._executor.submit(run)
        return started

    def _refresh(self, progress: Progress | None) -> tuple[Refreshed, Trusted | None]:
        from edge_sdk.loading import silent
        from edge_sdk.update.refreshing import refresh

        return refresh(
            self._cache, self._network(), self._need_server(), self._clock, progress or silent, self._root
        )

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        self._check_open()
        self._need_server()
        # Threads of this client wait for each other as long as it takes, other processes for a moment only.
        with self._updating, self._cache.updating():
            yield

    def _network(self) -> FetcherInterface:
        return self._fetcher or self._over_http()

    def _storage(self) -> FetcherInterface:
        """For bundles, whose digests are signed: a server may hand them out from elsewhere."""
        return self._fetcher or self._over_http().hashed

    def _over_http(self) -> HttpFetcher:
        if self._http is None:
            from edge_sdk.update.fetching import HttpFetcher

            self._http = HttpFetcher()
        return self._http

    def _need_server(self) -> str:
        if self._server is None:
            raise InputError("this client was opened without a server; give its URL to update")
        return self._server

    def _told(self, name: str, status: UpdateStatus, detail: str = "") -> Updated:
        slot = self._cache.state().models.get(name)
        if slot is None:
            return Updated(status, detail)
        return Updated(status, detail, slot.active.entry.model_version, slot.active.entry.release)

    # -- without one -----------------------------------------------------------------------------------

    def model(self, name: str) -> LoadedModel:
        """The active model, loaded; never touches the network.

        Loaded once, and again only when another release became active. What was handed out before keeps
        working until it is dropped or the client is closed. Where the active bundle turns out to be damaged,
        the previous one answers, and its predictions say LAST_KNOWN_GOOD, until the bundle is fetched again.

        Raises:
            NotAvailable: it is not installed.
            InputError: it is sealed for another key, or was fetched for another engine.
            VerificationError: its bundle is damaged, and there is no previous one.
        """
        self._check_open()
        slot = self._slot(name)
        held = self._models.get(name)
        if held is not None and self._still_right(held, slot):
            return held.loaded
        with self._loading:
            self._check_open()
            slot = self._slot(name)
            held = self._models.get(name)
            if held is None or not self._still_right(held, slot):
                held = self._keep(self._load(slot))
            return held.loaded

    def _still_right(self, held: _Held, slot: Slot) -> bool:
        if held.active != slot.active:
            return False
        # A stand-in goes when other bytes lie where the damaged ones did; until then it is not tried again.
        return held.loaded.artifact == slot.active or held.stamp == self._cache.stamp(slot.active.sha256)

    def status(self) -> dict[str, Any]:
        """What the cache holds: models, marks, bytes, and how updates in the background ended."""
        state = self._cache.state()
        marks = state.marks
        return {
            "cache": str(self._cache.folder),
            "generation": state.generation,
            "install_id": state.install_id,
            "channel": self._channel,
            "bytes": self._cache.size(),
            "signed_time": identifiers.format_time(marks.signed_time) if marks.signed_time else None,
            "metadata": {role: mark.version for role, mark in marks.roles.items()},
            "models": {
                name: {
                    "active": None if slot.withdrawn else _described(slot.active),
                    "previous": _described(slot.previous),
                    **({"withdrawn": slot.withdrawn} if slot.withdrawn else {}),
                }
                for name, slot in sorted(state.models.items())
            },
            "failures": {
                digest: {"times": failure.times, "reason": failure.reason, "quarantined": failure.final}
                for digest, failure in state.failures.items()
            },
            "background": {
                name: {"status": done.status.value, "detail": done.detail}
                for name, done in sorted(self._background.items())
            },
        }

    def close(self) -> None:
        """Wait for updates in the background and predictions in flight, then give everything back."""
        self.wait()
        with self._loading:
            self._closed = True
            self._models.clear()
            alive = list(self._alive)
        for loaded in alive:
            loaded.close()
        if self._http is not None:
            self._http.close()

    def __enter__(self) -> EdgeClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _slot(self, name: str) -> Slot:
        models = self._cache.state().models
        if name not in models:
            has = ", ".join(sorted(models)) or "no model yet"
            raise NotAvailable(f"{name!r} is not in {self._cache.folder}, which has {has}; fetch it first")
        return models[name]

    def _load(self, slot: Slot) -> _Held:
        from edge_sdk.predict.prediction import Reason

        if slot.withdrawn:
            raise NotAvailable(
                f"{slot.active.path} must not be used ({slot.withdrawn}), and nothing stands in; update"
            )
        stamp = self._cache.stamp(slot.active.sha256)
        try:
            if slot.confirmed:
                return _Held(slot.active, self._load_one(slot.active, Reason.FRESH))
            return self._load_for_the_first_time(slot)
        except VerificationError:
            if slot.previous is None:
                raise
            try:
                return _Held(slot.active, self._load_one(slot.previous, Reason.LAST_KNOWN_GOOD), stamp)
            except EdgeError:
                pass  # then what is wrong with the active one is the news
            raise

    def _load_for_the_first_time(self, slot: Slot) -> _Held:
        """Load what never answered in a process of an app; one that ends such processes is tried twice only."""
        from edge_sdk.predict.prediction import Reason
        from edge_sdk.store.trying import trying

        artifact, name = slot.active, slot.active.entry.model
        failure = self._cache.state().failures.get(artifact.sha256)
        if failure is not None and failure.final:
            with suppress(StoreError, RetryLater):
                self._cache.change(lambda state: state.reverted(name, failure.reason))
            raise VerificationError(f"{artifact.path} does not work on this device: {failure.reason}")
        with trying(self._cache, artifact):
            loaded = self._load_one(artifact, Reason.FRESH)
        with suppress(StoreError, RetryLater):  # a full disk is no reason not to predict
            self._cache.change(lambda state: state.confirmed(artifact))
        return _Held(artifact, loaded)

    def _load_one(self, artifact: Artifact, reason: Any) -> LoadedModel:
        from edge_sdk.loading import load, open_bundle

        missing = set(artifact.entry.requires.split(" ")) - self._capabilities
        if missing:
            raise InputError(
                f"{artifact.path} was fetched for another engine (it needs {', '.join(sorted(missing))}); "
                "open the client with that engine, or fetch again"
            )
        served = self._cache.blob(artifact.sha256)
        if served is None:
            raise VerificationError(f"{artifact.path}: its bundle is gone from the cache; fetch it again")
        content = open_bundle(served, artifact, self._credential)
        return load(content, artifact, self._engine, self._max_sessions, reason)

    def _keep(self, held: _Held) -> _Held:
        self._alive.add(held.loaded)
        self._models[held.active.entry.model] = held
        return held

    def _check_open(self) -> None:
        if self._closed:
            raise NotAvailable("this client was closed; open another")


def _checked_name(name: str, what: str) -> None:
    try:
        identifiers.name(name, what)
    except FormatError as error:
        raise InputError(str(error)) from error


def _check_arguments(channel: str, credential: object, max_sessions: int) -> None:
    from edge_sdk.crypto.sealing import AppKey

    _checked_name(channel, "channel")
    if credential is not None and not isinstance(credential, AppKey):
        raise InputError(f"a credential is an AppKey, not a {type(credential).__name__}")
    if not 1 <= max_sessions <= 3:
        raise InputError(f"max_sessions must be 1, 2 or 3, not {max_sessions}")


def _base_url(server: str) -> str:
    # urlsplit drops line ends silently, and looks at a port only when it is asked for it.
    printable = server.isprintable() and " " not in server
    try:
        parts = urlsplit(server)
        right = printable and parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        right = False
    if not right or parts.query or parts.fragment:
        raise InputError(f"server {server!r} is not a URL such as https://models.example.org")
    return server.rstrip("/")


def _described(artifact: Artifact | None) -> dict[str, Any] | None:
    if artifact is None:
        return None
    entry = artifact.entry
    return {
        "model_version": entry.model_version,
        "release": entry.release,
        "channel": entry.channel,
        "target": entry.target,
        "recipe": entry.recipe,
        "tier": entry.tier,
        "bytes": artifact.length,
        "sha256": artifact.sha256,
    }
