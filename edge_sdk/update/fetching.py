"""A transport as the fetcher that TUF's client asks for metadata."""

from __future__ import annotations

from collections.abc import Iterator

from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError
from tuf.ngclient import FetcherInterface

from edge_sdk.update.transport import Answer, Offline, Transport, check_untouched


class TufFetcher(FetcherInterface):
    """Fetches through a transport, from the server that was named and no other."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            answer = self._transport.request("GET", url)
        except Offline as error:
            raise DownloadError(str(error)) from error
        if answer.status != 200:
            answer.close()
            raise DownloadHTTPError(f"{url}: HTTP status {answer.status}", answer.status)
        return _pieces(url, answer)

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """In memory, where the inherited one goes through a file in the system's temporary folder."""
        data = bytearray()
        for piece in self.fetch(url):
            data += piece
            if len(data) > max_length:
                raise DownloadLengthMismatchError(f"{url}: more than the {max_length} bytes allowed")
        return bytes(data)


def _pieces(url: str, answer: Answer) -> Iterator[bytes]:
    # Here and not in the caller: a guarantee around a lazy iterator must hold while it is iterated.
    try:
        with answer:
            check_untouched(url, answer)
            yield from answer.pieces()
    except Offline as error:
        raise DownloadError(str(error)) from error
