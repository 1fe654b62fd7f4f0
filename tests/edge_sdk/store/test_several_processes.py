"""Eight processes on one cache, with locks that do not work: nothing is lost, and nothing that is needed is removed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from edge_sdk.store import Cache

PROCESSES, TURNS = 8, 15
ROOT = b'{"signed": {"_type": "root", "version": 1}}'

# The first process keeps moving the pin to a new blob; the others look for it, and all name blobs of their own.
PROGRAM = """
import os, sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
sys.path[:] = sys.argv[4:]
from edge_sdk.store import Cache, lock
lock.locked = lambda *_, **__: nullcontext()
me, cache = int(sys.argv[2]), Cache.open(Path(sys.argv[1]), sys.stdin.buffer.read(), os.urandom)
for turn in range(int(sys.argv[3])):
    with cache.updating():
        data = os.urandom(50)
        blob = cache.put(data)
        cache.change(lambda s: replace(s, wanted={**s.wanted, f"p{me}": blob}))
        if me == 0:
            cache.change(lambda s: replace(s, pinned_root=blob))
            assert cache.verified(blob) == data, "collected while it was needed"
    pinned = cache.state().pinned_root
    if cache.verified(pinned) is None:
        assert cache.state().pinned_root != pinned, "the state names a blob that is not there"
    assert cache.state().wanted[f"p{me}"] == blob, "a change was lost"
"""


def test_without_locks(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "cache")]
    path = [entry or os.getcwd() for entry in sys.path]
    running = [
        subprocess.Popen(
            [*command, str(number), str(TURNS), *path], stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for number in range(PROCESSES)
    ]
    said = [process.communicate(ROOT, timeout=120)[1] for process in running]
    assert said == [b""] * PROCESSES
    cache = Cache(tmp_path / "cache")
    state = cache.state()
    # One for making the cache, and every change since: none was taken back.
    assert state.generation == 1 + PROCESSES * TURNS + TURNS
    assert len(state.wanted) == PROCESSES
    cache.tidy()
    assert sorted(path.name for path in (cache.folder / "blobs").iterdir()) == [state.pinned_root]
    assert [list((cache.folder / name).iterdir()) for name in ("holds", "partial")] == [[], []]
