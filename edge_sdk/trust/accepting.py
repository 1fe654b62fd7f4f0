"""From metadata that TUF has verified, and directives as received, to what the device believes now.

Signatures and hashes of root, timestamp, snapshot and targets are checked before (TUF's client workflow); the
numbered steps here add what an offline product needs on top.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from edge_sdk.contract import identifiers
from edge_sdk.contract.directives import PAYLOAD_TYPE, Directives
from edge_sdk.contract.document import Fields
from edge_sdk.contract.entry import Entry
from edge_sdk.contract.manifest import Artifact, Director, check_floors
from edge_sdk.crypto import dsse
from edge_sdk.errors import FormatError, UpdateRequired, VerificationError
from edge_sdk.trust.marks import Marks, RoleMark

TUF_ROLES: Final = ("root", "timestamp", "snapshot", "targets")
ISSUED: Final = "x-issued"
DIRECTOR: Final = "x-director"
FLOORS: Final = "x-floors"

SKEW: Final = timedelta(minutes=5)
"""How far the clocks of signers and devices may differ before an update is refused (Kerberos, RFC 4120: the same)."""


class ClockError(VerificationError):
    """The device's clock and the signed times contradict each other. Set the clock, then update again."""


class NotTogether(VerificationError):
    """Directives and targets are of different publications: one is being published now, or the server is wrong."""


@dataclass(frozen=True)
class Trusted:
    """What holds now, all of it signed by who must sign it.

    Attributes:
        artifacts: what may be installed, by target path.
        unreadable: why an entry is of no use to this SDK, by target path; such an artifact does not exist here.
        floors: the lowest release that may be installed, by ``model/channel``.
        director: who signs directives and key blobs.
        directives: who gets which release now.
        marks: the high-water marks once this is accepted.
    """

    artifacts: Mapping[str, Artifact]
    unreadable: Mapping[str, str]
    floors: Mapping[str, int]
    director: Director
    directives: Directives
    marks: Marks


def check_clock(marks: Marks, now: datetime) -> None:
    """Refuse a clock that was set back: before it, everything signed since looks like the future, and what
    has expired looks valid again.

    Raises:
        ClockError: ``now`` lies before the newest signed time seen.
    """
    if marks.signed_time is not None and now + SKEW < marks.signed_time:
        raise ClockError(
            f"clock: it says {identifiers.format_time(now)}, but signatures of "
            f"{identifiers.format_time(marks.signed_time)} were seen before; set the clock, then update"
        )


def accept(signed: Mapping[str, Mapping[str, Any]], envelope: bytes, marks: Marks, now: datetime) -> Trusted:
    """Decide whether metadata and directives, together, may replace what the device has.

    1. The clock is not before the newest signed time seen.
    2. Root, timestamp, snapshot and targets are in force: not expired, and not issued in the future.
    3. Targets delegate to nobody, and name a director, floors, and artifacts with an entry each.
    4. The director signed the directives; they are in force.
    5. The directives go with this very version of the targets.
    6. No version is below its high-water mark.

    Args:
        signed: by role name, the signed part of the metadata as TUF understood it (not as it was spelt).
        envelope: the directives as received.
        marks: of this device.
        now: an aware datetime.

    Raises:
        ClockError: 1, or a time of issue in the future.
        FormatError: not the form that the protocol pages fix.
        UpdateRequired: the targets delegate: artifacts that this SDK would not look for may be elsewhere.
        NotTogether: 5.
        VerificationError: any other step fails.
    """
    check_clock(marks, now)  # 1

    issued, versions = [], {}  # 2
    for role in TUF_ROLES:
        part = Fields(signed[role], role)
        versions[role] = part.integer("version", 1)
        issued.append(part.checked(ISSUED, identifiers.parse_time))
        _check_in_force(role, issued[-1], part.checked("expires", identifiers.parse_time), now)

    targets = Fields(signed["targets"], "targets")  # 3
    delegations = signed["targets"].get("delegations") or {}
    if delegations.get("roles") or delegations.get("succinct_roles"):
        raise UpdateRequired(
            "targets delegate to other roles, which this SDK does not follow; update the app, or publish without"
        )
    director = Director.from_json(targets.mapping(DIRECTOR))
    floors = targets.mapping(FLOORS)
    check_floors(floors, "targets")
    artifacts, unreadable = _artifacts(targets.mapping("targets"))

    keys = {director.key_id: director.public_key}  # 4
    directives = Directives.from_bytes(dsse.verify(envelope, PAYLOAD_TYPE, keys, threshold=1))
    issued.append(directives.issued)
    _check_in_force("directives", directives.issued, directives.expires, now)

    if directives.manifest_version != versions["targets"]:  # 5
        raise NotTogether(
            f"directives belong to manifest version {directives.manifest_version}, but the targets are version "
            f"{versions['targets']}; update again, and if it stays so, tell who publishes"
        )

    roles = {  # 6
        "root": RoleMark(versions["root"]),
        **{role: RoleMark(versions[role], _role_keys(signed["root"], role)) for role in TUF_ROLES[1:]},
        "directives": RoleMark(directives.version, (director.public_key,)),
    }
    return Trusted(artifacts, unreadable, floors, director, directives, marks.advance(roles, issued))


def _check_in_force(what: str, issued: datetime, expires: datetime, now: datetime) -> None:
    if issued > now + SKEW:
        raise ClockError(
            f"clock: {what} was signed at {identifiers.format_time(issued)}, but it is "
            f"{identifiers.format_time(now)} here; set the clock, then update"
        )
    if now >= expires:
        raise VerificationError(
            f"{what} expired at {identifiers.format_time(expires)}: the server hands out old metadata; "
            "check the clock, or tell who publishes"
        )


def _role_keys(root: Mapping[str, Any], role: str) -> tuple[str, ...]:
    described = Fields(Fields(root, "root").mapping("roles"), "root: roles").mapping(role)
    return tuple(sorted(map(str, Fields(described, f"root: {role}").array("keyids"))))


def _artifacts(targets: Mapping[str, Any]) -> tuple[Mapping[str, Artifact], Mapping[str, str]]:
    """The artifacts, and apart from them what only a newer SDK can read: one such entry must not keep the
    device from everything else."""
    artifacts: dict[str, Artifact] = {}
    unreadable: dict[str, str] = {}
    for path, value in targets.items():
        try:
            f = Fields(value, path)
            hashes = Fields(f.mapping("hashes"), path)
            entry = Entry.from_json(f.mapping("custom"))
            artifacts[path] = Artifact(path, f.integer("length", 1), hashes.text("sha256"), entry)
        except FormatError as error:
            unreadable[path] = str(error)
    return MappingProxyType(artifacts), MappingProxyType(unreadable)
