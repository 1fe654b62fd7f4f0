"""Our manifest as TUF targets metadata and back, through the public interface of the ``tuf`` package.

The only module here that knows TUF's classes, and the place where its errors become ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Role, Root, TargetFile, Targets

from converters.errors import ReleaseError
from edge_sdk.contract import identifiers
from edge_sdk.contract.document import Fields
from edge_sdk.contract.entry import Entry
from edge_sdk.contract.manifest import Artifact, Director, Manifest
from edge_sdk.errors import EdgeError, FormatError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ROOT_LIFETIME: Final = timedelta(days=365)
TARGETS_LIFETIME: Final = timedelta(days=90)

ISSUED: Final = "x-issued"
DIRECTOR: Final = "x-director"
FLOORS: Final = "x-floors"

ROLES: Final = ("root", "targets", "snapshot", "timestamp")

_KIND: Final = "ed25519"
"""Both the key type and the signature scheme, the only ones of our profile."""

T = TypeVar("T", Root, Targets)


def tuf_key_id(key: Ed25519PrivateKey) -> str:
    """The TUF key id of a key: a digest of its public half in TUF's form."""
    return _public(key).keyid


def key_id_of_public(public: str) -> str:
    """The TUF key id of a raw Ed25519 public key in hex."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return str(SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))).keyid)


def build_root(
    role_keys: Mapping[str, Sequence[Ed25519PrivateKey]],
    thresholds: Mapping[str, int],
    issued: datetime,
    lifetime: timedelta = ROOT_LIFETIME,
) -> bytes:
    """Root metadata, version 1, signed by as many root keys as its threshold asks for.

    Args:
        role_keys: keys of each of the four roles; of all but root only the public half is used.
        thresholds: how many of a role's keys must sign what it signs.
        issued: UTC, whole seconds.
        lifetime: until it expires.
    """
    keys = {key_id: public for keys in role_keys.values() for key_id, public in map(_named, keys)}
    roles = {role: Role([_named(key)[0] for key in role_keys[role]], thresholds[role]) for role in ROLES}
    root = Root(
        version=1,
        expires=issued + lifetime,
        keys=dict(keys),
        roles=roles,
        consistent_snapshot=True,
        unrecognized_fields={ISSUED: identifiers.format_time(issued)},
    )
    metadata = Metadata(root)
    for key in role_keys["root"][: thresholds["root"]]:
        metadata.sign(CryptoSigner(key), append=True)
    root.verify_delegate(Root.type, metadata.signed_bytes, metadata.signatures)
    return metadata.to_bytes()


def parse_root(data: bytes) -> Root:
    """A root that its own keys have signed.

    Raises:
        ReleaseError: it is not root metadata, or fewer of its keys have signed it than must.
    """
    metadata = _parse(data, Root, "root.json")
    try:
        metadata.signed.verify_delegate(Root.type, metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, ValueError) as error:
        raise ReleaseError(
            f"root.json is not signed by its own root keys ({error}); take the file of 'edge keys init'"
        ) from error
    return metadata.signed


def role_keys(root: Root, role: str) -> tuple[dict[str, str], int]:
    """The Ed25519 keys of a role (TUF key id -> raw public key in hex) and its threshold.

    Raises:
        ReleaseError: a key of the role is of another kind than this profile has, or is listed twice.
    """
    keys = {}
    for key_id in root.roles[role].keyids:
        key = root.get_key(key_id)
        if (key.keytype, key.scheme) != (_KIND, _KIND):
            raise ReleaseError(
                f"root.json: {role} key {key_id[:16]} is not an Ed25519 key; use such keys only"
            )
        keys[key_id] = str(key.keyval["public"])
    if len(set(keys.values())) < len(keys):
        raise ReleaseError(
            f"root.json: the {role} role lists one key twice; a threshold counts keys, not names"
        )
    return keys, root.roles[role].threshold


def parse_targets(data: bytes, root: Root) -> Manifest:
    """What targets metadata says, once ``root`` is seen to vouch for it; it may have expired.

    Raises:
        ReleaseError: too few good signatures, or not targets metadata of our profile.
    """
    metadata = _parse(data, Targets, "the published targets metadata")
    try:
        root.verify_delegate(Targets.type, metadata.signed_bytes, metadata.signatures)
    except RepositoryError as error:
        raise ReleaseError(
            f"the published targets metadata is not signed by the targets keys of root.json ({error}); "
            "do not build on it"
        ) from error
    signed = metadata.signed
    if signed.delegations is not None or set(signed.unrecognized_fields) != {ISSUED, DIRECTOR, FLOORS}:
        raise ReleaseError(
            "the published targets metadata has parts that this version does not know; publish with a newer one"
        )
    try:
        return _manifest(signed)
    except EdgeError as error:
        raise ReleaseError(f"the published targets metadata is malformed: {error}") from error


def sign_targets(manifest: Manifest, root: Root, keys: Mapping[str, Ed25519PrivateKey]) -> bytes:
    """The manifest as signed targets metadata, verified against ``root`` as a client would.

    Raises:
        ReleaseError: the keys are too few, or not those that ``root`` names.
    """
    targets = Targets(
        version=manifest.version,
        expires=manifest.expires.astimezone(UTC),
        targets={a.path: _target_file(a) for a in manifest.artifacts},
        unrecognized_fields={
            ISSUED: identifiers.format_time(manifest.issued),
            DIRECTOR: manifest.director.to_json(),
            FLOORS: dict(manifest.floors),
        },
    )
    metadata = Metadata(targets)
    for _, key in sorted(keys.items()):
        metadata.sign(CryptoSigner(key), append=True)
    try:
        root.verify_delegate(Targets.type, metadata.signed_bytes, metadata.signatures)
    except RepositoryError as error:
        raise ReleaseError(
            f"too few targets keys of root.json have signed ({error}); give enough of them"
        ) from error
    return metadata.to_bytes()


def _target_file(artifact: Artifact) -> TargetFile:
    return TargetFile(
        artifact.length, {"sha256": artifact.sha256}, artifact.path, {"custom": artifact.entry.to_json()}
    )


def _manifest(signed: Targets) -> Manifest:
    extra = Fields(signed.unrecognized_fields, "targets")
    artifacts = []
    for path, target in sorted(signed.targets.items()):
        if set(target.hashes) != {"sha256"}:
            raise FormatError(f"{path}: it must have a sha256 and no other digest")
        artifacts.append(
            Artifact(path, target.length, target.hashes["sha256"], Entry.from_json(target.custom))
        )
    return Manifest(
        signed.version,
        extra.checked(ISSUED, identifiers.parse_time),
        signed.expires,
        Director.from_json(extra.mapping(DIRECTOR)),
        extra.mapping(FLOORS),
        tuple(artifacts),
    )


def _parse(data: bytes, kind: type[T], what: str) -> Metadata[T]:
    try:
        metadata: Metadata[Any] = Metadata.from_bytes(data)
    except RepositoryError as error:
        raise ReleaseError(f"{what} is not TUF metadata: {error}") from error
    if not isinstance(metadata.signed, kind):
        raise ReleaseError(f"{what} is TUF metadata of type {metadata.signed.type}, not {kind.type}")
    return cast("Metadata[T]", metadata)


def _public(key: Ed25519PrivateKey) -> SSlibKey:
    return SSlibKey.from_crypto(key.public_key())


def _named(key: Ed25519PrivateKey) -> tuple[str, SSlibKey]:
    public = _public(key)
    return public.keyid, public
