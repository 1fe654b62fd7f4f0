"""The models of a cache in memory: loaded once, replaced when another release became active."""

from __future__ import annotations

import threading
import weakref
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from edge_sdk.contract.manifest import Artifact
from edge_sdk.errors import (
    EdgeError,
    InputError,
    LeaseExpired,
    NotAvailable,
    RetryLater,
    StoreError,
    VerificationError,
)
from edge_sdk.store import Cache, Slot

if TYPE_CHECKING:
    from edge_sdk.contract.record import BundleContent
    from edge_sdk.crypto.sealing import BundleKey
    from edge_sdk.keyring import Keyring
    from edge_sdk.loading import LoadedModel
    from edge_sdk.runtime.engine import Engine
    from edge_sdk.store.disk import Stamp


_Stamps = tuple["Stamp | None", "Stamp | None"]
"""Of a bundle, and of the key that was lent for it."""


class _Held(NamedTuple):
    """A loaded model.

    Attributes:
        active: what was active then.
        loaded: the model, which may be a stand-in for it.
        until: when the lease of its key ends, where it has one.
        stamps: for a stand-in, what lay there in place of a bundle and a key that open.
    """

    active: Artifact
    loaded: LoadedModel
    until: datetime | None
    stamps: _Stamps | None = None


class ServingModels:
    """Loads what is active and lends it to any thread; never touches the network.

    Args:
        cache: whose models.
        engine: what runs them.
        capabilities: of the engine.
        max_sessions: how many threads may compute in one model at once.
        keyring: for sealed bundles.
    """

    def __init__(
        self,
        cache: Cache,
        engine: str | Engine,
        capabilities: frozenset[str],
        max_sessions: int,
        keyring: Keyring,
    ) -> None:
        self._cache = cache
        self._engine = engine
        self._capabilities = capabilities
        self._max_sessions = max_sessions
        self._keyring = keyring
        self._closed = False
        self._models: dict[str, _Held] = {}
        # A model that was replaced serves whoever still holds it, and is gone when nobody does.
        self._alive: weakref.WeakSet[LoadedModel] = weakref.WeakSet()
        self._loading = threading.Lock()

    def model(self, name: str) -> LoadedModel:
        """See :meth:`edge_sdk.client.EdgeClient.model`."""
        self.check_open()
        slot = self._slot(name)
        held = self._models.get(name)
        if held is not None and self._still_right(held, slot):
            return held.loaded
        with self._loading:
            self.check_open()
            slot = self._slot(name)
            held = self._models.get(name)
            if held is None or not self._still_right(held, slot):
                held = self._keep(self._load(slot))
            return held.loaded

    def adopt(self, loaded: LoadedModel, until: datetime | None) -> None:
        """Serve a model that was loaded to prove it, until the lease of its key ends."""
        with self._loading:
            self._keep(_Held(loaded.artifact, loaded, until))

    def check_open(self) -> None:
        """Raise NotAvailable once closed."""
        if self._closed:
            raise NotAvailable("this client was closed; open another")

    def drop(self) -> None:
        """Wait for predictions in flight, then give all models' memory back; others may be loaded afterwards."""
        with self._loading:
            self._models.clear()
            alive = list(self._alive)
        for loaded in alive:
            loaded.close()

    def close(self) -> None:
        """Wait for predictions in flight, then give the memory back."""
        with self._loading:
            self._closed = True
            self._models.clear()
            alive = list(self._alive)
        for loaded in alive:
            loaded.close()

    def _still_right(self, held: _Held, slot: Slot) -> bool:
        if held.active != slot.active or slot.withdrawn:
            return False
        if held.until is not None and held.until <= self._keyring.now():
            return False  # load again: the lease may have been renewed
        # A stand-in goes when other files lie where those did that did not open; until then they are not tried again.
        return held.loaded.artifact == slot.active or held.stamps == self._stamps(slot.active)

    def _stamps(self, artifact: Artifact) -> _Stamps:
        return self._cache.stamp(artifact.sha256), self._keyring.stamp(artifact)

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
        stamps = self._stamps(slot.active)
        try:
            key, until = self._keyring.unlock(slot.active)
            if slot.confirmed:
                return _Held(slot.active, self._load_one(slot.active, Reason.FRESH, key), until)
            return _Held(slot.active, self._load_for_the_first_time(slot, key), until)
        except (VerificationError, LeaseExpired):
            if slot.previous is None:
                raise
            try:
                key, until = self._keyring.unlock(slot.previous)
                stand_in = self._load_one(slot.previous, Reason.LAST_KNOWN_GOOD, key)
                return _Held(slot.active, stand_in, until, stamps)
            except EdgeError:
                pass  # then what is wrong with the active one is the news
            raise

    def _load_for_the_first_time(self, slot: Slot, key: BundleKey | None) -> LoadedModel:
        """Load what never answered in a process of an app; one that ends such processes is tried twice only."""
        from edge_sdk.loading import load
        from edge_sdk.predict.prediction import Reason
        from edge_sdk.store.trying import trying

        artifact, name = slot.active, slot.active.entry.model
        failure = self._cache.state().failures.get(artifact.sha256)
        if failure is not None and failure.final:
            with suppress(StoreError, RetryLater):
                self._cache.change(lambda state: state.reverted(name, failure.reason))
            raise VerificationError(f"{artifact.path} does not work on this device: {failure.reason}")
        content = self._open(artifact, key)  # before: that bytes are damaged says nothing against the model
        with trying(self._cache, artifact):
            loaded = load(content, artifact, self._engine, self._max_sessions, Reason.FRESH)
        with suppress(StoreError, RetryLater):  # a full disk is no reason not to predict
            self._cache.change(lambda state: state.confirmed(artifact))
        return loaded

    def _load_one(self, artifact: Artifact, reason: Any, key: BundleKey | None) -> LoadedModel:
        from edge_sdk.loading import load

        return load(self._open(artifact, key), artifact, self._engine, self._max_sessions, reason)

    def _open(self, artifact: Artifact, key: BundleKey | None) -> BundleContent:
        from edge_sdk.loading import open_bundle

        missing = set(artifact.entry.requires.split(" ")) - self._capabilities
        if missing:
            raise InputError(
                f"{artifact.path} was fetched for another engine (it needs {', '.join(sorted(missing))}); "
                "open the client with that engine, or fetch again"
            )
        with self._cache.reading(artifact.sha256) as served:
            if served is None:
                raise VerificationError(f"{artifact.path}: its bundle is gone from the cache; fetch it again")
            # What the state names was installed, and so went through every check.
            return open_bundle(served, artifact, key, known=True)

    def _keep(self, held: _Held) -> _Held:
        self._alive.add(held.loaded)
        self._models[held.active.entry.model] = held
        return held
