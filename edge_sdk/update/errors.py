"""Where the errors of networks and of TUF become ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tuf.api.exceptions import (
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    RepositoryError,
)

from edge_sdk.errors import NotAvailable, RetryLater, VerificationError

_BUSY: Final = frozenset({408, 425, 429})


class Offline(RetryLater):
    """No answer, or none that is about the request: no network, a busy server, a portal in between."""


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Translate what the block raises; ``what`` names what was asked for.

    Raises:
        Offline: no network, timeout, HTTP 5xx.
        NotAvailable: any other HTTP refusal.
        VerificationError: more bytes than there may be, or metadata that TUF refuses.
    """
    try:
        yield
    except DownloadLengthMismatchError as error:
        raise VerificationError(f"{what}: the server sends more than it may; refused") from error
    except DownloadHTTPError as error:
        status = error.status_code
        if status in _BUSY or status >= 500:
            raise Offline(f"{what}: the server answers HTTP {status}; try again later") from error
        raise NotAvailable(
            f"{what}: the server answers HTTP {status}; check its address, or publish first"
        ) from error
    except DownloadError as error:
        cause = f": {error.__cause__}" if error.__cause__ else ""
        raise Offline(f"{what}: {' '.join(f'{error}{cause}'.split())}") from error
    except ExpiredMetadataError as error:
        raise VerificationError(
            f"{what}: {error}: the server hands out old metadata; check the clock, or tell who publishes"
        ) from error
    except RepositoryError as error:
        cause = f": {error.__cause__}" if error.__cause__ else ""
        raise VerificationError(f"{what}: {' '.join(f'{error}{cause}'.split())}; refused") from error
