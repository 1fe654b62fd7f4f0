"""``edge fetch`` from real servers, interrupted while the server stalls, and portals in the way of the client."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from device_tests.simulator.models import fake_model, sealed_model
from device_tests.simulator.repository import Repository
from device_tests.simulator.tflite_writer import dense_tflite
from edge_sdk import HttpLimits, RefreshStatus, RetryPolicy, UpdatePolicy, UpdateStatus
from edge_sdk.runtime import engine_named
from tests.edge_sdk.conftest import MODEL, Device

pytestmark = [pytest.mark.loopback, pytest.mark.usefixtures("socket_enabled")]

PATIENCE_S = 60


class Stalling:
    """Serves a repository; says nothing more after ``after`` bytes of a bundle, while it is set.

    Attributes:
        stalled: set once it says nothing more.
        looking: never set: for who looks again and again.
        ranges: asked for, of bundles.
    """

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self.after: int | None = None
        self.stalled = threading.Event()
        self.ranges: list[str | None] = []
        self.looking = threading.Event()
        self._over = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer._answer(self)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        data = self.repository.files.get(handler.path)
        if not isinstance(data, bytes):
            handler.send_error(404)
            return
        asked, start = handler.headers["Range"], 0
        if handler.path.startswith("/v1/bundles/"):
            self.ranges.append(asked)
        if asked:
            start = int(asked.removeprefix("bytes=").split("-")[0])
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            handler.send_response(200)
        handler.send_header("Content-Length", str(len(data) - start))
        handler.end_headers()
        if self.after is None or not handler.path.startswith("/v1/bundles/"):
            handler.wfile.write(data[start:])
            return
        handler.wfile.write(data[start : self.after])
        self.stalled.set()
        self._over.wait(PATIENCE_S)

    def close(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def stalling(repository: Repository) -> Iterator[Stalling]:
    server = Stalling(repository)
    yield server
    server.close()


def test_ctrl_c_leaves_what_came_and_one_line(stalling: Stalling, tmp_path: Path) -> None:
    sealed = sealed_model(dense_tflite((3, 64, 1)), engine=engine_named("litert"))
    stalling.repository.publish(sealed)
    (tmp_path / "root.json").write_bytes(stalling.repository.root)
    command = [sys.executable, "-m", "coach_edge", "fetch", MODEL, "--server", stalling.url]
    command += ["--root", "root.json", "--cache", "cache"]
    stalling.after = 700
    # A child inherits what is ignored, and a shell ignores this signal for what it starts in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as running:
        assert stalling.stalled.wait(PATIENCE_S)
        kept = tmp_path / "cache" / "partial"
        while not any(path.stat().st_size == 700 for path in kept.iterdir()):
            assert running.poll() is None
            stalling.looking.wait(0.01)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=PATIENCE_S)
    assert running.returncode == 130
    assert said.strip() == (
        f"edge: {MODEL}: stopped; what came is kept, and the same command goes on from there"
    )
    assert [path.name for path in kept.iterdir()] == [sealed.sha256]
    stalling.after = None
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    assert stalling.ranges[-1] == f"bytes=700-{len(sealed.served) - 1}"


def test_close_does_not_wait_for_a_server_that_stalls(stalling: Stalling, device: Device) -> None:
    device.repository.publish(fake_model(0.2, 2))
    stalling.after = 300
    limits = HttpLimits(read_s=3_600, answer_s=3_600)
    client = device.open(server=stalling.url, transport=None, limits=limits)
    client.update(MODEL, UpdatePolicy.LOCAL_UPDATE_IN_BACKGROUND)
    assert stalling.stalled.wait(PATIENCE_S)
    client.close()
    assert client.wait()[MODEL].status is UpdateStatus.CANCELLED


def test_the_lowest_rate_is_set_where_the_client_is_opened(stalling: Stalling, device: Device) -> None:
    device.repository.publish(fake_model(0.2, 2))
    limits = HttpLimits(grace_s=0.0, slowest_bytes_per_s=1e12)
    retry = RetryPolicy(tries=1)
    client = device.open(server=stalling.url, transport=None, limits=limits, retry=retry)
    done = client.update(MODEL)
    assert done.status is UpdateStatus.OFFLINE
    assert re.search(r"too slow: \d+ bytes in 0 s", done.detail)
    assert client.refresh().status is RefreshStatus.OFFLINE
    assert device.open(server=stalling.url, transport=None).update(MODEL).release == 2
