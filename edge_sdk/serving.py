"""The models of a cache in memory: loaded once, replaced when another release became active."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from edge_sdk.chain import Chain
from edge_sdk.contract.manifest import Artifact
from edge_sdk.errors import NotAvailable
from edge_sdk.predict.prediction import Reason
from edge_sdk.runtime.pool import remake_after_fork
from edge_sdk.store import Cache, Slot, State

if TYPE_CHECKING:
    from edge_sdk.keyring import Keyring
    from edge_sdk.loading import LoadedModel
    from edge_sdk.predict.results import ResultCache
    from edge_sdk.store.disk import Stamp


_Stamps = tuple["Stamp | None", "Stamp | None"]
"""Of a bundle, and of the key that was lent for it."""


_Found = tuple[Artifact, str] | None
"""What is active and why it was withdrawn, if it was; None where nothing is installed."""


Notice = Callable[["LoadedModel", int | None], None]


class _Held(NamedTuple):
    """A loaded model.

    Attributes:
        found: what the state said then.
        loaded: the model, which may be a stand-in for what is active.
        until: when the lease of its key ends, where it has one.
        stamps: for a stand-in, what lay there in place of a bundle and a key that open.
    """

    found: _Found
    loaded: LoadedModel
    until: datetime | None
    stamps: _Stamps | None = None


class ServingModels:
    """Loads what is active and lends it to any thread; never touches the network.

    Args:
        cache: whose models.
        chain: says which one, and loads it.
        keyring: tells the time by which leases end.
        results: whether models remember answers.
        notice: is told of each model that is loaded, and how many nanoseconds that took if it is known.
    """

    def __init__(
        self, cache: Cache, chain: Chain, keyring: Keyring, results: ResultCache | None, notice: Notice
    ) -> None:
        self._cache, self._chain, self._keyring = cache, chain, keyring
        self._results, self._notice = results, notice
        self._closed = False
        self._models: dict[str, _Held] = {}
        # A model that was replaced serves whoever still holds it, and is gone when nobody does.
        self._alive: weakref.WeakSet[LoadedModel] = weakref.WeakSet()
        self._after_fork()
        remake_after_fork(self)

    def _after_fork(self) -> None:
        # In the child of a fork a thread that was loading is gone.
        self._loading = threading.Lock()

    def model(self, name: str) -> LoadedModel:
        """See :meth:`edge_sdk.client.EdgeClient.model`."""
        self.check_open()
        held = self._models.get(name)
        if held is not None and self._still_right(held, name, self._cache.state()):
            return held.loaded
        with self._loading:
            self.check_open()
            state = self._cache.state()
            held = self._models.get(name)
            if held is None or not self._still_right(held, name, state):
                held = self._load(name, state.models.get(name))
            return held.loaded

    def adopt(self, loaded: LoadedModel, until: datetime | None) -> None:
        """Serve a model that was loaded to prove it, until the lease of its key ends."""
        with self._loading:
            self._keep(_Held((loaded.artifact, ""), loaded, until))
            self._notice(loaded, None)

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

    def forget(self) -> None:
        """Have all models forget answers that they remember; for an erase of a user, whose may be among them."""
        with self._loading:
            alive = list(self._alive)
        for loaded in alive:
            loaded.forget()

    def close(self) -> None:
        """Wait for predictions in flight, then give the memory back."""
        with self._loading:
            self._closed = True
            self._models.clear()
            alive = list(self._alive)
        for loaded in alive:
            loaded.close()

    def _still_right(self, held: _Held, name: str, state: State) -> bool:
        slot = state.models.get(name)
        if held.found != _found(slot):
            return False
        if held.until is not None and held.until <= self._keyring.now(state):
            return False  # load again: the lease may have been renewed
        if held.stamps is None:
            return True
        if held.loaded.reason is Reason.BASELINE and self._chain.is_recalled(held.loaded.artifact):
            return False
        if held.loaded.reason is Reason.LAST_KNOWN_GOOD and (
            slot is None or slot.previous != held.loaded.artifact
        ):
            return False  # it was recalled
        # A stand-in goes when other files lie where those did that did not open; until then they are not tried again.
        return held.stamps == self._stamps(slot)

    def _stamps(self, slot: Slot | None) -> _Stamps:
        if slot is None:
            return None, None
        return self._cache.stamp(slot.active.sha256), self._keyring.stamp(slot.active)

    def _load(self, name: str, slot: Slot | None) -> _Held:
        stamps, begun = self._stamps(slot), self._cache.disk.system.monotonic()
        loaded, until = self._chain.load(name, slot)
        took_s = self._cache.disk.system.monotonic() - begun
        self._notice(loaded, int(took_s * 1e9))
        answers_itself = slot is not None and loaded.reason is Reason.FRESH
        return self._keep(_Held(_found(slot), loaded, until, None if answers_itself else stamps))

    def _keep(self, held: _Held) -> _Held:
        if self._results is not None:
            held.loaded.remember(self._results)
        self._alive.add(held.loaded)
        self._models[held.loaded.name] = held
        return held


def _found(slot: Slot | None) -> _Found:
    return None if slot is None else (slot.active, slot.withdrawn)
