"""What the child processes of the runtime have in common: how they are started, and how they ended."""

from __future__ import annotations

import os
import signal

# One thread each: they must not take the machine from what the app is doing.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "ORT_DISABLE_TELEMETRY": "1"}
# Without these some systems do not find the interpreter's own libraries.
_KEPT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")


def child_environment() -> dict[str, str]:
    """The environment of a child process: nothing of this one but what it cannot start without."""
    return {**_ENVIRONMENT, **{name: os.environ[name] for name in _KEPT if name in os.environ}}


def ending(status: int) -> str:
    """How a process ended, for a message."""
    if status < 0:
        try:
            return f"signal {signal.Signals(-status).name}"
        except ValueError:
            return f"signal {-status}"
    return f"exit status {status}"
