"""When to try again: exponential backoff with full jitter, what the server asks for, and an end to it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from edge_sdk.errors import DeadlineExceeded, RetryLater
from edge_sdk.update.control import Cancelled, Control
from edge_sdk.update.transport import Intercepted, Offline

T = TypeVar("T")


@dataclass(frozen=True)
class RetryPolicy:
    """How often, how far apart, and how long at all.

    The wait before try ``n + 1`` is uniform between 0 and ``min(longest_s, first_s * 2**(n - 1))``: "full jitter",
    after M. Brooker, "Exponential Backoff and Jitter" (2015); devices that failed together do not come back
    together.

    Attributes:
        tries: at all; those of the metadata and of each bundle are counted apart.
        first_s: longest wait before the second try.
        longest_s: longest wait before any. A server that asks for more (Retry-After) ends the tries.
        deadline_s: for the metadata, and again for each bundle: all tries, waits and pauses together.
        random: uniform in [0, 1).
        now: the wall clock, for a Retry-After that is a date.
        rest: spends the seconds.
    """

    tries: int = 4
    first_s: float = 0.5
    longest_s: float = 30.0
    deadline_s: float = 3_600.0
    random: Callable[[], float] = random.random
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    rest: Callable[[Control, float], None] = Control.rest

    def begin(self, what: str, control: Control, monotonic: Callable[[], float]) -> Retries:
        """A budget of tries and of time.

        Args:
            what: is fetched, for messages.
            control: stops it.
            monotonic: a clock in seconds.
        """
        return Retries(self, what, control, monotonic)


class Retries:
    """The budget of one undertaking; see :meth:`RetryPolicy.begin`."""

    def __init__(
        self, policy: RetryPolicy, what: str, control: Control, monotonic: Callable[[], float]
    ) -> None:
        self._policy, self._what, self._control, self._monotonic = policy, what, control, monotonic
        self._deadline = monotonic() + policy.deadline_s
        self._failed = 0

    def check(self) -> None:
        """Wait as long as it is paused.

        Raises:
            Cancelled: it is cancelled.
            DeadlineExceeded: its time is over.
        """
        self._control.check()
        if self._monotonic() > self._deadline:
            raise DeadlineExceeded(
                f"{self._what}: not here after {self._policy.deadline_s:.0f} s; try again, it goes on from there"
            )

    def patiently(self, step: Callable[[], T]) -> T:
        """Do ``step``, and again after what passes.

        Raises:
            Cancelled, DeadlineExceeded: see :meth:`check`.
            RetryLater: what ``step`` raised last: trying again at once would not help, was tried often enough, or
                would take until after the deadline.
        """
        while True:
            self.check()
            try:
                return step()
            except RetryLater as error:
                self._control.check()  # what was broken off because somebody said so did not fail
                seconds = self.after(error)
                if self._monotonic() + seconds > self._deadline:
                    raise
                self._policy.rest(self._control, seconds)

    def after(self, error: RetryLater) -> float:
        """How many seconds to wait before the next try.

        Raises:
            RetryLater: ``error`` itself: trying again at once would not help, or was tried often enough.
        """
        self._failed += 1
        policy = self._policy
        if self._failed >= policy.tries or isinstance(error, Cancelled | DeadlineExceeded | Intercepted):
            raise error
        asked = seconds_asked(error.retry_after, policy.now()) if isinstance(error, Offline) else 0.0
        if asked > policy.longest_s:
            raise error
        return max(asked, policy.random() * min(policy.longest_s, policy.first_s * 2.0 ** (self._failed - 1)))


def seconds_asked(retry_after: str | None, now: datetime) -> float:
    """What a Retry-After header asks for (RFC 9110, 10.2.3); 0 where it says nothing that can be understood."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the latter: a year or a zone of twenty digits
        return 0.0
    if date.tzinfo is None:  # "-0000": UTC, of unknown origin
        date = date.replace(tzinfo=UTC)
    return max((date - now).total_seconds(), 0.0)
