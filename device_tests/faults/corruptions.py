"""Damage to a cached bundle: whatever is done to its bytes, no answer is wrong and no process ends.

A process of its own (``python -m device_tests.faults.corruptions``) damages the file, loads it through the client
with the real engine, and compares the answers; so that a death is counted, and is not that of who counts.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from device_tests.faults.running import Progress, in_memory, unwatched
from device_tests.faults.site import APP_KEY, MODEL
from device_tests.simulator.models import sealed_model
from device_tests.simulator.repository import SERVER, Network, Repository
from device_tests.simulator.tflite_writer import TFLiteWriter
from edge_sdk.client import EdgeClient
from edge_sdk.contract.framing import SEGMENT_BYTES
from edge_sdk.errors import EdgeError
from edge_sdk.predict.prediction import Reason
from edge_sdk.runtime.engines import engine_named
from edge_sdk.store import Cache

ALL: Final = 6_000

_ROWS: Final = (
    {"effort": 0.5, "rest": 0.25, "luck": 0.125},
    {"effort": -3.0, "rest": 2.0, "luck": 7.0},
    {"effort": 0.0, "rest": 0.0, "luck": 0.0},
)
_SILENCE_S: Final = 120.0
"""Who says nothing for so long hangs, which is as bad as being dead."""


@dataclass(frozen=True)
class Target:
    """A cache whose active bundle is damaged.

    Attributes:
        name: for reports.
        encrypted, deflated: what its bundles are.
        widths: of the layers of its models.
        stands_in: whether there is a release before the active one.
        confirmed: whether the active one is known to have answered before.
        share: of all corruptions, in thousandths.
    """

    name: str
    encrypted: bool = False
    deflated: bool = False
    widths: tuple[int, ...] = (3, 48, 24, 1)
    stands_in: bool = True
    confirmed: bool = True
    share: int = 180


_WIDE: Final = (3, 720, 720, 1)  # three segments
TARGETS: Final = (
    Target("clear", share=300),
    Target("clear, alone", stands_in=False),
    Target("clear, not confirmed", confirmed=False, share=100),
    Target("encrypted", encrypted=True),
    Target("deflated", deflated=True, stands_in=False, share=100),
    Target("encrypted and deflated", encrypted=True, deflated=True, share=100),
    Target("clear, three segments", widths=_WIDE, share=20),
    Target("encrypted, three segments", encrypted=True, widths=_WIDE, share=20),
)
assert sum(target.share for target in TARGETS) == 1000


@dataclass
class Damage:
    """What came of it.

    Attributes:
        outcomes: how many corruptions ended so, by target and outcome: ``refused`` and ``stood in`` are what is meant
            to happen; ``right`` is the answer of the bundle, and told as such; ``wrong``, ``error`` (one that an
            app does not expect) and ``death`` are not to be.
        bad: the first of those that are not to be, with the kind of damage.
    """

    outcomes: Counter[tuple[str, str]]
    bad: list[str]

    def total(self, *outcomes: str) -> int:
        """How many ended in one of these; all of them where none is given."""
        return sum(n for (_, outcome), n in self.outcomes.items() if not outcomes or outcome in outcomes)


def run(count: int = ALL, progress: Progress = unwatched, targets: Sequence[Target] = TARGETS) -> Damage:
    """Damage bundles ``count`` times.

    Args:
        count: how many corruptions; the same ones each time.
        progress: told the target, how many are done, and how many there are.
        targets: what to damage; their shares are of ``count``.
    """
    damage = Damage(Counter(), [])
    whole = sum(target.share for target in targets)
    for target in targets:
        with in_memory() as base:
            _prepare(target, Path(base))
            _damage(target, Path(base), -(-count * target.share // whole), damage, progress)
    return damage


def _damage(target: Target, base: Path, count: int, damage: Damage, progress: Progress) -> None:
    """In child processes, one after the other as long as they die."""
    done = 0
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    while done < count:
        command = [
            sys.executable,
            "-B",
            "-m",
            "device_tests.faults.corruptions",
            str(base),
            str(done),
            str(count),
        ]
        with (
            open(base / "stderr", "w+") as said,
            subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=said, text=True) as process,
        ):
            assert process.stdout is not None
            for line in process.stdout:
                outcome, kind = json.loads(line)
                _count(damage, target, outcome, f"{kind}, number {done}")
                done += 1
                progress(f"{target.name} (corruptions)", done, count)
            status = process.wait()
            if status > 0:
                said.seek(0)
                raise AssertionError(f"the program that loads damaged bundles failed: {said.read()[-2000:]}")
        if status < 0 and done < count:
            _count(damage, target, "death", f"signal {-status}, number {done}")
            done += 1


def _count(damage: Damage, target: Target, outcome: str, what: str) -> None:
    damage.outcomes[target.name, outcome] += 1
    if outcome in ("wrong", "error", "death") and len(damage.bad) < 20:
        damage.bad.append(f"{target.name}: {outcome}: {what}")


# -- what is damaged ---------------------------------------------------------------------------------------


def _prepare(target: Target, base: Path) -> None:
    """A cache in which the bundle is installed, and what a child must know of it."""
    repository, engine = Repository(), engine_named("litert")
    key = APP_KEY if target.encrypted else None
    releases = (1, 2) if target.stands_in else (2,)
    answers = {}
    for release in releases:
        payload = _model(target.widths, release)
        sealed = sealed_model(
            payload,
            version=f"{release}.0.0",
            release=release,
            app_key=key,
            engine=engine,
            compress=target.deflated,
        )
        if (sealed.entry.codec == "deflate") is not target.deflated:
            raise AssertionError(f"{target.name}: the codec is {sealed.entry.codec}")
        repository.publish(sealed)
        with EdgeClient.open(
            base / "cache",
            SERVER,
            repository.root,
            credential=key,
            engine=engine,
            transport=Network(repository),
            capabilities=frozenset({"tflite"}),
        ) as client:
            client.update(MODEL)
            answers[release] = _answers(client)
    cache = Cache.open(base / "cache", None, os.urandom)
    if not target.confirmed:
        slot = replace(cache.state().models[MODEL], confirmed=False)
        cache.change(lambda state: replace(state, models={MODEL: slot}))
    facts = {
        "sha256": cache.state().models[MODEL].active.sha256,
        "active": answers[2],
        "previous": answers.get(1),
        "key": key is not None,
        "name": target.name,
    }
    (base / "facts.json").write_text(json.dumps(facts))


def _model(widths: tuple[int, ...], seed: int) -> bytes:
    """A network whose weights have few different values, so that deflate finds something to do."""
    rng = np.random.default_rng(seed)
    writer = TFLiteWriter()
    first = last = writer.tensor("x", (-1, widths[0]))
    for number, (wide, narrow) in enumerate(pairwise(widths)):
        weights = rng.integers(-8, 9, size=(narrow, wide)) / (8 * np.sqrt(wide))
        made = writer.tensor(f"y{number}", (-1, narrow))
        inputs = (
            last,
            writer.tensor(f"w{number}", (narrow, wide), weights),
            writer.tensor(f"b{number}", (narrow,), weights[:, 0]),
        )
        writer.operator(
            "FULLY_CONNECTED", inputs, (made,), fusedActivationFunction=int(number < len(widths) - 2)
        )
        last = made
    answer = writer.tensor("p", (-1, widths[-1]))
    writer.operator("LOGISTIC", (last,), (answer,))
    return writer.finish({"features": first}, {"probability": answer})


def _answers(client: EdgeClient) -> list[float]:
    model = client.model(MODEL)
    return [model.predict(row, deadline_ms=60_000).values["probability"] for row in _ROWS]


# -- damage ------------------------------------------------------------------------------------------------


def _flip(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _flips(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.randint(2, 64)):
        _flip(data, rng)


def _span(data: bytearray, rng: random.Random) -> slice:
    length = rng.randint(1, max(1, len(data) // rng.choice((2, 8, 64, 1024))))
    start = rng.randrange(len(data) - length + 1)
    return slice(start, start + length)


def _zeroed(data: bytearray, rng: random.Random) -> None:
    span = _span(data, rng)
    data[span] = bytes(span.stop - span.start)


def _random(data: bytearray, rng: random.Random) -> None:
    span = _span(data, rng)
    data[span] = rng.randbytes(span.stop - span.start)


def _hole(data: bytearray, rng: random.Random) -> None:
    del data[_span(data, rng)]


def _truncated(data: bytearray, rng: random.Random) -> None:
    del data[rng.choice((0, 1, len(data) - 1, rng.randrange(len(data)))) :]


def _extended(data: bytearray, rng: random.Random) -> None:
    length = rng.randint(1, 5000)
    data += rng.choice((bytes(length), rng.randbytes(length), bytes(data[-length:])))


def _swapped(data: bytearray, rng: random.Random) -> None:
    """Two pieces change places: whole segments, where there are three."""
    size = SEGMENT_BYTES if len(data) > 2 * SEGMENT_BYTES else max(1, len(data) // rng.choice((2, 4, 16)))
    first, second = rng.sample(range(len(data) // size), 2)
    one, other = slice(first * size, (first + 1) * size), slice(second * size, (second + 1) * size)
    data[one], data[other] = data[other], data[one]


def _repeated(data: bytearray, rng: random.Random) -> None:
    """A piece lies where another should."""
    span = _span(data, rng)
    start = rng.randrange(len(data) - (span.stop - span.start) + 1)
    data[start : start + span.stop - span.start] = data[span]


DAMAGES: Final[tuple[Callable[[bytearray, random.Random], None], ...]] = (
    _flip, _flips, _zeroed, _random, _hole, _truncated, _extended, _swapped, _repeated,
)  # fmt: skip


def damaged(good: bytes, number: int, name: str) -> tuple[str, bytes]:
    """What was done, and what became of the bytes, never equal to ``good``; the same for the same number and name."""
    rng = random.Random(f"{name} {number}")
    made = DAMAGES[number % len(DAMAGES)]
    data = bytearray(good)
    made(data, rng)
    if data == good:  # zeros where there were zeros
        made = _flip
        _flip(data, rng)
    return made.__name__.lstrip("_"), bytes(data)


# -- in the child ------------------------------------------------------------------------------------------


def outcome_of(folder: Path, facts: dict[str, Any]) -> str:
    """Load what lies there, as an app would, and judge what it answers."""
    try:
        with EdgeClient.open(folder, credential=APP_KEY if facts["key"] else None) as client:
            model = client.model(MODEL)
            reasons = {model.predict(row, deadline_ms=60_000).reason for row in _ROWS}
            answers = _answers(client)
    except EdgeError:
        return "refused"
    except Exception:
        return "error"
    if answers == facts["previous"] and reasons == {Reason.LAST_KNOWN_GOOD}:
        return "stood in"
    return "right" if answers == facts["active"] and reasons == {Reason.FRESH} else "wrong"


def main(base: Path, start: int, stop: int) -> None:
    """As a program: the corruptions with these numbers, a line of JSON for each."""
    facts = json.loads((base / "facts.json").read_text())
    blob = base / "cache" / "blobs" / facts["sha256"]
    kept = base / "good"
    if not kept.exists():
        kept.write_bytes(blob.read_bytes())
    good = kept.read_bytes()
    for number in range(start, stop):
        kind, data = damaged(good, number, facts["name"])
        blob.write_bytes(data)
        print(json.dumps([outcome_of(base / "cache", facts), kind]), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
