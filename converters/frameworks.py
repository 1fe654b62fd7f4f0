"""The one place where this package loads TensorFlow: quietly, on the CPU, once.

TensorFlow's native code writes lines about CUDA and oneDNN to file descriptor 2 while it loads and when it
first looks for devices; TF_CPP_MIN_LOG_LEVEL does not reach those. A command of ours owes its caller a clean
stderr, so both happen here with the descriptor turned away. Python errors still come through.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from feature_spec.extras import require


def tensorflow() -> ModuleType:
    """TensorFlow, loaded (15 s the first time) and told to use no GPU, so that results are the same with one.

    Raises:
        MissingExtraError: the extra ``convert`` is not installed.
    """
    if "tensorflow" in sys.modules:
        return sys.modules["tensorflow"]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # read by native code at load: there is no call for it
    with quiet_stderr():
        module = require("tensorflow", extra="convert")
        module.config.set_visible_devices([], "GPU")
        module.config.list_logical_devices()
    return module


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Send what native code writes to file descriptor 2 nowhere, for the length of the block."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
