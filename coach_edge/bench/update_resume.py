"""How many bytes are fetched again after the process was killed at a byte of a bundle."""

from __future__ import annotations

import os
import random
import signal
import threading
from pathlib import Path
from typing import Any

from coach_edge.bench.update_driving import Client, World, client, fresh
from coach_edge.bench.update_server import Fault, serving
from edge_sdk.contract.framing import SEGMENT_BYTES


def figures(world: World, folder: Path, rounds: int) -> list[dict[str, Any]]:
    """Kill the client once it has written so many bytes, start another, and count what it is sent.

    Args:
        world: what is served.
        folder: for whatever is written.
        rounds: how many random positions are tried beside those at the ends of segments.
    """
    with client("ours", folder / "home") as ours:
        template = folder / "template"
        template.mkdir(parents=True)
        (template / "root.json").write_bytes(world.root)
        with serving(world.site(news=False)) as url:
            done = ours.do("update", [template], url, world.path(news=False))
        if done["exit"]:
            raise RuntimeError(f"the first release was not installed: {done}")
        length = len(world.new.served)
        again = [
            _refetched(world, ours, fresh(template, folder / "work"), at) for at in positions(length, rounds)
        ]
    return [
        {
            "id": "resume_refetch_bytes_max",
            "value": max(again),
            "unit": "bytes",
            "control": "the whole bundle, which a client without resume fetches",
            "control_value": length,
            "ratio": max(again) / length,
            "n": len(again),
            "note": f"SIGKILL once so many bytes of a bundle of {length} are written: at the ends of its segments, one "
            f"byte before and after, and anywhere; fetched twice at worst, {sum(again) / len(again):.0f} on average",
        }
    ]


def positions(length: int, rounds: int) -> list[int]:
    """Bytes after which to kill: round every end of a segment, at both ends, and anywhere."""
    ends = range(0, length + SEGMENT_BYTES, SEGMENT_BYTES)
    near = {end + shift for end in ends for shift in (-1, 0, 1)} | {length - 1}
    chosen = random.Random(0)
    near |= {chosen.randrange(1, length) for _ in range(rounds)}
    return sorted(at for at in near if 0 < at < length)


def _refetched(world: World, ours: Client, work: Path, at: int) -> int:
    site, name = world.site(news=True), world.path(news=True)
    site.faults.append(Fault("stall", at))
    with serving(site) as url:
        pid = ours.begin("fetch", [work], url, name)
        written = _when_written(work / "cache" / "partial", at)
        os.kill(pid, signal.SIGKILL)
        site.over.set()
        ours.end()
        site.sent = 0
        done = ours.do("fetch", [work], url, name)
    if done["exit"]:
        raise RuntimeError(f"after a kill at byte {at} the bundle was not fetched: {done}")
    return written + site.sent - len(world.new.served)


def _when_written(partial: Path, at: int) -> int:
    """Wait until as much is on the disk as the server sent."""
    looking, patience = threading.Event(), 6_000
    for _ in range(patience):
        if partial.is_dir():
            for path in partial.iterdir():
                if path.stat().st_size >= at:
                    return path.stat().st_size
        looking.wait(0.005)
    raise RuntimeError(f"{at} bytes were not written in {patience * 0.005:.0f} s")
