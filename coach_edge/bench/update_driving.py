"""Drives the clients of :mod:`coach_edge.bench.update_clients`: who they are, what they had, and what they are told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from coach_edge.bench.update_server import HUB_FILE, Site
from device_tests.simulator.models import sealed_model
from device_tests.simulator.repository import Repository
from device_tests.simulator.tflite_writer import dense_tflite
from edge_sdk.crypto.sealing import Sealed
from edge_sdk.runtime import engine_named

_QUIET: Final = {
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DOWNLOAD_TIMEOUT": "1",
    "HF_HUB_ETAG_TIMEOUT": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


@dataclass(frozen=True)
class World:
    """Two releases of one model, and how a server looks before and after the second.

    Attributes:
        root: that all trust begins with.
        old, new: the releases.
        before, after: what the server hands out.
    """

    root: bytes
    old: Sealed
    new: Sealed
    before: Mapping[str, bytes]
    after: Mapping[str, bytes]

    def site(self, *, news: bool, bytes_per_s: int = 0) -> Site:
        """What is served, made anew, over a link of this speed."""
        if news:
            return Site(self.after, "2" * 40, self.new.served, bytes_per_s)
        return Site(self.before, "1" * 40, self.old.served, bytes_per_s)

    def path(self, *, news: bool) -> str:
        """The name of the artifact."""
        return (self.new if news else self.old).entry.path

    def usable(self, held: str) -> bool:
        """Whether what a client holds is a release, whole."""
        return held in (self.old.sha256, self.new.sha256, "release 1", "release 2")

    def newest(self, held: str) -> bool:
        """Whether it is the second."""
        return held in (self.new.sha256, "release 2")


def make_world(width: int) -> World:
    """Two releases of a network with two layers of ``width``: 4 bytes for each weight; 1,600 give 10 MB."""
    repository, litert = Repository(), engine_named("litert")
    sides, releases = list[Mapping[str, bytes]](), list[Sealed]()
    for release in (1, 2):
        payload = dense_tflite((3, width, width, 1), seed=release)
        sealed = sealed_model(payload, release=release, version=f"{release}.0.0", engine=litert)
        repository.publish(sealed)
        files = {path: data for path, data in repository.files.items() if isinstance(data, bytes)}
        folder, _, name = sealed.entry.path.rpartition("/")
        files[f"/targets/{folder}/{sealed.sha256}.{name}"] = sealed.served
        files[HUB_FILE] = sealed.served
        releases.append(sealed)
        sides.append(files)
    (old, new), (before, after) = releases, sides
    return World(repository.root, old, new, before, after)


class Client:
    """A client, and the process that forks for it."""

    def __init__(self, which: str, process: subprocess.Popen[str], said: Path) -> None:
        self.which, self._process, self._said = which, process, said
        self._heard()  # it is ready

    def begin(self, do: str, work: Sequence[Path], url: str, name: str, **more: Any) -> int:
        """Tell it what to do; the id of the process that does it."""
        asked = {"do": do, "work": [str(folder) for folder in work], "url": url, "name": name, **more}
        assert self._process.stdin is not None
        print(json.dumps(asked), file=self._process.stdin, flush=True)
        pid: int = self._heard()["pid"]
        return pid

    def end(self) -> dict[str, Any]:
        """Wait until it has ended: its exit status and what it said."""
        return self._heard()

    def do(self, do: str, work: Sequence[Path], url: str, name: str, **more: Any) -> dict[str, Any]:
        """Both."""
        self.begin(do, work, url, name, **more)
        return self.end()

    def held(self, work: Path, name: str) -> str:
        """What it would use without a network; empty where nothing."""
        held: str = self.do("held", [work], "", name).get("held", "")
        return held

    def _heard(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the client {self.which!r} has ended: {self._said.read_text()[-2000:]}")
        heard: dict[str, Any] = json.loads(line)
        return heard


@contextmanager
def client(which: str, home: Path) -> Iterator[Client]:
    """A client for the length of the block; all that it keeps outside of its work folders lies in ``home``."""
    home.mkdir(parents=True, exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    environment |= {**_QUIET, "HF_HOME": str(home), "HOME": str(home), "TMPDIR": str(home)}
    said = home / "stderr"  # of engines that tell about themselves at every load
    with (
        said.open("w") as stderr,
        subprocess.Popen(
            [sys.executable, "-m", "coach_edge.bench.update_clients", which],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=environment,
        ) as process,
    ):
        try:
            yield Client(which, process, said)
        finally:
            assert process.stdin is not None
            process.stdin.close()


def fresh(template: Path, work: Path) -> Path:
    """A work folder that is as the template is."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(template, work, symlinks=True)
    os.sync()
    return work
