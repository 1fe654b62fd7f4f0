"""``edge predict``: no socket, and nothing imported that could open one or that trains models."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import pytest_socket

from tests.coach_edge import world

FORBIDDEN = ("boto3", "coremltools", "flask", "sklearn", "sqlalchemy", "tensorflow", "tuf", "urllib3")

WATCHED = """
import json, sys
events = []
sys.addaudithook(lambda event, args: events.append(event) if event.startswith("socket.") else None)
sys.argv = ["edge", *json.loads(sys.argv[1])]
PROVOKE
from coach_edge.cli import run
status = run(sys.argv[1:])
imported = sorted({name.partition(".")[0] for name in sys.modules})
print(json.dumps({"status": status, "events": events, "imported": imported}), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("world")
    pytest_socket.enable_socket()
    try:
        world.build(made)
    finally:
        pytest_socket.disable_socket(allow_unix_socket=True)
    return made


def watched(folder: Path, provoke: str = "") -> tuple[dict[str, list[str]], str]:
    arguments = [
        "predict",
        "focus",
        "--cache",
        "cache",
        "--app-key",
        "keys/app.key",
        "--input",
        "person.json",
        "--json",
    ]
    done = subprocess.run(
        [sys.executable, "-c", WATCHED.replace("PROVOKE", provoke), json.dumps(arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stderr.splitlines()[-1]), done.stdout


def test_predicting_opens_no_socket_and_imports_no_training_stack(folder: Path) -> None:
    seen, printed = watched(folder)
    assert seen["status"] == 0
    assert 0 < json.loads(printed)["predictions"][0]["values"]["probability"] < 1
    assert seen["events"] == []
    assert not set(FORBIDDEN) & set(seen["imported"])


def test_the_watch_sees_both(folder: Path) -> None:
    seen, _ = watched(folder, "import socket, urllib3; socket.socket().close()")
    assert "socket.__new__" in seen["events"]
    assert "urllib3" in seen["imported"]
