"""Uploading reports, over a transport, each once as far as anybody can tell."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from functools import partial
from typing import Final

from edge_sdk.contract import document
from edge_sdk.contract.document import Fields
from edge_sdk.errors import EdgeError, RetryLater
from edge_sdk.health.queue import Taken
from edge_sdk.health.telemetry import Telemetry
from edge_sdk.store import Cache, lock
from edge_sdk.update.control import Cancelled, Control
from edge_sdk.update.policy import Conditions
from edge_sdk.update.retrying import RetryPolicy, seconds_asked
from edge_sdk.update.transport import Answer, Offline, Transport, check_untouched, refusal

ACCEPTED: Final = 202
REFUSED: Final = frozenset({400, 413, 422})
"""Sending the same again cannot help."""

_MOST_DETAIL: Final = 10_000


class UploadStatus(Enum):
    """How an upload ended."""

    DONE = "done"
    """All reports that there were have been told, or there were none."""
    POSTPONED = "postponed"
    """The conditions do not allow it now, or the server asked to wait; everything is kept."""
    OFFLINE = "offline"
    """The server could not be reached or is busy; what was not told is kept."""


@dataclass(frozen=True)
class Uploaded:
    """The outcome of an upload.

    Attributes:
        status: how it ended.
        sent: reports that the server took.
        refused: reports that it refused, and that were dropped.
        detail: why, in one line; may be empty.
    """

    status: UploadStatus
    sent: int = 0
    refused: int = 0
    detail: str = ""


class Uploader:
    """Uploads the reports of a cache.

    Args:
        cache: whose; an erase waits until nothing is under way, or this until the erase is over.
        telemetry: makes the reports.
        clock: the wall clock.
    """

    def __init__(self, cache: Cache, telemetry: Telemetry, clock: Callable[[], datetime]) -> None:
        self._cache, self._telemetry, self._clock = cache, telemetry, clock
        self._not_before: datetime | None = None

    def upload(
        self, transport: Transport, server: str, conditions: Conditions, retry: RetryPolicy, control: Control
    ) -> Uploaded:
        """Keep what was counted, make reports, and upload them where the conditions allow it.

        Raises:
            Cancelled: by ``control``.
            RetryLater: another process is updating or erasing the cache.
            StoreError: the disk refuses.
        """
        self._telemetry.keep()
        if conditions.obstacle:
            return Uploaded(UploadStatus.POSTPONED, detail=conditions.obstacle)
        now = self._clock()
        if self._not_before is not None and now < self._not_before <= now + timedelta(days=1):
            return Uploaded(UploadStatus.POSTPONED, detail="the server asked to wait longer")
        with self._undisturbed():
            self._telemetry.seal()
        return self._send_all(transport, server + "/v1/telemetry", retry, control)

    def _send_all(self, transport: Transport, url: str, retry: RetryPolicy, control: Control) -> Uploaded:
        queue, done = self._telemetry.queue, Uploaded(UploadStatus.DONE)
        while True:
            control.check()
            taken = queue.take()
            if taken is None:
                return done
            try:
                tries = retry.begin(url, control, self._cache.disk.system.monotonic)
                refused = tries.patiently(partial(self._send, transport, url, taken))
            except Cancelled:
                queue.give_back(taken)
                raise
            except RetryLater as error:
                queue.give_back(taken)
                self._wait_as_asked(error)
                return replace(done, status=UploadStatus.OFFLINE, detail=str(error))
            except BaseException:
                queue.give_back(taken)
                raise
            if refused:
                queue.refuse(taken)
                done = replace(done, refused=done.refused + 1, detail=refused)
            else:
                queue.acknowledge(taken)
                done = replace(done, sent=done.sent + 1)

    def _send(self, transport: Transport, url: str, taken: Taken) -> str:
        """See :func:`_send`; nothing is sent that was erased since it was taken, by whichever process."""
        with self._undisturbed():
            if self._cache.disk.stamp(taken.path) is None:
                return "it was erased"
            return _send(transport, url, taken)

    def _undisturbed(self) -> AbstractContextManager[None]:
        """Nobody erases in the block. Between tries others may, and may update: waits can be long."""
        system = self._cache.disk.system
        return lock.locked(self._cache.folder / "lock", system, wait_s=lock.WAIT_S)

    def _wait_as_asked(self, error: RetryLater) -> None:
        now = self._clock()
        asked = seconds_asked(error.retry_after, now) if isinstance(error, Offline) else 0.0
        # A day at most: a server's mistake must not silence a device for years.
        self._not_before = now + timedelta(seconds=min(asked, 86_400.0)) if asked else None


def _send(transport: Transport, url: str, taken: Taken) -> str:
    """Why the server refuses the report; empty where it took it.

    Raises:
        Offline: no answer, or none that is about the report.
    """
    headers = {"Content-Type": "application/json"}
    with transport.request("POST", url, headers=headers, body=taken.body) as answer:
        check_untouched(url, answer)
        if answer.status == ACCEPTED:
            return ""
        if answer.status in REFUSED:
            return f"{url}: HTTP {answer.status}: {_detail(answer)}"
        error = refusal(url, answer.status, answer.header("Retry-After"))
        if isinstance(error, Offline):
            raise error
        # A login page may answer with anything, and so may a server that takes no telemetry: it is not the report.
        raise Offline(f"{url}: the server answers HTTP {answer.status}; it takes no telemetry now")


def _detail(answer: Answer) -> str:
    data = b""
    try:
        for piece in answer.pieces():
            data += piece
            if len(data) > _MOST_DETAIL:
                break
        return Fields(document.parse(data, "problem", max_bytes=len(data)), "problem").text("detail")[:200]
    except EdgeError:
        return "it does not say why"
