"""A thin client in Python: docs/protocol/manifest.md, step by step, on the code that the project ships.

It reads what phones without a TUF client read, so that the page and its vectors are held against the real
parsers. Pure: bytes, clock and marks in, verified values out.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from edge_sdk.contract import directives as directives_module
from edge_sdk.contract import document as json_document
from edge_sdk.contract import identifiers
from edge_sdk.contract import manifest as manifest_module
from edge_sdk.contract.directives import Directive, Directives
from edge_sdk.contract.manifest import Manifest
from edge_sdk.crypto import dsse
from edge_sdk.errors import FormatError, VerificationError

if TYPE_CHECKING:
    from tuf.api.metadata import Metadata, Root

CLOCK_SKEW: Final = timedelta(seconds=300)
"""How far a signed time may lie ahead of the device: clocks differ, a stolen key must not move time."""

MAX_ROOT_BYTES: Final = 512_000

_PUBLIC: Final = re.compile("[0-9A-Fa-f]{64}")
_SIGNATURE: Final = re.compile("[0-9A-Fa-f]{128}")


class Refused(VerificationError):
    """A refusal with its reason code."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason


@dataclass(frozen=True)
class Marks:
    """What a device remembers: the highest versions and the latest signed time that it accepted.

    A version binds as long as the same keys sign: who stole a key can sign the highest version there is, and
    once the key is replaced, versions must be able to begin anew.
    """

    manifest: int = 0
    targets_keys: tuple[str, ...] = ()
    directives: int = 0
    director: str = ""
    time: datetime = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Accepted:
    """The outcome of a refresh."""

    root_version: int
    manifest: Manifest
    directives: Directives
    marks: Marks


def refresh(
    pinned: bytes,
    roots: Sequence[bytes],
    manifest: bytes,
    directives: bytes,
    now: datetime,
    marks: Marks | None = None,
) -> Accepted:
    """Verify everything that a thin client fetches.

    Args:
        pinned: the root.json in the app, or the last one that the device accepted.
        roots: the files N+1.root.json, N+2.root.json, … as far as there are.
        manifest: envelope from /v1/manifest.
        directives: envelope from /v1/directives.
        now: the device's clock.
        marks: what earlier refreshes left.

    Raises:
        Refused: with the reason code of the page.
    """
    marks = marks or Marks()
    try:
        root = _follow(pinned, roots)
        if root.signed.expires <= now:
            raise Refused("expired", f"root version {root.signed.version} has expired")
        keys, threshold = _targets_role(root)
        ids = tuple(sorted(root.signed.roles["targets"].keyids))
        payload = _signed(manifest, manifest_module.PAYLOAD_TYPE, keys, threshold)
        offer = Manifest.from_bytes(payload, lenient=True)
        _check_fresh("manifest", offer, marks.manifest if marks.targets_keys == ids else 0, marks.time, now)
        director = offer.director
        payload = _signed(
            directives, directives_module.PAYLOAD_TYPE, {director.key_id: director.public_key}, 1
        )
        orders = Directives.from_bytes(payload)
        known = marks.director == director.public_key
        _check_fresh("directives", orders, marks.directives if known else 0, marks.time, now)
    except FormatError as error:
        raise Refused("format", str(error)) from error
    named = (orders.manifest_version, orders.manifest_sha256)
    if named != (offer.version, hashlib.sha256(manifest).hexdigest()):
        raise Refused("mismatch", "the directives go with another manifest; fetch both again")
    seen = max(marks.time, offer.issued, orders.issued)
    new = Marks(offer.version, ids, orders.version, director.public_key, seen)
    return Accepted(root.signed.version, offer, orders, new)


def decide(
    accepted: Accepted, model: str, channel: str, install_id: str, installed: int, level: int
) -> int | None:
    """The release that the device should have, or None where it leaves things as they are.

    Args:
        accepted: the outcome of the refresh.
        model: name of the model.
        channel: name of the channel.
        install_id: the device's install id.
        installed: the highest release that the device ever activated for the model and channel, or 0.
        level: the protocol level of the reader.
    """
    directive: Directive | None = accepted.directives.directive(model, channel)
    if directive is None or directive.min_runtime > level:
        return None
    release = directive.release_for(model, channel, install_id)
    floor = accepted.manifest.floors.get(manifest_module.floor_key(model, channel), 0)
    if release is None or release < max(floor, installed):
        return None
    entries = (artifact.entry for artifact in accepted.manifest.artifacts)
    signed = any((e.model, e.channel, e.release) == (model, channel, release) for e in entries)
    return release if signed else None


def _signed(envelope: bytes, payload_type: str, keys: Mapping[str, str], threshold: int) -> bytes:
    try:
        return dsse.verify(envelope, payload_type, keys, threshold)
    except FormatError:
        raise
    except VerificationError as error:
        raise Refused("signature", str(error)) from error


def _check_fresh(
    what: str, document: Manifest | Directives, mark: int, seen: datetime, now: datetime
) -> None:
    if document.version < mark:
        raise Refused("rollback", f"{what} version {document.version} is older than {mark}, seen before")
    if max(document.issued, seen) > now + CLOCK_SKEW:
        raise Refused("clock", f"the clock says {now}, but {what} or an earlier document was signed later")
    if document.expires <= now:
        raise Refused("expired", f"{what} expired at {document.expires}")


def _follow(pinned: bytes, roots: Sequence[bytes]) -> Metadata[Root]:
    from tuf.api.exceptions import UnsignedMetadataError

    root = _root(pinned)
    for data in roots:
        new = _root(data)
        try:
            root.signed.verify_delegate("root", new.signed_bytes, new.signatures)
            new.signed.verify_delegate("root", new.signed_bytes, new.signatures)
        except UnsignedMetadataError as error:
            raise Refused("signature", str(error)) from error
        if new.signed.version != root.signed.version + 1:
            raise Refused("mismatch", f"root {new.signed.version} does not follow {root.signed.version}")
        root = new
    return root


def _root(data: bytes) -> Metadata[Root]:
    from tuf.api.metadata import Metadata, Root
    from tuf.api.serialization import DeserializationError

    fields = json_document.parse(data, "root", max_bytes=MAX_ROOT_BYTES)
    _check_numbers(fields.get("signed"))
    try:
        root = Metadata[Root].from_bytes(data)
        if root.signed.type != Root.type:
            raise FormatError(f"root: its type is {root.signed.type!r}")
    except DeserializationError as error:
        raise FormatError(f"root: {error}") from error
    identifiers.parse_time(fields["signed"]["expires"], "root: expires")
    for name in ("root", "targets"):
        key_ids = root.signed.roles[name].keyids
        if unknown := set(key_ids) - set(root.signed.keys):
            raise FormatError(f"root: role {name} lists {min(unknown)!r}, which is no key of it")
        listed = [root.signed.keys[key_id] for key_id in key_ids]
        if not all(_PUBLIC.fullmatch(key.keyval["public"]) for key in listed):
            raise FormatError(f"root: role {name} lists a public key that is not 64 hex digits")
        if any((key.keytype, key.scheme) != ("ed25519", "ed25519") for key in listed):
            raise FormatError(f"root: role {name} lists a key that is not Ed25519")
        if len({key.keyval["public"].lower() for key in listed}) != len(listed):
            # TUF counts key ids, and one key must not reach a threshold alone.
            raise FormatError(f"root: role {name} lists a public key twice")
    # The library passes over white space in hex.
    root.signatures = {k: s for k, s in root.signatures.items() if _SIGNATURE.fullmatch(s.signature)}
    return root


def _check_numbers(value: object) -> None:
    """Canonical JSON can write integers only; one that is too large was read as a float."""
    if isinstance(value, float):
        raise FormatError("root: it holds a number that is no integer, or too large for one")
    if isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            _check_numbers(part)


def _targets_role(root: Metadata[Root]) -> tuple[dict[str, str], int]:
    role = root.signed.roles["targets"]
    return {key_id: root.signed.keys[key_id].keyval["public"] for key_id in role.keyids}, role.threshold
