"""What a device keeps: blobs by their digest, one pointer to those in use, and the disk calls behind them."""

from __future__ import annotations

from edge_sdk.store.cache import Cache as Cache
from edge_sdk.store.clock import Clock as Clock
from edge_sdk.store.clock import system_clock as system_clock
from edge_sdk.store.state import Slot as Slot
from edge_sdk.store.state import State as State
