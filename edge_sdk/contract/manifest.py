"""The manifest: what may be installed, in one offline-signed document (docs/protocol/manifest.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from edge_sdk.contract import document, identifiers
from edge_sdk.contract.document import Fields
from edge_sdk.contract.entry import Entry
from edge_sdk.errors import FormatError
from feature_spec.canonical import canonical_json

FORMAT = "coach-edge/manifest/1"
PAYLOAD_TYPE = "application/vnd.coach-edge.manifest.v1+json"
MAX_BYTES = 4_000_000


@dataclass(frozen=True)
class Director:
    """The online key that signs directives: its TUF key id and its raw Ed25519 public key in hex."""

    key_id: str
    public_key: str

    def __post_init__(self) -> None:
        identifiers.sha256_hex(self.public_key, "director public key")
        if not self.key_id:
            raise FormatError("the director has no key id")

    def to_json(self) -> dict[str, str]:
        return dict(vars(self))

    @classmethod
    def from_json(cls, value: object) -> Director:
        fields = Fields(value, "director")
        return cls(fields.text("key_id"), fields.text("public_key"))


@dataclass(frozen=True)
class Artifact:
    """A target: its path, the length and digest of the served bytes, and its entry."""

    path: str
    length: int
    sha256: str
    entry: Entry

    def __post_init__(self) -> None:
        identifiers.sha256_hex(self.sha256, f"{self.path}: sha256")
        if self.length < 1:
            raise FormatError(f"{self.path}: length {self.length} is not positive")
        if self.path != self.entry.path:
            raise FormatError(f"{self.path}: its entry belongs under {self.entry.path}")


def floor_key(model: str, channel: str) -> str:
    """Key of a release floor: ``model/channel``."""
    return f"{model}/{channel}"


@dataclass(frozen=True)
class Manifest:
    """All artifacts of a version of the targets, sorted by path; releases below a floor are never installed."""

    version: int
    issued: datetime
    expires: datetime
    director: Director
    floors: Mapping[str, int]
    artifacts: tuple[Artifact, ...]

    def __post_init__(self) -> None:
        if self.version < 1 or self.expires <= self.issued:
            raise FormatError("manifest: version or times make no sense")
        _check_order([artifact.path for artifact in self.artifacts])
        check_floors(self.floors, "manifest")

    def to_bytes(self) -> bytes:
        """The payload to sign: canonical JSON."""
        return canonical_json(
            {
                "format": FORMAT,
                "version": self.version,
                "issued": identifiers.format_time(self.issued),
                "expires": identifiers.format_time(self.expires),
                "director": self.director.to_json(),
                "floors": dict(self.floors),
                "artifacts": [
                    {"path": a.path, "length": a.length, "sha256": a.sha256, "entry": a.entry.to_json()}
                    for a in self.artifacts
                ],
            }
        )

    @classmethod
    def from_bytes(cls, payload: bytes, *, lenient: bool = False) -> Manifest:
        """The manifest of a verified payload.

        Args:
            payload: canonical or not.
            lenient: leave out artifacts that only a later version can read (another codec, another tier), as
                devices do; who publishes refuses them.

        Raises:
            FormatError: malformed.
        """
        f = Fields(document.parse(payload, "manifest", max_bytes=MAX_BYTES), "manifest")
        f.format(FORMAT)
        items = [Fields(value, "manifest: artifact") for value in f.array("artifacts")]
        _check_order([item.text("path") for item in items])
        artifacts = []
        for item in items:
            try:
                artifacts.append(_artifact(item))
            except FormatError:
                if not lenient:
                    raise
        return cls(
            f.integer("version", 1),
            f.checked("issued", identifiers.parse_time),
            f.checked("expires", identifiers.parse_time),
            Director.from_json(f.mapping("director")),
            f.mapping("floors"),
            tuple(artifacts),
        )


def _check_order(paths: list[str]) -> None:
    if paths != sorted(set(paths)):
        raise FormatError("manifest: the artifacts are not sorted by path without repetition")


def _artifact(item: Fields) -> Artifact:
    entry = Entry.from_json(item.mapping("entry"))
    return Artifact(item.text("path"), item.integer("length", 1), item.text("sha256"), entry)


def check_floors(floors: Mapping[str, object], what: str) -> None:
    """Refuse floors that are not ``model/channel -> release``."""
    for key, value in floors.items():
        model, _, channel = key.partition("/")
        identifiers.name(model, f"{what}: floor")
        identifiers.name(channel, f"{what}: floor")
        identifiers.release(value)
