"""How long each stage of the demo took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from coach_edge.progress import Progress

NAMES = ("train", "convert", "seal", "parity", "sign", "publish", "fetch", "predict")


@dataclass
class Stages:
    """Times the stages and tells the terminal which one runs."""

    progress: Progress
    timer: Callable[[], float] = time.perf_counter
    rows: list[dict[str, object]] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """One of ``NAMES``, in their order."""
        self.progress("demo", NAMES.index(name), len(NAMES))
        start = self.timer()
        yield
        self.rows.append({"stage": name, "seconds": round(self.timer() - start, 2)})
        self.progress("demo", NAMES.index(name) + 1, len(NAMES))
