"""What a cache folder holds, for people and programs."""

from __future__ import annotations

from typing import Any

from edge_sdk.contract import identifiers
from edge_sdk.contract.manifest import Artifact
from edge_sdk.keyring import Keyring
from edge_sdk.store import Cache
from edge_sdk.store.verifying import quick_problem


def status_of(cache: Cache, keyring: Keyring) -> dict[str, Any]:
    """Models, marks, failures and bytes, by the present state and a quick look at the bundles.

    Raises:
        StoreError: the state cannot be read.
    """
    state = cache.state()
    marks = state.marks

    def here(artifact: Artifact) -> dict[str, Any]:
        problem = quick_problem(cache, artifact)
        return {**described(artifact, keyring), **({"problem": problem} if problem else {})}

    return {
        "cache": str(cache.folder),
        "generation": state.generation,
        "install_id": state.install_id,
        "bytes": cache.size(),
        "signed_time": identifiers.format_time(marks.signed_time) if marks.signed_time else None,
        "metadata": {role: mark.version for role, mark in marks.roles.items()},
        "models": {
            name: {
                "active": None if slot.withdrawn else here(slot.active),
                "previous": None if slot.previous is None else here(slot.previous),
                **({"withdrawn": slot.withdrawn} if slot.withdrawn else {}),
            }
            for name, slot in sorted(state.models.items())
        },
        "failures": {
            digest: {"times": failure.times, "reason": failure.reason, "quarantined": failure.final}
            for digest, failure in state.failures.items()
        },
    }


def described(artifact: Artifact, keyring: Keyring) -> dict[str, Any]:
    """An artifact, and until when its key is lent, where it is."""
    entry, lease_end = artifact.entry, keyring.lease_end(artifact)
    return {
        "model_version": entry.model_version,
        "release": entry.release,
        "channel": entry.channel,
        "target": entry.target,
        "recipe": entry.recipe,
        "tier": entry.tier,
        "bytes": artifact.length,
        "sha256": artifact.sha256,
        **({"lease_ends": identifiers.format_time(lease_end)} if lease_end else {}),
    }
