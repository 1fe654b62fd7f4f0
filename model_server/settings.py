"""What may be set of a server, with units, and where its time comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]
"""Gives the present moment in UTC."""


def utc_now() -> datetime:
    """The clock of this machine, in the whole seconds that signed documents have."""
    return datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True)
class Settings:
    """Limits and lifetimes.

    Attributes:
        snapshot_lifetime, timestamp_lifetime, directives_lifetime: how long what this server signs is good
            for; it signs again at half of that.
        resign_interval_s: how often the server looks for what is due.
        clock_skew: how far ahead of this server's clock an offline signer's may be.
        max_body_bytes: longest request body, and so the largest bundle.
        piece_bytes: how much of a bundle is read and sent at a time.
        threads: requests served at the same time.
        origins: scheme, host and port of the addresses under which devices enrol; a proof names one of them.
        lease_lifetime: how long a device may use a data key before it asks again.
        reports_per_minute: telemetry taken from one address; many devices may share one.
        drain_s: how long requests under way may take to finish when the server stops.
    """

    snapshot_lifetime: timedelta = timedelta(days=7)
    timestamp_lifetime: timedelta = timedelta(days=1)
    directives_lifetime: timedelta = timedelta(days=1)
    resign_interval_s: float = 60.0
    clock_skew: timedelta = timedelta(minutes=5)
    max_body_bytes: int = 64 * 1024 * 1024
    piece_bytes: int = 256 * 1024
    threads: int = 8
    origins: tuple[str, ...] = ()
    lease_lifetime: timedelta = timedelta(days=30)
    reports_per_minute: int = 600
    drain_s: float = 5.0
