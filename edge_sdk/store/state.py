"""The one pointer of a cache: which blobs are in use, and how far the device has come.

Its digest shows damage (a torn write, a failing disk) and nothing else: it has no key, so whoever can write the
file can write another state with the right digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from edge_sdk.contract import document, identifiers
from edge_sdk.contract.document import Fields
from edge_sdk.contract.entry import Entry
from edge_sdk.contract.framing import SEGMENT_BYTES
from edge_sdk.contract.manifest import Artifact
from edge_sdk.errors import FormatError, UpdateRequired
from edge_sdk.trust.marks import Marks
from feature_spec.canonical import canonical_json

FORMAT: Final = "coach-edge/cache/2"
FIRST_FORMAT: Final = "coach-edge/cache/1"
"""Without failures, downloads and starts; read as a state that has none."""
MAX_FAILURES: Final = 2
"""A bundle that failed so often is never tried again on this device."""
ENDED: Final = "it ended the process that loaded it"
MAX_REMEMBERED: Final = 64
"""Bundles whose failures are remembered; the oldest is forgotten first."""
MAX_BYTES: Final = 4_000_000
_DELTA: Final = "/delta"
TRUST_FILES: Final = ("root.json", "timestamp.json", "snapshot.json", "targets.json", "directives.json")


@dataclass(frozen=True)
class Slot:
    """Of one model: what predicts now, and what did before.

    Attributes:
        active: what predicts.
        previous: what did before; it stands in where the active one fails.
        confirmed: it was loaded in an app's process and answered.
        withdrawn: why the active one must not be used any more, where nothing stands in; empty otherwise.
    """

    active: Artifact
    previous: Artifact | None = None
    confirmed: bool = False
    withdrawn: str = ""

    def activate(self, artifact: Artifact) -> Slot:
        """The slot once ``artifact`` predicts; only other bytes push what was active back."""
        if artifact.sha256 == self.active.sha256:
            return replace(self, active=artifact, withdrawn="")
        return Slot(artifact, None if self.withdrawn else self.active)


@dataclass(frozen=True)
class Failure:
    """How often bytes failed on this device, and how the last time.

    Attributes:
        times: how often, with a trial that has not ended.
        reason: of the last time.
        owner: of the last trial, until somebody tells how it ended; see :mod:`edge_sdk.store.trying`.
    """

    times: int
    reason: str
    owner: str = ""

    @property
    def final(self) -> bool:
        """Whether they are never tried again."""
        return self.times >= MAX_FAILURES


@dataclass(frozen=True)
class State:
    """The whole state; changed by replacing it.

    Attributes:
        generation: grows with every change.
        install_id: made here, used here for shares of the fleet, never sent.
        pinned_root: digest of the root that this cache began with.
        trust: digests of the metadata as received, by file name; empty before the first refresh.
        marks: below which nothing is accepted any more.
        models: by model name.
        failures: of bundles that did not work here, by digest of the served bytes.
        wanted: digests of bundles whose download was begun, by model name, and of deltas, by ``name/delta``.
        commits: the latest changes, oldest first; each has a random name.
        recalled: digests of bundles that no release offers any more, since every release that did was recalled.
    """

    install_id: str
    pinned_root: str
    generation: int = 1
    trust: Mapping[str, str] = field(default_factory=dict)
    marks: Marks = field(default_factory=Marks)
    models: Mapping[str, Slot] = field(default_factory=dict)
    failures: Mapping[str, Failure] = field(default_factory=dict)
    wanted: Mapping[str, str] = field(default_factory=dict)
    commits: tuple[str, ...] = ()
    recalled: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        identifiers.install_id(self.install_id)
        identifiers.sha256_hex(self.pinned_root, "state: pinned root")
        if self.generation < 1:
            raise FormatError("state: the generation is not positive")
        if self.trust and set(self.trust) != set(TRUST_FILES):
            raise FormatError("state: the trusted metadata is not complete")
        for name, digest in self.trust.items():
            identifiers.sha256_hex(digest, f"state: {name}")
        for name, slot in self.models.items():
            if slot.active.entry.model != name:
                raise FormatError(f"state: the model under {name!r} is {slot.active.entry.model!r}")
        for digest in (*self.failures, *self.wanted.values(), *self.recalled):
            identifiers.sha256_hex(digest, "state: bundle")
        for name in ("trust", "models", "failures", "wanted"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    @property
    def blobs(self) -> frozenset[str]:
        """Digests of everything that this state needs."""
        slots = self.models.values()
        artifacts = [a for slot in slots for a in (slot.active, slot.previous) if a is not None]
        lists = [a.entry.segments_sha256 for a in artifacts if a.length > SEGMENT_BYTES]
        return frozenset({self.pinned_root, *self.trust.values(), *(a.sha256 for a in artifacts), *lists})

    def installed(self, artifact: Artifact) -> State:
        """The state once ``artifact``, which answered here, is active, its release marked."""
        entry = artifact.entry
        slot = self.models.get(entry.model)
        installed = replace(
            self,
            models={**self.models, entry.model: slot.activate(artifact) if slot else Slot(artifact)},
            marks=self.marks.with_release(entry.model, entry.channel, entry.release),
            wanted={key: digest for key, digest in self.wanted.items() if _model_of(key) != entry.model},
        )
        return installed.confirmed(artifact)

    def wanting(self, artifact: Artifact, delta: str = "") -> State:
        """The state while ``artifact`` is being downloaded, or the delta with this digest that makes it."""
        model = artifact.entry.model
        others = {key: digest for key, digest in self.wanted.items() if _model_of(key) != model}
        mine = {model: artifact.sha256} | ({model + _DELTA: delta} if delta else {})
        return replace(self, wanted={**others, **mine})

    def trying(self, artifact: Artifact, owner: str = "", *, again: bool = True) -> State:
        """The state while ``artifact`` is loaded for the first time: should that end the process, it counts.

        Args:
            artifact: what is loaded.
            owner: of this trial.
            again: False where the one before has not ended; both count once then. This one takes its place all
                the same: where the number of a dead process was given to another, the next death counts.
        """
        known = self.failures.get(artifact.sha256)
        failure = Failure((known.times if known else 0) + (again or known is None), ENDED, owner)
        others = [(digest, f) for digest, f in self.failures.items() if digest != artifact.sha256]
        return replace(self, failures=dict([*others[-(MAX_REMEMBERED - 1) :], (artifact.sha256, failure)]))

    def failed(self, artifact: Artifact, reason: str) -> State:
        """The state once :meth:`trying` ended in an error that could be told."""
        known = self.failures.get(artifact.sha256)
        failure = Failure(known.times if known else 1, reason)
        return replace(self, failures={**self.failures, artifact.sha256: failure})

    def spared(self, artifact: Artifact, owner: str, before: Failure | None) -> State:
        """The state once :meth:`trying` ended in something that says nothing about the bundle."""
        known = self.failures.get(artifact.sha256)
        if known is None or known.owner != owner:
            return self  # what others found since stays
        others = {digest: f for digest, f in self.failures.items() if digest != artifact.sha256}
        return replace(self, failures=others if before is None else {**others, artifact.sha256: before})

    def confirmed(self, artifact: Artifact) -> State:
        """The state once ``artifact`` was loaded in an app's process and answered, if it still is the active one."""
        model = artifact.entry.model
        slot = self.models.get(model)
        if slot is None or slot.active.sha256 != artifact.sha256:
            return self
        return self.worked(artifact)._with(model, replace(slot, confirmed=True))

    def worked(self, artifact: Artifact) -> State:
        """The state once ``artifact`` answered here: how it failed before is forgotten."""
        failures = {digest: f for digest, f in self.failures.items() if digest != artifact.sha256}
        return replace(self, failures=failures)

    def reverted(self, model: str, reason: str) -> State:
        """The state once the active bundle of ``model`` must not be used: the previous one does, or none."""
        slot = self.models.get(model)
        if slot is None:
            return self  # erased meanwhile
        if slot.previous is None or self.is_bad(slot.previous):
            return self._with(model, replace(slot, withdrawn=reason))
        return self._with(model, Slot(slot.previous, None, confirmed=True))

    def without_previous(self, model: str) -> State:
        """The state once nothing stands in for the active bundle of ``model``."""
        return self._with(model, replace(self.models[model], previous=None))

    def restored(self, model: str) -> State:
        """The state once what was withdrawn may be used again."""
        return self._with(model, replace(self.models[model], withdrawn=""))

    def is_bad(self, artifact: Artifact) -> bool:
        """Whether ``artifact`` failed here so often that it is not tried again."""
        failure = self.failures.get(artifact.sha256)
        return failure is not None and failure.final

    def _with(self, model: str, slot: Slot) -> State:
        return replace(self, models={**self.models, model: slot})

    def to_bytes(self) -> bytes:
        """The file: the state, and its digest so that damage shows."""
        body = {
            "generation": self.generation,
            "install_id": self.install_id,
            "pinned_root": self.pinned_root,
            "trust": dict(self.trust),
            "high_water": self.marks.to_json(),
            "models": {
                name: {
                    "active": _artifact_json(s.active),
                    "previous": _artifact_json(s.previous),
                    "confirmed": s.confirmed,
                    "withdrawn": s.withdrawn,
                }
                for name, s in self.models.items()
            },
            # A list, since the order says which is the oldest.
            "failures": [
                {"sha256": d, "times": f.times, "reason": f.reason, "owner": f.owner}
                for d, f in self.failures.items()
            ],
            "wanted": dict(self.wanted),
            "recalled": sorted(self.recalled),
            "commits": list(self.commits),
        }
        return canonical_json({"format": FORMAT, "sha256": _digest(body), "body": body})

    @classmethod
    def from_bytes(cls, data: bytes) -> State:
        """The state in a file.

        Raises:
            FormatError: malformed or damaged.
            UpdateRequired: written by a newer SDK.
        """
        top = Fields(document.parse(data, "state", max_bytes=MAX_BYTES), "state")
        if top.text("format") not in (FIRST_FORMAT, FORMAT):
            raise UpdateRequired(
                f"the cache has the format {top.text('format')!r}, and this SDK knows {FORMAT!r}; update the app"
            )
        first = top.text("format") == FIRST_FORMAT
        body = top.mapping("body")
        if _digest(body) != top.text("sha256"):
            raise FormatError("state: its content does not have its digest")
        f = Fields(body, "state")
        models = {}
        for name in f.mapping("models"):
            slot = Fields(Fields(f.mapping("models"), "state: models").mapping(name), f"state: {name}")
            active = _artifact(slot.mapping("active"))
            previous = slot.checked("previous", lambda value: None if value is None else _artifact(value))
            models[name] = (
                Slot(active, previous, confirmed=True)
                if first
                else Slot(active, previous, slot.flag("confirmed"), slot.text("withdrawn"))
            )
        failures = [] if first else f.array("failures")
        wanted = Fields({} if first else f.mapping("wanted"), "state: wanted")
        trust = Fields(f.mapping("trust"), "state: trust")
        return cls(
            f.text("install_id"),
            f.text("pinned_root"),
            f.integer("generation", 1),
            {name: trust.text(name) for name in f.mapping("trust")},
            Marks.from_json(f.mapping("high_water")),
            models,
            dict(map(_failure, failures)),
            {} if first else {name: wanted.text(name) for name in f.mapping("wanted")},
            () if first else tuple(map(str, f.array("commits"))),
            frozenset(map(str, f.array("recalled") if "recalled" in body else ())),  # the first SDKs had none
        )


def _model_of(key: str) -> str:
    return key.removesuffix(_DELTA)


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(body)).hexdigest()


def _artifact_json(artifact: Artifact | None) -> dict[str, Any] | None:
    if artifact is None:
        return None
    return {
        "path": artifact.path,
        "sha256": artifact.sha256,
        "length": artifact.length,
        "entry": artifact.entry.to_json(),
    }


def _failure(value: object) -> tuple[str, Failure]:
    f = Fields(value, "state: failure")
    owner = (
        f.text("owner") if isinstance(value, Mapping) and "owner" in value else ""
    )  # earlier SDKs had none
    return f.text("sha256"), Failure(f.integer("times", 1), f.text("reason"), owner)


def _artifact(value: object) -> Artifact:
    f = Fields(value, "state: artifact")
    return Artifact(
        f.text("path"), f.integer("length", 1), f.text("sha256"), Entry.from_json(f.mapping("entry"))
    )
