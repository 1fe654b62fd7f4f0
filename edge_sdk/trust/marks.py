"""High-water marks: what a device has seen, below which it accepts nothing any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from edge_sdk.contract import identifiers
from edge_sdk.contract.document import Fields
from edge_sdk.contract.manifest import check_floors, floor_key
from edge_sdk.errors import FormatError, VerificationError

ROLES: Final = ("root", "timestamp", "snapshot", "targets", "directives")


@dataclass(frozen=True)
class RoleMark:
    """The highest version accepted of one role, and the keys that may sign that role.

    A mark binds as long as the role has these keys. A thief of an online key can sign version 2^53 - 1; once
    the key is replaced, versions begin anew (TUF specification, 5.3.11: fast-forward attack). The root has no
    keys here: its versions never begin anew.
    """

    version: int
    keys: tuple[str, ...] = ()

    def check(self, new: RoleMark, role: str) -> None:
        """Refuse a lower version by the same keys."""
        if new.keys == self.keys and new.version < self.version:
            raise VerificationError(
                f"{role} version {new.version} is older than version {self.version}, seen before; refused"
            )


@dataclass(frozen=True)
class Marks:
    """All marks of a cache.

    Attributes:
        signed_time: the newest time of issue that anything accepted carried; None before the first refresh.
        roles: by role name; empty before the first refresh.
        releases: the highest release installed, by ``model/channel``.
    """

    signed_time: datetime | None = None
    roles: Mapping[str, RoleMark] = field(default_factory=dict)
    releases: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if set(self.roles) not in (set(), set(ROLES)) or bool(self.roles) != (self.signed_time is not None):
            raise FormatError("high-water marks: roles and signed time must be all there or none")
        check_floors(self.releases, "high-water marks")
        object.__setattr__(self, "roles", MappingProxyType(dict(self.roles)))
        object.__setattr__(self, "releases", MappingProxyType(dict(self.releases)))

    def advance(self, roles: Mapping[str, RoleMark], issued: Sequence[datetime]) -> Marks:
        """The marks once these roles are accepted.

        Raises:
            VerificationError: a role went back.
        """
        for role, mark in self.roles.items():
            mark.check(roles[role], role)
        seen = issued if self.signed_time is None else [*issued, self.signed_time]
        return replace(self, roles=roles, signed_time=max(seen))

    def release(self, model: str, channel: str) -> int:
        """The highest release installed; 0 where there was none."""
        return self.releases.get(floor_key(model, channel), 0)

    def with_release(self, model: str, channel: str, release: int) -> Marks:
        """The marks once ``release`` is installed."""
        key = floor_key(model, channel)
        return replace(self, releases={**self.releases, key: max(release, self.releases.get(key, 0))})

    def to_json(self) -> dict[str, Any]:
        return {
            "signed_time": identifiers.format_time(self.signed_time) if self.signed_time else None,
            "roles": {role: {"version": m.version, "keys": list(m.keys)} for role, m in self.roles.items()},
            "releases": dict(self.releases),
        }

    @classmethod
    def from_json(cls, value: object) -> Marks:
        f = Fields(value, "high-water marks")
        roles = {}
        for role, item in f.mapping("roles").items():
            mark = Fields(item, f"high-water mark of {role}")
            roles[role] = RoleMark(mark.integer("version", 1), tuple(map(str, mark.array("keys"))))
        signed = f.checked("signed_time", lambda v: None if v is None else identifiers.parse_time(v))
        return cls(signed, roles, f.mapping("releases"))
