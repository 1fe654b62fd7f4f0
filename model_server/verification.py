"""What a publication must be before a byte of it becomes visible. Pure: bytes and values in, a verified value out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from edge_sdk.contract import framing
from edge_sdk.contract import manifest as manifest_format
from edge_sdk.contract.entry import Entry
from edge_sdk.contract.manifest import Artifact, Director, Manifest, floor_key
from edge_sdk.crypto import dsse
from edge_sdk.errors import EdgeError, VerificationError
from model_server import layout, tuf_metadata
from model_server.errors import Conflict, Refused
from model_server.publication import Publication

if TYPE_CHECKING:
    from tuf.api.metadata import Root

ReadObject = Callable[[str], bytes | None]
"""SHA-256 to the bytes that the store holds under it, if any."""


@dataclass(frozen=True)
class Trusted:
    """What a publication is judged against.

    Attributes:
        root: the root that clients follow now.
        manifest: what is published now; None before the first publication.
        director: this server's director key.
        check_root: raises VerificationError for a root under which this server's keys could not sign.
    """

    root: Root
    manifest: Manifest | None
    director: Director
    check_root: Callable[[Root, str], None]


@dataclass(frozen=True)
class Verified:
    """A publication that may be made visible."""

    publication: Publication
    root: Root
    roots: tuple[tuple[int, bytes], ...]
    manifest: Manifest


def verify_publication(
    publication: Publication, trusted: Trusted, read: ReadObject, now: datetime, skew: timedelta
) -> Verified:
    """Verify everything about a publication.

    1. It builds on the targets version that is published now.
    2. Each new root is the next version, signed by the threshold of the one before and by its own.
    3. The last root has not expired, and this server's keys are what it expects of snapshot and timestamp.
    4. That root's threshold of targets keys has signed the targets, which are of our profile: every entry
       is valid and stands under its own path.
    5. The targets are the next version, not issued in the future or before the last, and not expired.
    6. The director they name is this server's.
    7. Floors never sink or vanish, and leave something to install.
    8. What was published stays as it is, but for releases below their floor, which may go.
    9. New releases are higher than what the channel had, and one model version each.
    10. Bundle and segment list of every new artifact are in the store, with the signed length and digests.
    11. The manifest is signed by the same keys and threshold and says the same as the targets.

    Raises:
        Conflict: somebody else published in between; sign again on top of it.
        Refused: any other check fails.
    """
    published = trusted.manifest
    base = published.version if published else 0
    if publication.base_version != base:  # 1
        raise Conflict(
            f"the publication builds on targets version {publication.base_version}, and version {base} is "
            "published; fetch it and sign again"
        )
    try:
        root, roots = _new_roots(publication, trusted.root)  # 2
        if root.expires <= now:  # 3
            raise VerificationError(f"root version {root.version} expired on {root.expires:%Y-%m-%d}")
        trusted.check_root(root, f"root version {root.version}")
        manifest = tuf_metadata.read_targets(publication.targets, root)  # 4
        _check_version_and_times(manifest, published, base, now, skew)  # 5
        if manifest.director != trusted.director:  # 6
            raise VerificationError(
                f"targets name the director {manifest.director.key_id[:16]}…, and this server's is "
                f"{trusted.director.key_id[:16]}…"
            )
        _check_floors(manifest, published)  # 7
        new = _check_growth(manifest, published)  # 8, 9
        for artifact in new:
            _check_objects(artifact, read)  # 10
        _check_manifest(publication.manifest, manifest, root)  # 11
    except EdgeError as error:
        raise Refused(f"publication refused: {error}") from error
    return Verified(publication, root, roots, manifest)


def _new_roots(publication: Publication, root: Root) -> tuple[Root, tuple[tuple[int, bytes], ...]]:
    roots = []
    for data in publication.roots:
        root = tuf_metadata.read_root(data, f"the root after version {root.version}", root)
        roots.append((root.version, data))
    return root, tuple(roots)


def _check_version_and_times(
    manifest: Manifest, published: Manifest | None, base: int, now: datetime, skew: timedelta
) -> None:
    if manifest.version != base + 1:
        raise VerificationError(f"targets are version {manifest.version}, and the next one is {base + 1}")
    if manifest.issued > now + skew:
        # Devices remember the latest signed time they saw and refuse earlier ones: one document from the
        # future would keep them from updating until then.
        raise VerificationError(f"targets were issued in the future, at {manifest.issued:%Y-%m-%dT%H:%M:%SZ}")
    if published and manifest.issued < published.issued:
        raise VerificationError("targets were issued before the published ones; set the signer's clock right")
    if manifest.expires <= now:
        raise VerificationError(f"targets expired at {manifest.expires:%Y-%m-%dT%H:%M:%SZ}")


def newest_releases(manifest: Manifest | None) -> dict[str, int]:
    """The highest release by ``model/channel``."""
    newest: dict[str, int] = {}
    for artifact in manifest.artifacts if manifest else ():
        key = _channel_of(artifact.entry)
        newest[key] = max(newest.get(key, 0), artifact.entry.release)
    return newest


def _check_floors(manifest: Manifest, published: Manifest | None) -> None:
    newest = newest_releases(manifest)
    before = dict(published.floors) if published else {}
    for key in sorted({*before, *manifest.floors}):
        low, floor, high = before.get(key, 0), manifest.floors.get(key, 0), newest.get(key, 0)
        if floor < low:
            raise VerificationError(f"the floor of {key} sinks from {low} to {floor}")
        if floor > high:
            raise VerificationError(f"the floor {floor} of {key} is above its newest release {high}")


def _check_growth(manifest: Manifest, published: Manifest | None) -> list[Artifact]:
    """The artifacts that are new."""
    before = {artifact.path: artifact for artifact in published.artifacts} if published else {}
    after = {artifact.path: artifact for artifact in manifest.artifacts}
    for path, artifact in before.items():
        if path in after and after[path] != artifact:
            raise VerificationError(f"{path} is published and has changed; publish a new release instead")
        if path not in after and artifact.entry.release >= manifest.floors.get(
            _channel_of(artifact.entry), 0
        ):
            raise VerificationError(f"{path} is published, not below a floor, and missing")
    newest = newest_releases(published)
    versions: dict[tuple[str, int], str] = {}
    new = [artifact for path, artifact in after.items() if path not in before]
    for artifact in new:
        entry, key = artifact.entry, _channel_of(artifact.entry)
        lowest = max(newest.get(key, 0) + 1, manifest.floors.get(key, 0))
        if entry.release < lowest:
            raise VerificationError(f"{artifact.path}: the next release of {key} is {lowest} or higher")
        if versions.setdefault((key, entry.release), entry.model_version) != entry.model_version:
            raise VerificationError(f"{artifact.path}: release {entry.release} has two model versions")
    return new


def _check_objects(artifact: Artifact, read: ReadObject) -> None:
    path, segments_sha256 = artifact.path, artifact.entry.segments_sha256
    served = read(artifact.sha256)
    if served is None:
        raise VerificationError(f"{path}: its bundle {artifact.sha256[:16]}… was not uploaded")
    if len(served) != artifact.length:
        raise VerificationError(f"{path}: signed with {artifact.length} bytes, uploaded with {len(served)}")
    if layout.digest(served) != artifact.sha256:
        raise VerificationError(f"{path}: the uploaded bundle has another digest than the signed one")
    if layout.digest(framing.segment_list(served)) != segments_sha256:
        raise VerificationError(f"{path}: the signed segment list is not that of its bundle")
    segments = read(segments_sha256)
    if segments is None:
        raise VerificationError(f"{path}: its segment list {segments_sha256[:16]}… was not uploaded")
    if layout.digest(segments) != segments_sha256:
        raise VerificationError(f"{path}: the uploaded segment list has another digest than the signed one")


def _check_manifest(envelope: bytes, expected: Manifest, root: Root) -> None:
    keys, threshold = tuf_metadata.role_keys(root, "targets")
    payload = dsse.verify(envelope, manifest_format.PAYLOAD_TYPE, keys, threshold)
    if Manifest.from_bytes(payload) != expected:
        raise VerificationError("the manifest does not say the same as the targets")


def _channel_of(entry: Entry) -> str:
    return floor_key(entry.model, entry.channel)
