"""The client: a cache, a server behind it when there is one, and the models that predict.

Opening a cache and predicting import nothing that could reach a network.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from edge_sdk.arguments import (
    check_callable,
    check_engine,
    check_kind,
    check_sessions,
    path_text,
    texts,
)
from edge_sdk.baselines import Baseline, find_baselines
from edge_sdk.chain import Chain
from edge_sdk.contract import identifiers
from edge_sdk.erasing import EraseScope, Receipt, erase, erase_user, finish_erasing
from edge_sdk.errors import FormatError, InputError
from edge_sdk.health.alerts import HealthSettings
from edge_sdk.health.reporter import Reporter
from edge_sdk.keyring import Keyring
from edge_sdk.runtime.pool import remake_after_fork
from edge_sdk.serving import ServingModels
from edge_sdk.store import Cache, Clock, Disk, System
from edge_sdk.trust.preference import PREFERENCE
from edge_sdk.update.capabilities import capabilities_of
from edge_sdk.update.control import Control
from edge_sdk.update.device import Device
from edge_sdk.update.policy import (
    Conditions,
    Refreshed,
    Updated,
    UpdatePolicy,
    UpdateStatus,
)

if TYPE_CHECKING:
    from edge_sdk.crypto.credentials import Credential
    from edge_sdk.features.settings import FeatureSettings
    from edge_sdk.features.store import FeatureStore
    from edge_sdk.health.monitor import ModelHealth
    from edge_sdk.health.telemetry import TelemetrySettings
    from edge_sdk.health.uploading import Uploaded
    from edge_sdk.loading import LoadedModel, Progress
    from edge_sdk.predict.replay import ReplayRecord
    from edge_sdk.predict.replaying import Replayed
    from edge_sdk.predict.results import ResultCache
    from edge_sdk.runtime.engine import Engine
    from edge_sdk.store.verifying import Finding, VerifyLevel
    from edge_sdk.update.limits import HttpLimits
    from edge_sdk.update.retrying import RetryPolicy
    from edge_sdk.update.transport import Transport
    from edge_sdk.update.updates import Updates

Random = Callable[[int], bytes]


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
        credential: Credential | None,
        engine: str | Engine,
        max_sessions: int,
        capabilities: frozenset[str],
        preference: tuple[str, ...],
        clock: Clock,
        transport: Transport | None,
        retry: RetryPolicy | None,
        mirrors: tuple[str, ...],
        limits: HttpLimits | None,
        random: Random,
        baselines: Mapping[str, Baseline],
        results: ResultCache | None,
        health: HealthSettings,
        telemetry: TelemetrySettings | None,
        features: FeatureSettings | None,
    ) -> None:
        self._cache = cache
        self._server = server
        self._mirrors = mirrors
        self._root = root
        self._channel = channel
        self._clock = clock
        self._transport = transport
        self._limits = limits
        self._retry = retry
        self._random = random
        self._keyring = Keyring(cache, credential, clock)
        self._baselines = baselines
        self._chain = Chain(cache, engine, capabilities, max_sessions, self._keyring, baselines)
        self._health = Reporter(cache, engine, clock, health, telemetry)
        self._serving = ServingModels(cache, self._chain, self._keyring, results, self._health.notice)
        self._device = Device(channel, engine, capabilities, preference, max_sessions, self._keyring)
        self._feature_settings = features
        self._features: FeatureStore | None = None
        self._made: Updates | None = None
        self._after_fork()
        remake_after_fork(self)

    def _after_fork(self) -> None:
        self._making = threading.Lock()

    @classmethod
    def open(
        cls,
        cache_dir: str | os.PathLike[str],
        server: str | None = None,
        root: bytes | None = None,
        channel: str = "stable",
        credential: Credential | None = None,
        engine: str | Engine = "litert",
        max_sessions: int = 3,
        *,
        clock: Clock | None = None,
        system: System | None = None,
        mirrors: Sequence[str] = (),
        transport: Transport | None = None,
        limits: HttpLimits | None = None,
        retry: RetryPolicy | None = None,
        capabilities: frozenset[str] | None = None,
        recipes: tuple[str, ...] = PREFERENCE,
        random: Random | None = None,
        baselines: Iterable[str | os.PathLike[str]] = (),
        results: ResultCache | None = None,
        health: HealthSettings | None = None,
        telemetry: TelemetrySettings | None = None,
        features: FeatureSettings | None = None,
    ) -> EdgeClient:
        """Open a cache, or make one; an erase that was begun is finished first.

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
            credential: for sealed bundles: the app key, or the credential of an enrolled device.
            engine: ``litert``, ``onnxruntime``, or an engine of your own (then say its capabilities).
            max_sessions: how many threads may compute in one model at once, 1 to 3.
            clock: the wall clock, which decides what has expired; that of ``system`` by default.
            system: the disk and the clocks; the operating system by default.
            mirrors: URLs of other servers that have the same bundles, asked in turn where ``server`` fails. Nothing
                else comes from them: a bundle is known by its signed digest, whoever hands it out.
            transport: how to reach the servers; HTTP by default.
            limits: how patient that HTTP is, and the lowest rate that it puts up with.
            retry: how often metadata and bundles are tried again, after how long, and the deadline for all of it; by
                default a few times, for an hour.
            capabilities: what the device can run; by default what the engine can.
            recipes: which to take where a release has several that fit, best first; then the smallest.
            random: source of install ids; that of ``system`` by default.
            baselines: ``.bundle`` files that the app ships inside itself, each with its ``.bundle.entry.json``
                beside it, at most one a model. Where nothing that was fetched works, they answer, and say BASELINE.
            results: lets single predictions that are asked for again be answered from memory, for a while; each
                model has its own, empty when the model changes. Off by default.
            health: when something counts as wrong, and who is told.
            telemetry: that what was counted may be told to the server, and how; without it nothing ever is.
            features: bounds of the store of events and features.

        Raises:
            InputError: an argument is wrong, such as a root that is none for a new cache.
            NotAvailable: there is no cache, and no root to make one with.
            RetryLater: another process is erasing the cache.
            StoreError: the cache is damaged, or the disk refuses.
        """
        _check_arguments(channel, credential, max_sessions)
        check_engine(engine)
        if root is not None:
            check_kind("root", root, bytes)
        for what, given in (("clock", clock), ("random", random)):
            if given is not None:
                check_callable(what, given)
        _check_settings(health, retry, telemetry, features)
        folder, wanted = Path(path_text("cache_dir", cache_dir)), texts("recipes", recipes)
        engine_name = engine if isinstance(engine, str) else engine.name
        can = (
            capabilities_of(engine_name)
            if capabilities is None
            else frozenset(texts("capabilities", capabilities))
        )
        base = None if server is None else _base_url(server)
        others = _mirrors(mirrors)
        disk = Disk(system)
        random = random or disk.system.random
        shipped = find_baselines(baselines, disk)
        cache = Cache.open(folder, root, random, disk)
        finish_erasing(cache, random, disk.system.now)
        return cls(
            cache,
            server=base,
            root=root,
            channel=channel,
            credential=credential,
            engine=engine,
            max_sessions=max_sessions,
            capabilities=can,
            preference=wanted,
            clock=clock or disk.system.now,
            transport=transport,
            retry=retry,
            mirrors=others,
            limits=limits,
            random=random,
            baselines=shipped,
            results=results,
            health=health or HealthSettings(),
            telemetry=telemetry,
            features=features,
        )

    # -- with a network --------------------------------------------------------------------------------

    def refresh(self, progress: Progress | None = None, control: Control | None = None) -> Refreshed:
        """Bring the metadata up to date, and renew the keys that are lent to this device; no model changes.

        Args:
            progress: told stage, done and total.
            control: cancels or pauses it, from another thread.

        Returns:
            UPDATED, UNCHANGED, or OFFLINE where the server cannot be reached; and which keys could not be renewed.

        Raises:
            InputError: the client has no server, or the cache trusts another root than was given to :meth:`open`.
            VerificationError: something is not as it must be; the cache is as it was.
            NotAvailable: the server has no metadata.
            RetryLater: another process is updating the cache.
            Cancelled: ``control`` says so.
            StoreError: the disk refuses.
        """
        told, obeyed = _listeners(progress, control)
        return self._updates().refresh(told, obeyed)

    def update(
        self,
        name: str,
        policy: UpdatePolicy = UpdatePolicy.LATEST,
        conditions: Conditions | None = None,
        progress: Progress | None = None,
        control: Control | None = None,
    ) -> Updated:
        """Bring one model up to date.

        Whatever goes wrong, the model that was active stays so and keeps predicting. Calls for the same model under
        the same conditions that come while one is under way share it: each with a control of its own, which frees its
        caller and no other. It is paused while all who wait for it pause it, and ends when nobody waits any more.

        Args:
            name: of the model.
            policy: LOCAL looks at the cache only; LOCAL_UPDATE_IN_BACKGROUND returns at once and lets a thread
                do the rest; LATEST returns when it is done.
            conditions: under which a bundle may be downloaded.
            progress: told stage, done and total, from another thread; a stage never goes back.
            control: cancels, pauses and resumes it, from any thread. What was received is kept, and the next
                update goes on from there. While it is paused no other update of this cache begins.

        Returns:
            How it ended, and what is active.

        Raises:
            InputError: the client has no server, the cache trusts another root than was given to :meth:`open`, or
                the bundle is sealed for another key, or for enrolled devices and the server does not know this one.
            NotAvailable: the server has no such model in the channel, or does not lend its key to this device.
            UpdateRequired: the model needs a newer SDK.
            RetryLater: the download broke off, or another process is updating the cache.
            Cancelled: ``control`` says so, or the client was closed meanwhile.
            DeadlineExceeded: it took longer than the ``retry`` of :meth:`open` allows.
            VerificationError: something is not as it must be, or the model does not work here.
            StoreError: the disk refuses.
        """
        self._serving.check_open()
        _checked_name(name, "model")
        check_kind("policy", policy, UpdatePolicy)
        wanted = _conditions(conditions)
        told, obeyed = _listeners(progress, control)
        if policy is UpdatePolicy.LOCAL:
            return Updated.of(self._cache.state().models.get(name), UpdateStatus.LOCAL)
        updates = self._updates()
        if policy is UpdatePolicy.LOCAL_UPDATE_IN_BACKGROUND:
            started = updates.start(name, wanted, told, obeyed)
            if self._health.tells:
                updates.later(lambda: self._health.upload_quietly(updates.upload, wanted))
            return started
        return updates.update(name, wanted, told, obeyed)

    def upload_telemetry(
        self, conditions: Conditions | None = None, control: Control | None = None
    ) -> Uploaded:
        """Tell the server what was counted, where the app asked for that in :meth:`open`; see
        docs/protocol/telemetry.md for what is told. An update in the background does so too when it is done.

        What cannot be told now waits in the cache. Each report is told once, as far as anybody can tell.

        Args:
            conditions: under which it may be uploaded.
            control: cancels it, from another thread; so does :meth:`erase`.

        Returns:
            How it ended, and how many reports were told.

        Raises:
            InputError: the client has no server, or was opened without telemetry.
            Cancelled: ``control`` says so, or the cache is being erased.
            RetryLater: another process is updating or erasing the cache.
            StoreError: the disk refuses.
        """
        self._serving.check_open()
        wanted, obeyed = _conditions(conditions), _listeners(None, control)[1]
        return self._health.upload(self._updates().upload, wanted, obeyed)

    def wait(self) -> dict[str, Updated]:
        """Wait for the updates in the background.

        Returns:
            How the latest of each model ended.
        """
        return {} if self._made is None else self._made.wait()

    def _updates(self) -> Updates:
        from edge_sdk.update.updates import Updates

        self._serving.check_open()
        if self._server is None:
            raise InputError("this client was opened without a server; give its URL to update")
        with self._making:
            if self._made is None:
                self._made = Updates(
                    self._cache,
                    self._serving,
                    self._server,
                    self._mirrors,
                    self._root,
                    self._device,
                    self._clock,
                    self._transport,
                    self._limits,
                    self._retry,
                )
            return self._made

    # -- without one -----------------------------------------------------------------------------------

    def model(self, name: str) -> LoadedModel:
        """The active model, loaded; never touches the network.

        Loaded once, and again only when another release became active. What was handed out before keeps
        working until it is dropped or the client is closed. Where the active bundle turns out to be damaged,
        the previous one answers, and its predictions say LAST_KNOWN_GOOD, until the bundle is fetched again. So it
        does where the lease of the active one's key has ended, until that is renewed. Where no bundle of the cache
        works, or none is there yet, the app's baseline answers (BASELINE) until an update brings one; and where a
        bundle is whole, but its model does not load here, the default that its record declares (FALLBACK). Ask for
        the model each time: what is still held when a lease ends goes on working.

        Raises:
            NotAvailable: it is not installed, and there is no baseline; or it was recalled.
            LeaseExpired: its key was lent until now, and nothing stands in.
            InputError: it is sealed for another key, or was fetched for another engine.
            VerificationError: its bundle is damaged or does not work here, and nothing stands in.
            UpdateRequired: it needs a newer engine, and nothing stands in.
        """
        return self._serving.model(name)

    @property
    def features(self) -> FeatureStore:
        """The store of this cache's events, and of the features that models take; never touches the network."""
        self._serving.check_open()
        return self._feature_store()

    def _feature_store(self) -> FeatureStore:
        if self._features is None:
            from edge_sdk.features.settings import FeatureSettings
            from edge_sdk.features.store import FeatureStore

            with self._making:
                self._features = self._features or FeatureStore(
                    self._cache.folder,
                    self._cache.disk,
                    self._clock,
                    self._feature_settings or FeatureSettings(),
                    self._serving.model,
                )
        return self._features

    def health(self) -> tuple[ModelHealth, ...]:
        """How each model does that this client has used: answers, errors, look-ups, latencies, and what is wrong.

        Of the present window and the one before it: a window ends when it is kept for telemetry, or is all the time
        since the client was opened.
        """
        return self._health.monitor.look()

    def replay(self, record: ReplayRecord) -> Replayed:
        """Compute the prediction of a record again, by the bundle that made it, and compare it bit for bit.

        Raises:
            NotAvailable: that bundle is gone from the cache.
            FormatError: the record does not fit it.
            EdgeError: it does not load any more.
        """
        self._serving.check_open()
        loaded = self._chain.load_bundle(record.model, record.artifact)
        try:
            return loaded.replay(record)
        finally:
            loaded.close()

    def status(self) -> dict[str, Any]:
        """What the cache holds: models, marks, bytes; how updates in the background ended, and why keys that are lent
        to this device could not be renewed. Beside it, the baselines of the app, and how its feature store does."""
        from edge_sdk.status import described, status_of

        made = self._made
        return {
            **status_of(self._cache, self._keyring),
            "channel": self._channel,
            "baselines": {
                name: described(baseline.artifact, self._keyring)
                for name, baseline in sorted(self._baselines.items())
            },
            "background": {
                name: {"status": done.status.value, "detail": done.detail}
                for name, done in sorted(({} if made is None else made.background).items())
            },
            **self._health.status(),
            "features": self._feature_store().stats().to_json(),
            "not_renewed": [] if made is None else list(made.not_renewed),
        }

    def verify(self, level: VerifyLevel | None = None) -> tuple[Finding, ...]:
        """How whole the bundles in the cache are. Nothing is changed: the next :meth:`update` of a model whose active
        bundle is damaged fetches the segments that are, and no others.

        Args:
            level: QUICK looks at lengths, SAMPLED reads a few segments of each, FULL every byte; QUICK by default.

        Returns:
            One finding for each active and previous bundle; see :class:`edge_sdk.store.verifying.Finding`.

        Raises:
            StoreError: the state cannot be read.
        """
        from edge_sdk.store.verifying import VerifyLevel, verify

        chosen = VerifyLevel.QUICK if level is None else level
        check_kind("level", chosen, VerifyLevel)
        return verify(self._cache, chosen)

    def erase(self, scope: EraseScope = EraseScope.MODELS, *, user: str | None = None) -> Receipt:
        """Erase what is known of a user; or the models; or, with ``ALL``, everything and the install id too.

        With a user, all that was recorded, told and computed of him is gone, and the models stay as they are. Without
        one, models handed out stop working; what was counted goes too, and what waits to be told; what is being told is
        broken off or waited for. What users did stays with ``MODELS``.

        What the device has seen stays, so that nobody can roll it back by erasing. Should the process end
        midway, the next :meth:`open` finishes it.

        Args:
            scope: what to erase, where no user is given.
            user: whose data to erase, and nothing else.

        Returns:
            What was erased.

        Raises:
            InputError: ``ALL`` with a user, or ``USER`` without one.
            NotAvailable: the client is closed.
            RetryLater: an update is running, here or in another process.
            StoreError: the disk refuses; once it does not, :meth:`open` finishes the erase.
        """
        self._serving.check_open()
        check_kind("scope", scope, EraseScope)
        if scope is (EraseScope.USER if user is None else EraseScope.ALL):
            raise InputError("say whose data to erase with the scope USER, and with no other: user=")
        if user is not None:
            try:
                return erase_user(self._cache, self.features, user, self._clock)
            finally:
                self._serving.forget()
        with self._health.forgetting():
            try:
                return erase(self._cache, scope, self._random, self._clock)
            finally:
                self._serving.drop()
                if self._features is not None and scope is EraseScope.ALL:
                    self._features.forget()

    def close(self) -> None:
        """Cancel the updates that are under way, wait for predictions in flight, then give everything back.

        What the updates have received is kept, and the next client's go on from there; :meth:`wait` before closing
        lets those in the background finish.
        """
        self._health.stop()
        if self._made is not None:
            self._made.close()
        self._serving.close()
        self._health.keep()

    def __enter__(self) -> EdgeClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _silent(stage: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


def _listeners(progress: Progress | None, control: Control | None) -> tuple[Progress, Control]:
    told, obeyed = _silent if progress is None else progress, Control() if control is None else control
    check_callable("progress", told)
    check_kind("control", obeyed, Control)
    return told, obeyed


def _conditions(conditions: Conditions | None) -> Conditions:
    wanted = Conditions() if conditions is None else conditions
    check_kind("conditions", wanted, Conditions)
    return wanted


def _mirrors(mirrors: Sequence[str]) -> tuple[str, ...]:
    return tuple(_base_url(mirror) for mirror in texts("mirrors", mirrors, "URLs"))


def _checked_name(name: str, what: str) -> None:
    try:
        identifiers.name(name, what)
    except FormatError as error:
        raise InputError(str(error)) from error


def _check_arguments(channel: str, credential: object, max_sessions: object) -> None:
    _checked_name(channel, "channel")
    if credential is not None:
        from edge_sdk.crypto.sealing import AppKey

        if not isinstance(credential, AppKey):
            from edge_sdk.crypto.credentials import DeviceCredential  # of enrolled devices only: 5 ms

            if not isinstance(credential, DeviceCredential):
                kind = type(credential).__name__
                raise InputError(f"a credential is an AppKey or a DeviceCredential, not a {kind}")
    check_sessions(max_sessions)


def _check_settings(health: object, retry: object, telemetry: object, features: object) -> None:
    if features is not None:
        from edge_sdk.features.settings import FeatureSettings

        check_kind("features", features, FeatureSettings)
    if health is not None:
        check_kind("health", health, HealthSettings)
    if retry is not None:
        from edge_sdk.update.retrying import RetryPolicy  # what an app that gives one has imported

        check_kind("retry", retry, RetryPolicy)
    if telemetry is not None:
        from edge_sdk.health.telemetry import TelemetrySettings

        check_kind("telemetry", telemetry, TelemetrySettings)


def _base_url(server: str) -> str:
    from urllib.parse import urlsplit

    check_kind("server", server, str)
    # It drops line ends silently, and looks at a port only when it is asked for it.
    printable = server.isprintable() and " " not in server
    try:
        parts = urlsplit(server)
        right = printable and parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        right = False
    if not right or parts.query or parts.fragment:
        raise InputError(f"server {server!r} is not a URL such as https://models.example.org")
    return server.rstrip("/")
