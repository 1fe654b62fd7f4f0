"""Downloads that break off anywhere, servers that lie, mirrors, and somebody who stops it all."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from device_tests.simulator.repository import SERVER, Network, Repository
from edge_sdk.contract.framing import SEGMENT_BYTES
from edge_sdk.errors import DeadlineExceeded, EdgeError, NotAvailable, RetryLater, VerificationError
from edge_sdk.update.control import Cancelled, Control
from edge_sdk.update.downloading import Means, Wanted, download
from edge_sdk.update.limits import HttpLimits
from edge_sdk.update.retrying import RetryPolicy
from edge_sdk.update.transport import NO_HEADERS, Answer, Intercepted, Offline

SEGMENT = 64
DATA = b"".join(hashlib.sha256(bytes([n])).digest() for n in range(9))[:277]  # four segments and a short one
LIST = b"".join(hashlib.sha256(DATA[at : at + SEGMENT]).digest() for at in range(0, len(DATA), SEGMENT))
WANTED = Wanted("focus", hashlib.sha256(DATA).hexdigest(), len(DATA), hashlib.sha256(LIST).hexdigest())
BUNDLE, SEGMENTS = f"/v1/bundles/{WANTED.sha256}", f"/v1/bundles/{WANTED.segments_sha256}"
MIRROR = "https://mirror.example.net"


def digest_of(data: bytes | bytearray) -> bytes:
    return hashlib.sha256(data).digest()


class Killed(BaseException):
    """The end of the process."""


class Memory:
    """A partial file; ``kill_after`` so many bytes written the process ends."""

    def __init__(self, data: bytes = b"", kill_after: int | None = None) -> None:
        self.data = bytearray(data)
        self.written = 0
        self.synced = list[int]()
        self.kill_after = kill_after

    @property
    def length(self) -> int:
        return len(self.data)

    def read(self, offset: int, size: int) -> bytes:
        return bytes(self.data[offset : offset + size])

    def write(self, offset: int, data: bytes | memoryview) -> None:
        assert offset <= len(self.data), "no holes"
        left = len(data) if self.kill_after is None else self.kill_after - self.written
        now = bytes(data[:left])
        self.data[offset : offset + len(now)] = now
        self.written += len(now)
        if left < len(data):
            raise Killed

    def truncate(self, length: int) -> None:
        del self.data[length:]

    def begin_sync(self, offset: int, length: int) -> None:
        pass

    def sync(self) -> None:
        """Nothing lies anywhere else; how much there was is noted."""
        self.synced.append(len(self.data))


Hostile = Callable[[Answer, Mapping[str, str]], Answer]


class Servers(Network):
    """An honest network that counts the bytes of the bundle, with ``hostile`` in front of a server, by base URL."""

    def __init__(self) -> None:
        repository = Repository()
        repository.files = {BUNDLE: DATA, SEGMENTS: LIST}
        super().__init__(repository)
        self.hostile: dict[str, Hostile] = {}
        self.sent = 0
        self.piece = 10
        self.asked: list[str] = []
        self.each: Callable[[], None] = lambda: None
        self.closed = threading.Event()

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        body: bytes | None = None,
        elsewhere: bool = False,
    ) -> Answer:
        assert elsewhere, "what has a digest may lie elsewhere"
        answer = super().request(method, url, headers=headers)
        if not url.endswith(BUNDLE):
            return answer
        server = url.removesuffix(BUNDLE)
        self.asked.append(server)
        answer = self.hostile.get(server, lambda honest, _: honest)(answer, headers)
        return Answer(answer.status, answer._headers, self._counted(answer.pieces()), self.closed.set)

    def _counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            for at in range(0, len(piece), self.piece):
                self.sent += len(piece[at : at + self.piece])
                yield piece[at : at + self.piece]
                self.each()


@pytest.fixture
def servers() -> Servers:
    return Servers()


def means(network: Servers, **changes: Any) -> Means:
    retry = RetryPolicy(random=lambda: 0.5, rest=lambda control, seconds: None)
    made = Means(network, [SERVER], lambda: 0.0, retry, segment_bytes=SEGMENT)
    return replace(made, **changes)


def test_all_of_it_in_one_plain_request(servers: Servers) -> None:
    part, told = Memory(), list[tuple[str, int, int]]()
    download(WANTED, part, means(servers), progress=lambda *what: told.append(what))
    assert part.data == DATA
    assert servers.requests == [SEGMENTS, BUNDLE]
    assert servers.ranges == [None, None]
    assert told[0] == ("download", 0, 277)
    assert told[-1] == ("download", 277, 277)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


@pytest.mark.parametrize("listed", [True, False], ids=["with a list", "without"])
@pytest.mark.parametrize("killed", range(len(DATA)))
def test_killed_at_any_byte(servers: Servers, killed: int, listed: bool) -> None:
    if not listed:
        del servers.repository.files[SEGMENTS]
    part = Memory(kill_after=killed)
    with pytest.raises(Killed):
        download(WANTED, part, means(servers))
    assert len(part.data) == killed
    servers.sent, part.kill_after = 0, None
    download(WANTED, part, means(servers))
    assert part.data == DATA
    assert servers.sent == len(DATA) - killed, "nothing twice"
    assert servers.ranges[-1] == (f"bytes={killed}-276" if killed else None)


@pytest.mark.slow
def test_ten_megabytes_killed_anywhere(servers: Servers) -> None:
    """With the segments and pieces of the real thing; what is lost is not even the piece that was under way."""
    chance = random.Random(0)
    data = chance.randbytes(10 * SEGMENT_BYTES + 12_345)
    listed = b"".join(digest_of(data[at : at + SEGMENT_BYTES]) for at in range(0, len(data), SEGMENT_BYTES))
    wanted = Wanted("focus", digest_of(data).hex(), len(data), digest_of(listed).hex(), BUNDLE)
    servers.repository.files = {BUNDLE: data, f"/v1/bundles/{wanted.segments_sha256}": listed}
    servers.piece = HttpLimits().piece_bytes
    near = {end + shift for end in range(0, len(data), SEGMENT_BYTES) for shift in (-1, 0, 1)} - {-1}
    for killed in sorted(near | {chance.randrange(len(data)) for _ in range(200)}):
        part = Memory(kill_after=killed)
        with pytest.raises(Killed):
            download(wanted, part, means(servers, segment_bytes=SEGMENT_BYTES))
        servers.sent, part.kill_after = 0, None
        download(wanted, part, means(servers, segment_bytes=SEGMENT_BYTES))
        assert digest_of(part.data).hex() == wanted.sha256
        assert servers.sent == len(data) - killed, "nothing twice"


@pytest.mark.parametrize("bad", [{0}, {2}, {4}, {1, 2}, {0, 3, 4}, {0, 1, 2, 3, 4}], ids=str)
def test_damaged_segments_and_no_others_are_fetched(servers: Servers, bad: set[int]) -> None:
    part = Memory(DATA)
    for index in bad:
        part.data[index * SEGMENT] ^= 1
    download(WANTED, part, means(servers))
    assert part.data == DATA
    assert servers.sent == sum(len(DATA[i * SEGMENT : (i + 1) * SEGMENT]) for i in bad)
    runs = sum(index - 1 not in bad for index in bad)
    assert len(servers.asked) == runs


def test_a_tail_that_is_damaged_costs_its_segment(servers: Servers) -> None:
    part = Memory(DATA[:100] + b"\0" * 20)
    download(WANTED, part, means(servers))
    assert part.data == DATA
    assert servers.sent == (277 - 120) + SEGMENT


@pytest.mark.parametrize("left", [b"x" * 277, b"x" * 500, DATA + b"more", b"x" * 100], ids=len)
@pytest.mark.parametrize("listed", [True, False], ids=["with a list", "without"])
def test_whatever_is_there_the_end_is_right(servers: Servers, left: bytes, listed: bool) -> None:
    if not listed:
        servers.repository.files[SEGMENTS] = b"x" * len(LIST)
    part = Memory(left)
    download(WANTED, part, means(servers))
    assert part.data == DATA


@pytest.mark.parametrize(
    ("rate", "synced"), [(1_000, []), (100, [128, 256]), (10, [64, 128, 192, 256, 277])], ids=str
)
def test_a_power_cut_undoes_a_second_or_a_segment(servers: Servers, rate: int, synced: list[int]) -> None:
    part = Memory()
    download(WANTED, part, means(servers, monotonic=lambda: servers.sent / rate))
    assert part.data == DATA
    assert part.synced == synced


# -- servers --------------------------------------------------------------------------------------------


def body(data: bytes, status: int = 200, **headers: str) -> Hostile:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda honest, asked: Answer(status, named, iter((data,)))


def ranged(said: str, data: bytes = DATA[100:], **headers: str) -> Hostile:
    return body(data, 206, **{"Content_Range": said, **headers})


def cut(change: Callable[[bytes], bytes]) -> Hostile:
    return lambda honest, asked: Answer(
        honest.status, honest._headers, iter((change(b"".join(honest.pieces())),))
    )


def ignoring(honest: Answer, asked: Mapping[str, str]) -> Answer:
    return Answer(200, {"Content-Length": str(len(DATA))}, iter((DATA,)))


HOSTILE: dict[str, tuple[Hostile, type[EdgeError], str]] = {
    "416": (body(b"", 416, Content_Range="bytes */90"), VerificationError, "fewer than the 277"),
    "another part": (ranged("bytes 0-176/277"), VerificationError, "sends bytes 0 to 176, not 100 to 276"),
    "a shorter part": (ranged("bytes 100-200/277"), VerificationError, "not 100 to 276"),
    "another length": (ranged("bytes 100-276/999"), VerificationError, "has 999 bytes"),
    "no range": (body(DATA[100:], 206), VerificationError, "without saying which"),
    "several ranges": (
        body(b"--x", 206, Content_Type="multipart/byteranges; boundary=x"),
        VerificationError,
        "without saying which",
    ),
    "nonsense for a range": (ranged("bytes 1e2-276/277"), VerificationError, "without saying which"),
    "too long a length": (ranged("bytes 100-276/277", Content_Length="178"), VerificationError, "more than"),
    "a longer part": (ranged("bytes 100-276/277", DATA[100:] + b"x" * 40), VerificationError, "more than"),
    "a longer whole": (body(DATA + b"x"), VerificationError, "more than the 277"),
    "a shorter part than said": (
        cut(lambda data: data[:20]),
        RetryLater,
        "ended after 180 of",
    ),
    "a shorter whole": (body(DATA[:50]), RetryLater, "ended after 50 of"),
    "nothing": (body(b""), RetryLater, "ended after 0 of"),
    "other bytes": (body(b"x" * 277), VerificationError, "other bytes than the signed"),
    "other bytes of the part": (cut(lambda data: b"x" * len(data)), VerificationError, "other bytes"),
    "compressed": (body(DATA, Content_Encoding="gzip"), Intercepted, "compresses"),
    "a portal": (body(b"<html>", Content_Type="text/html; charset=utf-8"), Intercepted, "log in"),
    "a portal that says so": (body(b"", 511), Intercepted, "login"),
    "gone": (body(b"", 404), NotAvailable, "404"),
    "not modified": (body(b"", 304), NotAvailable, "304"),
    "moved": (body(b"", 302), NotAvailable, "302"),
    "busy": (body(b"", 503), Offline, "503"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_answers(servers: Servers, kind: str) -> None:
    hostile, family, message = HOSTILE[kind]
    servers.hostile[SERVER] = hostile
    part = Memory(DATA[:100])
    with pytest.raises(family, match=message):
        download(WANTED, part, means(servers))
    assert 1 <= len(servers.asked) <= 4, "it ends"
    assert part.data[:SEGMENT] == DATA[:SEGMENT], "what was verified stays"
    download(WANTED, part, means(servers, servers=[SERVER, MIRROR]))
    assert part.data == DATA, "a mirror helps"


def test_a_server_that_ignores_ranges(servers: Servers) -> None:
    servers.hostile[SERVER] = ignoring
    part = Memory(DATA[:SEGMENT] + b"x" * SEGMENT + DATA[2 * SEGMENT : 200])
    download(WANTED, part, means(servers))
    assert part.data == DATA
    assert len(servers.asked) == 1, "one answer serves everything that is wanting"


def test_storage_with_its_own_tags_is_asked_without(servers: Servers) -> None:
    def storage(honest: Answer, asked: Mapping[str, str]) -> Answer:
        if "If-Range" in asked:
            return Answer(200, {"ETag": '"its-own"'}, iter((DATA,)))
        return honest

    servers.hostile[SERVER] = storage
    part = Memory(DATA[:100])
    download(WANTED, part, means(servers))
    assert part.data == DATA
    assert servers.sent == 177


def test_a_bad_segment_on_one_server_comes_from_another(servers: Servers) -> None:
    def one_bad(honest: Answer, asked: Mapping[str, str]) -> Answer:
        data = bytearray(b"".join(honest.pieces()))
        data[0] ^= 1
        return Answer(honest.status, honest._headers, iter((bytes(data),)))

    servers.hostile[SERVER] = one_bad
    part = Memory()
    download(WANTED, part, means(servers, servers=[SERVER, MIRROR]))
    assert part.data == DATA
    assert servers.asked == [SERVER, SERVER, MIRROR]
    assert servers.sent == 277 + 2 * SEGMENT


def test_breaking_off_is_gone_on_with_and_ends(servers: Servers) -> None:
    def breaks(honest: Answer, asked: Mapping[str, str]) -> Answer:
        data = b"".join(honest.pieces())[:90]
        return Answer(honest.status, honest._headers, iter((data,)))

    servers.hostile[SERVER] = breaks
    part = Memory()
    download(WANTED, part, means(servers))
    assert part.data == DATA
    assert servers.sent == 277, "nothing twice"
    few = RetryPolicy(tries=2, rest=lambda control, seconds: None)
    with pytest.raises(RetryLater, match="ended after 180"):
        download(WANTED, Memory(), means(servers, retry=few))


# -- somebody stops it ----------------------------------------------------------------------------------


def test_cancelled_and_gone_on_with(servers: Servers) -> None:
    part, control = Memory(), Control()
    servers.each = lambda: control.cancel() if servers.sent >= 100 else None
    with pytest.raises(Cancelled):
        download(WANTED, part, means(servers), control)
    assert part.data == DATA[:110]
    assert servers.closed.is_set()
    servers.each = lambda: None
    download(WANTED, part, means(servers), Control())
    assert servers.sent == 277


def test_a_pause_lets_go_of_the_connection(servers: Servers) -> None:
    control = Control()

    def pause_once() -> None:
        if servers.sent == 100:
            servers.closed.clear()
            control.pause()

    def resume() -> None:
        assert servers.closed.wait(60)
        control.resume()

    thread = threading.Thread(target=resume)
    part = Memory()
    started = list[bool]()

    def start_once() -> None:
        pause_once()
        if servers.sent == 100 and not started:
            started.append(True)
            thread.start()

    servers.each = start_once
    download(WANTED, part, means(servers), control)
    thread.join()
    assert part.data == DATA
    assert servers.ranges[-1] == "bytes=110-276"


def test_a_deadline_for_everything(servers: Servers) -> None:
    part = Memory()
    with pytest.raises(DeadlineExceeded, match="not here after 5 s"):
        download(
            WANTED,
            part,
            means(servers, retry=RetryPolicy(deadline_s=5.0), monotonic=lambda: servers.sent / 20),
        )
    assert 80 <= len(part.data) <= 110
    assert part.data == DATA[: len(part.data)]
