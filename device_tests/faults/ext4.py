"""Power cuts on a real file system: ext4 on a file, which is copied after every step, mounted elsewhere and judged.

What the copy holds is what the kernel had brought to the device by then. Mounting it replays the journal, as after a
power cut. Where :mod:`power` simulates what POSIX allows, this is what one file system does; it needs root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from device_tests.errors import ToolMissing
from device_tests.faults.invariants import Promise, Violation, judged
from device_tests.faults.report import Point, Report
from device_tests.faults.running import Progress, in_memory, unwatched
from device_tests.faults.scenarios import SCENARIOS, Scenario
from device_tests.faults.site import state_of
from edge_sdk.store import System

NAMES: Final = (
    "first-install-encrypted",
    "upgrade",
    "rollback",
    "collection-encrypted",
    "erase-all-encrypted",
)
"""Scenarios that are run unless others are asked for."""
FAULT: Final = "power cut"

_BYTES: Final = 12 << 20
_OPTIONS: Final = "loop,noatime,commit=600,noauto_da_alloc"
"""Nothing is written but what is asked for: no commit by the clock, and no guess that a rename means to be safe."""

_OWNER: Final = "process_1"
"""Lives as long as its steps are taken, and is dead for who finds the copies."""


class Steps(System):
    """The operating system on a mounted file system, whose device is copied after every call that changes it.

    Args:
        device: the file behind it.
        copies: where they go; a step after which nothing had changed shares the copy of the one before.

    Attributes:
        taken: the name of the call and its copy, step by step.
    """

    def __init__(self, device: Path, copies: Path) -> None:
        self._device, self._copies = device, copies
        self.taken: list[tuple[str, Path]] = []

    def _copy(self, call: str) -> None:
        data = self._device.read_bytes()
        while (again := self._device.read_bytes()) != data:  # the kernel is writing on its own account
            data = again
        copy = self.taken[-1][1] if self.taken else None
        if copy is None or copy.read_bytes() != data:
            copy = self._copies / f"{len(self.taken)}.ext4"
            copy.write_bytes(data)
        self.taken.append((call, copy))

    def owner(self) -> str:
        return _OWNER

    def is_alive(self, owner: str) -> bool:
        return owner == _OWNER or super().is_alive(owner)

    def open(self, path: Path, flags: int) -> int:
        handle = super().open(path, flags)
        if flags & os.O_CREAT:
            self._copy("create")
        return handle

    def write(self, handle: int, data: bytes | memoryview, offset: int) -> int:
        taken = super().write(handle, data, offset)
        self._copy("write")
        return taken

    def truncate(self, handle: int, length: int) -> None:
        super().truncate(handle, length)
        self._copy("truncate")

    def fsync(self, handle: int) -> None:
        super().fsync(handle)
        self._copy("fsync")

    def link(self, source: Path, target: Path) -> None:
        super().link(source, target)
        self._copy("link")

    def replace(self, source: Path, target: Path) -> None:
        super().replace(source, target)
        self._copy("replace")

    def unlink(self, path: Path) -> None:
        super().unlink(path)
        self._copy("unlink")

    def mkdir(self, path: Path) -> None:
        super().mkdir(path)
        self._copy("mkdir")

    def rmtree(self, path: Path) -> None:
        super().rmtree(path)
        self._copy("rmtree")

    def sync_folder(self, path: Path) -> None:
        super().sync_folder(path)
        self._copy("sync_folder")


def cuts(
    scenario: Scenario, base: Path, make: type[Steps] = Steps, every: int = 1
) -> Iterator[tuple[str, bool, list[Violation]]]:
    """Go through a scenario, then judge what a power cut after each step leaves.

    Args:
        scenario: which.
        base: an empty folder.
        make: the controls take something out of it.
        every: take every Nth step only, and the last.

    Yields:
        The name of the call, whether its image was another than the one before, and what did not hold.

    Raises:
        ToolMissing: no file system can be made or mounted here.
    """
    site, device, mounted = scenario.site(), base / "disk.ext4", base / "mounted"
    mounted.mkdir()
    (base / "copies").mkdir()
    _make(device)
    with _mounted(device, mounted):
        cache = mounted / "cache"
        site.lay_out(cache)
        os.sync()
        steps, told = make(device, base / "copies"), [(0, Promise())]
        with site.open(cache, steps, transport=site.network()) as client:
            for step in scenario.steps:
                receipt = step(client, cache)
                told.append((len(steps.taken), Promise(state_of(cache), receipt)))
    # The app hears of success after the last call that led to it; from there on it may be held against us.
    known: dict[tuple[Path, object], list[Violation]] = {}
    for number, (call, copy) in enumerate(steps.taken, 1):
        if (number - 1) % every and number < len(steps.taken):
            continue
        promise = next(promise for since, promise in reversed(told) if since <= number)
        key = copy, promise.key
        fresh = key not in known
        if fresh:
            cut = base / "cut.ext4"
            shutil.copyfile(copy, cut)
            with _mounted(cut, mounted):
                known[key] = judged(site, mounted / "cache", promise)
        yield call, fresh, known[key]


def run(names: Sequence[str] = NAMES, every: int = 1, progress: Progress = unwatched) -> Report:
    """Run scenarios.

    Args:
        names: of scenarios.
        every: take every Nth step only, and the last.
        progress: told the scenario and how many steps are done; not how many there are.

    Raises:
        ToolMissing: no file system can be made or mounted here.
    """
    report = Report()
    by_name = {scenario.name: scenario for scenario in SCENARIOS}
    for name in names:
        title = f"{name} (ext4)"
        with in_memory() as base:
            for number, (call, fresh, found) in enumerate(cuts(by_name[name], Path(base), every=every), 1):
                progress(title, number, 0)
                report.add(Point(title, FAULT, number, call), found, judged=int(fresh))
    return report


def _make(device: Path) -> None:
    tool = shutil.which("mkfs.ext4", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if os.geteuid() != 0 or tool is None:
        raise ToolMissing("power cuts on a real file system need root and mkfs.ext4")
    with open(device, "wb") as file:
        file.truncate(_BYTES)
    _tool(tool, "-q", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(device))


@contextmanager
def _mounted(device: Path, where: Path) -> Iterator[None]:
    _tool("mount", "-t", "ext4", "-o", _OPTIONS, str(device), str(where))
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            shutil.rmtree(where / "lost+found")
        _tool("umount", str(where))


def _tool(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ToolMissing(f"{command[0]} does not work here: {done.stderr.strip()}")
