"""HTTP connections on which waiting ends, however little comes and however often.

The timeout of a socket counts anew with every byte. A server that sends one now and then, in the middle of a
line, would never be timed out: neither in its headers nor between the chunks of a body.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Callable
from typing import Any, Final

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

_LOOK_S: Final = 0.2
"""How often who waits for bytes looks whether somebody has ended it."""


def timed_pools(answer_s: float, read_s: float, is_over: Callable[[], bool], **settings: Any) -> PoolManager:
    """A pool manager whose connections give up.

    Args:
        answer_s: from the beginning of a request to the end of the answer's headers, connecting included. Asking
            for the address, and trying several, ends by the system's and the connection's own timeouts.
        read_s: between two pieces of the body; see :meth:`TimedConnection.next_piece`.
        is_over: whether nobody wants any answer any more.
        settings: for the pool manager.
    """

    class Http(TimedConnection):
        limits = (answer_s, read_s)
        ended = staticmethod(is_over)

    class Https(TimedConnection, HTTPSConnection):
        limits = (answer_s, read_s)
        ended = staticmethod(is_over)

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
    ended: Callable[[], bool]
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
        self._incoming = _Incoming(sock, self._until, self.limits[1], self.ended)
        self._until = None
        return http.client.HTTPResponse(self._incoming, *args, **kwargs)  # type: ignore[arg-type]

    def next_piece(self) -> None:
        """Say that something of the body is asked for now."""
        assert self._incoming is not None
        self._incoming.deadline = time.monotonic() + self.limits[1]


class _Incoming(io.RawIOBase):
    """What comes from a socket until the deadline; in place of the socket where an answer is read."""

    def __init__(
        self, sock: socket.socket, deadline: float, patience: float, ended: Callable[[], bool]
    ) -> None:
        # The raw file keeps the socket open and is never read: one timeout would end it.
        self._socket, self._raw = sock, sock.makefile("rb", buffering=0)
        self._patience, self._ended = patience, ended
        self.deadline = deadline

    def makefile(self, mode: str) -> io.BufferedReader:
        """As of a socket; called once."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """As of any raw stream, in time or not at all."""
        until = min(self.deadline, time.monotonic() + self._patience)
        while (left := until - time.monotonic()) > 0:
            if self._ended():
                raise ConnectionAbortedError("the client was closed")
            self._socket.settimeout(min(left, _LOOK_S))
            try:
                return self._socket.recv_into(buffer)
            except TimeoutError:
                continue
        raise TimeoutError("the deadline has passed")

    def close(self) -> None:
        """Let go of the socket, which closes when nothing else holds it."""
        self._raw.close()
        super().close()
