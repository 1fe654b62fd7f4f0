"""The real fetcher against a server on this machine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from tuf.api.exceptions import DownloadError, DownloadHTTPError, SlowRetrievalError

from edge_sdk import RefreshStatus, RetryLater, UpdateStatus
from edge_sdk.update.fetching import USER_AGENT, HttpFetcher, HttpLimits
from tests.edge_sdk.conftest import MODEL, Device
from tests.edge_sdk.models import fake_model

pytestmark = pytest.mark.loopback

Answer = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """Answers by path; ``seen`` holds the headers of each request."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.seen: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.seen.append(dict(self.headers))
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


def body(data: bytes, announced: int | None = None) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data) if announced is None else announced))
        handler.end_headers()
        handler.wfile.write(data)
        handler.close_connection = announced is not None

    return answer


def status(code: int, **headers: str) -> Answer:
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
def fetcher(server: Server) -> Iterator[HttpFetcher]:
    fetcher = HttpFetcher(HttpLimits(connect_s=5, read_s=5))
    yield fetcher
    fetcher.close()


def test_the_whole_way(server: Server, device: Device) -> None:
    device.repository.publish(fake_model(0.2, 2))
    for path, data in device.repository.files.items():
        assert isinstance(data, bytes)
        server.answers[path] = body(data)
    client = device.open(server=server.url + "/", fetcher=None)
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
    client = device.open(server=server.url, fetcher=None)
    server.answers[f"/v1/bundles/{new.sha256}"] = body(new.served[:100])
    with pytest.raises(RetryLater, match="ended after 100 of"):
        client.update(MODEL)
    server.answers[f"/v1/bundles/{new.sha256}"] = body(new.served[:100], announced=len(new.served))
    assert client.update(MODEL).status is UpdateStatus.OFFLINE
    assert device.predicts()[0] == 1


def test_nobody_listens(server: Server, device: Device) -> None:
    server.close()
    refreshed = device.open(server=server.url, fetcher=None).refresh()
    assert refreshed.status is RefreshStatus.OFFLINE
    assert "no connection" in refreshed.detail
    assert "refused" in refreshed.detail
    server.__init__()  # type: ignore[misc]  # for the fixture to close


def test_same_origin_redirects_are_followed(server: Server, fetcher: HttpFetcher) -> None:
    server.answers = {"/a": status(302, Location="/b"), "/b": status(307, Location="/c"), "/c": body(b"here")}
    assert fetcher.download_bytes(f"{server.url}/a", 10) == b"here"


@pytest.mark.parametrize(
    "target", ["http://localhost:{port}/b", "https://127.0.0.1:{port}/b", "//example.org/b"]
)
def test_other_redirects_are_not(server: Server, fetcher: HttpFetcher, target: str) -> None:
    server.answers = {"/a": status(302, Location=target.format(port=server.url.rpartition(":")[2]))}
    with pytest.raises(DownloadError, match="redirects to another server"):
        fetcher.download_bytes(f"{server.url}/a", 10)
    assert len(server.seen) == 1


def test_redirects_in_a_circle_end(server: Server, fetcher: HttpFetcher) -> None:
    server.answers = {"/a": status(302, Location="/a")}
    with pytest.raises(DownloadHTTPError):
        fetcher.download_bytes(f"{server.url}/a", 10)
    assert len(server.seen) == 4


@pytest.mark.parametrize("code", [204, 206, 304, 403, 404, 500])
def test_anything_but_200_is_an_error(server: Server, fetcher: HttpFetcher, code: int) -> None:
    server.answers = {"/a": status(code)}
    with pytest.raises(DownloadHTTPError) as caught:
        fetcher.download_bytes(f"{server.url}/a", 10)
    assert caught.value.status_code == code


def test_a_connection_with_an_unread_rest_is_not_used_again(server: Server, fetcher: HttpFetcher) -> None:
    server.answers = {"/long": body(b"x" * 1_000_000), "/short": body(b"short")}
    with pytest.raises(DownloadError, match="exceeding"):
        fetcher.download_bytes(f"{server.url}/long", 100)
    assert fetcher.download_bytes(f"{server.url}/short", 100) == b"short"


def test_a_byte_now_and_then_is_given_up(server: Server) -> None:
    times, released = iter(range(0, 10_000, 40)), threading.Event()

    def trickle(handler: BaseHTTPRequestHandler) -> None:
        body(b"x" * 10, announced=100)(handler)
        handler.wfile.flush()
        assert released.wait(60)

    fetcher = HttpFetcher(HttpLimits(read_s=20), clock=lambda: float(next(times)))
    server.answers = {"/a": trickle}
    with pytest.raises(SlowRetrievalError, match="10 bytes in 40 s"):
        fetcher.download_bytes(f"{server.url}/a", 1000)
    released.set()
    fetcher.close()


def test_chunked_bodies(server: Server, fetcher: HttpFetcher) -> None:
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
    assert fetcher.download_bytes(f"{server.url}/a", 10) == b"abcdefg"
    with pytest.raises(DownloadError):
        fetcher.download_bytes(f"{server.url}/b", 10)


def test_silence_is_given_up(server: Server) -> None:
    released = threading.Event()

    def silence(handler: BaseHTTPRequestHandler) -> None:
        assert released.wait(30)

    server.answers = {"/a": silence}
    fetcher = HttpFetcher(HttpLimits(read_s=0.05))
    with pytest.raises(SlowRetrievalError, match="no answer in time"):
        fetcher.download_bytes(f"{server.url}/a", 1000)
    released.set()
    fetcher.close()
