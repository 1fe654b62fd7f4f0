"""The real transport against a server on this machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from tuf.api.exceptions import DownloadError, DownloadHTTPError

from device_tests.simulator.models import fake_model
from edge_sdk import RefreshStatus, RetryLater, UpdateStatus, VerificationError
from edge_sdk.update import connections
from edge_sdk.update.fetching import TufFetcher
from edge_sdk.update.http import USER_AGENT, HttpLimits, HttpTransport
from edge_sdk.update.transport import Offline
from tests.edge_sdk.conftest import MODEL, Device

pytestmark = pytest.mark.loopback

Reply = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """Answers by path; ``seen`` holds the headers of each request, ``ports`` where it came from."""

    def __init__(self) -> None:
        self.answers: dict[str, Reply] = {}
        self.seen: list[dict[str, str]] = []
        self.ports: list[int] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.seen.append(dict(self.headers))
                outer.ports.append(self.client_address[1])
                outer.answers.get(self.path, status(404))(self)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def whole(transport: HttpTransport, url: str) -> bytes:
    with transport.request("GET", url) as answer:
        assert answer.status == 200
        return b"".join(answer.pieces())


def body(data: bytes, announced: int | None = None) -> Reply:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data) if announced is None else announced))
        handler.end_headers()
        handler.wfile.write(data)
        handler.close_connection = announced is not None

    return answer


def status(code: int, **headers: str) -> Reply:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


@pytest.fixture
def server(socket_enabled: None) -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def storage(socket_enabled: None) -> Iterator[Server]:
    """Another origin."""
    server = Server()
    yield server
    server.close()


@pytest.fixture
def transport(server: Server) -> Iterator[HttpTransport]:
    transport = HttpTransport(HttpLimits(connect_s=5, read_s=5))
    yield transport
    transport.close()


def test_the_whole_way(server: Server, device: Device) -> None:
    device.repository.publish(fake_model(0.2, 2))
    for path, data in device.repository.files.items():
        assert isinstance(data, bytes)
        server.answers[path] = body(data)
    client = device.open(server=server.url + "/", transport=None)
    assert client.update(MODEL).status is UpdateStatus.INSTALLED
    assert device.predicts()[0] == 2
    assert {headers["User-Agent"] for headers in server.seen} == {USER_AGENT}
    assert {headers["Accept-Encoding"] for headers in server.seen} == {"identity"}


def test_a_bundle_that_breaks_off(server: Server, device: Device) -> None:
    new = fake_model(0.2, 2)
    device.repository.publish(new)
    for path, data in device.repository.files.items():
        assert isinstance(data, bytes)
        server.answers[path] = body(data)
    client = device.open(server=server.url, transport=None)
    server.answers[f"/v1/bundles/{new.sha256}"] = body(new.served[:100])
    with pytest.raises(RetryLater, match="ended after 100 of"):
        client.update(MODEL)
    server.answers[f"/v1/bundles/{new.sha256}"] = body(new.served[:100], announced=len(new.served))
    assert client.update(MODEL).status is UpdateStatus.OFFLINE
    assert device.predicts()[0] == 1


def test_nobody_listens(server: Server, device: Device) -> None:
    server.close()
    refreshed = device.open(server=server.url, transport=None).refresh()
    assert refreshed.status is RefreshStatus.OFFLINE
    assert "no connection" in refreshed.detail
    assert "refused" in refreshed.detail
    server.__init__()  # type: ignore[misc]  # for the fixture to close


def test_same_origin_redirects_are_followed(server: Server, transport: HttpTransport) -> None:
    server.answers = {"/a": status(302, Location="/b"), "/b": status(307, Location="/c"), "/c": body(b"here")}
    assert whole(transport, f"{server.url}/a") == b"here"


@pytest.mark.parametrize(
    "target", ["http://localhost:{port}/b", "https://127.0.0.1:{port}/b", "//example.org/b"]
)
def test_other_redirects_are_not(server: Server, transport: HttpTransport, target: str) -> None:
    server.answers = {"/a": status(302, Location=target.format(port=server.url.rpartition(":")[2]))}
    with pytest.raises(Offline, match="redirects to another server"):
        whole(transport, f"{server.url}/a")
    assert len(server.seen) == 1


def test_a_bundle_may_lie_in_storage_and_nothing_else(
    server: Server, storage: Server, device: Device
) -> None:
    new = fake_model(0.2, 2)
    device.repository.publish(new)
    for path, data in device.repository.files.items():
        assert isinstance(data, bytes)
        server.answers[path] = body(data)
    server.answers[f"/v1/bundles/{new.sha256}"] = status(302, Location=f"{storage.url}/kept/here?signature=1")
    storage.answers = {
        "/kept/here?signature=1": status(307, Location="there"),
        "/kept/there": body(new.served),
    }
    client = device.open(server=server.url, transport=None)
    for moved in ("/metadata/timestamp.json", "/v1/directives"):
        honest = server.answers[moved]
        data = device.repository.files[moved]
        assert isinstance(data, bytes)
        storage.answers[moved] = body(data)
        server.answers[moved] = status(302, Location=storage.url + moved)
        refreshed = client.refresh()
        assert refreshed.status is RefreshStatus.OFFLINE
        assert "redirects to another server" in refreshed.detail
        server.answers[moved] = honest
    assert storage.seen == []
    assert client.update(MODEL).status is UpdateStatus.INSTALLED
    assert device.predicts()[0] == 2
    assert len(storage.seen) == 2
    named = {name.lower() for headers in server.seen + storage.seen for name in headers}
    assert not named & {"authorization", "cookie", "referer"}


def test_storage_with_other_bytes_is_refused(server: Server, storage: Server, device: Device) -> None:
    new = fake_model(0.2, 2)
    device.repository.publish(new)
    for path, data in device.repository.files.items():
        assert isinstance(data, bytes)
        server.answers[path] = body(data)
    server.answers[f"/v1/bundles/{new.sha256}"] = status(302, Location=f"{storage.url}/kept")
    storage.answers = {"/kept": body(b"x" * len(new.served))}
    with pytest.raises(VerificationError, match="other bytes than the signed ones"):
        device.open(server=server.url, transport=None).update(MODEL)
    assert device.predicts()[0] == 1


def test_redirects_in_a_circle_end(server: Server, transport: HttpTransport) -> None:
    server.answers = {"/a": status(302, Location="/a")}
    assert transport.request("GET", f"{server.url}/a").status == 302
    assert len(server.seen) == 4


@pytest.mark.parametrize("code", [204, 206, 304, 403, 404, 500])
def test_anything_but_200_is_an_error_for_tuf(server: Server, transport: HttpTransport, code: int) -> None:
    server.answers = {"/a": status(code)}
    with pytest.raises(DownloadHTTPError) as caught:
        TufFetcher(transport).download_bytes(f"{server.url}/a", 10)
    assert caught.value.status_code == code


def test_a_connection_with_an_unread_rest_is_not_used_again(server: Server, transport: HttpTransport) -> None:
    server.answers = {"/long": body(b"x" * 1_000_000), "/short": body(b"short")}
    with pytest.raises(DownloadError, match="more than the 100 bytes allowed"):
        TufFetcher(transport).download_bytes(f"{server.url}/long", 100)
    assert whole(transport, f"{server.url}/short") == b"short"


def test_a_byte_now_and_then_is_given_up(server: Server) -> None:
    times, released = iter(range(0, 10_000, 40)), threading.Event()

    def trickle(handler: BaseHTTPRequestHandler) -> None:
        body(b"x" * 10, announced=100)(handler)
        handler.wfile.flush()
        assert released.wait(60)

    transport = HttpTransport(HttpLimits(read_s=20), clock=lambda: float(next(times)))
    server.answers = {"/a": trickle}
    with pytest.raises(Offline, match="10 bytes in 40 s"):
        whole(transport, f"{server.url}/a")
    released.set()
    transport.close()


def test_chunked_bodies(server: Server, transport: HttpTransport) -> None:
    def chunks(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for piece in (b"4\r\nabcd\r\n", b"3\r\nefg\r\n", b"0\r\n\r\n"):
            handler.wfile.write(piece)

    def broken_off(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"4\r\nabcd\r\n9\r\nefg")
        handler.close_connection = True

    server.answers = {"/a": chunks, "/b": broken_off}
    assert whole(transport, f"{server.url}/a") == b"abcdefg"
    with pytest.raises(Offline):
        whole(transport, f"{server.url}/b")


def test_silence_is_given_up(server: Server) -> None:
    released = threading.Event()

    def silence(handler: BaseHTTPRequestHandler) -> None:
        assert released.wait(30)

    server.answers = {"/a": silence}
    transport = HttpTransport(HttpLimits(read_s=0.05))
    with pytest.raises(Offline, match="no answer in time"):
        whole(transport, f"{server.url}/a")
    released.set()
    transport.close()


def trickle(head: bytes, drop: bytes, left: threading.Event, drops: int = 3_000) -> Reply:
    """Sends ``head``, then one ``drop`` after the other, each in time for a socket; ends when nobody reads."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        try:
            handler.wfile.write(head)
            for _ in range(drops):
                handler.wfile.write(drop)
                handler.wfile.flush()
                if left.wait(0.01):
                    return
        except OSError:
            left.set()

    return answer


ENDLESS = {
    "a status line": (b"", b"H"),
    "one header": (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX: ", b"x"),
    "provisional answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "the size of a chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x"),
    "a trailer": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ", b"x"),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_trickling_anything_but_the_body_is_given_up(server: Server, kind: str) -> None:
    left, threads = threading.Event(), set(threading.enumerate())
    server.answers = {"/a": trickle(*ENDLESS[kind], left)}
    in_headers = "chunk" not in kind and "trailer" not in kind
    transport = HttpTransport(HttpLimits(answer_s=0.2) if in_headers else HttpLimits(read_s=0.2))
    with pytest.raises(Offline, match="no answer in time"):
        whole(transport, f"{server.url}/a")
    transport.close()
    assert left.wait(60), "the socket was closed"
    new = {thread.name for thread in set(threading.enumerate()) - threads}
    assert [name for name in new if "process_request_thread" not in name] == [], "other than the server's"


def test_a_server_that_trickles_headers_does_not_keep_the_lock(server: Server, device: Device) -> None:
    left = threading.Event()
    server.answers = {"/metadata/2.root.json": trickle(*ENDLESS["one header"], left)}
    client = device.open(server=server.url, transport=HttpTransport(HttpLimits(answer_s=0.2)))
    assert client.refresh().status is RefreshStatus.OFFLINE
    with device.open()._cache.updating():
        assert device.predicts()[0] == 1


def test_the_deadline_of_an_answer_is_not_that_of_its_body(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a slow body nor a second request over the same connection is held to the first one's headers."""
    asked, passed, monotonic = threading.Event(), [0.0], time.monotonic

    def slowly(handler: BaseHTTPRequestHandler) -> None:
        body(b"x" * 10, announced=20)(handler)
        handler.wfile.flush()
        assert asked.wait(60)
        handler.wfile.write(b"y" * 10)
        handler.close_connection = False

    monkeypatch.setattr(connections, "time", SimpleNamespace(monotonic=lambda: monotonic() + passed[0]))
    server.answers = {"/a": slowly, "/b": body(b"again")}
    transport = HttpTransport(HttpLimits(answer_s=60, read_s=60))
    pieces = transport.request("GET", f"{server.url}/a").pieces()
    assert next(pieces) == b"x" * 10
    passed[0] = 1_000.0
    asked.set()
    assert b"".join(pieces) == b"y" * 10
    assert whole(transport, f"{server.url}/b") == b"again"
    assert len(set(server.ports)) == 1, "one connection for both"
    transport.close()
