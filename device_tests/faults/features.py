"""Recording, merging, making room and erasing a user, while something fails.

An event that was confirmed is there afterwards, once, and so are all that were there before; none is half there. A user
who is erased, or gives way to others, is gone whole or there whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from device_tests.faults.invariants import Violation
from device_tests.faults.power import Image, PowerSystem, lay_out
from device_tests.faults.report import Point, Report
from device_tests.faults.running import FAULTS, Here, MakePower, Progress, different, in_memory, unwatched
from device_tests.faults.site import Site, tree
from device_tests.faults.system import Fault, FaultySystem, Killed, applies
from device_tests.simulator.features import FULL, stub
from device_tests.simulator.repository import Repository
from edge_sdk.client import EdgeClient
from edge_sdk.errors import EdgeError
from edge_sdk.features import FeatureSettings
from edge_sdk.features.columns import digest
from edge_sdk.features.places import FOLDER
from edge_sdk.features.settings import LEAST_BYTES
from edge_sdk.features.users import TAIL_EVENTS, Users
from edge_sdk.store import Disk, System

STAYS: Final = "user-who-stays"
GOES: Final = "user-who-goes"
LATE: Final = "user-who-comes-late"
MANY: Final = 60
"""Events of each user before; some more, and a tail is merged."""

_NEW: Final = TAIL_EVENTS - MANY + 2
_CROWD: Final = 9
"""Users of ``MANY`` events that nearly fill the smallest store."""


@dataclass
class Sure:
    """What the app was told.

    Attributes:
        events: ids of those that are kept.
        erased: whether the user who goes is.
    """

    events: set[str] = field(default_factory=set)
    erased: bool = False


Steps = Callable[[EdgeClient, Sure], None]


_AT: Final = (datetime.now(UTC) - timedelta(hours=1)).isoformat(timespec="milliseconds")
"""When everything happened: an event that is recorded again is the same one."""


def _record(client: EdgeClient, user: str, *names: str) -> None:
    rows: list[dict[str, Any]] = [
        {"timestamp": _AT, "event_type": "session", "event_id": name} for name in names
    ]
    client.features.record(*rows, user=user)


def use(client: EdgeClient, sure: Sure) -> None:
    """Record until a tail is merged, say what is known, erase a user, and record once more."""
    for number in range(_NEW):
        _record(client, STAYS, f"new-{number}")
        sure.events.add(f"new-{number}")
    client.features.know(STAYS, "a goal", {"progress": 0.5})
    client.erase(user=GOES)
    sure.erased = True
    _record(client, STAYS, "last")
    sure.events.add("last")


def crowd(client: EdgeClient, sure: Sure) -> None:
    """Record more than there is room for."""
    _record(client, LATE, *(f"late-{number}" for number in range(MANY)))
    client.features.know(LATE, "a goal", {"progress": 0.5, "goal_total_days": 30})
    _record(client, STAYS, *(f"new-{number}" for number in range(_NEW)))
    sure.events.update(f"new-{number}" for number in range(_NEW))
    _record(client, STAYS, "last")
    sure.events.add("last")


class FeaturesRun:
    """A device whose feature store is used, in front of which a point can be put.

    Args:
        name: of the scenario.
        steps: what the app does.
        crowded: whether other users nearly fill the store.
        make_power: makes the disk; the controls take something out of it.
    """

    def __init__(
        self, name: str, steps: Steps, *, crowded: bool = False, make_power: MakePower = PowerSystem
    ) -> None:
        self.name, self._steps, self._make_power = name, steps, make_power
        self._crowded = crowded
        self.settings = FeatureSettings(zone="UTC", max_bytes=LEAST_BYTES)
        self.site = Site(Repository(), features=self.settings)
        self.site.sync(self.site.model(1))
        self._others = {GOES: "canary"} | {f"other-{n}": f"other-{n}" for n in range(_CROWD * crowded)}
        with in_memory() as base:
            folder = Path(base) / "cache"
            self.site.lay_out(folder)
            with self.site.open(folder, Here()) as client:
                for user, event in {**self._others, STAYS: "old"}.items():
                    for first in (0, MANY)[: 1 + (user == GOES)]:  # of him there are two files
                        _record(client, user, *(f"{event}-{first + number}" for number in range(MANY)))
            self.site.before = tree(folder)
            users = self._users(folder)
            salt = users.salt()
            assert salt is not None
            self._canaries = [
                users.label(GOES, salt).encode(),
                *(digest(f"canary-{n}", salt).to_bytes(8, "little") for n in range(2 * MANY)),
            ]
        with in_memory() as base:
            system = FaultySystem(self._disk(Path(base)))
            found = self._use(Path(base) / "disk" / "cache", system, Sure())
            system.exit()
        assert not found, found
        self._calls = system.calls

    def points(self, faults: Iterable[Fault] = FAULTS) -> list[Point]:
        """All of them; one with no fault at the end, when the power may still go."""
        return [
            Point(self.name, fault, at, call)
            for fault in faults
            for at, call in enumerate(self._calls, 1)
            if applies(fault, call)
        ] + [Point(self.name, Fault.KILL, len(self._calls) + 1, "end")]

    def judge(self, point: Point) -> tuple[int, list[Violation]]:
        """Use the store with the fault at this point, then again; see what every image of the disk leads to."""
        with in_memory() as folder:
            base, sure = Path(folder), Sure()
            power = self._disk(base)
            system = FaultySystem(power, Fault(point.fault), point.at)
            cache = base / "disk" / "cache"
            found = self._use(cache, system, sure)
            kinds = [Image.DURABLE]
            if point.fault == Fault.KILL:
                kinds += [Image.ZEROS, Image.TORN]
            elif not system.died:
                system.recover()
                found += self._use(cache, system, sure)
                if "last" not in sure.events:
                    found.append(Violation("heals", "the same process tries again and fails"))
            system.exit()
            images = different(power, kinds)
            for number, image in enumerate(images.values()):
                lay_out(image, base / f"cut-{number}")
                found += self._judge(base / f"cut-{number}" / "cache", sure)
            return len(images) + 1, found + self._judge(cache, sure)

    def _judge(self, folder: Path, sure: Sure) -> list[Violation]:
        """What the next process finds; then it records an event, and computes."""
        try:
            with self.site.open(folder, Here()) as client:
                found = self._found(folder, sure)
                there = self._count_of(folder, STAYS)
                _record(client, STAYS, "next")
                effort = client.features.vector(stub(), STAYS).values["effort"]
        except EdgeError as error:
            return [Violation("heals", f"the next process fails: {error!r}")]
        if abs(effort - (there + 1) / FULL) > 1e-6:
            found.append(Violation("usable", f"computed is {effort}, from {there + 1} events"))
        found += self._traces(folder)
        left = [name for name in tree(folder) if name.startswith(FOLDER) and "/.part-" in name]
        found += [Violation("bounded", f"left behind: {name}") for name in left]
        if (size := self._users(folder).size()) > self.settings.max_bytes:
            found.append(Violation("bounded", f"{size} bytes"))
        return found

    def _found(self, folder: Path, sure: Sure) -> list[Violation]:
        users = self._users(folder)
        salt = users.salt()
        user = None if salt is None else users.read(users.label(STAYS, salt))
        if user is None or salt is None:
            return [Violation("truthful", "the user who stays is gone")]
        times = Counter(user.events["event"].tolist())
        found = []
        for name in (*(f"old-{number}" for number in range(MANY)), *sorted(sure.events)):
            if times.pop(digest(name, salt), 0) != 1:
                found.append(Violation("truthful", f"the event {name} is not there once"))
        if any(count > 1 for count in times.values()):
            found.append(Violation("truthful", "an event that was not confirmed is there twice"))
        for name in (*self._others, LATE):
            if self._count_of(folder, name) not in (0, 2 * MANY if name == GOES else MANY):
                found.append(Violation("truthful", f"{name} is there by half"))
        if self._count_of(folder, GOES) and sure.erased:
            found.append(Violation("erased", "the user is there, and the erase was told"))
        # Who gave way to others is gone once the next process writes.
        return found + ([] if self._crowded else self._traces(folder))

    def _traces(self, folder: Path) -> list[Violation]:
        """Of the user who goes, once he is gone."""
        if self._count_of(folder, GOES):
            return []
        return [
            Violation("erased", f"{name} tells of the user")
            for name, data in tree(folder).items()
            if any(canary in data + name.encode() for canary in self._canaries)
        ]

    def _count_of(self, folder: Path, user: str) -> int:
        users = self._users(folder)
        salt = users.salt()
        known = None if salt is None else users.read(users.label(user, salt))
        return 0 if known is None else len(known.events)

    def _users(self, folder: Path) -> Users:
        return Users(folder, Disk(Here()), self.settings)

    def _disk(self, base: Path) -> PowerSystem:
        (base / "disk").mkdir()
        self.site.lay_out(base / "disk" / "cache")
        return self._make_power(base / "disk")

    def _use(self, folder: Path, system: System, sure: Sure) -> list[Violation]:
        try:
            with self.site.open(folder, system) as client:
                self._steps(client, sure)
        except (Killed, EdgeError):
            pass
        except Exception as error:
            return [Violation("heals", f"an error that an app does not expect: {error!r}")]
        return []


def scenarios(make_power: MakePower = PowerSystem) -> tuple[FeaturesRun, FeaturesRun]:
    """Both: with room, and without."""
    return (
        FeaturesRun("features", use, make_power=make_power),
        FeaturesRun("features-crowded", crowd, crowded=True, make_power=make_power),
    )


def run(every: int = 1, progress: Progress = unwatched) -> Report:
    """Run all of it.

    Args:
        every: take every Nth point only; the last one always.
        progress: told the scenario, how many points are done, and how many there are.
    """
    report = Report()
    for prepared in scenarios():
        points = prepared.points()
        chosen = [*points[:-1:every], points[-1]]
        for done, point in enumerate(chosen):
            progress(prepared.name, done, len(chosen))
            images, found = prepared.judge(point)
            report.add(point, found, images=images, judged=images)
    return report
