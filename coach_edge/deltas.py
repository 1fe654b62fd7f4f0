"""Deltas that go with a release: from the bundles that devices have to those that are published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from converters.deltas import make_delta
from converters.errors import GateError, UnsupportedError
from edge_sdk.crypto.sealing import BundleKey, Sealed
from edge_sdk.errors import InputError
from model_server.client import AdminClient


@dataclass(frozen=True)
class ReleaseDelta:
    """From one bundle to another; without ``data`` where none is worth serving, and ``reason`` says why."""

    base: Sealed
    wanted: Sealed
    data: bytes = b""
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """What ``edge publish`` says of it."""
        said: dict[str, Any] = {"from": self.base.sha256, "to": self.wanted.sha256}
        return {**said, "reason": self.reason} if self.reason else {**said, "bytes": len(self.data)}

    def upload(self, client: AdminClient) -> None:
        """Hand it to a server that has both bundles."""
        if self.data:
            client.put_delta(self.base.sha256, self.wanted.sha256, self.data)


def deltas_between(
    olds: Sequence[Sealed], news: Sequence[Sealed], keys: Mapping[str, BundleKey | None]
) -> list[ReleaseDelta]:
    """From each old bundle to the new one of the same model, target and recipe.

    Args:
        olds: what devices have.
        news: what is published now.
        keys: of all of them, by the digest of the served bytes.

    Raises:
        InputError: an old bundle has no successor among the new ones, or a bundle needs another key.
    """
    successors = {_kind(new): new for new in news}
    made = []
    for old in olds:
        new = successors.get(_kind(old))
        if new is None:
            raise InputError(
                f"no bundle that is published follows {old.entry.path}; name those of the same model, target and "
                "recipe with --delta-from"
            )
        try:
            made.append(ReleaseDelta(old, new, make_delta(old, new, keys[old.sha256], keys[new.sha256])))
        except (GateError, UnsupportedError) as error:
            made.append(ReleaseDelta(old, new, reason=str(error)))
    return made


def _kind(sealed: Sealed) -> tuple[str, str, str]:
    return sealed.entry.model, sealed.entry.target, sealed.entry.recipe
