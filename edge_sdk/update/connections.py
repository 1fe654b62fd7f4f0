"""HTTP connections on which waiting ends, however little comes and however often.

The timeout of a socket counts anew with every byte. A server that sends one now and then, in the middle of a
line, would never be timed out: neither in its headers nor between the chunks of a body.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection


def timed_pools(answer_s: float, read_s: float, **settings: Any) -> PoolManager:
    """A pool manager whose connections give up.

    Args:
        answer_s: from the beginning of a request to the end of the answer's headers, connecting included. Asking
            for the address, and trying several, ends by the system's and the connection's own timeouts.
        read_s: between two pieces of the body; see :meth:`TimedConnection.next_piece`.
        settings: for the pool manager.
    """

    class Http(TimedConnection):
        limits = (answer_s, read_s)

    class Https(TimedConnection, HTTPSConnection):
        limits = (answer_s, read_s)

    class HttpPool(HTTPConnectionPool):
        ConnectionCls = Http

    class HttpsPool(HTTPSConnectionPool):
        ConnectionCls = Https

    manager = PoolManager(**settings)
    manager.pool_classes_by_scheme = {"http": HttpPool, "https": HttpsPool}
    return manager


class TimedConnection(HTTPConnection):
    """A connection with deadlines in place of patience; ``limits`` are ``answer_s`` and ``read_s``."""

    limits: tuple[float, float]
    _until: float | None = None
    _incoming: _Incoming | None = None

    def connect(self) -> None:
        """Begin, where the connection does not stand yet."""
        self._begin()
        super().connect()

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Begin, where it stands already."""
        self._begin()
        super().request(*args, **kwargs)

    def _begin(self) -> None:
        if self._until is None:
            self._until = time.monotonic() + self.limits[0]

    def response_class(  # type: ignore[override]  # what makes an answer: a class there, a method here
        self, sock: socket.socket, *args: Any, **kwargs: Any
    ) -> http.client.HTTPResponse:
        """The answer, whose headers are to be read."""
        assert self._until is not None
        self._incoming = _Incoming(sock, self._until, self.limits[1])
        self._until = None
        return http.client.HTTPResponse(self._incoming, *args, **kwargs)  # type: ignore[arg-type]

    def next_piece(self) -> None:
        """Say that something of the body is asked for now."""
        assert self._incoming is not None
        self._incoming.deadline = time.monotonic() + self.limits[1]


class _Incoming(io.RawIOBase):
    """What comes from a socket until the deadline; in place of the socket where an answer is read."""

    def __init__(self, sock: socket.socket, deadline: float, patience: float) -> None:
        self._socket, self._raw = sock, sock.makefile("rb", buffering=0)
        self._patience = patience
        self.deadline = deadline

    def makefile(self, mode: str) -> io.BufferedReader:
        """As of a socket; called once."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """As of any raw stream, in time or not at all."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        self._socket.settimeout(min(left, self._patience))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        """Let go of the socket, which closes when nothing else holds it."""
        self._raw.close()
        super().close()
