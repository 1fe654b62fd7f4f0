"""The whole life of a client, at the system calls: no file outside of the cache, no connection but to its server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from model_server.client import AdminClient
from tests.coach_edge import world

ROOT = Path(__file__).parents[2]
CALLS = (
    "open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,mknod,mknodat,truncate,"
    "socket,connect,bind"
)
_CALL = re.compile(r"(?:\[pid\s+\d+\] )?(\w+)\((.*)\) = (-?\d+)")
_ADDRESS = re.compile(r'port=htons\((\d+)\).*?"([^"]+)"')
_PATH = re.compile(r'(?:(AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"')

LIFE = """
import os, sys
from pathlib import Path
assert "CI" not in os.environ
from edge_sdk import EdgeClient, EraseScope, TelemetrySettings
from edge_sdk.crypto.options import read_app_key
cache, url, root, key, erase = sys.argv[1:]
ROW = {"effort": 0.5, "rest": 0.25, "luck": 0.125}
options = {"credential": read_app_key(Path(key)), "telemetry": TelemetrySettings()}
with EdgeClient.open(cache, url or None, Path(root).read_bytes(), **options) as client:
    if url:
        client.update("focus")
    for _ in range(60):
        client.model("focus").predict(ROW, deadline_ms=60_000)
    assert client.health()[0].predictions["fresh"] == 60
    if url:
        assert client.upload_telemetry().sent == 1
with EdgeClient.open(cache, **options) as client:  # what was counted is kept in between
    client.status()
    if erase:
        client.erase(EraseScope.ALL)
AFTER
"""
ONNX = """
from edge_sdk.runtime import engine_named
engine_named("onnxruntime")
"""


class Traced(NamedTuple):
    """Files that were written or made outside of where they may, sockets that were made, and who was called."""

    outside: list[str]
    sockets: list[str]
    connected: set[tuple[str, str]]


def trace(strace: str, folder: Path, script: str, *arguments: str) -> Traced:
    """Run a script with a home of its own, without CI, under strace; the cache is the first argument."""
    home = folder / "home"
    shutil.rmtree(home, ignore_errors=True)
    places = {
        name: home / name for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
    }
    for place in places.values():
        place.mkdir(parents=True)
    environment = {name: str(place) for name, place in places.items()}
    environment |= {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(ROOT)}
    log = folder / "trace.txt"
    command = [
        strace,
        "-f",
        "-y",
        "-qq",
        "-o",
        str(log),
        "-e",
        f"trace={CALLS}",
        sys.executable,
        "-c",
        script,
    ]
    done = subprocess.run(
        [*command, *arguments],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if "ptrace" in done.stderr and "not permitted" in done.stderr:
        message = "strace may not trace here"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    assert done.returncode == 0, done.stderr
    found = Traced(*sorted_out(log.read_text("utf-8", "replace"), folder, Path(arguments[0])))
    left = [str(path) for path in home.rglob("*") if path not in places.values()]
    return found._replace(outside=[*found.outside, *left])


def sorted_out(text: str, cwd: Path, cache: Path) -> tuple[list[str], list[str], set[tuple[str, str]]]:
    outside, sockets = set(), []
    connected: set[tuple[str, str]] = set()
    for line in text.splitlines():
        match = _CALL.search(line)
        if match is None or (int(match[3]) < 0 and match[1] != "connect"):
            continue
        call, arguments = match[1], match[2]
        if call == "socket":
            sockets.append(arguments.split(",")[0])
        elif call == "connect":
            connected.update(_ADDRESS.findall(arguments))
        elif call == "bind" or (
            call in ("open", "openat") and not re.search(r"O_(WRONLY|RDWR|CREAT)", arguments)
        ):
            continue
        else:
            paths = _PATH.findall(arguments)
            for _, folder, path in paths[-1:] if call.startswith("symlink") else paths:  # first what it says
                whole = os.path.normpath(cwd / folder / path)
                if not whole.startswith((str(cache), "/dev/null")):
                    outside.add(f"{call} {whole}")
    assert "openat" in text  # it was traced at all
    return sorted(outside), sockets, connected


@pytest.fixture
def folder(tmp_path: Path, socket_enabled: None) -> Path:
    """A world that was published, and no cache yet."""
    world.build(tmp_path)
    shutil.rmtree(tmp_path / "cache")
    return tmp_path


@pytest.fixture
def strace(tool: Callable[[str], str]) -> str:
    return tool("strace")


def arguments(folder: Path, url: str = "", erase: str = "") -> list[str]:
    keys = folder / "keys"
    return [str(folder / "cache"), url, str(keys / "root.json"), str(keys / "app.key"), erase]


def script(after: str = "") -> str:
    return LIFE.replace("AFTER", after)


@pytest.mark.loopback
def test_a_whole_life(folder: Path, strace: str) -> None:
    with world.serve(folder) as server:
        port = server.url.rpartition(":")[2]
        online = trace(strace, folder, script(), *arguments(folder, server.url))
        with AdminClient(server.url, server.token) as admin:
            (group,) = admin.telemetry("focus")
    assert online.outside == []
    assert online.connected == {(port, "127.0.0.1")}
    assert group["counts"]["prediction.fresh"] == 60  # a real server has them, each once
    assert sum(count for _, count in group["histograms"]["feature.effort"]) == 60
    offline = trace(strace, folder, script(after=ONNX), *arguments(folder, erase="yes"))
    assert offline == Traced([], [], set())
    assert sorted(path.name for path in (folder / "cache" / "telemetry").iterdir()) == ["epoch"]


@pytest.mark.loopback
def test_the_trace_sees_what_must_not_be(folder: Path, strace: str) -> None:
    """The controls: what ONNX Runtime leaves in a home where nobody keeps it from that, and a socket."""
    with world.serve(folder) as server:
        trace(strace, folder, script(), *arguments(folder, server.url))
    unkept = "import onnxruntime, socket\nsocket.socket().close()"
    seen = trace(strace, folder, script(after=unkept), *arguments(folder))
    assert any("onnxruntime" in line for line in seen.outside)
    assert seen.sockets == ["AF_INET"]
