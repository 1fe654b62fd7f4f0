"""Refreshing the metadata: TUF's client in memory, then the directives, then one flip of the pointer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from edge_sdk.contract import directives
from edge_sdk.contract.directives import Directives
from edge_sdk.crypto import dsse
from edge_sdk.errors import RetryLater, StoreError, VerificationError
from edge_sdk.store import Cache, Clock, State
from edge_sdk.trust import NotTogether, Trusted, accept, check_clock
from edge_sdk.update.errors import Offline, translated
from edge_sdk.update.fetching import TufFetcher
from edge_sdk.update.policy import Refreshed, RefreshStatus
from edge_sdk.update.roots import ShippedRoot
from edge_sdk.update.tuf_metadata import run_tuf
from edge_sdk.update.undertaking import Undertaking

DIRECTIVES_MAX_LENGTH: Final = directives.MAX_BYTES * 4 // 3 + 10_000
"""Base64 of the largest payload, and signatures."""
assert DIRECTIVES_MAX_LENGTH <= dsse.MAX_BYTES

_TRIES: Final = 2
_DIRECTIVES: Final = "directives.json"


def refresh(
    cache: Cache, undertaking: Undertaking, clock: Clock, root: bytes | None = None
) -> tuple[Refreshed, Trusted | None]:
    """Bring the metadata up to date; the caller is inside of ``Cache.updating``.

    0. The root that the app ships is of the publisher whose root the cache trusts. A cache that never verified
       anything by its root pins this one instead.
    1. The clock is not before the newest signed time seen.
    2. TUF's client workflow runs in memory, from the root that is trusted now.
    3. The directives are fetched. These and the timestamp are what a refresh without news asks for, and both only
       if the server has others than the cache.
    4. Both are judged together (:func:`edge_sdk.trust.accept`); once more from 2 if they are of different
       publications, since one may have happened between the two requests. What passes is tried again, as often as
       the undertaking says.
    5. What changed is stored, and the pointer is flipped.

    Args:
        cache: whose state is replaced if anything changed.
        undertaking: how to reach the server; its progress is told the stage ``metadata``.
        clock: the wall clock.
        root: what the app ships, where it says so.

    Returns:
        The outcome, and what is trusted now; None when offline.

    Raises:
        InputError: the cache trusts another root than the given one, or that is none; the cache is as it was.
        VerificationError: anything is not as it must be; the cache is as it was.
        NotAvailable: the server has no metadata.
        Cancelled, DeadlineExceeded: as the undertaking says; the cache is as it was.
        StoreError: the disk refuses.
    """
    shipped = None if root is None else _shipped(cache, root)  # 0
    state, now = cache.state(), clock()
    check_clock(state.marks, now)  # 1
    undertaking.progress("metadata", 0, 1)
    retries = undertaking.retry.begin("metadata", undertaking.control, cache.disk.system.monotonic)
    fetcher = TufFetcher(undertaking.transport, retries.check)
    try:
        received, trusted = retries.patiently(
            lambda: _receive(cache, fetcher, undertaking.server, now, shipped)
        )
    except Offline as error:
        return Refreshed(RefreshStatus.OFFLINE, str(error)), None
    trust = cache.put_all(received)  # 5
    undertaking.progress("metadata", 1, 1)
    after = cache.change(lambda newest: _accepting(newest, trust, trusted))
    changed = (after.trust, after.marks) != (state.trust, state.marks)
    return Refreshed(RefreshStatus.UPDATED if changed else RefreshStatus.UNCHANGED), trusted


def _accepting(state: State, trust: Mapping[str, str], trusted: Trusted) -> State:
    """The state once all this is accepted; judged by the marks it has now, which may be newer than those before.

    Raises:
        RetryLater: another process has accepted something newer meanwhile.
    """
    assert trusted.marks.signed_time is not None
    try:
        marks = state.marks.advance(trusted.marks.roles, [trusted.marks.signed_time])
    except VerificationError as error:
        raise RetryLater(f"another process was quicker: {error}; update again") from error
    state = replace(state, trust=trust, marks=marks, recalled=recalled_bundles(trusted))
    return recalling(state, trusted.directives)


def recalled_bundles(trusted: Trusted) -> frozenset[str]:
    """Digests of the bundles that were recalled in some channel and that no other release offers there.

    A device may have one that it never installed: as the baseline inside its app.
    """
    recalled: set[tuple[str, str]] = set()
    offered: set[tuple[str, str]] = set()
    for artifact in trusted.artifacts.values():
        entry = artifact.entry
        directive = trusted.directives.directive(entry.model, entry.channel)
        is_recalled = directive is not None and entry.release in directive.recalled
        (recalled if is_recalled else offered).add((entry.channel, artifact.sha256))
    return frozenset(digest for _channel, digest in recalled - offered)


def recalling(state: State, directives: Directives) -> State:
    """The state once no recalled release predicts any more: the one before stands in, or nothing does.

    What was recalled by mistake, and is not recalled any more, may be used again.
    """
    for name, slot in state.models.items():
        directive = directives.directive(name, slot.active.entry.channel)
        recalled = directive.recalled if directive else ()
        if slot.previous is not None and slot.previous.entry.release in recalled:
            state = state.without_previous(name)
        if slot.active.entry.release in recalled:
            state = state.reverted(name, f"release {slot.active.entry.release} was recalled")
        elif slot.withdrawn and not state.is_bad(slot.active):
            state = state.restored(name)
    return state


def _shipped(cache: Cache, root: bytes) -> ShippedRoot | None:
    """The root to be looked at, or None where it is one that the cache knows."""
    state = cache.state()
    if hashlib.sha256(root).hexdigest() in (state.pinned_root, state.trust.get("root.json")):
        return None
    shipped = ShippedRoot(root, cache.folder)
    if state.trust:
        return shipped
    pinned = cache.put(root)
    cache.change(lambda newest: replace(newest, pinned_root=pinned))  # the first one was a mistake
    return None


def _receive(
    cache: Cache, fetcher: TufFetcher, server: str, now: datetime, shipped: ShippedRoot | None
) -> tuple[Mapping[str, bytes], Trusted]:
    if shipped is not None:
        with translated("metadata: root"):
            shipped.check_connected(_trusted_root(cache, cache.state()), fetcher, server)  # 0
    for attempt in range(1, _TRIES + 1):
        files = dict(_known(cache))
        _ask_if_changed(fetcher, server, files)
        files.pop(_DIRECTIVES, None)
        root = _trusted_root(cache, cache.state())
        received = run_tuf(files, root, fetcher, f"{server}/metadata/")  # 2
        if shipped is not None:
            shipped.check_met(files)  # 0, now that the newer ones are known
        with translated("directives"):  # 3
            envelope = fetcher.download_bytes(f"{server}/v1/directives", DIRECTIVES_MAX_LENGTH)
        try:
            trusted = accept(received.signed, envelope, cache.state().marks, now)  # 4
        except NotTogether:
            if attempt == _TRIES:
                raise
        else:
            return {**received.files, _DIRECTIVES: envelope}, trusted
    raise AssertionError("the last attempt returns or raises")


def _known(cache: Cache) -> Mapping[str, bytes]:
    """What was trusted before as far as it is undamaged, without the root."""
    trust = cache.state().trust.items()
    stored = {name: cache.verified(digest) for name, digest in trust if name != "root.json"}
    return {name: data for name, data in stored.items() if data is not None}


def _ask_if_changed(fetcher: TufFetcher, server: str, known: Mapping[str, bytes]) -> None:
    """Let the fetcher ask for what is always asked for only if it is not what is here.

    A server that says so wrongly holds back news, which it can do by sending the old bytes just as well: what
    comes out is judged as if it had come over the network.
    """
    for name, path in (("timestamp.json", "metadata/timestamp.json"), (_DIRECTIVES, "v1/directives")):
        if name in known:
            fetcher.known[f"{server}/{path}"] = known[name]


def _trusted_root(cache: Cache, state: State) -> bytes:
    """The newest root that the cache trusts; where it is damaged, the one it began with leads there again."""
    newest = state.trust.get("root.json", state.pinned_root)
    root = cache.verified(newest) or cache.verified(state.pinned_root)
    if root is None:
        raise StoreError(
            f"the root that {cache.folder} trusts is damaged; delete that folder and fetch again, nothing else is lost"
        )
    return root
