"""TUF metadata as verified values, and our own as signed bytes, through the public interface of ``tuf``.

The only module here that knows TUF's classes, and the place where its errors become VerificationError.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp

from edge_sdk.contract import document, identifiers
from edge_sdk.contract.document import Fields
from edge_sdk.contract.entry import Entry
from edge_sdk.contract.manifest import Artifact, Director, Manifest
from edge_sdk.errors import FormatError, VerificationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

MAX_ROOT_BYTES = 512_000
MAX_TARGETS_BYTES = 5_000_000
"""What TUF clients take by default."""

ONLINE_ROLES = ("snapshot", "timestamp")
ISSUED, DIRECTOR, FLOORS, PUBLISHED = "x-issued", "x-director", "x-floors", "x-published"

T = TypeVar("T", Root, Snapshot, Targets, Timestamp)


@dataclass(frozen=True)
class Published:
    """What our snapshot says beside TUF's own fields (``x-published``).

    It ties what was published together in the one pointer that TUF clients follow, so that an interrupted
    publication can be completed from the store alone.
    """

    root_version: int
    manifest_sha256: str
    ramp_bp: int

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))

    @classmethod
    def from_json(cls, value: object) -> Published:
        f = Fields(value, f"snapshot: {PUBLISHED}")
        sha256 = f.checked("manifest_sha256", identifiers.sha256_hex)
        return cls(f.integer("root_version", 1), sha256, f.integer("ramp_bp", 0, 10_000))


def key_id(public: Ed25519PublicKey) -> str:
    """The TUF key id of a public key."""
    return str(SSlibKey.from_crypto(public).keyid)


def read_root(data: bytes, what: str, previous: Root | None = None) -> Root:
    """A root signed by its own threshold, and by that of the version before where there is one; it may have expired.

    Raises:
        VerificationError: too few good signatures, not the next version, or not of our profile.
    """
    metadata = _parse(data, Root, what, MAX_ROOT_BYTES)
    root = metadata.signed
    with _translated(what):
        if previous is not None:
            if root.version != previous.version + 1:
                raise VerificationError(f"{what} is version {root.version}, not {previous.version + 1}")
            previous.verify_delegate(Root.type, metadata.signed_bytes, metadata.signatures)
        root.verify_delegate(Root.type, metadata.signed_bytes, metadata.signatures)
    if root.consistent_snapshot is not True:
        raise FormatError(f"{what} does not ask for consistent snapshots")
    for role in root.roles:
        role_keys(root, role, what)
    return root


def role_keys(root: Root, role: str, what: str = "root") -> tuple[dict[str, str], int]:
    """The Ed25519 keys of a role (TUF key id -> raw public key in hex) and its threshold."""
    keys = {}
    for name in root.roles[role].keyids:
        with _translated(what):
            key = root.get_key(name)
        if (key.keytype, key.scheme) != ("ed25519", "ed25519"):
            raise FormatError(f"{what}: {role} key {name[:16]} is not an Ed25519 key")
        keys[name] = str(key.keyval["public"])
    if len(set(keys.values())) < len(keys):
        raise FormatError(f"{what}: the {role} role lists one key twice; a threshold counts keys, not names")
    return keys, root.roles[role].threshold


def read_targets(data: bytes, root: Root, what: str = "targets") -> Manifest:
    """What targets metadata says, once ``root`` vouches for it; it may have expired.

    Raises:
        VerificationError: too few good signatures, or not of our profile.
    """
    metadata = _parse(data, Targets, what, MAX_TARGETS_BYTES)
    _verify(metadata, root, what)
    signed = metadata.signed
    if signed.delegations is not None:
        raise FormatError(f"{what} delegates to others, which this profile does not allow")
    artifacts = []
    for path, target in sorted(signed.targets.items()):
        if set(target.hashes) != {"sha256"} or type(target.length) is not int:
            raise FormatError(f"{path}: it must have a length in bytes, a sha256 and no other digest")
        entry = Entry.from_json(target.custom)
        artifacts.append(Artifact(path, target.length, target.hashes["sha256"], entry))
    f = Fields(signed.unrecognized_fields, what)
    return Manifest(
        signed.version,
        f.checked(ISSUED, identifiers.parse_time),
        signed.expires,
        Director.from_json(f.mapping(DIRECTOR)),
        f.mapping(FLOORS),
        tuple(artifacts),
    )


def read_snapshot(data: bytes) -> tuple[Metadata[Snapshot], Published]:
    """A snapshot that nobody has verified yet, and what it says was published."""
    metadata = _parse(data, Snapshot, "snapshot", MAX_ROOT_BYTES)
    published = Published.from_json(metadata.signed.unrecognized_fields.get(PUBLISHED))
    if set(metadata.signed.meta) != {"targets.json"}:
        raise FormatError("snapshot: it must name targets.json and nothing else")
    return metadata, published


def read_timestamp(data: bytes) -> Metadata[Timestamp]:
    """A timestamp that nobody has verified yet."""
    return _parse(data, Timestamp, "timestamp", MAX_ROOT_BYTES)


def verify_online(metadata: Metadata[Snapshot] | Metadata[Timestamp], root: Root) -> None:
    """Check the signature of a snapshot or timestamp.

    Raises:
        VerificationError: ``root`` does not vouch for it.
    """
    _verify(metadata, root, metadata.signed.type)


def sha256_of(meta: MetaFile, what: str) -> str:
    """The digest that our snapshots and timestamps give for what they name."""
    if not meta.hashes or set(meta.hashes) != {"sha256"}:
        raise FormatError(f"{what} is named without a sha256")
    return identifiers.sha256_hex(meta.hashes["sha256"], what)


def issued(signed: Snapshot | Timestamp) -> datetime:
    """When it was signed."""
    f = Fields(signed.unrecognized_fields, signed.type)
    return f.checked(ISSUED, identifiers.parse_time)


def sign_snapshot(
    key: Ed25519PrivateKey,
    version: int,
    targets_version: int,
    targets: bytes,
    published: Published,
    at: datetime,
    expires: datetime,
) -> bytes:
    """Snapshot metadata that names the targets."""
    extra = {ISSUED: identifiers.format_time(at), PUBLISHED: published.to_json()}
    meta = {"targets.json": _meta(targets_version, targets)}
    return _signed(Snapshot(version, None, expires, meta, extra), key)


def sign_timestamp(
    key: Ed25519PrivateKey,
    version: int,
    snapshot_version: int,
    snapshot: bytes,
    at: datetime,
    expires: datetime,
) -> bytes:
    """Timestamp metadata that names the snapshot."""
    extra = {ISSUED: identifiers.format_time(at)}
    return _signed(Timestamp(version, None, expires, _meta(snapshot_version, snapshot), extra), key)


def _meta(version: int, data: bytes) -> MetaFile:
    return MetaFile(version, len(data), {"sha256": hashlib.sha256(data).hexdigest()})


def _signed(signed: Snapshot | Timestamp, key: Ed25519PrivateKey) -> bytes:
    metadata: Metadata[Any] = Metadata(signed)
    metadata.sign(CryptoSigner(key))
    return metadata.to_bytes()


def _parse(data: bytes, kind: type[T], what: str, max_bytes: int) -> Metadata[T]:
    # Strictly first: TUF's own reader takes repeated names, which another reader may take differently.
    document.parse(data, what, max_bytes=max_bytes)
    with _translated(what):
        metadata: Metadata[Any] = Metadata.from_bytes(data)
    if not isinstance(metadata.signed, kind):
        raise FormatError(f"{what} is TUF metadata of type {metadata.signed.type}, not {kind.type}")
    return cast("Metadata[T]", metadata)


def _verify(metadata: Metadata[Any], root: Root, what: str) -> None:
    with _translated(what):
        root.verify_delegate(metadata.signed.type, metadata.signed_bytes, metadata.signatures)


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except (RepositoryError, ValueError) as error:
        raise VerificationError(f"{what} is refused: {error}") from error
