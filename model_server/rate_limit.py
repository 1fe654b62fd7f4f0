"""How many requests an address may make, without keeping any address."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable

CELLS = 4096


class RateLimit:
    """So many requests from one address in each stretch of time.

    An address is counted in one of some thousand cells, which a key picks that nobody knows and that is new for each
    stretch: from the cells nobody can tell who was there, and a flood of addresses takes no more memory. Who shares
    a cell with somebody who floods has to wait with him until the stretch is over.

    Args:
        most: requests.
        seconds: length of a stretch.
        clock: seconds that never go back.
        random: source of keys.
    """

    def __init__(
        self,
        most: int,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._most, self._seconds = most, seconds
        self._clock, self._random = clock, random
        self._lock = threading.Lock()
        self._begin(clock())

    def wait_s(self, address: str) -> float:
        """Count a request; 0 where it is within the limit, else how long to wait."""
        with self._lock:
            now = self._clock()
            if now >= self._ends:
                self._begin(now)
            digest = hashlib.blake2b(address.encode(), digest_size=2, key=self._key).digest()
            cell = int.from_bytes(digest, "big") % CELLS
            self._cells[cell] += 1
            return 0.0 if self._cells[cell] <= self._most else self._ends - now

    def _begin(self, now: float) -> None:
        self._ends = now + self._seconds
        self._key = self._random(32)
        self._cells = [0] * CELLS
