"""Where the errors of networks and of TUF become ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tuf.api.exceptions import (
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    RepositoryError,
    UnsignedMetadataError,
)

from edge_sdk.errors import DeadlineExceeded, VerificationError
from edge_sdk.update.control import Cancelled
from edge_sdk.update.transport import Intercepted, refusal
from edge_sdk.update.transport import Offline as Offline


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Translate what the block raises; ``what`` names what was asked for.

    Raises:
        Offline: no network, timeout, HTTP 5xx.
        Cancelled, DeadlineExceeded: as the fetcher was told.
        NotAvailable: any other HTTP refusal.
        VerificationError: more bytes than there may be, or metadata that TUF refuses.
    """
    try:
        yield
    except DownloadLengthMismatchError as error:
        raise VerificationError(f"{what}: the server sends more than it may; refused") from error
    except DownloadHTTPError as error:
        raise refusal(what, error.status_code, getattr(error, "retry_after", None)) from error
    except DownloadError as error:
        if isinstance(error.__cause__, Cancelled | DeadlineExceeded | Intercepted):
            raise error.__cause__ from error
        cause = f": {error.__cause__}" if error.__cause__ and str(error.__cause__) != str(error) else ""
        raise Offline(f"{what}: {' '.join(f'{error}{cause}'.split())}") from error
    except ExpiredMetadataError as error:
        raise VerificationError(
            f"{what}: {error}: the server hands out old metadata; check the clock, or tell who publishes"
        ) from error
    except UnsignedMetadataError as error:
        raise VerificationError(
            f"{what}: {error}; refused: the server is another publisher's than the root, or what it sends was changed"
        ) from error
    except RepositoryError as error:
        cause = f": {error.__cause__}" if error.__cause__ else ""
        raise VerificationError(f"{what}: {' '.join(f'{error}{cause}'.split())}; refused") from error
