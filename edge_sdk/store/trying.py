"""Remembering that bytes are tried for the first time, before they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from edge_sdk.contract.manifest import Artifact
from edge_sdk.errors import RetryLater, StoreError, VerificationError
from edge_sdk.store.cache import Cache


@contextmanager
def trying(cache: Cache, artifact: Artifact) -> Iterator[None]:
    """Load and run ``artifact`` for the first time in the block: what ends the process in there is remembered.

    What could not be written of that must not keep a model from being used: a full disk is no reason.
    """
    with suppress(StoreError, RetryLater):
        cache.change(lambda state: state.trying(artifact))
    try:
        yield
    except VerificationError as error:
        reason = str(error)
        with suppress(StoreError, RetryLater):
            cache.change(lambda state: state.failed(artifact, reason))
        raise
