"""What a refresh, a download and an installation have in common: one undertaking over a network."""

from __future__ import annotations

from dataclasses import dataclass, field

from edge_sdk.loading import Progress, silent
from edge_sdk.update.control import Control
from edge_sdk.update.retrying import RetryPolicy
from edge_sdk.update.transport import Transport


@dataclass(frozen=True)
class Undertaking:
    """Whom to ask and how patiently, who may stop it, and who is told.

    Attributes:
        transport: reaches the servers.
        server: base URL of the one that the app named; everything comes from there.
        mirrors: base URLs of others that have bundles, whose digests are known; asked where the server fails.
        retry: how often and how long to try.
        control: stops it.
        progress: told stage, done and total.
    """

    transport: Transport
    server: str
    mirrors: tuple[str, ...] = ()
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    control: Control = field(default_factory=Control)
    progress: Progress = silent
