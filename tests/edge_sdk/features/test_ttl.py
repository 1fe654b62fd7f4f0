"""A value is never fresh beyond its TTL by either clock, whatever is done to the clocks: 10,000 steps beside a model.

The model knows what was recorded and at which moments something was computed or reported, and nothing of how the store
keeps that. Each control takes one of the two clocks out, or the TTL, and must be caught.
"""

from __future__ import annotations

import errno
import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest

from device_tests.simulator.features import FEATURES_SPEC, stub
from edge_sdk.features import FeatureSettings, FeatureStore, FeatureVector, Status, places
from edge_sdk.features import store as store_module
from edge_sdk.features import vectors as vectors_module
from edge_sdk.features.clocks import Reading
from edge_sdk.features.vectors import Key, Vectors
from edge_sdk.store import Disk, System
from edge_sdk.store.lock import locked
from feature_spec.day_context import Context
from feature_spec.day_input import day_input
from feature_spec.definition import FeatureSpec
from feature_spec.events import Event
from feature_spec.expression import context
from feature_spec.numpy_evaluator import evaluate
from tests.edge_sdk.features.conftest import START, Clocks, World

pytestmark = pytest.mark.sampled

STEPS = 10_000
OFFLINE_S = 4 * 3600.0
REPORT_TTL_S = 900.0
ZONE = "Europe/Berlin"
SINCE = Context(observed_since="2020-01-01", progress=0.5)
TTLS = {"effort": 3600, "rest": 600, "luck": 7200}
ZONE_INFO = ZoneInfo(ZONE)
SPEC = FeatureSpec(tuple(replace(feature, ttl_s=TTLS[feature.name]) for feature in FEATURES_SPEC.features))


class Moment(NamedTuple):
    """Both clocks, as the model remembers them."""

    wall: float
    running: float
    start: int


class Failing(Clocks):
    """Clocks, and a disk whose user files cannot be read for a while: nothing can be computed then."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = False

    def open(self, path: Path, flags: int) -> int:
        if self.broken and path.suffix in (".tail", ".main"):
            raise OSError(errno.EIO, "Input/output error", str(path))
        return super().open(path, flags)


class Walk:
    """Random steps, each vector judged by the model.

    Attributes:
        violations: what should not have happened.
        seen: how often each status was, and each kind of step.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.random, self.folder = random.Random(seed), folder
        self.clocks, self.model = Failing(), stub(SPEC)
        self.violations: list[str] = []
        self.seen: Counter[str] = Counter()
        self.events: list[Event] = []
        self.computed: dict[int, Moment] = {}
        self.reports: list[tuple[float, Moment]] = []
        self.store = self.open()
        self.store.know("u", None, SINCE)

    def open(self) -> FeatureStore:
        self.computed = {}  # vectors are in memory
        settings = FeatureSettings(zone=ZONE, offline_s=OFFLINE_S)
        return FeatureStore(
            self.folder, Disk(self.clocks), self.clocks.now, settings, lambda name: self.model
        )

    @property
    def moment(self) -> Moment:
        return Moment(self.clocks.wall.timestamp(), self.clocks.running, self.clocks.start)

    def go(self, steps: int) -> None:
        """Take so many steps; between any two a little time passes."""
        kinds: dict[Callable[[], None], int] = {
            self.ask: 40,
            self.ask_for_report: 10,
            self.pass_: 15,
            self.record: 8,
            self.report: 5,
            self.sleep: 4,
            self.set_forward: 5,
            self.set_back: 5,
            self.over_daylight_saving: 2,
            self.over_midnight: 2,
            self.restart: 3,
            self.reboot: 2,
            self.break_: 4,
            self.mend: 6,
        }
        chosen = self.random.choices(list(kinds), list(kinds.values()), k=steps)
        for step in chosen:
            self.clocks.pass_(self.random.uniform(0.01, 2))
            self.seen[step.__name__] += 1
            step()

    # -- steps -----------------------------------------------------------------------------------------

    def pass_(self) -> None:
        self.clocks.pass_(self.random.choice((5, 120, 590, 601, 3599, 3601, OFFLINE_S, 5 * OFFLINE_S)))

    def sleep(self) -> None:
        """The monotonic clock may stand still."""
        self.clocks.wall += timedelta(seconds=self.random.choice((300, 700, 4000)))

    def set_forward(self) -> None:
        self.clocks.wall += timedelta(seconds=self.random.choice((3, 599, 3600, 86_400)))

    def set_back(self) -> None:
        self.clocks.wall -= timedelta(seconds=self.random.choice((3, 599, 3600, 86_400)))

    def over_daylight_saving(self) -> None:
        """To just before an hour that is not there, or is there twice, and over it."""
        begin = self.random.choice((START.replace(day=29, hour=0), START.replace(month=10, day=25, hour=0)))
        if (
            abs((begin - self.clocks.wall).days) < 80
        ):  # else what was recorded would be out of the window for good
            self.clocks.wall = begin + timedelta(minutes=59)
            self.ask()
            self.clocks.pass_(120)
            self.ask()

    def over_midnight(self) -> None:
        midnight = self.clocks.wall.astimezone(ZONE_INFO).replace(hour=0, minute=0) + timedelta(days=1)
        self.clocks.wall = midnight.astimezone(START.tzinfo) - timedelta(seconds=100)
        self.ask()
        self.clocks.pass_(120)
        self.ask()

    def restart(self) -> None:
        self.store = self.open()

    def reboot(self) -> None:
        self.clocks.reboot(self.random.choice((20, 700, 8000)))
        self.store = self.open()

    def break_(self) -> None:
        self.clocks.broken = True

    def mend(self) -> None:
        self.clocks.broken = False

    def record(self) -> None:
        if self.clocks.broken:
            return
        then = self.clocks.wall - timedelta(seconds=self.random.choice((0, 60, 90_000)))  # some are late
        event = Event(then.isoformat(timespec="milliseconds"), "session")
        self.store.record(event, user="u")
        self.events.append(event)

    def report(self) -> None:
        if not self.clocks.broken:
            value = float(len(self.reports))
            self.store.report("u", "mood", value)
            self.reports.append((value, self.moment))

    # -- judging ---------------------------------------------------------------------------------------

    def age(self, then: Moment) -> float:
        """By the clock that says more; the monotonic one means something in one run of the machine only."""
        now = self.moment
        by_wall = now.wall - then.wall
        return max(by_wall, now.running - then.running) if then.start == now.start else by_wall

    def ask(self) -> None:
        vector = self.store.vector(self.model, "u")
        self.computed.setdefault(vector.computed.as_of, self.moment)
        if not vector.cached:
            self.computed[vector.computed.as_of] = self.moment
        then = self.computed[vector.computed.as_of]
        age = self.age(then)
        self.seen["cached"] += vector.cached and not vector.problem
        for name, found in vector.features.items():
            self.seen[found.status] += 1
            ttl = TTLS[name]
            if found.status is Status.FRESH and not (age <= ttl and self.moment.wall >= then.wall):
                self.violations.append(f"{name} is {age:.0f} s old and fresh")
            if found.status is Status.STALE and age > ttl + OFFLINE_S:
                self.violations.append(f"{name} is {age:.0f} s old and used")
            if found.status is Status.EXPIRED and (age <= ttl + OFFLINE_S or name in vector.used):
                self.violations.append(f"{name} is {age:.0f} s old and expired, or used all the same")
            if found.status is not Status.MISSING and found.age_s < max(age, 0) - 1e-6:
                self.violations.append(f"{name} is {age:.0f} s old, and {found.age_s:.0f} s are told")
        if not self.clocks.broken:
            self._is_right(vector)
        elif not vector.cached and vector.used:
            self.violations.append("computed from what cannot be read")

    def _is_right(self, vector: FeatureVector) -> None:
        as_of = START.fromtimestamp(vector.computed.as_of / 1000, START.tzinfo)
        given = day_input(self.events, as_of.isoformat(timespec="milliseconds"), ZONE, SINCE)
        expected = evaluate(SPEC, given.daily[None], given.context[None])[0]
        if list(vector.values.values()) != [float(number) for number in expected]:
            self.violations.append(f"{dict(vector.values)} of {len(self.events)} events, not {expected}")
        local = [when.astimezone(ZONE_INFO).date() for when in (as_of, self.clocks.wall)]
        if local[0] != local[1]:
            self.violations.append(f"computed on {local[0]}, and used on {local[1]}")
        if any(f.status not in (Status.FRESH, Status.MISSING) for f in vector.features.values()):
            self.violations.append("not fresh, though it can be computed")

    def ask_for_report(self) -> None:
        if self.clocks.broken:
            return
        found = self.store.reported("u", "mood", ttl_s=REPORT_TTL_S)
        self.seen[f"report {found.status}"] += 1
        if not self.reports:
            return
        value, then = self.reports[-1]
        age = self.age(then)
        if found.value != value:
            self.violations.append(f"reported is {found.value}, not {value}")
        if found.status is Status.FRESH and not (
            age <= REPORT_TTL_S and (then.start == self.clocks.start or age >= 0)
        ):
            self.violations.append(f"what was reported is {age:.0f} s old and fresh")
        if found.age_s < age - 1e-6:
            self.violations.append(f"what was reported is {age:.0f} s old, and {found.age_s:.0f} s are told")
        if then.start == self.clocks.start and age <= REPORT_TTL_S and found.status is not Status.FRESH:
            self.violations.append(f"what was reported is {age:.0f} s old and {found.status}")


@pytest.fixture
def walk(world: World) -> Callable[[int], Walk]:
    return lambda steps: _walked(world.folder, steps)


def _walked(folder: Path, steps: int) -> Walk:
    made = Walk(folder, seed=4)
    made.go(steps)
    return made


def test_ten_thousand_steps(walk: Callable[[int], Walk]) -> None:
    done = walk(STEPS)
    assert done.violations == []
    # The walk means nothing where it does not get everywhere.
    assert (
        min(done.seen[status] for status in (Status.FRESH, Status.STALE, Status.EXPIRED, Status.MISSING)) > 50
    )
    assert done.seen["cached"] > 300
    assert min(done.seen[f"report {status}"] for status in (Status.FRESH, Status.STALE, Status.EXPIRED)) > 20
    assert done.seen["over_daylight_saving"] > 50


FRESH = Vectors.fresh


def _no_ttl(vectors: Vectors, key: Key, wall: float, monotonic: float) -> FeatureVector | None:
    kept = vectors.get(key)
    if kept is not None:
        vectors._kept[key] = kept._replace(limit=math.inf)
    return FRESH(vectors, key, wall, monotonic)


def _wall_only(vectors: Vectors, key: Key, wall: float, monotonic: float) -> FeatureVector | None:
    kept = vectors.get(key)
    return FRESH(vectors, key, wall, monotonic if kept is None else kept.monotonic)


def _monotonic_only(vectors: Vectors, key: Key, wall: float, monotonic: float) -> FeatureVector | None:
    kept = vectors.get(key)
    return FRESH(vectors, key, wall if kept is None else kept.wall, monotonic)


def _no_day(vectors: Vectors, key: Key, wall: float, monotonic: float) -> FeatureVector | None:
    kept = vectors.get(key)
    if kept is not None:
        vectors._kept[key] = kept._replace(begin=-math.inf, end=math.inf)
    return FRESH(vectors, key, wall, monotonic)


def _no_stamp(vectors: Vectors, key: Key, wall: float, monotonic: float) -> FeatureVector | None:
    kept = vectors.get(key)
    if kept is not None:
        vectors._kept[key] = kept._replace(stamp=vectors._users.stamp(kept.path))
    return FRESH(vectors, key, wall, monotonic)


@pytest.mark.parametrize("broken", [_no_ttl, _wall_only, _monotonic_only, _no_day, _no_stamp])
def test_a_store_that_reads_less_is_caught(
    walk: Callable[[int], Walk], monkeypatch: pytest.MonkeyPatch, broken: Any
) -> None:
    monkeypatch.setattr(Vectors, "fresh", broken)
    assert walk(3000).violations


def _by_wall(then: Reading, now: Reading) -> float:
    return max(now.wall - then.wall, 0.0)


def _by_monotonic(then: Reading, now: Reading) -> float:
    return max(now.monotonic - then.monotonic, 0.0)


def _ageless(then: Reading, now: Reading) -> float:
    return 0.0


@pytest.mark.parametrize("broken", [_by_wall, _by_monotonic, _ageless])
def test_ages_by_one_clock_are_caught(
    walk: Callable[[int], Walk], monkeypatch: pytest.MonkeyPatch, broken: Any
) -> None:
    for module in (store_module, vectors_module):
        monkeypatch.setattr(module, "age_between", broken)
    assert any("reported" in violation for violation in walk(3000).violations)


def test_a_clock_that_is_set_back_before_a_restart_makes_nothing_young(world: World) -> None:
    """Reported, two hours pass, the clock is set back by them, a store looks, the machine starts anew."""
    store = world.open()
    store.report("u1", "mood", 3)
    world.clocks.pass_(7200)
    store.reported("u1", "mood")
    world.clocks.wall -= timedelta(seconds=7190)
    assert store.reported("u1", "mood").age_s == 7200
    assert store.stats().clock_jumps == 1
    world.clocks.reboot(5)
    found = world.open().reported("u1", "mood")
    assert (found.status, found.age_s) == (Status.EXPIRED, math.inf)


def test_a_clock_that_is_set_back_lets_no_prediction_wait_for_another_process(world: World) -> None:
    store = world.open()
    store.record(world.event())
    store.report("u1", "mood", 3)
    store.vector("focus", "u1")
    world.clocks.wall -= timedelta(seconds=100)
    with locked(world.folder / places.LOCK, System(), wait_s=0), pytest.MonkeyPatch.context() as patched:
        patched.setattr(threading.Event, "wait", lambda *args: pytest.fail("it waits"))
        assert store.vector("focus", "u1").used
    store.record(world.event())  # and with that it is remembered
    world.clocks.reboot(200)
    assert world.open().reported("u1", "mood").status is Status.EXPIRED


def test_without_a_boot_id_only_the_wall_clock_counts_across_processes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Clocks, "boot", lambda clocks: "")
    store = world.open()
    store.report("u1", "mood", 3)
    world.clocks.pass_(100)
    world.clocks.wall -= timedelta(seconds=50)
    assert store.reported("u1", "mood").age_s == 100
    assert world.open().reported("u1", "mood").age_s in (50, math.inf)


def test_a_report_of_earlier_is_as_old_as_that(world: World) -> None:
    store = world.open()
    store.report("u1", "mood", 3, at=world.clocks.wall - timedelta(seconds=1000))
    found = store.reported("u1", "mood", ttl_s=900)
    assert (found.value, found.status, found.age_s) == (3, Status.STALE, 1000)
    assert store.reported("u1", "energy").status is Status.MISSING


def test_reported_values_are_given_to_a_model_that_takes_them(world: World) -> None:
    store = world.open(stub(FEATURES_SPEC, extra=("mood",)))
    store.record(world.event(ago=60))
    assert store.vector("focus", "u1").features["mood"].status is Status.MISSING
    store.report("u1", "mood", 0.75)
    world.clocks.pass_(600)
    vector = store.vector("focus", "u1")
    assert (vector.values["mood"], vector.age_s, vector.is_stale) == (0.75, 600, False)
    world.clocks.pass_(3000)
    assert store.vector("focus", "u1").cached
    world.clocks.pass_(10)
    old = store.vector("focus", "u1")
    assert (old.features["mood"].status, old.features["effort"].status, old.is_stale) == (
        Status.STALE,
        Status.FRESH,
        True,
    )
    world.clocks.pass_(86_400)
    gone = store.vector("focus", "u1")
    assert (gone.features["mood"].status, gone.values["mood"]) == (Status.EXPIRED, 0.5)
    assert "mood" not in gone.used
    assert gone.is_stale


@pytest.mark.parametrize("zone", ["America/New_York", "UTC"])
def test_a_clock_that_was_not_set_yet_says_nothing_of_when_watching_began(world: World, zone: str) -> None:
    """Phones that lost their power show 1970 until somebody tells them the time."""
    observed = replace(FEATURES_SPEC.features[0], unit="days", expression=context("days_observed") / 100)
    store = world.open(stub(FeatureSpec((observed,))), zone=zone)
    right = world.clocks.wall
    for wrong in (datetime(1969, 12, 1, tzinfo=UTC), datetime(1970, 1, 1, 0, 1, tzinfo=UTC)):
        world.clocks.wall = wrong
        store.know("u1", None, {"progress": 0.5})
    store.record(world.event())
    store.vector("focus", "u1")
    world.clocks.wall = right
    store.record(world.event())
    vector = store.vector("focus", "u1")
    assert (vector.problem, vector.values["effort"]) == ("", pytest.approx(0.01))


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="a clock of Linux")
def test_sleep_counts_where_the_system_counts_it() -> None:
    """Else a phone that slept for two hours, and whose clock was set back by them, would make nothing older."""
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= System().uptime() <= time.clock_gettime(time.CLOCK_BOOTTIME)
