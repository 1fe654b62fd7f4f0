"""Memory that is filled bit by bit and then is a ``bytes`` object, without a copy of its content.

Engines use a model in place and take nothing but ``bytes``. A ``BytesIO`` keeps its content in such an object, lets
it be written through a view, and hands it out as it is. Where a Python does that with a copy, only memory is lost.
"""

from __future__ import annotations

import ctypes
import io
import sys
from functools import cache
from mmap import PAGESIZE
from typing import Final

_MADV_HUGEPAGE: Final = 14
_WORTHWHILE: Final = 4 << 20


class Room:
    """``length`` bytes, zeros until they are written through ``view``."""

    def __init__(self, length: int) -> None:
        self._file = io.BytesIO(bytes(length))
        self.view = self._file.getbuffer()
        if length >= _WORTHWHILE and sys.platform == "linux":
            _in_huge_pages(self.view)

    def bytes(self) -> bytes:
        """The content; ``view`` and every view made of it must not be used any more.

        One that is left makes a second copy of it all.
        """
        self.view.release()
        return self._file.getvalue()

    def wipe(self) -> None:
        """Make all of it zeros again."""
        self.view[:] = bytes(len(self.view))


def _in_huge_pages(view: memoryview) -> None:
    """Ask for pages of 2 MiB: touching fresh memory first is most of what loading a model costs otherwise."""
    start = ctypes.addressof(ctypes.c_char.from_buffer(view))
    low, high = -(-start // PAGESIZE) * PAGESIZE, (start + len(view)) // PAGESIZE * PAGESIZE
    # Advice: what the system makes of it, and whether it knows it at all, changes nothing but the time.
    _libc().madvise(ctypes.c_void_p(low), ctypes.c_size_t(high - low), _MADV_HUGEPAGE)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)
