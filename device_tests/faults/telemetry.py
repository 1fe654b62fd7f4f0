"""Telling what was counted, while something fails: nothing is told twice, and nothing that was kept is lost.

What was counted before, and by each process of the scenario, is told apart by the value of a feature.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from device_tests.faults.invariants import Violation
from device_tests.faults.power import Image, PowerSystem, lay_out
from device_tests.faults.report import Point, Report
from device_tests.faults.running import FAULTS, Here, Progress, different, in_memory, unwatched
from device_tests.faults.site import MODEL, Site, tree
from device_tests.faults.system import Fault, FaultySystem, Killed, applies
from device_tests.simulator.models import ROW
from device_tests.simulator.repository import Network, Repository
from edge_sdk.contract.sketch import bin_of
from edge_sdk.contract.telemetry import MIN_PREDICTIONS
from edge_sdk.contract.telemetry import Report as Told
from edge_sdk.errors import EdgeError
from edge_sdk.health.queue import FOLDER, Queue
from edge_sdk.store import Disk, System
from edge_sdk.update.transport import NO_HEADERS, Answer

NAME: Final = "telemetry"
MANY: Final = MIN_PREDICTIONS + 10
FEW: Final = MIN_PREDICTIONS - 10
EARLIER, FIRST, SECOND = 0.01, 0.5, 0.99
"""A feature's value: of what was kept before, and of what the process counts before and after the fault."""


class Server(Network):
    """Takes reports; those that it has already it does not count again.

    Attributes:
        came: the reports, each once.
    """

    def __init__(self, repository: Repository, came: dict[bytes, None]) -> None:
        super().__init__(repository)
        self.came = came

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        body: bytes | None = None,
        elsewhere: bool = False,
    ) -> Answer:
        """As of any transport."""
        if method != "POST":
            return super().request(method, url, headers=headers, body=body, elsewhere=elsewhere)
        self.came[body or b""] = None
        return Answer(202, {"Content-Type": "application/json"}, iter((b'{"taken": true}',)))


class TelemetryRun:
    """A device that predicts and tells, in front of which a point can be put."""

    def __init__(self) -> None:
        self.site = Site(Repository(), tells=True)
        self.site.sync(self.site.model(1))
        with in_memory() as base:
            folder = Path(base) / "cache"
            self.site.lay_out(folder)
            self._count(folder, Here(), EARLIER, FEW)
            self.site.before = tree(folder)
        with in_memory() as base:
            system = FaultySystem(self._disk(Path(base)))
            self._tell(Path(base) / "disk" / "cache", system, {}, FIRST, {})
            system.exit()
        self._calls = system.calls

    def points(self) -> list[Point]:
        """All of them."""
        return [
            Point(NAME, fault, at, call)
            for fault in FAULTS
            for at, call in enumerate(self._calls, 1)
            if applies(fault, call)
        ]

    def judge(self, point: Point) -> tuple[int, list[Violation]]:
        """Predict and tell with the fault at this point, then again; see what every image of the disk leads to."""
        with in_memory() as folder:
            base = Path(folder)
            power = self._disk(base)
            system = FaultySystem(power, Fault(point.fault), point.at)
            cache, came = base / "disk" / "cache", dict[bytes, None]()
            sure = {EARLIER: FEW}
            # A process that could not read when counting began drops what it counted, rather than tell what may have
            # been erased since: so of one that a disk refused something, nothing is sure.
            refused = point.fault in (Fault.EIO, Fault.ENOSPC)
            found = self._tell(cache, system, came, FIRST, {} if refused else sure)
            kinds = [Image.DURABLE]
            if point.fault == Fault.KILL:
                kinds += [Image.ZEROS, Image.TORN]
            elif not system.died:
                system.recover()
                found += self._tell(cache, system, came, SECOND, sure)
            system.exit()
            images = different(power, kinds)
            for number, image in enumerate(images.values()):
                lay_out(image, base / f"cut-{number}")
                found += self._judge(base / f"cut-{number}" / "cache", came, sure)
            return len(images) + 1, found + self._judge(cache, came, sure)

    def _judge(self, folder: Path, came: dict[bytes, None], sure: Mapping[float, int]) -> list[Violation]:
        """The next process tells what is there; then everything was told or waits, once."""
        came = dict(came)
        try:
            with self.site.open(folder, Here(), transport=Server(self.site.repository, came)) as client:
                client.upload_telemetry()
        except EdgeError as error:
            return [Violation("heals", f"the next process cannot tell: {error}")]
        left = [name for name in tree(folder) if name.startswith(FOLDER) and "/.part-" in name]
        found = [Violation("bounded", f"left behind: {name}") for name in left]
        queue = Queue(folder, Disk(Here()), lambda: datetime.now(UTC))
        if queue.reports():
            found.append(Violation("heals", "a report is not told"))
        windows = queue.windows() + [Told.from_bytes(body).window for body in came]
        sketch = "feature.effort"
        # A process that could not load the model answers with fallbacks, and a report of many of them beside few
        # predictions tells no sketch: then how many there were is known, and not of what.
        bare = sum(w.tally.counts["prediction.fresh"] for w in windows if sketch not in w.tally.histograms)
        counted = sum((Counter(w.tally.histograms.get(sketch, {})) for w in windows), Counter[int]())
        for value, many in ((EARLIER, FEW), (FIRST, MANY), (SECOND, MANY)):
            times = counted[bin_of(value, 0.0, 1.0)]
            if times not in (0, many) or times + bare < sure.get(value, 0):
                found.append(
                    Violation("truthful", f"{many} predictions were counted, {times} are told or wait")
                )
        return found

    def _disk(self, base: Path) -> PowerSystem:
        (base / "disk").mkdir()
        self.site.lay_out(base / "disk" / "cache")
        return PowerSystem(base / "disk")

    def _count(self, folder: Path, system: System, value: float, times: int) -> None:
        with self.site.open(folder, system, transport=Server(self.site.repository, {})) as client:
            model = client.model(MODEL)
            for _ in range(times):
                model.predict({**ROW, "effort": value}, deadline_ms=60_000)

    def _tell(
        self,
        folder: Path,
        system: FaultySystem,
        came: dict[bytes, None],
        value: float,
        sure: dict[float, int],
    ) -> list[Violation]:
        """Predict, tell, and note in ``sure`` what was said to be told or kept."""
        try:
            with self.site.open(folder, system, transport=Server(self.site.repository, came)) as client:
                model = client.model(MODEL)
                for _ in range(MANY):
                    model.predict({**ROW, "effort": value}, deadline_ms=60_000)
                client.upload_telemetry()
                sure[value] = MANY
        except (Killed, EdgeError):
            pass
        except Exception as error:
            return [Violation("heals", f"an error that an app does not expect: {error!r}")]
        return []


def run(every: int = 1, progress: Progress = unwatched) -> Report:
    """Run all of it.

    Args:
        every: take every Nth point only.
        progress: told the scenario, how many points are done, and how many there are.
    """
    report, prepared = Report(), TelemetryRun()
    chosen = prepared.points()[::every]
    for done, point in enumerate(chosen):
        progress(NAME, done, len(chosen))
        images, found = prepared.judge(point)
        report.add(point, found, images=images, judged=images)
    return report
