"""How the device side speaks HTTP: one request, one answer. What does so in earnest is in ``http``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType, TracebackType
from typing import Final, Protocol

from edge_sdk.errors import EdgeError, NotAvailable, RetryLater

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class Offline(RetryLater):
    """No answer, or none that is about the request: no network, a busy server, a portal in between.

    Attributes:
        retry_after: the header of that name, where the server sent one.
    """

    def __init__(self, message: str, retry_after: str | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Intercepted(Offline):
    """Something on the way answered in the server's place. It takes the user, or another network, to get past it."""


_BUSY: Final = frozenset({408, 425, 429})
_LOG_IN: Final = 511


def refusal(what: str, status: int, retry_after: str | None = None) -> EdgeError:
    """The error that a status other than the expected one means; ``what`` names what was asked for."""
    if status == _LOG_IN:
        return Intercepted(f"{what}: this network wants a login first (HTTP {status})")
    if status in _BUSY or status >= 500:
        return Offline(f"{what}: the server answers HTTP {status}; try again later", retry_after)
    return NotAvailable(f"{what}: the server answers HTTP {status}; check its address, or publish first")


class Answer:
    """The answer to one request; a context manager that lets go of the connection.

    Args:
        status: of HTTP.
        headers: their names in any case.
        pieces: the body as it comes, neither decoded nor gathered; it raises :class:`Offline` where it breaks off.
        close: lets go of the connection.
    """

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        pieces: Iterator[bytes],
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self.status = status
        self._headers = {name.lower(): value for name, value in headers.items()}
        self._pieces = pieces
        self._close = close

    def header(self, name: str) -> str | None:
        """The value of a header; None where it was not sent."""
        return self._headers.get(name.lower())

    def pieces(self) -> Iterator[bytes]:
        """The body, once.

        Raises:
            Offline: it breaks off, or comes too slowly.
        """
        return self._pieces

    def close(self) -> None:
        """Let go of the connection, whatever is left of the body."""
        self._close()

    def __enter__(self) -> Answer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Transport(Protocol):
    """Reaches a server."""

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        body: bytes | None = None,
        elsewhere: bool = False,
    ) -> Answer:
        """Ask, and return once status and headers are here.

        Args:
            method: of HTTP.
            url: what for.
            headers: of the request.
            body: of the request.
            elsewhere: the bytes asked for have a known digest: the server may redirect to where they are stored,
                over HTTPS. Otherwise only redirects on the same origin are followed, and those of GET only.

        Raises:
            Offline: no answer, or a redirect that is not to be followed.
        """
        ...  # pragma: no cover


def check_untouched(url: str, answer: Answer) -> None:
    """Refuse an answer that something on the way has made or changed.

    Raises:
        Intercepted: a page (the login of a public network), or compressed though nobody asked for that.
    """
    kind = (answer.header("Content-Type") or "").partition(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml"):
        raise Intercepted(f"{url}: a web page came instead; log in to this network first, or try another one")
    coding = (answer.header("Content-Encoding") or "identity").strip().lower()
    if coding != "identity":
        raise Intercepted(f"{url}: something on the way compresses ({coding}); try another network")
