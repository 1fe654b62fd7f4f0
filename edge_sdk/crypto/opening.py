"""Opening a served bundle segment by segment, straight into the memory that an engine will use.

What is served is cut every MiB, and each segment proves itself: by its tag where the bundle is encrypted, by its
digest in the signed segment list where it is not. So nothing has to be read twice, segments may be proven by two
threads at once, and no second copy of the model ever exists. Nothing is handed out before all are proven.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, NamedTuple, Protocol

from edge_sdk.contract import bundle, codec
from edge_sdk.contract.entry import Entry
from edge_sdk.contract.framing import SEGMENT_BYTES
from edge_sdk.contract.record import BundleContent, open_files
from edge_sdk.crypto.assembly import Assembly
from edge_sdk.crypto.streaming import HEADER_BYTES, Decryption
from edge_sdk.errors import VerificationError

_INFLATED: Final = 1 << 18  # bytes at once: few enough to stay in the processor's cache


class Source(Protocol):
    """Where the served bytes lie."""

    @property
    def length(self) -> int:
        """How many there are."""
        ...  # pragma: no cover

    def read_into(self, target: memoryview, offset: int, /) -> int:
        """Fill ``target`` from ``offset`` on; how many bytes there were, fewer only at the end."""
        ...  # pragma: no cover


class InMemory:
    """Served bytes that are in memory already."""

    def __init__(self, served: bytes | memoryview) -> None:
        self._view = memoryview(served)
        self.length = len(self._view)

    def read_into(self, target: memoryview, offset: int) -> int:
        """See :class:`Source`."""
        data = self._view[offset : offset + len(target)]
        target[: len(data)] = data
        return len(data)


class Opened(NamedTuple):
    """An opened bundle, and the list of its segments' digests where they were taken (empty otherwise)."""

    content: BundleContent
    segments: bytes


def open_segments(source: Source, entry: Entry, data_key: bytes | None, *, known: bool) -> Opened:
    """Open a bundle, in memory only.

    1. Every segment is what was sealed: its tag is good or, where nothing is encrypted, its digest is in the list
       whose digest is signed.
    2. The codec gives exactly the signed length.
    3. The bundle is canonical, its record has the signed digest and describes every file.
    4. The record speaks of the artifact that the entry speaks of.

    Args:
        source: the served bytes.
        entry: signed.
        data_key: of an encrypted bundle.
        known: these bytes went through here before, when they were installed. Then the digests of the plain bundle
            and of the payload, the checksum of the payload, and for an encrypted bundle the segment list are left
            out: 1 proves that the bytes are the same, and so is what becomes of them.

    Raises:
        VerificationError: any of these fails; nothing is handed out.
    """
    stored: _Stored
    if data_key is None:
        stored = _Clear(source)
    else:
        stored = _Encrypted(source, data_key, entry.associated_data, listed=not known)
    codec.check(entry.codec, stored.length, entry.plain_length)
    payload = None if entry.target in bundle.FOLDERS else bundle.PAYLOADS.get(entry.target)
    assembly = Assembly(entry.plain_length, payload)
    try:
        if entry.codec == "none":
            _gather(stored, assembly)
        else:
            for data in codec.inflate(_ahead(stored), entry.plain_length, _INFLATED):
                assembly.append(data)
        stored.check_list(entry)
        return Opened(_content(assembly, entry, known=known), b"".join(stored.digests))
    except BaseException:
        assembly.wipe()
        raise


def _content(assembly: Assembly, entry: Entry, *, known: bool) -> BundleContent:
    head, payload, tail = assembly.parts()
    if not known:
        digest = hashlib.sha256(head)
        digest.update(payload)
        digest.update(tail)
        if digest.hexdigest() != entry.plain_sha256:
            raise VerificationError(f"{entry.path}: the opened bundle is not the signed one; fetch it again")
    in_place = assembly.begun
    files = bundle.read_parts(head, payload, tail, believed=known) if in_place else bundle.read(head)
    content = open_files(files, believed=known)
    if hashlib.sha256(content.record_bytes).hexdigest() != entry.record_sha256:
        raise VerificationError(f"{entry.path}: the record in the bundle is not the signed one")
    for field in ("model", "model_version", "target", "recipe", "state"):
        if getattr(content.record, field) != getattr(entry, field):
            raise VerificationError(f"{entry.path}: record and entry disagree on {field}")
    if not in_place:
        return content
    payload.release()
    return BundleContent(
        content.record, content.record_bytes, {**files, content.record.payload: assembly.payload()}
    )


# -- segments ------------------------------------------------------------------------------------------


class _Stored(ABC):
    """The segments of the served bytes.

    Attributes:
        length: of what they become.
        bounds: of each segment, in what they become.
        digests: of those that were proven by it.
        listed: whether all are.
    """

    length: int
    bounds: list[tuple[int, int]]

    def __init__(self, source: Source, *, listed: bool) -> None:
        self._source, self.listed = source, listed
        self.digests = [b""] * max(-(-source.length // SEGMENT_BYTES), 1)

    @abstractmethod
    def read(self, index: int, target: memoryview, scratch: memoryview) -> None:
        """Read a segment."""

    @abstractmethod
    def prove(self, index: int, target: memoryview, scratch: memoryview) -> None:
        """Prove the segment that was just read; ``target`` then holds what it becomes."""

    def check_list(self, entry: Entry) -> None:
        """Compare the digests of all segments with the signed ones, where they are what proves them."""
        if self.listed and hashlib.sha256(b"".join(self.digests)).hexdigest() != entry.segments_sha256:
            raise VerificationError(f"{entry.path}: the bytes are not the signed ones; fetch them again")

    def _fill(self, target: memoryview, offset: int) -> None:
        if self._source.read_into(target, offset) != len(target):
            raise VerificationError("the bundle was cut while it was read; fetch it again")


class _Clear(_Stored):
    def __init__(self, source: Source) -> None:
        super().__init__(source, listed=True)
        self.length = source.length
        starts = range(0, max(source.length, 1), SEGMENT_BYTES)
        self.bounds = [(start, min(start + SEGMENT_BYTES, source.length)) for start in starts]

    def read(self, index: int, target: memoryview, scratch: memoryview) -> None:
        self._fill(target, self.bounds[index][0])

    def prove(self, index: int, target: memoryview, scratch: memoryview) -> None:
        self.digests[index] = hashlib.sha256(target).digest()


class _Encrypted(_Stored):
    def __init__(self, source: Source, data_key: bytes, associated_data: bytes, *, listed: bool) -> None:
        super().__init__(source, listed=listed)
        header = bytearray(HEADER_BYTES)
        source.read_into(memoryview(header), 0)  # whether there were so many, the length tells
        self._decryption = Decryption(header, source.length, data_key, associated_data)
        self._header = header
        self.bounds = [(piece.low, piece.high) for piece in self._decryption.pieces]
        self.length = self.bounds[-1][1]

    def read(self, index: int, target: memoryview, scratch: memoryview) -> None:
        piece = self._decryption.pieces[index]
        self._fill(scratch[: piece.stop - piece.start], piece.start)

    def prove(self, index: int, target: memoryview, scratch: memoryview) -> None:
        piece = self._decryption.pieces[index]
        sealed = scratch[: piece.stop - piece.start]
        if self.listed:
            digest = hashlib.sha256(b"" if index else self._header)
            digest.update(sealed)
            self.digests[index] = digest.digest()
        self._decryption.open_into(index, sealed, target)


def _buffer() -> memoryview:
    """Room for a segment, that goes back to the system and not to a heap that keeps it."""
    return memoryview(mmap.mmap(-1, SEGMENT_BYTES))


# -- threads -------------------------------------------------------------------------------------------


def _gather(stored: _Stored, assembly: Assembly) -> None:
    """All segments, each into its place: in order up to where the payload begins, then by two threads if it pays.

    It does for digests, of which a MiB takes half a millisecond or more. Decryption alone takes a tenth of that where
    the processor has instructions for it, and a second thread with its buffers would cost more than it saves.
    """
    spare, scratch = _buffer(), _buffer()
    first = 0
    while first < len(stored.bounds) and not assembly.begun:
        low, high = stored.bounds[first]
        stored.read(first, spare[: high - low], scratch)
        stored.prove(first, spare[: high - low], scratch)
        assembly.append(spare[: high - low])
        first += 1
    rest = iter(range(first, len(stored.bounds)))
    lock, failures = threading.Lock(), list[BaseException]()

    def work(spare: memoryview, scratch: memoryview) -> None:
        while True:
            # Reading under the lock keeps a disk busy with one thing, and the order of its calls always the same.
            with lock:
                index = next(rest, None)
                if index is None or failures:
                    return
                low, high = stored.bounds[index]
                place = assembly.within(low, high)
                target = spare[: high - low] if place is None else place
                stored.read(index, target, scratch)
            stored.prove(index, target, scratch)
            if place is None:
                assembly.put(low, target)

    def help_out() -> None:
        try:
            work(_buffer(), _buffer())
        except BaseException as error:  # raised below, where there is somebody to catch it
            failures.append(error)

    helper = threading.Thread(target=help_out, name="edge-open")
    if stored.listed and len(stored.bounds) - first > 1 and (os.cpu_count() or 1) > 1:
        with suppress(RuntimeError):  # no more threads here: then this one does it all
            helper.start()
    try:
        work(spare, scratch)
    except BaseException as error:
        failures.insert(0, error)
    if helper.ident is not None:
        helper.join()
    if failures:
        raise failures[0]


def _ahead(stored: _Stored) -> Iterator[memoryview]:
    """All segments in order."""
    spare, scratch = _buffer(), _buffer()
    for index, (low, high) in enumerate(stored.bounds):
        target = spare[: high - low]
        stored.read(index, target, scratch)
        stored.prove(index, target, scratch)
        yield target
