"""HTTP with deadlines, careful redirects and nothing decoded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Mapping
from ipaddress import ip_address
from typing import Final, cast
from urllib.parse import urljoin, urlsplit

import urllib3

from edge_sdk.contract.directives import RUNTIME
from edge_sdk.update.connections import TimedConnection, timed_pools
from edge_sdk.update.limits import HttpLimits
from edge_sdk.update.transport import NO_HEADERS, Answer, Intercepted, Offline

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
USER_AGENT: Final = f"coach-edge-sdk/{RUNTIME}"


class HttpTransport:
    """HTTP(S) with the system's certificates.

    Bodies are taken as they are, never decompressed. A redirect to another origin is refused: what is behind
    it is not the server that the app named (often the login page of a public network), unless the request says
    that the bytes may lie elsewhere. No request carries credentials of its own.
    """

    def __init__(
        self, limits: HttpLimits | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limits = limits or HttpLimits()
        self._clock = clock
        self._closed = threading.Event()
        self._pool = timed_pools(
            self._limits.answer_s,
            self._limits.read_s,
            self._closed.is_set,
            timeout=urllib3.Timeout(connect=self._limits.connect_s, read=self._limits.read_s),
            retries=False,
        )

    def close(self) -> None:
        """Close the connections; whoever waits for an answer gets none."""
        self._closed.set()
        self._pool.clear()

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        body: bytes | None = None,
        elsewhere: bool = False,
    ) -> Answer:
        """See :meth:`edge_sdk.update.transport.Transport.request`."""
        start = self._clock()
        sent = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers}
        allowed = _as_private if elsewhere else _same_origin
        latest, response = url, self._open(method, url, sent, body)
        for _ in range(self._limits.redirects if method == "GET" else 0):
            location = response.headers.get("Location") if response.status in _REDIRECTS else None
            if location is None:
                break
            response.close()
            try:
                latest = urljoin(latest, location)
                obstacle = allowed(url, latest)
            except ValueError as error:  # of a URL that is none
                raise Intercepted(f"{url} redirects to {location!r}: {error}") from error
            if obstacle:
                raise Intercepted(f"{url} redirects to {obstacle}")
            response = self._open(method, latest, sent, body)
        pieces = self._pieces(url, response, start)

        def close() -> None:
            pieces.close()
            response.close()  # what is left of the body must not answer the next request

        return Answer(response.status, dict(response.headers), pieces, close)

    def _open(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> urllib3.BaseHTTPResponse:
        try:
            return self._pool.request(
                method, url, body=body, headers=headers, preload_content=False, redirect=False
            )
        except urllib3.exceptions.HTTPError as error:
            raise _translated(url, error) from error

    def _pieces(
        self, url: str, response: urllib3.BaseHTTPResponse, start: float
    ) -> Generator[bytes, None, None]:
        # Here and not in the caller: a guarantee around a lazy iterator must hold while it is iterated.
        limits, received = self._limits, 0
        connection = cast(TimedConnection, response.connection)
        connection.next_piece()
        try:
            # read1 and not stream: what trickles must be looked at as it comes, not once a piece is full.
            while piece := response.read1(limits.piece_bytes, decode_content=False):
                received += len(piece)
                elapsed = self._clock() - start
                if elapsed > limits.grace_s and received < elapsed * limits.slowest_bytes_per_s:
                    raise Offline(f"{url}: too slow: {received} bytes in {elapsed:.0f} s")
                yield piece
                connection.next_piece()
        except urllib3.exceptions.HTTPError as error:
            raise _translated(url, error) from error
        response.release_conn()


def _same_origin(url: str, target: str) -> str:
    return "" if _origin(target) == _origin(url) else "another server; a login page of the network, perhaps"


def _as_private(url: str, target: str) -> str:
    """HTTPS anywhere; plain HTTP only on the origin itself, or where a server on this machine is tried out."""
    begun, goes_to = _origin(url), _origin(target)
    if (
        goes_to[0] == "https"
        or goes_to == begun
        or (begun[0] == goes_to[0] == "http" and _is_loopback(begun[1]))
    ):
        return ""
    return "something that is not HTTPS; refused"


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def _translated(url: str, error: urllib3.exceptions.HTTPError) -> Offline:
    if isinstance(error, urllib3.exceptions.NewConnectionError):  # counts as a timeout there
        return Offline(f"{url}: no connection: {error.__cause__ or error}")
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return Offline(f"{url}: no answer in time")
    return Offline(f"{url}: {error}")
