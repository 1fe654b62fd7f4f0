"""Which devices a share of the fleet means: 10,000 buckets by a salted hash of the install id."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

BUCKETS = 10_000


def bucket(purpose: str, salt: str, install_id: str) -> int:
    """``u32be(first 4 bytes of SHA-256(purpose 00 salt 00 install_id)) mod 10000``, all UTF-8.

    Purposes differ, so that being early in a ramp says nothing about a holdout or a variant.
    """
    digest = hashlib.sha256(f"{purpose}\0{salt}\0{install_id}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % BUCKETS


def in_ramp(model: str, channel: str, release: int, share_bp: int, install_id: str) -> bool:
    """Is this install among the first ``share_bp`` basis points that get the release?

    Salted by release, so that the same people are not always first; growing the share removes nobody.
    """
    return bucket("ramp", f"{model}/{channel}/{release}", install_id) < share_bp


def in_holdout(channel: str, share_bp: int, install_id: str) -> bool:
    """Is this install held out of every release of the channel?"""
    return bucket("holdout", channel, install_id) < share_bp


def variant(experiment: str, weights_bp: Sequence[int], install_id: str) -> int | None:
    """Index of the first arm whose cumulative weight exceeds the bucket; None beyond the last."""
    position = bucket("variant", experiment, install_id)
    cumulative = 0
    for index, weight in enumerate(weights_bp):
        cumulative += weight
        if position < cumulative:
            return index
    return None
