"""Downloading a bundle: what earlier attempts left is checked, the rest is fetched, every segment verified as it ends.

A process may be killed at any byte: what was written is found again, and at most the segment that was under way is
fetched anew. The same code repairs a file with damaged segments, since it asks for nothing but what is wrong.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

from edge_sdk.contract.framing import SEGMENT_BYTES
from edge_sdk.errors import DeadlineExceeded, EdgeError, NotAvailable, RetryLater, VerificationError
from edge_sdk.loading import Progress, silent
from edge_sdk.update.asking import ask, more_than_signed
from edge_sdk.update.control import Cancelled, Control
from edge_sdk.update.retrying import Retries, RetryPolicy
from edge_sdk.update.segments import Segments, list_length
from edge_sdk.update.transport import Transport

_TRIES_A_SEGMENT: Final = 2
"""Of each server: what was left of it may have been damaged, so the second is the first that counts."""

_READ: Final = 1 << 20

_SYNC_S: Final = 1.0
"""How much of a download a power cut may undo: on a slow network every segment, on a fast one less than is worth
waiting for the disk. A process that is killed loses nothing of what it wrote."""


class Partial(Protocol):
    """A file that is not complete, or not known to be."""

    @property
    def length(self) -> int:
        """Up to the last byte written."""
        ...  # pragma: no cover

    def read(self, offset: int, size: int, /) -> bytes:
        """Fewer bytes at the end."""
        ...  # pragma: no cover

    def write(self, offset: int, data: bytes | memoryview, /) -> None:
        """All of it."""
        ...  # pragma: no cover

    def truncate(self, length: int, /) -> None:
        """Forget the rest."""
        ...  # pragma: no cover

    def begin_sync(self, offset: int, length: int, /) -> None:
        """To the disk, some time."""
        ...  # pragma: no cover

    def sync(self) -> None:
        """To the disk."""
        ...  # pragma: no cover


@dataclass(frozen=True)
class Wanted:
    """A bundle, as its entry is signed; or another object whose digest and length are known.

    Attributes:
        name: for messages.
        sha256: of its bytes.
        length: of them.
        segments_sha256: of its segment list; what is not longer than one segment has none.
        path: where servers have it; that of a bundle where it is empty.
    """

    name: str
    sha256: str
    length: int
    segments_sha256: str
    path: str = ""


@dataclass(frozen=True)
class Means:
    """How to download.

    Attributes:
        transport: reaches the servers.
        servers: base URLs, all with the same objects; the next one is asked where one fails.
        retry: when all fail for the moment, and how long at all.
        monotonic: a clock in seconds.
        segment_bytes: of the segment list.
    """

    transport: Transport
    servers: Sequence[str]
    monotonic: Callable[[], float]
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    segment_bytes: int = SEGMENT_BYTES


def download(
    wanted: Wanted,
    partial: Partial,
    means: Means,
    control: Control | None = None,
    progress: Progress = silent,
) -> None:
    """Complete ``partial``. Whatever is raised, what is good in it stays for the next attempt.

    Raises:
        Offline: no answer, or one from something in between.
        RetryLater: the answers end early, too often.
        DeadlineExceeded: it took too long.
        Cancelled: ``control`` says so.
        NotAvailable: no server has it.
        VerificationError: the servers send other bytes, or more, than were signed.
        StoreError: the disk refuses.
    """
    _Download(wanted, partial, means, control or Control(), progress).run()


class _Paused(Exception):
    """Let go of the connection for a while."""


class _Download:
    def __init__(
        self, wanted: Wanted, partial: Partial, means: Means, control: Control, progress: Progress
    ) -> None:
        self._wanted, self._partial, self._means = wanted, partial, means
        self._control, self._progress = control, progress
        self._retries: Retries = means.retry.begin(wanted.name, control, means.monotonic)
        self._path = wanted.path or f"/v1/bundles/{wanted.sha256}"
        self._tags: dict[str, str | None] = dict.fromkeys(means.servers, f'"{wanted.sha256}"')
        self._bad: Counter[tuple[str, int]] = Counter()
        self._synced = means.monotonic()
        self._under_way: tuple[int, hashlib._Hash] | None = None

    def run(self) -> None:
        self._segments = self._listed()
        self._look()
        self._progress("download", self._done, self._wanted.length)
        while self._missing:
            self._retries.patiently(self._next_run)

    # -- what there is ---------------------------------------------------------------------------------

    def _listed(self) -> Segments:
        """The segments; the file as one where no server has its list: that only costs more when something breaks."""
        wanted, size = self._wanted, self._means.segment_bytes
        if wanted.length <= size:
            return Segments.whole(wanted.sha256, wanted.length)
        found: list[bytes] = []

        def fetch(server: str) -> None:
            found.append(self._list_from(server))

        try:
            self._retries.patiently(lambda: self._from_any(fetch))
        except (NotAvailable, VerificationError):
            return Segments.whole(wanted.sha256, wanted.length)
        return Segments.of_list(found[-1], wanted.length, size)

    def _list_from(self, server: str) -> bytes:
        digest = self._wanted.segments_sha256
        what, length = (
            f"{self._wanted.name}: segment list",
            list_length(self._wanted.length, self._means.segment_bytes),
        )
        url = f"{server}/v1/bundles/{digest}"
        data = bytearray()
        with ask(self._means.transport, url, what, 0, length, length, None).answer as answer:
            for piece in answer.pieces():
                self._retries.check()
                data += piece
                if len(data) > length:
                    raise more_than_signed(what, length)
        if len(data) < length:
            raise RetryLater(f"{what}: the download ended after {len(data)} of {length} bytes; try again")
        if hashlib.sha256(data).hexdigest() != digest:
            raise VerificationError(f"{what}: the server sent other bytes than the signed ones; refused")
        return bytes(data)

    def _look(self) -> None:
        """Find out what earlier attempts left."""
        there = self._partial.length
        if there > self._wanted.length:
            self._partial.truncate(self._wanted.length)
            there = self._wanted.length
        self._missing: set[int] = set()
        self._held: dict[int, int] = {}  # bytes of incomplete segments
        self._done = 0
        for index, digest in enumerate(self._segments.digests):
            start, stop = self._segments.bounds(index)
            if stop <= there and self._hashed(start, stop).digest() == digest:
                self._done += stop - start
                continue
            self._missing.add(index)
            self._held[index] = there - start if start < there < stop else 0
            self._done += self._held[index]

    def _hashed(self, start: int, stop: int) -> hashlib._Hash:
        digest = hashlib.sha256()
        for at in range(start, stop, _READ):
            digest.update(self._partial.read(at, min(_READ, stop - at)))
        return digest

    # -- fetching --------------------------------------------------------------------------------------

    def _next_run(self) -> None:
        with suppress(_Paused):
            self._from_any(self._run_from)

    def _from_any(self, fetch: Callable[[str], None]) -> None:
        """Try the servers one after the other; of several errors, the one that is most worth knowing."""
        errors: list[EdgeError] = []
        for server in self._means.servers:
            try:
                return fetch(server)
            except (Cancelled, DeadlineExceeded):
                raise
            except (RetryLater, VerificationError, NotAvailable) as error:
                errors.append(error)
        for family in (RetryLater, VerificationError, NotAvailable):
            for told in errors:
                if isinstance(told, family):
                    raise told
        raise AssertionError("there is a server, and it fails in one of these ways")

    def _run_from(self, server: str) -> None:
        wanted, segments = self._wanted, self._segments
        if not self._missing:
            return
        run = segments.first_run(self._missing)
        if any(self._bad[server, index] >= _TRIES_A_SEGMENT for index in run):
            raise VerificationError(
                f"{wanted.name}: the server sent other bytes than the signed ones; refused"
            )
        start, stop = segments.bounds(run[0])[0] + self._held[run[0]], segments.bounds(run[-1])[1]
        tag = self._tags[server]
        part = ask(self._means.transport, server + self._path, wanted.name, start, stop, wanted.length, tag)
        with part.answer as answer:
            if answer.status == 200 and start and tag is not None and part.tag not in (None, tag):
                # Storage behind a redirect tags in its own way. Digests, not tags, say what the bytes are.
                self._tags[server] = None
                return
            at = part.start
            for piece in answer.pieces():
                if at + len(piece) > part.stop:
                    raise more_than_signed(wanted.name, wanted.length)
                self._take(server, at, memoryview(piece))
                at += len(piece)
                if part.stop > at >= segments.bounds(max(self._missing, default=-1))[1]:
                    return  # of everything, and the rest is here already
                if self._control.paused:
                    raise _Paused
                self._retries.check()
        if at < part.stop:
            raise RetryLater(
                f"{wanted.name}: the download ended after {at} of {wanted.length} bytes; try again"
            )

    def _take(self, server: str, at: int, data: memoryview) -> None:
        """Keep what is wanted of bytes that belong at ``at``."""
        while data:
            index = at // self._segments.size
            start, stop = self._segments.bounds(index)
            here, data = data[: stop - at], data[stop - at :]
            if index in self._missing:
                begin = start + self._held[index]
                self._add(server, index, begin, here[max(begin - at, 0) :])
            at += len(here)

    def _sync_now_and_then(self) -> None:
        """Let what is verified survive a power cut."""
        now = self._means.monotonic()
        if now - self._synced >= _SYNC_S:
            self._partial.sync()
            self._synced = self._means.monotonic()

    def _add(self, server: str, index: int, at: int, data: memoryview) -> None:
        start, stop = self._segments.bounds(index)
        if self._under_way is None or self._under_way[0] != index:
            self._under_way = index, self._hashed(start, at)
        digest = self._under_way[1]
        self._partial.write(at, data)
        digest.update(data)
        self._held[index] += len(data)
        self._done += len(data)
        if at + len(data) == stop:
            self._under_way = None
            if digest.digest() == self._segments.digests[index]:
                self._missing.remove(index)
                if self._missing:
                    self._partial.begin_sync(start, stop - start)
                self._sync_now_and_then()
            else:
                self._bad[server, index] += 1
                self._done -= self._held[index]
                self._held[index] = 0
        self._progress("download", self._done, self._wanted.length)
