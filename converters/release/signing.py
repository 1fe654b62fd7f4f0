"""What may be installed next, signed offline: bytes in, bytes out.

One publication adds to each model and channel at most one release, of one model version, for any number of
targets and recipes; releases only grow. What was published stays listed, so that a rollback can name it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from converters.errors import ReleaseError
from converters.release import tuf_metadata
from converters.release.published_keys import refuse_vector_keys
from edge_sdk.contract import manifest as manifests
from edge_sdk.contract.manifest import Artifact, Director, Manifest, floor_key
from edge_sdk.crypto import dsse
from edge_sdk.crypto.keyfiles import public_hex
from edge_sdk.crypto.sealing import Sealed
from edge_sdk.errors import EdgeError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MAX_RELEASE_SIGNED: Final = 10**12
"""Far above dates and times as numbers, and far below the last number that JSON keeps exact."""

MAX_TARGETS_BYTES: Final = 5_000_000
"""What TUF clients take by default (``UpdaterConfig.targets_max_length``)."""


@dataclass(frozen=True)
class Publication:
    """What an offline signer hands to a server; bundles and segment lists go up beforehand.

    Attributes:
        targets: signed TUF targets metadata, version N.
        manifest: DSSE envelope of the manifest of the same version, signed with the same keys.
        roots: new versions of the root, oldest first; usually none.
    """

    targets: bytes
    manifest: bytes
    roots: tuple[bytes, ...] = ()


def artifact_of(sealed: Sealed, *, channel: str | None = None, release: int | None = None) -> Artifact:
    """What is signed of a sealed bundle, in another channel or release than it was built for if wanted.

    Encryption binds neither, so the served bytes stay the same.
    """
    entry = replace(
        sealed.entry,
        channel=sealed.entry.channel if channel is None else channel,
        release=sealed.entry.release if release is None else release,
    )
    return Artifact(entry.path, len(sealed.served), sealed.sha256, entry)


def read_targets(targets: bytes, root: bytes) -> Manifest:
    """What published targets metadata says, verified against ``root``; it may have expired.

    Raises:
        ReleaseError: it is not signed by the root's targets keys, or is malformed.
    """
    return tuf_metadata.parse_targets(targets, tuf_metadata.parse_root(root))


def newest_release(published: Manifest | None, model: str, channel: str) -> int:
    """The highest release of the model in the channel; 0 where there is none."""
    artifacts = published.artifacts if published else ()
    return max(
        (a.entry.release for a in artifacts if (a.entry.model, a.entry.channel) == (model, channel)),
        default=0,
    )


def next_manifest(
    published: Manifest | None,
    additions: Sequence[Artifact],
    *,
    director: Director,
    issued: datetime,
    floors: Mapping[str, int] | None = None,
    lifetime: timedelta = tuf_metadata.TARGETS_LIFETIME,
) -> Manifest:
    """The next version: all that is published, the additions, and floors that never sink.

    Args:
        published: what the signer has verified of the version before; None for the first.
        additions: new artifacts; none at all renews the lifetime.
        director: the online key that signs directives from now on.
        issued: now, in UTC; fractions of a second are cut.
        floors: lowest release that may still be installed, by ``model/channel``; others stay as they are.
        lifetime: until it expires.

    Raises:
        ReleaseError: a release that does not grow, a path twice, a floor that sinks or forbids everything,
            or a clock that was set back.
    """
    issued = issued.astimezone(UTC).replace(microsecond=0)
    if published and issued < published.issued:
        raise ReleaseError(
            f"the clock says {issued:%Y-%m-%d %H:%M:%S}, before the published version was issued; set it right"
        )
    _check_releases(published, additions)
    earlier = published.artifacts if published else ()
    artifacts = tuple(sorted((*earlier, *additions), key=lambda artifact: artifact.path))
    old_floors = dict(published.floors) if published else {}
    new_floors = {**old_floors, **(floors or {})}
    for key, floor in new_floors.items():
        newest = max((a.entry.release for a in artifacts if _channel_of(a) == key), default=0)
        if not old_floors.get(key, 0) <= floor <= newest:
            raise ReleaseError(
                f"floor {floor} of {key}: it must not sink below {old_floors.get(key, 0)}, "
                f"nor rise above the newest release {newest}"
            )
    version = published.version + 1 if published else 1
    try:
        return Manifest(version, issued, issued + lifetime, director, new_floors, artifacts)
    except EdgeError as error:
        raise ReleaseError(str(error)) from error


def sign_publication(
    previous: bytes | None,
    root: bytes,
    additions: Sequence[Artifact],
    *,
    keys: Mapping[str, Ed25519PrivateKey],
    director: Director,
    issued: datetime,
    floors: Mapping[str, int] | None = None,
    lifetime: timedelta = tuf_metadata.TARGETS_LIFETIME,
) -> Publication:
    """Sign the next version of targets and manifest.

    1. The root is signed by its own keys, has not expired, and names no published test key.
    2. The keys are targets keys of the root, and as many as its threshold; neither they nor the director's
       nor any app key is a published test key.
    3. The published targets verify against the root: never is anything signed on top of other bytes.
    4. Releases and floors only grow (``next_manifest``).
    5. Targets and manifest are made from the same value, signed, verified, and not longer than clients take.

    Args:
        previous: the targets metadata as the server publishes it; None before the first publication.
        root: the root metadata that devices trust.
        additions: as in ``next_manifest``.
        keys: targets keys by TUF key id.
        director: as in ``next_manifest``, like ``issued``, ``floors`` and ``lifetime``.

    Raises:
        ReleaseError: any of these does not hold; nothing is handed out.
    """
    trusted = tuf_metadata.parse_root(root)
    if trusted.expires <= issued:
        raise ReleaseError(
            f"root.json expired on {trusted.expires:%Y-%m-%d}; sign and publish a new root first"
        )
    named, threshold = tuf_metadata.role_keys(trusted, "targets")
    _check_keys(keys, named, threshold)
    all_public = [str(key.keyval["public"]) for key in trusted.keys.values()]
    refuse_vector_keys(
        [*all_public, *map(public_hex, keys.values()), director.public_key],
        [artifact.entry.key_id for artifact in additions if artifact.entry.tier == "app-key"],
    )
    published = None if previous is None else tuf_metadata.parse_targets(previous, trusted)
    manifest = next_manifest(
        published, additions, director=director, issued=issued, floors=floors, lifetime=lifetime
    )
    targets = tuf_metadata.sign_targets(manifest, trusted, keys)
    payload = manifest.to_bytes()
    envelope = dsse.sign(manifests.PAYLOAD_TYPE, payload, keys)
    for what, size, limit in (
        ("targets metadata", len(targets), MAX_TARGETS_BYTES),
        ("manifest", len(payload), manifests.MAX_BYTES),
    ):
        if size > limit:
            raise ReleaseError(
                f"the {what} would be {size} bytes long, and clients take {limit}; publish less"
            )
    dsse.verify(envelope, manifests.PAYLOAD_TYPE, named, threshold)
    return Publication(targets, envelope)


def _check_releases(published: Manifest | None, additions: Sequence[Artifact]) -> None:
    seen: dict[str, tuple[int, str]] = {}
    paths: set[str] = set()
    for artifact in additions:
        entry, key = artifact.entry, _channel_of(artifact)
        if artifact.path in paths:
            raise ReleaseError(f"{artifact.path} is there twice; publish each bundle once")
        paths.add(artifact.path)
        newest = newest_release(published, entry.model, entry.channel)
        if entry.release > MAX_RELEASE_SIGNED:
            raise ReleaseError(
                f"{artifact.path}: release {entry.release} leaves too few numbers after it; "
                f"publish as release {newest + 1}"
            )
        if entry.release <= newest:
            raise ReleaseError(
                f"{artifact.path}: {entry.model} has release {newest} in {entry.channel} already; "
                f"publish as release {newest + 1} or higher"
            )
        if seen.setdefault(key, (entry.release, entry.model_version)) != (entry.release, entry.model_version):
            raise ReleaseError(
                f"{artifact.path}: one publication adds one release of one model version to {key}; "
                "publish the others after it"
            )


def _check_keys(keys: Mapping[str, Ed25519PrivateKey], named: Mapping[str, str], threshold: int) -> None:
    for key_id, key in keys.items():
        if named.get(key_id) != public_hex(key):
            raise ReleaseError(
                f"key {key_id[:16]}… is not a targets key of root.json; give keys of that root"
            )
    if len(keys) < threshold:
        raise ReleaseError(
            f"root.json asks for {threshold} targets keys, and {len(keys)} are given; give more"
        )


def _channel_of(artifact: Artifact) -> str:
    return floor_key(artifact.entry.model, artifact.entry.channel)
