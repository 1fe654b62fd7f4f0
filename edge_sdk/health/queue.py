"""What waits in a cache to be told: windows of counts, and the reports made of them, in ``telemetry/``.

Each is a file of its own, and a crash at any call leaves it in the queue or not in it:

1. A window appears complete, under a name that nobody else uses.
2. Windows that are to become a report are taken by renaming them to private names, which one process can do and
   which tell who did; those of a process that is gone go back.
3. The report names its windows. Whatever is left of a window that a report names is removed: when the queue is
   looked at, and before the report is handed out. So no window is told twice, and none is lost between the two.
4. A report is handed out by renaming it likewise. Its bytes never change, and servers know bytes that came before.

An erase removes the folder. A process that counted before it must not put that back: ``epoch`` tells it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import reduce
from pathlib import Path
from typing import Any, Final

from edge_sdk.contract import document
from edge_sdk.contract.document import Fields
from edge_sdk.contract.telemetry import MAX_BYTES, MAX_LENGTH, Report, Subject, Window
from edge_sdk.errors import FormatError, StoreError
from edge_sdk.store.disk import Disk, is_private
from edge_sdk.store.system import Clock
from feature_spec.canonical import canonical_json

FOLDER: Final = "telemetry"
EPOCH: Final = "epoch"
_DROPPED: Final = "dropped.json"
_WINDOW_FORMAT: Final = "coach-edge/telemetry-window/1"
_QUEUED_FORMAT: Final = "coach-edge/telemetry-queued/1"
_NAME: Final = re.compile(r"(window|report)-([0-9]{10})-[0-9a-f]{16}\.json")
_HOUR: Final = "%Y%m%d%H"


@dataclass(frozen=True)
class Limits:
    """How much may wait; the oldest is dropped for the newest.

    Attributes:
        files: windows and reports.
        bytes: in all of them.
        age: from the beginning of a window.
    """

    files: int = 128
    bytes: int = 262_144
    age: timedelta = timedelta(days=14)


@dataclass(frozen=True)
class Taken:
    """A report that one process has in hand; end it with :meth:`Queue.acknowledge` or the like."""

    name: str
    path: Path
    body: bytes


class Queue:
    """The queue of one cache; any number of processes may use it.

    Args:
        cache_folder: of the cache.
        disk: how to reach it.
        clock: the wall clock.
        limits: how much may wait.

    Every method raises StoreError where the disk refuses.
    """

    def __init__(
        self,
        cache_folder: Path,
        disk: Disk,
        clock: Clock,
        limits: Limits | None = None,
    ) -> None:
        self.folder = cache_folder / FOLDER
        self._disk = disk
        self._clock = clock
        self._limits = limits or Limits()

    def begin(self) -> bytes:
        """Make the queue where there is none; the result tells it from one that is made after an erase."""
        if (found := self._disk.read(self.folder / EPOCH)) is not None:
            return found
        self._disk.make_folder(self.folder)
        self._disk.write_new(self.folder / EPOCH, self._disk.system.random(16).hex().encode())
        return self._disk.read(self.folder / EPOCH) or b""

    def enqueue(self, window: Window, epoch: bytes) -> bool:
        """Keep a window until it is told.

        Args:
            window: what was counted.
            epoch: of when counting began.

        Returns:
            Whether it is kept: not where the queue was erased meanwhile.
        """
        if self._disk.read(self.folder / EPOCH) != epoch:
            return False
        data = canonical_json({"format": _WINDOW_FORMAT, **window.to_json()})
        self._make_room(len(data))
        path = self.folder / self._new_name("window", window.start)
        self._disk.write_new(path, data)
        if self._disk.read(self.folder / EPOCH) != epoch:  # erased while this was written
            self._disk.remove(path)
            return False
        return True

    def windows(self) -> list[Window]:
        """What waits to be told, in reports or not yet; what cannot be read is left for others to drop.

        Of a report with noise the counts are no longer here.
        """
        found = [window for _, window in self._readable(drop=False)]
        for name in self._names():
            if name.startswith("report-") and (queued := self._queued(self.folder / name)) is not None:
                report = Report.from_bytes(queued[1])
                found += [report.window] if report.privacy is None else []
        return found

    def reports(self) -> int:
        """How many reports wait."""
        return sum(name.startswith("report-") for name in self._names())

    def dropped(self) -> Counter[str]:
        """How many windows and reports were dropped, by why: ``corrupt``, ``full``, ``old``, ``refused``."""
        data = self._disk.read(self.folder / _DROPPED)
        with suppress(FormatError):
            if data is not None:
                f = document.parse(data, _DROPPED, max_bytes=1000)
                return Counter({why: Fields(f, _DROPPED).integer(why) for why in f})
        return Counter()

    def seal(self, make: Callable[[Window], Report | None]) -> None:
        """Make reports of windows.

        Args:
            make: the report of what windows of one subject counted together; None where that is not to be told
                yet.
        """
        self._recover()
        self._drop([name for name in self._names() if self._is_old(name)], "old")
        for group in _grouped(self._readable(drop=True)):
            with self._taken([name for name, _ in group]) as paths:
                mine = [window for name, window in group if name in paths]
                report = make(reduce(Window.merge, mine)) if mine else None
                if report is not None:
                    self._put(report, sorted(paths))
                    for name in list(paths):
                        self._disk.remove(paths.pop(name))
                    self._disk.sync_folder(self.folder)

    def take(self, passed: frozenset[str] = frozenset()) -> Taken | None:
        """The oldest report that nobody has in hand; None where there is none.

        Args:
            passed: names of those not to take.
        """
        self._recover()
        for name in self._names():
            if not name.startswith("report-") or name in passed:
                continue
            path = self._disk.private_path(self.folder, name)
            if not self._disk.move(self.folder / name, path):
                continue
            try:
                queued = self._queued(path)
                if queued is not None:
                    self._remove_windows(queued[0])
                    return Taken(name, path, queued[1])
            except BaseException:
                self.give_back(Taken(name, path, b""))
                raise
            self._drop([path.name], "corrupt")
        return None

    def acknowledge(self, taken: Taken) -> None:
        """It was told."""
        self._disk.remove(taken.path)
        self._disk.sync_folder(self.folder)

    def refuse(self, taken: Taken) -> None:
        """It is of no use to anybody."""
        self._drop([taken.path.name], "refused")
        self._disk.sync_folder(self.folder)

    def give_back(self, taken: Taken) -> None:
        """It is to be told later. Where even that fails, it goes back when this process is gone."""
        with suppress(StoreError):
            self._disk.move(taken.path, self.folder / taken.name)

    # -- inside ----------------------------------------------------------------------------------------

    def _names(self) -> list[str]:
        """Of windows and reports that nobody has in hand, the oldest first."""
        names = [name for name in self._disk.names(self.folder) if _NAME.fullmatch(name)]
        return sorted(names, key=lambda name: name.split("-")[1:])

    def _new_name(self, kind: str, start: datetime) -> str:
        return f"{kind}-{start.strftime(_HOUR)}-{self._disk.system.random(8).hex()}.json"

    def _is_old(self, name: str) -> bool:
        match = _NAME.fullmatch(name)
        assert match is not None
        try:
            start = datetime.strptime(match[2], _HOUR).replace(tzinfo=UTC)
        except ValueError:
            return True
        return self._clock() - start > self._limits.age

    def _readable(self, *, drop: bool) -> list[tuple[str, Window]]:
        found, broken = [], []
        for name in self._names():
            if not name.startswith("window-"):
                continue
            data = self._disk.read(self.folder / name)
            if data is None:
                continue
            try:
                f = Fields(document.parse(data, name, max_bytes=MAX_BYTES), name)
                f.format(_WINDOW_FORMAT)
                found.append((name, Window.from_json(f)))
            except FormatError:
                broken.append(name)
        if drop:
            self._drop(broken, "corrupt")
        return found

    def _queued(self, path: Path) -> tuple[list[str], bytes] | None:
        """The windows that a report was made of, and its bytes; None where the file is damaged or gone."""
        data = self._disk.read(path)
        try:
            f = Fields(document.parse(data or b"", path.name, max_bytes=2 * MAX_BYTES), path.name)
            f.format(_QUEUED_FORMAT)
            body = f.text("report").encode()
            Report.from_bytes(body)
            windows = [name for name in f.array("windows") if isinstance(name, str) and _NAME.fullmatch(name)]
        except FormatError:
            return None
        return windows, body

    def _put(self, report: Report, windows: list[str]) -> None:
        value: dict[str, Any] = {
            "format": _QUEUED_FORMAT,
            "windows": windows,
            "report": report.to_bytes().decode(),
        }
        path = self.folder / self._new_name("report", report.window.start)
        self._disk.write_new(path, canonical_json(value))

    @contextmanager
    def _taken(self, names: list[str]) -> Iterator[dict[str, Path]]:
        """Windows in hand for the block, as many as could be had; what is still in the result then goes back."""
        paths: dict[str, Path] = {}
        try:
            for name in names:
                path = self._disk.private_path(self.folder, name)
                if self._disk.move(self.folder / name, path):
                    paths[name] = path
            yield paths
        finally:
            for name, path in paths.items():
                self.give_back(Taken(name, path, b""))

    def _recover(self) -> None:
        """Put back what processes that are gone had in hand; remove windows that a report names."""
        left = self._disk.abandoned(self.folder)
        for path, label in left:
            if not _NAME.fullmatch(label):
                self._disk.remove(path)
            elif label.startswith("report-"):
                self._disk.move(path, self.folder / label)
        for name in self._names():
            if name.startswith("report-") and (queued := self._queued(self.folder / name)) is not None:
                self._remove_windows(queued[0])
        for path, label in left:
            if label.startswith("window-"):
                self._disk.move(path, self.folder / label)

    def _remove_windows(self, windows: list[str]) -> None:
        """Whatever is left of them, in hand or not; on the disk before the report that names them can go."""
        gone = False
        for name in self._disk.names(self.folder):
            if name in windows or (is_private(name) and name.endswith(tuple(f".{w}" for w in windows))):
                self._disk.remove(self.folder / name)
                gone = True
        if gone:
            self._disk.sync_folder(self.folder)

    def _make_room(self, size: int) -> None:
        names = self._names()
        old = [name for name in names if self._is_old(name)]
        stamps = {name: self._disk.stamp(self.folder / name) for name in names if name not in old}
        sizes = {name: stamp[1] for name, stamp in stamps.items() if stamp is not None}
        full = []
        for name in list(sizes):
            if len(sizes) < self._limits.files and sum(sizes.values()) + size <= self._limits.bytes:
                break
            full.append(name)
            del sizes[name]
        self._drop(old, "old")
        self._drop(full, "full")

    def _drop(self, names: list[str], why: str) -> None:
        if not names:
            return
        for name in names:
            self._disk.remove(self.folder / name)
        counted = self.dropped() + Counter({why: len(names)})
        self._disk.write(self.folder / _DROPPED, canonical_json(dict(counted)))


def _grouped(windows: list[tuple[str, Window]]) -> list[list[tuple[str, Window]]]:
    """Windows of one subject that may be one report: together no longer than a report may be."""
    groups: dict[Subject, list[list[tuple[str, Window]]]] = {}
    for name, window in sorted(windows, key=lambda item: item[1].start):
        of_subject = groups.setdefault(window.subject, [[]])
        begun = of_subject[-1]
        if begun and max(w.end for _, w in (*begun, (name, window))) - begun[0][1].start > MAX_LENGTH:
            of_subject.append(begun := [])
        begun.append((name, window))
    return [group for of_subject in groups.values() for group in of_subject]
