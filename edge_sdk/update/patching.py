"""A bundle from the one before and a delta, where the server has one that saves enough; see docs/protocol/deltas.md.

What a delta makes are the bytes that were signed, or it is as if there were none: whatever goes wrong here, the
whole bundle is fetched instead.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from edge_sdk.contract.codec import Buffer
from edge_sdk.contract.delta import MAX_SHARE
from edge_sdk.contract.manifest import Artifact
from edge_sdk.crypto import deltas
from edge_sdk.crypto.sealing import BundleKey
from edge_sdk.errors import DeadlineExceeded, EdgeError, RetryLater, StoreError, VerificationError
from edge_sdk.keyring import Keyring
from edge_sdk.store import Cache
from edge_sdk.update.control import Cancelled
from edge_sdk.update.downloading import Means, Wanted, download
from edge_sdk.update.transport import Offline, check_untouched, refusal
from edge_sdk.update.undertaking import Undertaking

_TAG: Final = re.compile(r'"([0-9a-f]{64})"', re.ASCII)
_LENGTH: Final = re.compile(r"[1-9][0-9]{0,14}", re.ASCII)
_OURS: Final = (Cancelled, DeadlineExceeded, StoreError)
"""What the whole bundle would meet too."""


class Offer(NamedTuple):
    """A delta that is worth fetching.

    Attributes:
        base: what it starts from, which is here, whole.
        sha256: of the delta, as the server says; it finds what was received before, and proves nothing.
        length: of it, in bytes.
    """

    base: Artifact
    sha256: str
    length: int


def look_for(cache: Cache, undertaking: Undertaking, artifact: Artifact, room: int) -> Offer | None:
    """The delta from what is installed, where there can be one, the server has it, and it saves enough.

    Args:
        cache: what is updated; inside of ``Cache.updating``.
        undertaking: whom to ask.
        artifact: what is wanted.
        room: bytes of the disk that may be used besides those of the bundle.

    Raises:
        Cancelled, DeadlineExceeded: as the undertaking says.
        StoreError: the disk refuses.
    """
    slot = cache.state().models.get(artifact.entry.model)
    if slot is None or deltas.obstacle(slot.active, artifact) or not cache.is_whole(slot.active.sha256):
        return None
    retries = undertaking.retry.begin(artifact.path, undertaking.control, cache.disk.system.monotonic)
    try:
        offer = retries.patiently(lambda: _ask(undertaking, slot.active, artifact))
    except _OURS:
        raise
    except RetryLater:
        return None  # if it is the network, the whole bundle will say so
    if offer is None or offer.length > min(MAX_SHARE * artifact.length, room):
        return None
    with cache.partial(artifact.sha256) as partial:
        return offer if offer.length < artifact.length - partial.length else None


def make(cache: Cache, undertaking: Undertaking, keyring: Keyring, offer: Offer, artifact: Artifact) -> str:
    """Fetch the delta, and put what it makes into the cache.

    Returns:
        Why that was not possible; empty where the bundle is there.

    Raises:
        Cancelled, DeadlineExceeded: as the undertaking says.
        StoreError: the disk refuses.
    """
    try:
        # First, since a lease of the old bundle that has ended makes the delta useless.
        key, base_key = keyring.unlock(artifact).key, keyring.unlock(offer.base).key
        delta = _fetch(cache, undertaking, offer, artifact)
        made = deltas.rebuild(delta, offer.base, lambda: _plain(cache, offer.base, base_key), artifact, key)
        # From here on as if it were downloaded: whatever lies there is good, or found to be wrong, segment by segment.
        with cache.partial(artifact.sha256) as partial:
            at = 0
            for piece in made.served():
                partial.write(at, piece)
                at += len(piece)
            partial.check()  # nothing else has shown that this is what was signed
            partial.finish()
    except _OURS:
        raise
    except EdgeError as error:
        return str(error)
    return ""


def _ask(undertaking: Undertaking, base: Artifact, artifact: Artifact) -> Offer | None:
    url = undertaking.server + _path(base, artifact)
    with undertaking.transport.request("HEAD", url) as answer:
        next(answer.pieces(), None)  # there is none; the connection may be used again
        if answer.status != 200:
            error = refusal(artifact.path, answer.status, answer.header("Retry-After"))
            if isinstance(error, Offline):
                raise error
            return None
        check_untouched(url, answer)
        tag = _TAG.fullmatch((answer.header("ETag") or "").strip())
        length = _LENGTH.fullmatch((answer.header("Content-Length") or "").strip())
    return Offer(base, tag[1], int(length[0])) if tag and length else None


def _fetch(cache: Cache, undertaking: Undertaking, offer: Offer, artifact: Artifact) -> bytes:
    """The delta, going on where an earlier attempt ended. It is checked as one piece: nothing less has a digest."""
    server, length = (undertaking.server,), offer.length
    means = Means(
        undertaking.transport, server, cache.disk.system.monotonic, undertaking.retry, segment_bytes=length
    )
    wanted = Wanted(f"{artifact.path}: delta", offer.sha256, length, "", _path(offer.base, artifact))
    with cache.partial(offer.sha256) as partial:
        download(
            wanted,
            partial,
            means,
            undertaking.control,
            lambda _stage, done, total: undertaking.progress("delta", done, total),
        )
        return partial.read(0, length)


def _plain(cache: Cache, base: Artifact, key: BundleKey | None) -> Buffer:
    """The old bundle, opened; its served bytes are not kept."""
    served = cache.verified(base.sha256)
    if served is None:
        raise VerificationError(f"{base.path}: it was damaged meanwhile")
    return deltas.plain_of(served, base.entry, key)


def _path(base: Artifact, artifact: Artifact) -> str:
    return f"/v1/deltas/{base.sha256}/{artifact.sha256}"
