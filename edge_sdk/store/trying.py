"""Remembering that bytes are tried for the first time, before they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from edge_sdk.contract.manifest import Artifact
from edge_sdk.errors import RetryLater, StoreError, VerificationError
from edge_sdk.store.cache import Cache


@contextmanager
def trying_apart(cache: Cache, artifact: Artifact) -> Iterator[None]:
    """Have ``artifact`` tried out by another process in the block; what that finds wrong is remembered.

    That this process ends meanwhile is not: the model has no part in it.
    """
    try:
        yield
    except VerificationError as error:
        reason = str(error)
        with suppress(StoreError, RetryLater):
            cache.change(lambda state: state.trying(artifact).failed(artifact, reason))
        raise


@contextmanager
def trying(cache: Cache, artifact: Artifact) -> Iterator[None]:
    """Load and run ``artifact`` for the first time in the block: what ends the process in there is remembered.

    What could not be written of that must not keep a model from being used: a full disk is no reason.
    """
    before = cache.state().failures.get(artifact.sha256)
    with suppress(StoreError, RetryLater):
        cache.change(lambda state: state.trying(artifact))
    try:
        yield
    except VerificationError as error:
        reason = str(error)
        with suppress(StoreError, RetryLater):
            cache.change(lambda state: state.failed(artifact, reason))
        raise
    except (
        Exception,
        KeyboardInterrupt,
    ):  # a full disk, say, or other processes: the model has no part in it
        with suppress(StoreError, RetryLater):
            cache.change(lambda state: state.spared(artifact, before))
        raise
