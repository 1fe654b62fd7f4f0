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
from edge_sdk.contract.manifest import Artifact
from edge_sdk.errors import FormatError
from edge_sdk.trust.marks import Marks
from feature_spec.canonical import canonical_json

FORMAT: Final = "coach-edge/cache/1"
MAX_BYTES: Final = 4_000_000
TRUST_FILES: Final = ("root.json", "timestamp.json", "snapshot.json", "targets.json", "directives.json")


@dataclass(frozen=True)
class Slot:
    """Of one model: what predicts now, and what did before."""

    active: Artifact
    previous: Artifact | None = None

    def activate(self, artifact: Artifact) -> Slot:
        """The slot once ``artifact`` predicts; only other bytes push what was active back."""
        kept = self.previous if artifact.sha256 == self.active.sha256 else self.active
        return Slot(artifact, kept)


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
    """

    install_id: str
    pinned_root: str
    generation: int = 1
    trust: Mapping[str, str] = field(default_factory=dict)
    marks: Marks = field(default_factory=Marks)
    models: Mapping[str, Slot] = field(default_factory=dict)

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
        object.__setattr__(self, "trust", MappingProxyType(dict(self.trust)))
        object.__setattr__(self, "models", MappingProxyType(dict(self.models)))

    @property
    def blobs(self) -> frozenset[str]:
        """Digests of everything that this state needs."""
        slots = self.models.values()
        artifacts = [a for slot in slots for a in (slot.active, slot.previous) if a is not None]
        return frozenset({self.pinned_root, *self.trust.values(), *(a.sha256 for a in artifacts)})

    def installed(self, artifact: Artifact) -> State:
        """The state once ``artifact`` is active, its release marked."""
        entry = artifact.entry
        slot = self.models.get(entry.model)
        return replace(
            self,
            models={**self.models, entry.model: slot.activate(artifact) if slot else Slot(artifact)},
            marks=self.marks.with_release(entry.model, entry.channel, entry.release),
        )

    def to_bytes(self) -> bytes:
        """The file: the state, and its digest so that damage shows."""
        body = {
            "generation": self.generation,
            "install_id": self.install_id,
            "pinned_root": self.pinned_root,
            "trust": dict(self.trust),
            "high_water": self.marks.to_json(),
            "models": {
                name: {"active": _artifact_json(s.active), "previous": _artifact_json(s.previous)}
                for name, s in self.models.items()
            },
        }
        return canonical_json({"format": FORMAT, "sha256": _digest(body), "body": body})

    @classmethod
    def from_bytes(cls, data: bytes) -> State:
        """The state in a file.

        Raises:
            FormatError: malformed or damaged.
        """
        top = Fields(document.parse(data, "state", max_bytes=MAX_BYTES), "state")
        top.format(FORMAT)
        body = top.mapping("body")
        if _digest(body) != top.text("sha256"):
            raise FormatError("state: its content does not have its digest")
        f = Fields(body, "state")
        models = {}
        for name in f.mapping("models"):
            slot = Fields(Fields(f.mapping("models"), "state: models").mapping(name), f"state: {name}")
            active = _artifact(slot.mapping("active"))
            previous = slot.checked("previous", lambda value: None if value is None else _artifact(value))
            models[name] = Slot(active, previous)
        trust = Fields(f.mapping("trust"), "state: trust")
        return cls(
            f.text("install_id"),
            f.text("pinned_root"),
            f.integer("generation", 1),
            {name: trust.text(name) for name in f.mapping("trust")},
            Marks.from_json(f.mapping("high_water")),
            models,
        )


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


def _artifact(value: object) -> Artifact:
    f = Fields(value, "state: artifact")
    return Artifact(
        f.text("path"), f.integer("length", 1), f.text("sha256"), Entry.from_json(f.mapping("entry"))
    )
