"""Networks that fail, lie and never end, in the simulator and on real sockets: the six invariants hold."""

from __future__ import annotations

import hashlib
import socket
import struct
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from device_tests.faults import network
from device_tests.faults.invariants import Promise, judged
from device_tests.faults.network import ALTOGETHER, FOREVER, SOMEWHERE, Fault, NetworkRun
from device_tests.faults.site import MODEL, Site, state_of
from device_tests.simulator.models import sealed_model
from device_tests.simulator.repository import SERVER
from edge_sdk.contract.framing import segment_list
from edge_sdk.errors import EdgeError, VerificationError
from edge_sdk.store.partial import Partial
from edge_sdk.update import asking, downloading
from edge_sdk.update.http import HttpLimits, HttpTransport
from edge_sdk.update.transport import NO_HEADERS, Answer
from tests.device_tests.unchecked import without_hash_checks


def told(report: network.Report) -> str:
    return "\n".join(f"{point}: {violation}" for point, violation in report.violations[:20])


@pytest.mark.sampled
def test_a_sample_of_all_networks_holds() -> None:
    report = network.run(every=11)
    assert not report.violations, told(report)
    assert {name for name, _ in report.points} == {scenario.name for scenario in network.SCENARIOS}
    kinds = {fault.removesuffix(FOREVER) for _, fault in report.points}
    assert kinds == {*SOMEWHERE, *ALTOGETHER}


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_all_networks_hold() -> None:
    report = network.run()
    assert not report.violations, told(report)
    assert report.points.total() >= 1400


@pytest.fixture(scope="module")
def narrow() -> NetworkRun:
    return NetworkRun(network.SCENARIOS[0])


class TestControls:
    """A fault is one only where a device without its check falls for it."""

    def test_most_of_them_keep_the_news_away(self, narrow: NetworkRun) -> None:
        for name in ("login page", "endless zeros", "refused", "part of other bytes", "redirected elsewhere"):
            with network.in_memory() as base:
                fault = Fault(name, narrow.bundle, 0, forever=True)
                spoilt, _power, system, promise, found = narrow._through(Path(base), fault)
                system.exit()
            assert (spoilt.met, promise.release < 2, found) == (True, True, []), name

    def test_without_the_hash_check(self, monkeypatch: pytest.MonkeyPatch) -> None:
        without_hash_checks(monkeypatch.setattr)
        run = NetworkRun(network.SCENARIOS[0])
        faults = [fault for fault in run.faults if (fault.name, fault.number) == ("bit flipped", run.bundle)]
        found = {violation.invariant for fault in faults for violation in run.judge(fault)[1]}
        assert found & {"usable", "heals"}

    def test_without_the_hash_check_of_segments(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing wrong is installed, thanks to the whole file's; but what is wrong in it is never found."""
        fetched: list[int] = []
        write = Partial.write

        def counted(partial: Partial, offset: int, data: bytes | memoryview) -> None:
            fetched.append(len(data))
            write(partial, offset, data)

        monkeypatch.setattr(Partial, "write", counted)
        run = NetworkRun(network.SCENARIOS[-1])
        [fault, *_] = [f for f in run.faults if (f.name, f.number, f.at) == ("bit flipped", run.bundle, 1)]
        length = max(len(sealed.served) for sealed in run.run.site.repository.sealed.values())
        fetched.clear()
        assert run.judge(fault)[1] == []
        assert sum(fetched) <= length + (1 << 20) + 5000
        with monkeypatch.context() as patch:
            patch.setattr(downloading, "hashlib", _hashlib_that_agrees())
            found = {violation.invariant for violation in run.judge(fault)[1]}
            assert found == {"heals"}

    def test_without_the_limits_of_a_body(self, narrow: NetworkRun, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(network, "PULL_LIMIT", 3_000)
        fault = Fault("endless zeros", 4, 0)  # the targets
        assert any("never ends" in violation.detail for violation in narrow.judge(fault)[1])

    def test_without_looking_at_ranges(self, narrow: NetworkRun, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(asking, "_check_range", lambda *_: None)
        fault = Fault("part of other bytes", narrow.bundle, 0)
        assert narrow.judge(fault)[1] == [], "the digests refuse them all the same"


def _hashlib_that_agrees() -> object:
    put: dict[str, object] = {}
    without_hash_checks(lambda module, name, value: put.setdefault("hashlib", value))
    return put["hashlib"]


def test_a_deflate_bomb_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    """Signed, so that only the codec's own limits stand in its way; and what is right comes after it."""
    site = network.SCENARIOS[0].site()
    site.lay_out(tmp_path / "cache")
    squeezer = zlib.compressobj(9, wbits=-15)
    bomb = squeezer.compress(bytes(400 << 20)) + squeezer.flush()
    honest = sealed_model(b"fake model: 0.5" + b" " * 3000, release=3, version="3.0.0")
    assert honest.entry.codec == "deflate"
    segments = segment_list(bomb)
    entry = replace(
        honest.entry, plain_length=90 * len(bomb), segments_sha256=hashlib.sha256(segments).hexdigest()
    )
    site.repository.publish(replace(honest, served=bomb, segments=segments, entry=entry))
    tracemalloc.start()
    with site.open(tmp_path / "cache") as client, pytest.raises(VerificationError):
        client.update(MODEL)
    assert tracemalloc.get_traced_memory()[1] < 4 * entry.plain_length < 400 << 20
    tracemalloc.stop()
    assert state_of(tmp_path / "cache").models[MODEL].active.entry.release == 1
    site.news(site.model(4))
    assert judged(site, tmp_path / "cache", Promise()) == []


# -- real sockets ------------------------------------------------------------------------------------------

Reply = Callable[[socket.socket, bytes], None]


def _said(data: bytes, *lines: str, status: str = "200 OK", length: int | None = None) -> bytes:
    head = [f"HTTP/1.1 {status}", *lines, f"Content-Length: {len(data) if length is None else length}"]
    return "\r\n".join([*head, "Connection: close", "", ""]).encode() + data


def _honest(connection: socket.socket, data: bytes) -> None:
    connection.sendall(_said(data))


def _reset(connection: socket.socket, data: bytes) -> None:
    connection.sendall(_said(data)[: -len(data) // 2])
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _ends_early(connection: socket.socket, data: bytes) -> None:
    connection.sendall(_said(data[: len(data) // 2], length=len(data)))


def _garbage(connection: socket.socket, data: bytes) -> None:
    connection.sendall(b"\x16\x03\x01\x00\xee this is no HTTP\r\n\r\n" + data)


def _silent(connection: socket.socket, data: bytes) -> None:
    connection.sendall(_said(data)[:-1])
    connection.recv(1)  # until the other side gives up


def _endless(connection: socket.socket, data: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:  # until the other side has had enough
        connection.sendall(b"10000\r\n" + bytes(65_536) + b"\r\n")


def _login(connection: socket.socket, data: bytes) -> None:
    connection.sendall(_said(b"<html>Log in</html>", "Content-Type: text/html"))


def _redirected(connection: socket.socket, data: bytes) -> None:
    connection.sendall(_said(b"", "Location: http://login.example.net/", status="302 Found"))


def _deflated(connection: socket.socket, data: bytes) -> None:
    connection.sendall(_said(zlib.compress(bytes(1 << 20)), "Content-Encoding: deflate"))


def _long_headers(connection: socket.socket, data: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n" + b"X-Filler: " + b"x" * 100_000 + b"\r\n\r\n")


class RawServer:
    """Serves a repository on a real socket; the answers to ``path`` are spoilt."""

    def __init__(self, files: Mapping[str, bytes], path: str, spoil: Reply) -> None:
        self.files, self.path, self.spoil = files, path, spoil
        self.spoilt = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection = self._listener.accept()[0]
            with connection:
                try:
                    path = connection.recv(65_536).split(b" ")[1].decode()
                    if path == "/end":
                        return
                    data = self.files.get(path)
                    if data is None:
                        connection.sendall(_said(b"", status="404 Not Found"))
                    elif path == self.path:
                        self.spoilt += 1
                        self.spoil(connection, data)
                    else:
                        _honest(connection, data)
                except OSError:
                    pass  # the other side went away, as it may

    def close(self) -> None:
        with socket.create_connection(self._listener.getsockname()) as last:
            last.sendall(b"GET /end HTTP/1.1\r\n\r\n")
        self._thread.join()
        self._listener.close()


class Towards:
    """A real transport to the server on this machine, under the name that the site uses."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._inner = HttpTransport(HttpLimits(connect_s=20, answer_s=20, read_s=0.2))

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        body: bytes | None = None,
        elsewhere: bool = False,
    ) -> Answer:
        moved = url.replace(SERVER, self._url)
        return self._inner.request(method, moved, headers=headers, body=body, elsewhere=elsewhere)

    def close(self) -> None:
        self._inner.close()


@pytest.fixture(scope="module")
def upgrade() -> Site:
    return network.SCENARIOS[0].site()


@pytest.fixture
def served(upgrade: Site, socket_enabled: None) -> Iterator[Callable[[str, Reply], RawServer]]:
    servers: list[RawServer] = []
    files = {path: data for path, data in upgrade.repository.files.items() if isinstance(data, bytes)}

    def serve(path: str, spoil: Reply) -> RawServer:
        servers.append(RawServer(files, path, spoil))
        return servers[-1]

    yield serve
    for server in servers:
        server.close()


@pytest.mark.loopback
@pytest.mark.parametrize("what", ["timestamp", "directives", "bundle"])
@pytest.mark.parametrize(
    "spoil",
    [_reset, _ends_early, _garbage, _silent, _endless, _login, _redirected, _deflated, _long_headers],
    ids=lambda spoil: spoil.__name__.lstrip("_"),
)
def test_real_sockets(
    what: str, spoil: Reply, upgrade: Site, served: Callable[[str, Reply], RawServer], tmp_path: Path
) -> None:
    site, folder = upgrade, tmp_path / "cache"
    new = next(s for s in site.repository.sealed.values() if s.entry.release == site.goal)
    path = {
        "timestamp": "/metadata/timestamp.json",
        "directives": "/v1/directives",
        "bundle": f"/v1/bundles/{new.sha256}",
    }[what]
    server = served(path, spoil)
    site.lay_out(folder)
    transport = Towards(server.url)
    promise = Promise()
    try:
        with site.open(folder, transport=transport) as client:
            client.update(MODEL)
            promise = Promise(state_of(folder))
    except EdgeError:
        pass
    transport.close()
    assert server.spoilt >= 1
    assert promise.release in (0, site.had), "it cannot have come"
    assert judged(site, folder, promise) == []


@pytest.mark.loopback
def test_the_server_is_one_when_nothing_is_spoilt(
    upgrade: Site, served: Callable[[str, Reply], RawServer], tmp_path: Path
) -> None:
    upgrade.lay_out(tmp_path / "cache")
    server = served("/v1/directives", _honest)
    transport = Towards(server.url)
    with upgrade.open(tmp_path / "cache", transport=transport) as client:
        assert client.update(MODEL).release == upgrade.goal
    transport.close()
