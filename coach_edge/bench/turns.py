"""Ours and theirs, measured in turns."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import numpy as np

from edge_sdk.runtime.engine import Array

BLOCK: Final = 100
"""Calls of one before it is the other's turn."""


def in_turn(
    ours: Callable[[], object], theirs: Callable[[], object], rounds: int, calls: int, block: int = BLOCK
) -> tuple[Array, Array]:
    """Measure two in short turns, so that whatever else the machine does meets both.

    Args:
        ours, theirs: what is measured.
        rounds: how often.
        calls: of each in one round.
        block: so many at a time.

    Returns:
        Nanoseconds of every call, [rounds][calls] of each.
    """
    both = (ours, theirs)
    times = np.empty((2, rounds, calls))
    for call in both:
        for _ in range(min(block, calls)):
            call()
    clock = time.perf_counter_ns
    for at in range(rounds):
        for begin in range(0, calls, block):
            for who in (0, 1) if (at + begin // block) % 2 else (1, 0):
                call = both[who]
                for number in range(begin, min(begin + block, calls)):
                    before = clock()
                    call()
                    times[who, at, number] = clock() - before
    return times[0], times[1]
