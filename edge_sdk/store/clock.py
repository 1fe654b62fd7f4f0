"""The wall clock: the only one whose readings are kept on disk."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Gives the present as an aware datetime."""


def system_clock() -> datetime:
    """The device's wall clock, in UTC."""
    return datetime.now(UTC)
