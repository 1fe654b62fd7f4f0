"""How much memory this process holds."""

from __future__ import annotations

import mmap
import sys
from pathlib import Path

_ROLLUP = Path("/proc/self/smaps_rollup")
_STATM = Path("/proc/self/statm")
_PAGE = mmap.PAGESIZE


def process_bytes(rollup: Path = _ROLLUP, statm: Path = _STATM) -> int:
    """Bytes of memory of this process: its proportional set size where Linux tells it.

    Proportional means that pages shared with other processes (libraries, memory-mapped models) count by their
    share, so that the sum over processes is what the machine lacks. Older kernels tell the resident set only;
    elsewhere it is the peak so far, and 0 where nothing is known.
    """
    try:
        for line in rollup.read_text("ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return int(statm.read_text("ascii").split()[1]) * _PAGE
    except OSError:
        return _peak()


def address_bytes(statm: Path = _STATM) -> int:
    """Bytes of address space of this process; 0 where nothing is known."""
    try:
        return int(statm.read_text("ascii").split()[0]) * _PAGE
    except OSError:
        return 0


def _peak() -> int:
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
