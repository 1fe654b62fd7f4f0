"""What an installation depends on, other than what is signed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_sdk.keyring import Keyring
    from edge_sdk.runtime.engine import Engine


@dataclass(frozen=True)
class Device:
    """This device, as an installation sees it.

    Attributes:
        channel: whose releases it follows.
        engine: what runs them.
        capabilities: tokens of what the engine can run.
        preference: recipes, best first.
        max_sessions: how many threads may compute in one model at once.
        keyring: for sealed bundles.
    """

    channel: str
    engine: str | Engine
    capabilities: frozenset[str]
    preference: tuple[str, ...]
    max_sessions: int
    keyring: Keyring
