"""Which model answers: the active one, the one before, the baseline in the app, the declared default."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from edge_sdk.baselines import Baseline
from edge_sdk.contract.manifest import Artifact
from edge_sdk.errors import (
    EdgeError,
    InputError,
    LeaseExpired,
    NotAvailable,
    RetryLater,
    StoreError,
    UpdateRequired,
    VerificationError,
)
from edge_sdk.predict.prediction import Reason
from edge_sdk.store import Cache, Slot

if TYPE_CHECKING:
    from edge_sdk.contract.record import BundleContent
    from edge_sdk.crypto.sealing import BundleKey
    from edge_sdk.keyring import Keyring
    from edge_sdk.loading import LoadedModel
    from edge_sdk.runtime.engine import Engine


class Answering(NamedTuple):
    """A loaded model, and when the lease of its key ends, where it has one."""

    loaded: LoadedModel
    until: datetime | None = None


class Chain:
    """Loads the first model that works.

    Args:
        cache: whose models.
        engine: what runs them.
        capabilities: of the engine.
        max_sessions: how many threads may compute in one model at once.
        keyring: for sealed bundles.
        baselines: what the app ships, by model.
    """

    def __init__(
        self,
        cache: Cache,
        engine: str | Engine,
        capabilities: frozenset[str],
        max_sessions: int,
        keyring: Keyring,
        baselines: Mapping[str, Baseline],
    ) -> None:
        self._cache = cache
        self._engine = engine
        self._capabilities = capabilities
        self._max_sessions = max_sessions
        self._keyring = keyring
        self._baselines = baselines

    def load(self, name: str, slot: Slot | None) -> Answering:
        """What answers for the model ``name``.

        1. The active bundle.
        2. Where it is damaged, cannot be read, does not work here, or its key's lease has ended: the one before.
        3. Where that does not answer either, or nothing is installed, or what was active was withdrawn: the baseline
           that the app ships, unless its bytes were recalled.
        4. Where no model loads, but the record of the active bundle can be read: the default that it declares.

        Args:
            name: of the model.
            slot: what the state says of it.

        Raises:
            EdgeError: nothing answers; why the active one does not.
        """
        problem: EdgeError
        if slot is None:
            has = ", ".join(sorted(self._cache.state().models)) or "no model yet"
            problem = NotAvailable(
                f"{name!r} is not in {self._cache.folder}, which has {has}; fetch it first"
            )
        elif slot.withdrawn:
            problem = NotAvailable(
                f"{slot.active.path} must not be used ({slot.withdrawn}), and nothing stands in; update"
            )
        else:
            try:
                return self._active(slot)  # 1
            except (VerificationError, UpdateRequired, LeaseExpired, StoreError) as error:
                problem = error
            if slot.previous is not None:
                with suppress(EdgeError):  # what is wrong with the active one is the news
                    key, until = self._keyring.unlock(slot.previous)
                    return Answering(self._load_one(slot.previous, Reason.LAST_KNOWN_GOOD, key), until)  # 2
        baseline = self._baselines.get(name)
        if baseline is not None and not self.is_recalled(baseline.artifact):
            try:
                return self._baseline(baseline)  # 3
            except EdgeError as error:
                problem = type(problem)(f"{problem}; nor does the baseline work: {error}")
        default = None if slot is None else self._default(slot, problem)  # 4
        if default is None:
            raise problem
        return Answering(default)

    def load_bundle(self, model: str, sha256: str) -> LoadedModel:
        """One bundle of a model and no other, whether or not it is what answers now; the caller closes it.

        Raises:
            NotAvailable: it is neither in the cache nor the app's baseline.
            EdgeError: it does not load.
        """
        state = self._cache.state()
        slot = state.models.get(model)
        kept = [] if slot is None else [a for a in (slot.active, slot.previous) if a is not None]
        for artifact in kept:
            if artifact.sha256 == sha256 and not state.is_bad(artifact):
                return self._load_one(artifact, Reason.FRESH, self._keyring.unlock(artifact).key)
        baseline = self._baselines.get(model)
        if baseline is not None and baseline.artifact.sha256 == sha256:
            return self._baseline(baseline).loaded
        has = ", ".join(f"release {artifact.entry.release} ({artifact.sha256[:12]})" for artifact in kept)
        raise NotAvailable(
            f"the bundle {sha256[:12]} of {model} is gone from {self._cache.folder}, which has {has or 'none of it'}"
        )

    def is_recalled(self, artifact: Artifact) -> bool:
        """Whether nobody is to use these bytes any more, wherever they come from."""
        return artifact.sha256 in self._cache.state().recalled

    def _active(self, slot: Slot) -> Answering:
        key, until = self._keyring.unlock(slot.active)
        if slot.confirmed:
            return Answering(self._load_one(slot.active, Reason.FRESH, key), until)
        return Answering(self._load_for_the_first_time(slot, key), until)

    def _load_for_the_first_time(self, slot: Slot, key: BundleKey | None) -> LoadedModel:
        """Load what never answered in a process of an app; one that ends such processes is tried twice only."""
        from edge_sdk.loading import load
        from edge_sdk.store.trying import condemned, trying

        artifact, name = slot.active, slot.active.entry.model
        failure = condemned(self._cache, artifact)
        if failure is not None:
            with suppress(StoreError, RetryLater):
                self._cache.change(lambda state: state.reverted(name, failure.reason))
            raise VerificationError(f"{artifact.path} does not work on this device: {failure.reason}")
        content = self._open(artifact, key)  # before: that bytes are damaged says nothing against the model
        with trying(self._cache, artifact):
            loaded = load(content, artifact, self._engine, self._max_sessions, Reason.FRESH)
        with suppress(StoreError, RetryLater):  # a full disk is no reason not to predict
            self._cache.change(lambda state: state.confirmed(artifact))
        return loaded

    def _load_one(self, artifact: Artifact, reason: Reason, key: BundleKey | None) -> LoadedModel:
        from edge_sdk.loading import load

        return load(self._open(artifact, key), artifact, self._engine, self._max_sessions, reason)

    def _open(self, artifact: Artifact, key: BundleKey | None) -> BundleContent:
        from edge_sdk.loading import open_bundle

        self._check_capabilities(artifact)
        with self._cache.reading(artifact.sha256) as served:
            if served is None:
                raise VerificationError(f"{artifact.path}: its bundle is gone from the cache; fetch it again")
            # What the state names was installed, and so went through every check.
            return open_bundle(served, artifact, key, known=True).content

    def _check_capabilities(self, artifact: Artifact) -> None:
        missing = set(artifact.entry.requires.split(" ")) - self._capabilities
        if missing:
            raise InputError(
                f"{artifact.path} was fetched for another engine (it needs {', '.join(sorted(missing))}); "
                "open the client with that engine, or fetch again"
            )

    def _baseline(self, baseline: Baseline) -> Answering:
        """Load what the app ships, once it has proven itself on this device; it is never written to the cache."""
        from edge_sdk.crypto.opening import InMemory
        from edge_sdk.loading import load, open_bundle, prove, silent
        from edge_sdk.store.trying import condemned, trying, trying_apart
        from edge_sdk.update.proving import prove_apart

        artifact = baseline.artifact
        self._check_capabilities(artifact)
        failure = condemned(self._cache, artifact)
        if failure is not None:
            raise VerificationError(f"{artifact.path} does not work on this device: {failure.reason}")
        key, until = self._keyring.unlock(artifact)
        served = InMemory(baseline.read(self._cache.disk))
        content = open_bundle(served, artifact, key, known=False).content
        with trying_apart(self._cache, artifact):
            prove_apart(content, artifact, self._engine, silent)
        with trying(self._cache, artifact):
            loaded = load(content, artifact, self._engine, self._max_sessions, Reason.BASELINE)
            try:
                prove(loaded, content)
            except BaseException:
                loaded.close()
                raise
        with suppress(StoreError, RetryLater):
            self._cache.change(lambda state: state.worked(artifact))
        return Answering(loaded, until)

    def _default(self, slot: Slot, problem: EdgeError) -> LoadedModel | None:
        """What the record of a whole bundle declares for the case that its model does not answer; None where it
        declares nothing, cannot be read, or was recalled."""
        from edge_sdk.loading import LoadedModel, feature_spec_of
        from edge_sdk.predict.default import default_only

        bad = self._cache.state().is_bad(slot.active)
        if self.is_recalled(slot.active) or (slot.withdrawn and not bad):
            return None
        try:
            content = self._open(slot.active, self._keyring.unlock(slot.active).key)
        except EdgeError:
            return None  # the problem says more
        record = content.record
        if not record.fallback or not record.features:
            return None
        return LoadedModel(
            default_only(record, str(problem)),
            record,
            slot.active,
            Reason.FALLBACK,
            self._engine,
            feature_spec_of(content),
        )
