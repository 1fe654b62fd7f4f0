"""Arguments of the wrong kind: one error that says so, nothing begun, nothing counted as another choice."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from device_tests.simulator.models import fake_model
from device_tests.simulator.tflite_writer import dense_tflite
from edge_sdk import EdgeClient, InputError, NotAvailable
from edge_sdk.runtime import open_model
from tests.edge_sdk.conftest import MODEL, Device

WRONG_OPEN = [
    ("server", b"http://x"),
    ("server", 3),
    ("root", "text"),
    ("root", 3),
    ("credential", "text"),
    ("engine", object()),
    ("engine", b"litert"),
    ("engine", int),
    ("capabilities", "tflite"),
    ("capabilities", [3]),
    ("recipes", "int8"),
    ("recipes", None),
    ("mirrors", None),
    ("mirrors", "http://x"),
    ("mirrors", [3]),
    ("max_sessions", True),
    ("max_sessions", 1.5),
    ("max_sessions", "3"),
    ("clock", 3),
    ("random", 3),
    ("health", {}),
    ("retry", {}),
    ("telemetry", True),
]


@pytest.mark.parametrize(("name", "value"), WRONG_OPEN)
def test_opening_a_client(device: Device, tmp_path: Path, name: str, value: object) -> None:
    given: dict[str, Any] = {"root": device.repository.root, "engine": device.engine, name: value}
    if name != "capabilities":
        given["capabilities"] = frozenset({"tflite"})
    with pytest.raises(InputError):
        EdgeClient.open(tmp_path / "new", **given)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("path", ["a\0b", "\ud800", b"bytes", 3, None])
def test_a_cache_that_is_no_path(device: Device, path: Any) -> None:
    with pytest.raises(InputError, match="cache_dir"):
        EdgeClient.open(path, root=device.repository.root)


@pytest.mark.parametrize(
    ("name", "value"),
    [("policy", "local"), ("policy", None), ("conditions", 3), ("progress", 3), ("control", 3)],
)
def test_updating(device: Device, name: str, value: Any) -> None:
    device.repository.publish(fake_model(0.2, 2))
    client = device.open()
    device.network.requests.clear()
    with pytest.raises(InputError, match=name):
        client.update(MODEL, **{name: value})
    assert device.network.requests == []
    assert client.update(MODEL).release == 2  # nothing half begun is in its way, nor in that of close


def test_erasing_and_verifying(device: Device) -> None:
    client: Any = device.open()
    for scope in ("all", None):
        with pytest.raises(InputError, match="scope"):
            client.erase(scope)
    with pytest.raises(InputError, match="level"):
        client.verify("full")
    assert device.predicts()[0] == 1


@pytest.mark.parametrize(
    "options",
    [{"engine": object()}, {"engine": None}, {"max_sessions": 1.5}, {"max_sessions": True}, {"settings": {}}],
)
def test_opening_a_model(options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        open_model(dense_tflite((3, 1)), **options)


@pytest.mark.parametrize("path", ["a\0b", "\ud800"])
def test_a_model_that_is_no_path(path: str) -> None:
    with pytest.raises(InputError, match="no path may hold"):
        open_model(path)


def test_a_model_that_never_ends(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(NotAvailable, match="not a regular file"):
            open_model(path)
