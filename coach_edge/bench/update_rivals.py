"""Our client, python-tuf's and huggingface_hub's: the same bytes, the same disk, the same faults.

All three have the first release and fetch the second. Without faults the time counts, from the request to bytes on
the disk that an app may use; ours are checked against signatures and brought to the disk by then, python-tuf's are
checked, huggingface_hub's are neither. Then the same things go wrong for all, one at a time, and what an app would find
after a restart without a network is judged by its digest: the first release, the second, or nothing of use.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any, Final

from coach_edge.bench.update_driving import Client, World, client, fresh
from coach_edge.bench.update_server import Fault, serving
from edge_sdk.contract.framing import SEGMENT_BYTES
from feature_spec.extras import require

NAMES: Final = ("ours", "tuf", "hf")
_LIBRARY: Final = {"ours": "edge_sdk", "tuf": "python-tuf", "hf": "huggingface_hub"}

LINK_BYTES_PER_S: Final = 50_000_000
"""Of the race that counts: 400 Mbit/s, as good a wireless network as phones meet."""

Kill = tuple[str, int]
"""A call that changes a disk, and how many of its name came before and with it."""


@dataclass
class _Outcome:
    """What became of one client over the plan."""

    points: int = 0
    usable: int = 0
    healed: int = 0
    sent: int = 0
    lost: Counter[str] = field(default_factory=Counter)


def figures(world: World, folder: Path, rounds: int, kills: int) -> list[dict[str, Any]]:
    """Race them, then put them through the plan.

    Args:
        world: the two releases.
        folder: for whatever is written.
        rounds: of the race.
        kills: how often each client is killed, in different places.

    Raises:
        MissingExtraError: huggingface_hub is not installed.
    """
    require("huggingface_hub", extra="bench")
    with ExitStack() as stack:
        clients = {name: stack.enter_context(client(name, folder / name / "home")) for name in NAMES}
        with serving(world.site(news=False)) as url:
            for name, one in clients.items():
                template = folder / name / "template"
                template.mkdir(parents=True)
                (template / "root.json").write_bytes(world.root)
                _succeed(one.do("update", [template], url, world.path(news=False)), name)
        return [*_race(world, folder, clients, rounds), *_endure(world, folder, clients, kills)]


def _succeed(done: dict[str, Any], name: str) -> dict[str, Any]:
    if done["exit"]:
        raise RuntimeError(f"{_LIBRARY[name]} fails without a fault: {done}")
    return done


# -- time -----------------------------------------------------------------------------------------------


def _race(world: World, folder: Path, clients: Mapping[str, Client], rounds: int) -> list[dict[str, Any]]:
    entrants = [(what, name) for what in ("link", "fetch", "durable") for name in NAMES]
    entrants.append(("update", "ours"))
    times: dict[tuple[str, str], list[float]] = {entrant: [] for entrant in entrants}
    with (
        serving(world.site(news=True, bytes_per_s=LINK_BYTES_PER_S)) as link,
        serving(world.site(news=True)) as loopback,
    ):
        for at in range(rounds):
            for what, name in entrants[at % len(entrants) :] + entrants[: at % len(entrants)]:
                base = folder / name
                # The first of the two is for whatever a process does once.
                works = [fresh(base / "template", base / place) for place in ("warm", "work")]
                do, url = ("fetch", link) if what == "link" else (what, loopback)
                done = clients[name].do(do, works, url, world.path(news=True))
                times[what, name].append(_succeed(done, name)["seconds"] * 1e3)
    length = len(world.new.served)
    note = f"{length} bytes, warm processes; from the request to verified bytes in the cache"
    unlimited = "over loopback at the speed of memory"
    found = []
    for what, suffix, said in (
        ("link", "", f"over a link of {LINK_BYTES_PER_S / 1e6:g} MB/s; theirs as they are: without fsync"),
        ("fetch", "_loopback", f"{unlimited}; theirs as they are: without fsync"),
        ("durable", "_durable", f"{unlimited}; theirs with an fsync of the file and its folder after it"),
    ):
        fastest = min(NAMES[1:], key=lambda name: median(times[what, name]))
        ratio = median(a / b for a, b in zip(times[what, "ours"], times[what, fastest], strict=True))
        control = _LIBRARY[fastest], 1.0
        found.append(_figure(f"vs_fastest{suffix}", ratio, "ratio", *control, rounds, f"{said}; {note}"))
    for what, suffix, said in (("link", "_link", "over the link"), ("fetch", "", unlimited)):
        middle = {name: median(times[what, name]) for name in NAMES}
        fastest = min(NAMES[1:], key=lambda name: middle[name])
        for name in NAMES:
            other = fastest if name == "ours" else "ours"
            control = _LIBRARY[other], middle[other]
            found.append(
                _figure(
                    f"fetch_ms_{name}{suffix}",
                    middle[name],
                    "ms",
                    *control,
                    rounds,
                    f"{_LIBRARY[name]}: into its cache {said}; {note}",
                )
            )
    found.append(
        _figure(
            "install_ms_ours",
            median(times["update", "ours"]),
            "ms",
            "the fetch alone",
            median(times["fetch", "ours"]),
            rounds,
            f"all of an update {unlimited}: fetch, proof in a child process, load, proof again, flip; no other "
            "client proves",
        )
    )
    return found


# -- faults ---------------------------------------------------------------------------------------------


def network_plan(length: int) -> list[list[Fault]]:
    """What goes wrong with the answers that have the bundle in them; the same for every client."""
    places = [1, min(SEGMENT_BYTES - 1, length // 3), length // 2, length - 1]
    plan = [[Fault(kind, at)] for kind in ("reset", "truncate", "stall", "damage") for at in places]
    plan += [[Fault("busy")], [Fault("busy")] * 3]
    plan += [[Fault(kind, length // 4 * n) for n in (1, 2, 3)] for kind in ("reset", "truncate")]
    return plan


def kill_plan(calls: Sequence[str], kills: int) -> list[Kill]:
    """Where to kill a client: of every row of calls of one name the first, the middle and the last one count, and
    of these as many as are wanted, evenly spread over its run."""
    points, seen = list[Kill](), Counter[str]()
    for name, row in groupby(calls):
        many = len(list(row))
        points += [(name, seen[name] + place) for place in sorted({1, (many + 1) // 2, many})]
        seen[name] += many
    if len(points) <= kills:
        return points
    return [points[round(at * (len(points) - 1) / (kills - 1))] for at in range(kills)]


def _endure(world: World, folder: Path, clients: Mapping[str, Client], kills: int) -> list[dict[str, Any]]:
    outcomes = {name: _Outcome() for name in NAMES}
    for faults in network_plan(len(world.new.served)):
        for name, one in clients.items():
            _at_one_point(world, folder / name, one, outcomes[name], faults, None)
    for name, one in clients.items():
        work = fresh(folder / name / "template", folder / name / "work")
        with serving(world.site(news=True)) as url:
            done = one.do("update", [work], url, world.path(news=True), kill=None)
        for kill in kill_plan(_succeed(done, name)["calls"], kills):
            _at_one_point(world, folder / name, one, outcomes[name], [], kill)
    return [figure for name in NAMES for figure in _told(name, outcomes[name], len(world.new.served))]


def _at_one_point(
    world: World, base: Path, one: Client, outcome: _Outcome, faults: list[Fault], kill: Kill | None
) -> None:
    """One attempt while something goes wrong, judged; then up to three without, until the second release is there."""
    work, name = fresh(base / "template", base / "work"), world.path(news=True)
    site = world.site(news=True)
    site.faults += faults
    with serving(site) as url:
        one.do("update", [work], url, name, kill=kill)
        held = one.held(work, name)
        outcome.points += 1
        outcome.usable += world.usable(held)
        if not world.usable(held):
            outcome.lost[faults[0].kind if faults else "killed"] += 1
        site.faults.clear()
        for _ in range(3):
            if world.newest(held):
                break
            one.do("update", [work], url, name)
            held = one.held(work, name)
        outcome.healed += world.newest(held)
    outcome.sent += site.sent


def _told(name: str, outcome: _Outcome, length: int) -> list[dict[str, Any]]:
    library, n = _LIBRARY[name], outcome.points
    lost = ", ".join(f"{kind} {many}" for kind, many in outcome.lost.items()) or "none"
    return [
        _figure(
            f"usable_points_{name}",
            outcome.usable,
            "points",
            "points",
            n,
            n,
            f"{library}: what an app finds after a restart without a network is a whole release; lost: {lost}",
        ),
        _figure(
            f"healed_points_{name}",
            outcome.healed,
            "points",
            "points",
            n,
            n,
            f"{library}: the next attempts, without faults, bring the second release",
        ),
        _figure(
            f"fault_bytes_{name}",
            outcome.sent,
            "bytes",
            "the bundle once a point",
            n * length,
            n,
            f"{library}: sent of the bundle over all points, until the second release is there or after four attempts",
        ),
    ]


def _figure(
    name: str, value: float, unit: str, control: str, control_value: float, n: int, note: str
) -> dict[str, Any]:
    return {
        "id": name,
        "value": value,
        "unit": unit,
        "control": control,
        "control_value": control_value,
        "ratio": value / control_value,
        "n": n,
        "note": note,
    }
