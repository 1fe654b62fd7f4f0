"""A server on this machine that speaks to three clients, and fails where a plan says so.

It has the same bytes for all: for ours and for python-tuf the files of a repository (device_tests.simulator), for
huggingface_hub as much of the Hub's download interface as that client asks for.
"""

from __future__ import annotations

import hashlib
import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from model_server.ranges import parse_range

HUB_FILE: Final = "/bench/model/resolve/main/model.bundle"
"""Where the Hub's client looks for the file ``model.bundle`` of the repository ``bench/model``."""

_PIECE: Final = 1 << 16


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one answer that has the bundle in it.

    Attributes:
        kind: ``reset``, ``truncate``, ``stall`` or ``damage`` at a byte of the bundle; ``busy`` is HTTP 503.
        at: which byte.
    """

    kind: str
    at: int = 0


@dataclass
class Site:
    """What is served.

    Attributes:
        files: by path.
        commit: of the Hub's repository: 40 hexadecimal digits.
        bundle: the file that faults happen to, under whichever path.
        bytes_per_s: how fast the link is; 0 where nothing but the machine sets a limit.
        faults: for the next answers with it, one each.
        sent: bytes of it that were sent.
        reached: set where a stall or a hold begins.
    """

    files: Mapping[str, bytes]
    commit: str
    bundle: bytes
    bytes_per_s: int = 0
    faults: list[Fault] = field(default_factory=list)
    sent: int = 0
    reached: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)
    tags: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        # Ahead of time: whoever asks twice would wait for two digests of 10 MB.
        self.tags = {path: f'"{hashlib.sha256(data).hexdigest()}"' for path, data in self.files.items()}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a body after its headers would wait 40 ms for an acknowledgement
    site: Site

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def _answer(self, with_body: bool) -> None:
        path = self.path.partition("?")[0]
        data = self.site.files.get(path)
        if data is None:
            self._status(404)
            return
        etag = self.site.tags[path]
        faulty = with_body and data is self.site.bundle and self.site.faults
        fault = self.site.faults.pop(0) if faulty else None
        if fault is not None and fault.kind == "busy":
            self._status(503)
            return
        if self.headers["If-None-Match"] == etag:
            self._status(304)
            return
        part = parse_range(self.headers["Range"], len(data))
        start, stop = part or (0, len(data))
        self.send_response(200 if part is None else 206)
        if part is not None:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        for name, value in (
            ("Content-Length", str(stop - start)),
            ("Content-Type", "application/octet-stream"),
            ("Accept-Ranges", "bytes"),
            ("ETag", etag),
            ("X-Repo-Commit", self.site.commit),
            ("X-Linked-Size", str(len(data))),
            ("X-Linked-Etag", etag),
        ):
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self._send(data, start, stop, fault)

    def _status(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, data: bytes, start: int, stop: int, fault: Fault | None) -> None:
        whole = memoryview(data)
        if fault is not None and fault.kind == "damage":
            changed = bytearray(data)
            changed[fault.at] ^= 1
            whole = memoryview(changed)
        end = max(min(stop, fault.at), start) if fault and fault.kind != "damage" else stop
        begun, rate = time.monotonic(), self.site.bytes_per_s
        try:
            for at in range(start, end, _PIECE):
                piece = whole[at : min(at + _PIECE, end)]
                if rate:
                    time.sleep(max(begun + (at + len(piece) - start) / rate - time.monotonic(), 0))
                self.wfile.write(piece)
                if data is self.site.bundle:
                    self.site.sent += len(piece)
        except OSError:  # the client is gone
            self.close_connection = True
            return
        if end == stop:
            return
        assert fault is not None
        self.close_connection = True
        if fault.kind == "stall":
            self.site.reached.set()
            self.site.over.wait(60)
        if fault.kind == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that is gone is no error here: that is what these benches are about."""


@contextmanager
def serving(site: Site) -> Iterator[str]:
    """Serve a site for the length of the block; its URL."""
    handler = type("Handler", (_Handler,), {"site": site})
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="bench-server")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        site.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
