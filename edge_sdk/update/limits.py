"""How patient HTTP is. Importing this imports nothing that could reach a network."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HttpLimits:
    """How patient a transport is.

    Attributes:
        connect_s: until a connection stands.
        answer_s: from there being a request to the end of the answer's headers, connecting included.
        read_s: between two pieces of an answer.
        grace_s: after which an answer must have come at ``slowest_bytes_per_s`` on average: a server that
            sends a byte now and then would otherwise hold an update for ever.
        redirects: followed.
        piece_bytes: read at once.
    """

    connect_s: float = 10.0
    answer_s: float = 60.0
    read_s: float = 30.0
    grace_s: float = 30.0
    slowest_bytes_per_s: float = 500.0
    redirects: int = 3
    piece_bytes: int = 1_048_576
