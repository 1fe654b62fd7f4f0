"""What an offline signer hands in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from edge_sdk.contract.buckets import BUCKETS
from model_server.errors import Refused

FULL_RAMP = BUCKETS


class SignedRelease(Protocol):
    """The bytes that an offline signer makes (``converters.release.Publication`` has this shape)."""

    @property
    def targets(self) -> bytes:
        """Signed TUF targets metadata."""

    @property
    def manifest(self) -> bytes:
        """DSSE envelope of the manifest of the same version."""

    @property
    def roots(self) -> tuple[bytes, ...]:
        """New versions of the root, oldest first; usually none."""


@dataclass(frozen=True)
class Publication:
    """A signed release, the version it was built on, and the share of devices that get new releases first.

    Attributes:
        targets, manifest, roots: see :class:`SignedRelease`.
        base_version: the targets version that the signer built on; 0 before the first.
        ramp_bp: basis points of devices for each release that is new.
    """

    targets: bytes
    manifest: bytes
    roots: tuple[bytes, ...] = ()
    base_version: int = 0
    ramp_bp: int = FULL_RAMP

    def __post_init__(self) -> None:
        if type(self.base_version) is not int or self.base_version < 0:
            raise Refused(f"base_targets_version {self.base_version!r} is not 0 or a version")
        if type(self.ramp_bp) is not int or not 0 <= self.ramp_bp <= BUCKETS:
            raise Refused(f"ramp_bp {self.ramp_bp!r} is not between 0 and {BUCKETS}")
