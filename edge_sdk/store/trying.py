"""Remembering that bytes are tried for the first time, before they are."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from edge_sdk.contract.manifest import Artifact
from edge_sdk.errors import RetryLater, StoreError, VerificationError
from edge_sdk.store.cache import Cache
from edge_sdk.store.state import Failure
from edge_sdk.store.system import System

_at_it: set[str] = set()
"""Trials of this process that have not ended."""

_numbers = itertools.count()


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

    Several processes may be at it at once, of which none has ended: they count as one.

    What could not be written of that must not keep a model from being used: a full disk is no reason.
    """
    system = cache.disk.system
    before = cache.state().failures.get(artifact.sha256)
    mine = f"{system.owner()}.{next(_numbers)}"
    again = not _is_under_way(system, before)
    _at_it.add(mine)
    try:
        with suppress(StoreError, RetryLater):
            cache.change(lambda state: state.trying(artifact, mine, again=again))
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
            cache.change(lambda state: state.spared(artifact, mine, before))
        raise
    finally:
        _at_it.discard(mine)


def condemned(cache: Cache, artifact: Artifact) -> Failure | None:
    """How ``artifact`` failed here for good; None where it has not, or where a trial that may succeed is under way."""
    failure = cache.state().failures.get(artifact.sha256)
    is_final = failure is not None and failure.final and not _is_under_way(cache.disk.system, failure)
    return failure if is_final else None


def _is_under_way(system: System, failure: Failure | None) -> bool:
    if failure is None or not failure.owner:
        return False
    process = failure.owner.rpartition(".")[0]
    return failure.owner in _at_it if process == system.owner() else system.is_alive(process)
