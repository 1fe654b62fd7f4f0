"""Opening a cache and predicting: no socket, and nothing of the machinery that could open one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from device_tests.simulator.models import ROW, sealed_model
from device_tests.simulator.tflite_writer import dense_tflite
from edge_sdk.crypto.sealing import AppKey
from edge_sdk.runtime.engines import engine_named
from tests.edge_sdk.conftest import MODEL, Device

KEY = AppKey(bytes(range(32)))
FORBIDDEN = [
    "boto3", "coremltools", "flask", "keras", "requests", "securesystemslib", "sklearn", "sqlalchemy", "tensorflow",
    "tuf", "urllib3",
]  # fmt: skip
SCRIPT = """
import json, sys
seen = []
sys.addaudithook(lambda event, args: seen.append(event) if event.startswith("socket.") else None)
from edge_sdk import AppKey, EdgeClient
{before}
with EdgeClient.open(sys.argv[1], credential=AppKey(bytes(range(32)))) as client:
    answer = client.model("focus").predict(json.loads(sys.argv[2]), deadline_ms=60_000)
print(json.dumps([sorted(set(seen)), sorted(set(sys.modules) & set(json.loads(sys.argv[3]))), answer.values]))
"""


def run(folder: Path, before: str = "") -> list[object]:
    script = SCRIPT.replace("{before}", before)
    shown = subprocess.run(
        [sys.executable, "-c", script, str(folder), json.dumps(ROW), json.dumps(FORBIDDEN)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    found: list[object] = json.loads(shown.stdout)
    return found


@pytest.fixture
def real(device: Device) -> Path:
    """A cache with a real TFLite model, sealed with an app key."""
    litert = engine_named("litert")
    model = sealed_model(dense_tflite((3, 4, 1)), release=2, app_key=KEY, engine=litert)
    device.repository.publish(model)
    client = device.open(engine="litert", credential=KEY)
    assert client.update(MODEL).release == 2
    return device.folder


def test_predicting_opens_no_socket_and_imports_no_network(real: Path) -> None:
    sockets, modules, values = run(real)
    assert (sockets, modules) == ([], [])
    assert isinstance(values, dict)
    assert 0 < values["probability"] < 1


def test_the_watch_would_have_seen_it(real: Path) -> None:
    sockets, modules, _ = run(real, "import socket, urllib3; socket.socket().close()")
    assert "socket.__new__" in sockets  # type: ignore[operator]
    assert modules == ["urllib3"]
