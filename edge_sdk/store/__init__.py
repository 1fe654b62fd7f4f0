"""What a device keeps: blobs by their digest, one pointer to those in use, and the system calls behind them."""

from __future__ import annotations

from edge_sdk.store.cache import Cache as Cache
from edge_sdk.store.disk import Disk as Disk
from edge_sdk.store.state import Slot as Slot
from edge_sdk.store.state import State as State
from edge_sdk.store.system import Clock as Clock
from edge_sdk.store.system import System as System
