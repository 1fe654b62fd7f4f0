"""A made-up repository: keys, a root, bundles, and publications, right or wrong in any way a test wants."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.metadata import Metadata, Role, Root, TargetFile, Targets

from edge_sdk.contract import framing, identifiers
from edge_sdk.contract import manifest as manifest_format
from edge_sdk.contract.entry import Entry
from edge_sdk.contract.manifest import Artifact, Director, Manifest
from edge_sdk.crypto import dsse, keyfiles
from model_server import layout
from model_server.errors import StorageError
from model_server.keys import OnlineKeys
from model_server.publication import Publication
from model_server.storage import ObjectStore, Stat

START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
TOKEN = "a token that only tests use"


def key(name: str) -> Ed25519PrivateKey:
    """The same key for the same name; nothing here is secret."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"server test " + name.encode()).digest())


def key_id(private: Ed25519PrivateKey) -> str:
    return str(SSlibKey.from_crypto(private.public_key()).keyid)


DIRECTOR = Director(key_id(key("director")), keyfiles.public_hex(key("director")))
ONLINE = OnlineKeys(key("snapshot"), key("timestamp"), key("director"))


class FakeClock:
    """Time that moves when it is told to."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> datetime:
        self.now += timedelta(**by)
        return self.now


def make_root(
    version: int = 1,
    *,
    names: Mapping[str, tuple[str, ...]] | None = None,
    thresholds: Mapping[str, int] | None = None,
    signed_by: tuple[str, ...] = ("root-1", "root-2"),
    expires: datetime = START + timedelta(days=365),
    consistent_snapshot: bool = True,
) -> bytes:
    """Root metadata; 2 of 3 root keys and 2 of 3 targets keys unless told otherwise."""
    members: dict[str, tuple[str, ...]] = {
        "root": ("root-1", "root-2", "root-3"),
        "targets": ("targets-1", "targets-2", "targets-3"),
        "snapshot": ("snapshot",),
        "timestamp": ("timestamp",),
        **(names or {}),
    }
    needed = {"root": 2, "targets": 2, "snapshot": 1, "timestamp": 1, **(thresholds or {})}
    public = {
        name: SSlibKey.from_crypto(key(name).public_key()) for part in members.values() for name in part
    }
    root = Root(
        version=version,
        expires=expires,
        keys={each.keyid: each for each in public.values()},
        roles={
            role: Role([public[name].keyid for name in part], needed[role]) for role, part in members.items()
        },
        consistent_snapshot=consistent_snapshot,
        unrecognized_fields={"x-issued": identifiers.format_time(START)},
    )
    return signed(root, signed_by)


def signed(value: Root | Targets, names: tuple[str, ...]) -> bytes:
    metadata: Metadata[Any] = Metadata(value)
    for name in names:
        metadata.sign(CryptoSigner(key(name)), append=True)
    return metadata.to_bytes()


def served_bytes(model: str = "goal", seed: int = 0, size: int = 5000) -> bytes:
    """What a bundle might look like to a server, which never looks into it."""
    return (f"{model} {seed} ".encode() * size)[:size]


def artifact(
    model: str = "goal",
    release: int = 1,
    *,
    channel: str = "stable",
    target: str = "tflite",
    model_version: str = "1.0.0",
    served: bytes | None = None,
) -> Artifact:
    """An artifact over made-up bundle bytes."""
    served = served_bytes(model) if served is None else served
    digest = hashlib.sha256(served).hexdigest()
    entry = Entry(
        model=model,
        model_version=model_version,
        channel=channel,
        release=release,
        target=target,
        recipe="fp32",
        requires=target,
        tier="none",
        key_id="",
        wrapped_key="",
        codec="none",
        plain_length=len(served),
        plain_sha256=digest,
        record_sha256="0" * 64,
        segments_sha256=hashlib.sha256(framing.segment_list(served)).hexdigest(),
        state="none",
    )
    return Artifact(entry.path, len(served), digest, entry)


@dataclass(frozen=True)
class Draft:
    """A publication before it is signed; ``replace`` a field to make it wrong."""

    version: int = 1
    artifacts: tuple[Artifact, ...] = ()
    issued: datetime = START - timedelta(hours=1)
    expires: datetime = START + timedelta(days=90)
    director: Director = DIRECTOR
    floors: Mapping[str, int] = field(default_factory=dict)
    signed_by: tuple[str, ...] = ("targets-1", "targets-2")
    base_version: int | None = None
    roots: tuple[bytes, ...] = ()
    ramp_bp: int = 10_000
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def manifest(self) -> Manifest:
        artifacts = tuple(sorted(self.artifacts, key=lambda each: each.path))
        return Manifest(self.version, self.issued, self.expires, self.director, self.floors, artifacts)

    def envelope(self) -> bytes:
        keys = {key_id(key(name)): key(name) for name in self.signed_by}
        return dsse.sign(manifest_format.PAYLOAD_TYPE, self.manifest.to_bytes(), keys)

    def targets(self, change: Any = None) -> bytes:
        """Signed targets; ``change`` may spoil the TUF value before it is signed."""
        value = Targets(
            version=self.version,
            expires=self.expires,
            targets={
                each.path: TargetFile(
                    each.length, {"sha256": each.sha256}, each.path, {"custom": each.entry.to_json()}
                )
                for each in self.artifacts
            },
            unrecognized_fields={
                "x-issued": identifiers.format_time(self.issued),
                "x-director": self.director.to_json(),
                "x-floors": dict(self.floors),
                **self.extra,
            },
        )
        if change is not None:
            change(value)
        return signed(value, self.signed_by)

    def publication(self) -> Publication:
        base = self.version - 1 if self.base_version is None else self.base_version
        return Publication(self.targets(), self.envelope(), self.roots, base, self.ramp_bp)


FIRST = Draft(1, (artifact(), artifact(target="onnx", served=served_bytes("onnx"))))
SECOND = replace(
    FIRST,
    version=2,
    artifacts=(*FIRST.artifacts, artifact(release=2, model_version="1.1.0", served=served_bytes(seed=2))),
)
BUNDLES = {
    hashlib.sha256(data).hexdigest(): data
    for data in (served_bytes(), served_bytes("onnx"), served_bytes(seed=2), served_bytes(seed=3))
}


def upload(store: ObjectStore) -> None:
    """Put all bundles and their segment lists where a publisher would."""
    for data in BUNDLES.values():
        layout.put_object(store, data)
        layout.put_object(store, framing.segment_list(data))


def listing(store: ObjectStore) -> dict[str, bytes]:
    """Every object of a store."""
    return {name: store.get(name) for name in store.list("")}


class MemoryStore(ObjectStore):
    """The five verbs over a dictionary, with a hook before each write."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.writes: list[str] = []
        self.fail_at: int | None = None

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        from model_server.errors import ObjectNotFound

        if key not in self.objects:
            raise ObjectNotFound(f"there is no object {key}")
        return self.objects[key][start : None if length is None else start + length]

    def head(self, key: str) -> Stat | None:
        data = self.objects.get(key)
        return None if data is None else Stat(len(data), hashlib.sha256(data).hexdigest())

    def put_if_absent(self, key: str, data: bytes) -> bool:
        if key in self.objects:
            return False
        self._write(key, data)
        return True

    def replace_if_match(self, key: str, data: bytes, etag: str | None) -> str:
        from model_server.errors import Conflict

        stat = self.head(key)
        if (stat.etag if stat else None) != etag:
            raise Conflict(f"{key} was changed by somebody else; read it again")
        self._write(key, data)
        return hashlib.sha256(data).hexdigest()

    def list(self, prefix: str) -> Iterator[str]:
        yield from sorted(name for name in self.objects if name.startswith(prefix))

    def _write(self, key: str, data: bytes) -> None:
        if self.fail_at is not None and len(self.writes) >= self.fail_at:
            raise StorageError(f"the store cannot use {key}: made to fail")
        self.writes.append(key)
        self.objects[key] = data
