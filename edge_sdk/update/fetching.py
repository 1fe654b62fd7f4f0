"""A transport as the fetcher that TUF's client asks for metadata."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError
from tuf.ngclient import FetcherInterface

from edge_sdk.errors import RetryLater
from edge_sdk.update.transport import Answer, Transport, check_untouched


class Refused(DownloadHTTPError):
    """An HTTP status other than 200.

    Attributes:
        retry_after: the header of that name, where the server sent one.
    """

    def __init__(self, url: str, status: int, retry_after: str | None) -> None:
        super().__init__(f"{url}: HTTP status {status}", status)
        self.retry_after = retry_after


class TufFetcher(FetcherInterface):
    """Fetches through a transport, from the server that was named and no other.

    Args:
        transport: how.
        check: called before each request and after each piece; it raises a RetryLater where all is to end.

    Attributes:
        known: bytes that are here already, by URL: they are asked for only if the server has others, by the
            entity tag that it gives to bytes (their SHA-256).
    """

    def __init__(self, transport: Transport, check: Callable[[], None] = lambda: None) -> None:
        self._transport, self._check = transport, check
        self.known: dict[str, bytes] = {}

    def _fetch(self, url: str) -> Iterator[bytes]:
        known = self.known.get(url)
        tag = {} if known is None else {"If-None-Match": f'"{hashlib.sha256(known).hexdigest()}"'}
        try:
            self._check()
            answer = self._transport.request("GET", url, headers=tag)
        except RetryLater as error:
            raise DownloadError(str(error)) from error
        if answer.status == 304 and known is not None:
            answer.close()
            return iter((known,))
        if answer.status != 200:
            answer.close()
            raise Refused(url, answer.status, answer.header("Retry-After"))
        return self._pieces(url, answer)

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """In memory, where the inherited one goes through a file in the system's temporary folder."""
        data = bytearray()
        for piece in self.fetch(url):
            data += piece
            if len(data) > max_length:
                raise DownloadLengthMismatchError(f"{url}: more than the {max_length} bytes allowed")
        return bytes(data)

    def _pieces(self, url: str, answer: Answer) -> Iterator[bytes]:
        # Here and not in the caller: a guarantee around a lazy iterator must hold while it is iterated.
        try:
            with answer:
                check_untouched(url, answer)
                for piece in answer.pieces():
                    self._check()
                    yield piece
        except RetryLater as error:
            raise DownloadError(str(error)) from error
