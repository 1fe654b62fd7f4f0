"""What a network does to a device: answers that are torn, endless, somebody else's or late, and clocks that jump.

Every answer of an upgrade is spoilt in every way, once and for as long as the process tries; then the network is well
again. The six invariants are judged after that as after a fault of the disk.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from device_tests.faults.invariants import Promise, Violation
from device_tests.faults.power import Image, PowerSystem
from device_tests.faults.report import Point, Report
from device_tests.faults.running import Progress, Run, in_memory, unwatched
from device_tests.faults.scenarios import Scenario, delta, update
from device_tests.faults.site import Site
from device_tests.faults.system import FaultySystem
from device_tests.simulator.repository import Network, Repository
from edge_sdk.contract.framing import SEGMENT_BYTES
from edge_sdk.update.transport import NO_HEADERS, Answer, Intercepted, Offline

PULL_LIMIT: Final = 24_000_000
"""Bytes that a device takes of what never ends: four tries of the longest metadata, and something."""

_PIECE: Final = 20_000
_HTML: Final = b"<!doctype html><title>Welcome</title><form>Log in to our network</form>" * 20


class Honest(NamedTuple):
    """What the server answers to a request.

    Attributes:
        url: what was asked for.
        asked: headers of the request.
        status, headers, body: of the answer.
        power: whose clocks a fault may turn.
    """

    url: str
    asked: Mapping[str, str]
    status: int
    headers: dict[str, str]
    body: bytes
    power: PowerSystem

    def answer(self, pieces: Iterator[bytes], status: int = 0, **headers: str) -> Answer:
        """Another answer; a header is named with underscores, and left out where it is empty."""
        said = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return Answer(status or self.status, {name: value for name, value in said.items() if value}, pieces)

    def whole(self) -> Iterator[bytes]:
        """The body as it should be."""
        return _cut(self.body)


Spoil = Callable[[Honest, int], Answer]
"""Makes of an honest answer another; at this byte, where it matters."""


def _cut(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), _PIECE):
        yield data[start : start + _PIECE]


def _reset(honest: Honest, at: int) -> Answer:
    def pieces() -> Iterator[bytes]:
        yield from _cut(honest.body[:at])
        raise Offline(f"{honest.url}: connection reset by peer")

    return honest.answer(pieces())


def _torn(honest: Honest, at: int) -> Answer:
    return honest.answer(_cut(honest.body[:at]))


def _truncated(honest: Honest, at: int) -> Answer:
    return honest.answer(_cut(honest.body[:at]), Content_Length=str(at))


def _zero_filled(honest: Honest, at: int) -> Answer:
    return honest.answer(_cut(honest.body[:at] + bytes(len(honest.body) - at)))


def _flipped(honest: Honest, at: int) -> Answer:
    data = bytearray(honest.body or b"?")
    data[min(at, len(data) - 1)] ^= 1
    return honest.answer(_cut(bytes(data)))


def _jumping(skew: timedelta, back: bool) -> Spoil:
    """The wall clock jumps while this comes, and back again before it ends."""

    def spoil(honest: Honest, at: int) -> Answer:
        def pieces() -> Iterator[bytes]:
            yield from _cut(honest.body[:at])
            honest.power.skew += skew
            yield from _cut(honest.body[at:])
            if back:
                honest.power.skew -= skew

        return honest.answer(pieces())

    return spoil


EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC) - datetime.now(UTC)
SOMEWHERE: Final[Mapping[str, Spoil]] = {
    "reset": _reset,
    "torn": _torn,
    "truncated": _truncated,
    "zero-filled": _zero_filled,
    "bit flipped": _flipped,
    "clock to 1970": _jumping(EPOCH, back=False),
    "clock -400 d": _jumping(timedelta(days=-400), back=False),
    "clock +60 d": _jumping(timedelta(days=60), back=False),
    "clock to and fro": _jumping(timedelta(days=-400), back=True),
    "clock fro and to": _jumping(timedelta(days=60), back=True),
}
"""Faults that begin at a byte."""


def _refused(honest: Honest, _at: int) -> Answer:
    raise Offline(f"{honest.url}: connection refused")


def _elsewhere(honest: Honest, _at: int) -> Answer:
    raise Intercepted(f"{honest.url} redirects to another server; a login page of the network, perhaps")


def _unfollowed(honest: Honest, _at: int) -> Answer:
    return honest.answer(iter(()), 302, Location="https://login.example.net/", Content_Length="0")


def _login(honest: Honest, _at: int) -> Answer:
    return honest.answer(
        _cut(_HTML), 200, Content_Type="text/html; charset=utf-8", Content_Length=str(len(_HTML))
    )


def _untold_login(honest: Honest, _at: int) -> Answer:
    return honest.answer(_cut(_HTML), 200, Content_Length=str(len(_HTML)), Content_Range="", ETag="")


def _endless(honest: Honest, _at: int) -> Answer:
    def pieces() -> Iterator[bytes]:
        yield from honest.whole()
        while True:
            yield bytes(_PIECE)

    return honest.answer(pieces(), Content_Length="")


def _endless_zeros(honest: Honest, _at: int) -> Answer:
    def pieces() -> Iterator[bytes]:
        while True:
            yield bytes(_PIECE)

    return honest.answer(pieces(), Content_Length=str(10**15))


def _slow(honest: Honest, _at: int) -> Answer:
    """A few bytes in a minute: a download ends by its deadline, whatever comes in between."""

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(honest.body), 16):
            honest.power.waited += 60.0
            yield honest.body[start : start + 16]

    return honest.answer(pieces())


def _longer(honest: Honest, _at: int) -> Answer:
    return honest.answer(_cut(honest.body + b"\n"), Content_Length=str(len(honest.body) + 1))


def _compressed(honest: Honest, _at: int) -> Answer:
    return honest.answer(honest.whole(), Content_Encoding="gzip")


def _status(status: int, **headers: str) -> Spoil:
    def spoil(honest: Honest, _at: int) -> Answer:
        return honest.answer(iter(()), status, Content_Length="0", **headers)

    return spoil


def _part(first: int, last: int, total: int, *, shifted: int = 0) -> Spoil:
    """A 206 that says to be bytes ``first`` to ``last`` from the ends of the body, and is what lies ``shifted``."""

    def spoil(honest: Honest, _at: int) -> Answer:
        size = len(honest.body)
        said = f"bytes {first}-{size - 1 + last}/{size + total}"
        return honest.answer(_cut(honest.body[shifted:] + honest.body[:shifted]), 206, Content_Range=said)

    return spoil


def _unsaid_part(honest: Honest, _at: int) -> Answer:
    return honest.answer(honest.whole(), 206, Content_Range="")


def _other_tag(honest: Honest, at: int) -> Answer:
    """What the tag says changed is sent whole, or breaks off in the middle of the next part."""
    if "If-Range" in honest.asked:
        return honest.answer(honest.whole(), 206, ETag='"another"')
    return honest.answer(_reset(honest, len(honest.body) // 2).pieces(), ETag='"another"')


ALTOGETHER: Final[Mapping[str, Spoil]] = {
    "refused": _refused,
    "redirected elsewhere": _elsewhere,
    "redirect not followed": _unfollowed,
    "login page": _login,
    "login page without a type": _untold_login,
    "endless after the body": _endless,
    "endless zeros": _endless_zeros,
    "slow": _slow,
    "longer": _longer,
    "compressed on the way": _compressed,
    "status 403": _status(403),
    "status 404": _status(404),
    "status 416": _status(416, Content_Range="bytes */1"),
    "status 500": _status(500),
    "status 503 for a day": _status(503, Retry_After="86400"),
    "status 511": _status(511),
    "part without a range": _unsaid_part,
    "part of the wrong range": _part(1, 0, 1),
    "part of another length": _part(0, 0, 5),
    "part of other bytes": _part(0, 0, 0, shifted=7),
    "another tag": _other_tag,
}
"""Faults of a whole answer."""

FOREVER: Final = ", for ever"
"""Behind the name of a fault: it meets every request for the same, until the process gives up."""


class Spoilt(Network):
    """A network that spoils an answer.

    Args:
        repository: what is behind it.
        power: of the device.
        spoil: how.
        number: of the request, counted from 1; none for 0.
        at: the byte at which.
        forever: every later request for the same path, too.

    Attributes:
        pulled: how many bytes of bodies were taken.
        lengths: of the honest answers so far.
        met: whether there was that request.
    """

    def __init__(
        self, repository: Repository, power: PowerSystem, spoil: Spoil, number: int, at: int, forever: bool
    ) -> None:
        super().__init__(repository)
        self._power, self._spoil, self._number, self._at, self._forever = power, spoil, number, at, forever
        self._path: str | None = None
        self.pulled = 0
        self.lengths: list[int] = []
        self.met = False

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        body: bytes | None = None,
        elsewhere: bool = False,
    ) -> Answer:
        """As of any transport."""
        answer = super().request(method, url, headers=headers, body=body, elsewhere=elsewhere)
        data, path = b"".join(answer.pieces()), urlsplit(url).path
        self.lengths.append(len(data))
        said = {name: value for name in _HEADERS if (value := answer.header(name)) is not None}
        honest = Honest(url, headers, answer.status, said, data, self._power)
        first = len(self.lengths) == self._number
        if first:
            self.met, self._path = True, path
        if first or (self._forever and path == self._path):
            answer = self._spoil(honest, self._at)
        else:
            answer = honest.answer(honest.whole())
        return Answer(
            answer.status, {n: v for n in _HEADERS if (v := answer.header(n))}, self._counted(answer)
        )

    def _counted(self, answer: Answer) -> Iterator[bytes]:
        for piece in answer.pieces():
            self.pulled += len(piece)
            if self.pulled > PULL_LIMIT:
                raise AssertionError(f"more than {PULL_LIMIT} bytes were taken of an answer that never ends")
            yield piece


_HEADERS: Final = (
    "ETag", "Accept-Ranges", "Content-Length", "Content-Range", "Content-Type", "Content-Encoding", "Location",
    "Retry-After",
)  # fmt: skip


def _narrow(site: Site) -> None:
    site.sync(site.model(1))
    site.news(site.model(2))


def _wide(site: Site) -> None:
    """The news has three segments, so that there is a segment list, and parts of a file."""
    site.sync(site.model(1))
    site.news(site.model(2, random.Random(0).randbytes(2 * SEGMENT_BYTES + 5)))


SCENARIOS: Final = (
    Scenario("network", _narrow, (update,)),
    Scenario("network, lent", _narrow, (update,), tier="device-key"),
    Scenario("network, delta", delta, (update,), tier="app-key"),
    Scenario("network, three segments", _wide, (update,)),
)


@dataclass(frozen=True)
class Fault:
    """One way of spoiling one answer."""

    name: str
    number: int
    at: int
    forever: bool = False

    @property
    def spoil(self) -> Spoil:
        """How."""
        return {**SOMEWHERE, **ALTOGETHER}[self.name]


class NetworkRun:
    """An upgrade in front of which a network can be put.

    Args:
        scenario: which.

    Attributes:
        run: how it is gone through, and judged.
        faults: every way of spoiling every answer.
        bundle: the number of the request for the bundle itself; 0 where there is none.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.run = Run(scenario)
        with in_memory() as base:
            honest = self._through(Path(base), Fault("refused", 0, 0))[0]
        new = next(
            s for s in self.run.site.repository.sealed.values() if s.entry.release == self.run.site.goal
        )
        bundle = f"/v1/bundles/{new.sha256}"
        self.bundle = honest.requests.index(bundle) + 1 if bundle in honest.requests else 0
        self.faults = [
            Fault(name, number, at)
            for number, length in enumerate(honest.lengths, 1)
            for name in SOMEWHERE
            for at in _places(length)
        ] + [
            Fault(name, number, 0, forever)
            for number in range(1, len(honest.lengths) + 1)
            for name in ALTOGETHER
            for forever in (False, True)
        ]

    def judge(self, fault: Fault) -> tuple[int, list[Violation]]:
        """Go through the upgrade with this network, then once more with an honest one."""
        with in_memory() as folder:
            base = Path(folder)
            network, power, system, promise, found = self._through(base, fault)
            if not network.met:
                raise AssertionError(f"{fault} was not met")
            power.skew = timedelta(0)
            promise, failed = self.run.go(base / "disk" / "cache", system, promise)
            if promise.release != self.run.site.goal:
                failed.append(
                    Violation("heals", f"release {promise.release} is active once the network is well")
                )
            system.exit()
            images, violations = self.run.verdict(base, power, promise, [Image.DURABLE])
            return images, found + failed + violations

    def _through(
        self, base: Path, fault: Fault
    ) -> tuple[Spoilt, PowerSystem, FaultySystem, Promise, list[Violation]]:
        power = self.run.disk(base)
        system = FaultySystem(power)
        network = Spoilt(self.run.site.repository, power, fault.spoil, fault.number, fault.at, fault.forever)
        promise, found = self.run.go(base / "disk" / "cache", system, Promise(), network)
        return network, power, system, promise, found


def _places(length: int) -> list[int]:
    """The classes of bytes: the first, the second, one in the middle, the last; and those round a segment's end."""
    ends = [end + by for end in range(SEGMENT_BYTES, length, SEGMENT_BYTES) for by in (-1, 0, 1)]
    return sorted({at for at in (0, 1, length // 2, length - 1, *ends) if 0 <= at < length})


def run(every: int = 1, progress: Progress = unwatched) -> Report:
    """Run all of it.

    Args:
        every: take every Nth point only.
        progress: told the scenario, how many points are done, and how many there are.
    """
    report = Report()
    for scenario in SCENARIOS:
        prepared = NetworkRun(scenario)
        chosen = prepared.faults[::every]
        for done, fault in enumerate(chosen):
            progress(scenario.name, done, len(chosen))
            before = prepared.run.judged
            images, violations = prepared.judge(fault)
            point = Point(
                scenario.name, fault.name + FOREVER * fault.forever, fault.number, f"byte {fault.at}"
            )
            report.add(point, violations, images=images, judged=prepared.run.judged - before)
    return report
