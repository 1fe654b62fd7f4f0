"""Three clients that bring one file to a disk, each in processes of its own: ``python -m … ours|tuf|hf``.

The process imports its client and then forks for every command that it reads, a JSON object a line; so a
measurement does not pay for imports, and a client that is killed leaves the next one alone. For each it prints a line
with the process id at once, and one with the exit status and what the command returned when it has ended.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import logging
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, Final

TIMEOUT_S: Final = 1
"""How long each client waits for the next byte."""

CHANGES: Final = frozenset(
    [
        *("fsync", "ftruncate", "link", "mkdir", "open", "pwrite", "remove", "rename", "replace", "rmdir"),
        *("symlink", "truncate", "unlink", "write"),
    ]
)
"""Calls before which a process may be killed: those that change what a disk holds. Some of them only read."""


class Ours:
    """The client of this SDK: refresh, download with hashes and fsync; ``update`` is all of an installation."""

    def __init__(self) -> None:
        from edge_sdk import EdgeClient, HttpLimits, RetryPolicy
        from edge_sdk.store import Cache, Disk
        from edge_sdk.update import http, installing, refreshing, updates
        from edge_sdk.update.undertaking import Undertaking

        self._client, self._cache, self._disk = EdgeClient, Cache, Disk
        self._http, self._installing, self._refreshing = http, installing, refreshing
        self._undertaking, self._updates = Undertaking, updates
        self._limits = HttpLimits(read_s=TIMEOUT_S)
        self._retry = RetryPolicy(first_s=0.1)

    def fetch(self, work: Path, url: str, name: str) -> float:
        """From the request to verified bytes under their digest, as the first half of an update does it.

        Returns:
            When they were there, by the clock of the measurement: tidying up belongs to the end of an update.
        """
        cache = self._cache.open(work / "cache", (work / "root.json").read_bytes(), os.urandom)
        transport = self._http.HttpTransport(self._limits)
        undertaking = self._undertaking(transport, url, retry=self._retry)
        with cache.updating():
            _, trusted = self._refreshing.refresh(cache, undertaking, lambda: datetime.now(UTC))
            assert trusted is not None
            artifact = trusted.artifacts[name]
            cache.note(lambda state: state.wanting(artifact))
            self._installing.fetch(cache, undertaking, artifact)
            usable = time.perf_counter()
        transport.close()
        return usable

    durable = fetch

    def update(self, work: Path, url: str, name: str) -> None:
        """All of it: proof in a child process, load, proof again, flip."""
        root = (work / "root.json").read_bytes()
        model = name.partition("/")[0]
        with self._client.open(work / "cache", url, root, limits=self._limits, retry=self._retry) as client:
            done = client.update(model)
        if done.status.value not in ("installed", "current"):
            raise RuntimeError(f"{done.status.value}: {done.detail}")

    def held(self, work: Path, name: str) -> str:
        """The version that a new process predicts with, without a network."""
        from device_tests.simulator.models import ROW

        with self._client.open(work / "cache") as client:
            prediction = client.model(name.partition("/")[0]).predict(ROW, deadline_ms=60_000)
        return f"release {prediction.release}"


class Tuf:
    """python-tuf's own client, which keeps the file under the name that the app gives it."""

    def __init__(self) -> None:
        from tuf.ngclient import Updater, urllib3_fetcher

        self._updater, self._fetcher = Updater, urllib3_fetcher.Urllib3Fetcher

    def fetch(self, work: Path, url: str, name: str) -> None:
        """Refresh, then download_target."""
        fetcher = self._fetcher()
        fetcher.socket_timeout = TIMEOUT_S
        metadata = work / "metadata"
        metadata.mkdir(parents=True, exist_ok=True)
        root = (work / "root.json").read_bytes()
        updater = self._updater(
            str(metadata),
            f"{url}/metadata/",
            str(work),
            f"{url}/targets/",
            fetcher=fetcher,
            bootstrap=root,
        )
        updater.refresh()
        target = updater.get_targetinfo(name)
        assert target is not None
        path = str(work / "model.bundle")
        if updater.find_cached_target(target, path) is None:
            updater.download_target(target, path)

    update = fetch

    def durable(self, work: Path, url: str, name: str) -> None:
        """The same, and what that client leaves to the system: the file is on the disk, under its name."""
        self.fetch(work, url, name)
        _sync(work / "model.bundle")

    def held(self, work: Path, name: str) -> str:
        """The digest of the file that the app would open."""
        return hashlib.sha256((work / "model.bundle").read_bytes()).hexdigest()


class Hub:
    """huggingface_hub over plain HTTP."""

    def __init__(self) -> None:
        logging.disable(logging.WARNING)  # it says each time that it tries again
        self._hub: Any = importlib.import_module("huggingface_hub")
        _ = self._hub.hf_hub_download  # it imports what it needs when it is asked for

    def fetch(self, work: Path, url: str, name: str) -> None:
        """``hf_hub_download`` of the newest revision."""
        self._path = self._hub.hf_hub_download(
            "bench/model", "model.bundle", cache_dir=work / "hub", endpoint=url
        )

    update = fetch

    def durable(self, work: Path, url: str, name: str) -> None:
        """As for python-tuf."""
        self.fetch(work, url, name)
        _sync(Path(self._path).resolve())

    def held(self, work: Path, name: str) -> str:
        """The digest of the file that it gives without a network."""
        path = self._hub.hf_hub_download(
            "bench/model", "model.bundle", cache_dir=work / "hub", local_files_only=True
        )
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _sync(path: Path) -> None:
    for what, flags in ((path, os.O_RDONLY), (path.parent, os.O_RDONLY | os.O_DIRECTORY)):
        handle = os.open(what, flags)
        os.fsync(handle)
        os.close(handle)


CLIENTS: Final[dict[str, Callable[[], Any]]] = {"ours": Ours, "tuf": Tuf, "hf": Hub}


def _only_loopback(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and arguments[1][0] != "127.0.0.1":
        raise OSError(f"this bench talks to 127.0.0.1 only, not to {arguments[1]}")
    if event == "socket.getaddrinfo" and arguments[0] not in ("127.0.0.1", None):
        raise OSError(f"this bench talks to 127.0.0.1 only, not to {arguments[0]}")


class _Calls:
    """Notes every call that changes a disk; at one of them, ``[name, how many of this name]``, the process dies."""

    def __init__(self, kill: tuple[str, int] | None) -> None:
        self.names: list[str] = []
        self._kill, self._seen = kill, Counter[str]()

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if event != "c_call" or argument.__name__ not in CHANGES:
            return
        name = argument.__name__
        self.names.append(name)
        self._seen[name] += 1
        if (name, self._seen[name]) == self._kill:
            os.kill(os.getpid(), signal.SIGKILL)


def _perform(client: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """One command in a process of its own: ``held``, or another ``repeat`` times in a folder each."""
    if asked["do"] == "held":
        return {"held": client.held(Path(asked["work"][0]), asked["name"])}
    noted: dict[str, Any] = {}
    if "kill" in asked:
        calls = _Calls(tuple(asked["kill"]) if asked["kill"] else None)
        noted["calls"] = calls.names
        threading.setprofile(calls)
        sys.setprofile(calls)
    for work in asked["work"]:
        before = time.perf_counter()
        usable = getattr(client, asked["do"])(Path(work), asked["url"], asked["name"])
        noted["seconds"] = (usable or time.perf_counter()) - before
    sys.setprofile(None)
    threading.setprofile(None)
    return noted


def main(which: str) -> None:
    """Serve commands until the end of the input."""
    sys.addaudithook(_only_loopback)
    client = CLIENTS[which]()
    print(json.dumps({"ready": which}), flush=True)
    for line in sys.stdin:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                said = _perform(client, json.loads(line))
                status = 0
            except BaseException as error:
                said = {"error": f"{type(error).__name__}: {error}"}
            with os.fdopen(writing, "w") as pipe:
                pipe.write(json.dumps(said))
            os._exit(status)
        os.close(writing)
        print(json.dumps({"pid": child}), flush=True)
        with os.fdopen(reading) as pipe:
            heard = pipe.read()
        _, status = os.waitpid(child, 0)
        answer = {"exit": os.waitstatus_to_exitcode(status), **(json.loads(heard) if heard else {})}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
