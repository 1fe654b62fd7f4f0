"""Bundles of several segments under faults: their list beside them, and the repair of a damaged one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress

import pytest

from device_tests.faults.system import Fault, FaultySystem, Killed
from device_tests.simulator.models import fake_payload, sealed_model
from edge_sdk.contract.framing import SEGMENT_BYTES
from edge_sdk.errors import EdgeError
from edge_sdk.store import System
from edge_sdk.store.verifying import VerifyLevel
from edge_sdk.update import UpdateStatus
from tests.edge_sdk.conftest import MODEL, Device


@pytest.fixture
def installing(device: Device) -> Device:
    """Release 1 is active, and 2, of three segments, is published."""
    padded = fake_payload(0.2) + b" " * (2 * SEGMENT_BYTES)
    device.repository.publish(sealed_model(padded, release=2, version="2.0.0"))
    return device


@pytest.fixture
def repairing(installing: Device) -> Device:
    """Release 2 is active and damaged, and 1 stands in."""
    with installing.open() as client:
        client.update(MODEL)
        path = client._cache.blobs.path(client._cache.state().models[MODEL].active.sha256)
    with path.open("r+b") as file:
        file.seek(SEGMENT_BYTES + 1)
        file.write(b"x")
    assert installing.predicts()[0] == 1
    return installing


def calls(device: Device) -> int:
    """How many calls an update makes where nothing fails."""
    system = FaultySystem(System())
    with device.open(system=system) as client:
        assert client.update(MODEL).status is UpdateStatus.INSTALLED
    system.exit()
    return len(system.calls)


def points(device: Device, every: int) -> Iterator[tuple[Fault, int]]:
    """The folder as it was, and a fault at a call; each kind begins at another one, so that together they meet more."""
    backup = device.folder.with_name("backup")
    shutil.copytree(device.folder, backup)
    count = calls(device)
    assert count > 60
    for offset, fault in enumerate((Fault.KILL, Fault.EIO, Fault.ENOSPC)):
        for at in range(1 + offset * every // 3, count + 1, every):
            shutil.rmtree(device.folder)
            shutil.copytree(backup, device.folder)
            yield fault, at


@pytest.mark.sampled
@pytest.mark.parametrize("every", [101, pytest.param(3, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
@pytest.mark.parametrize("what", ["installing", "repairing"])
def test_whatever_fails_one_answers_and_the_next_update_heals(
    what: str, every: int, request: pytest.FixtureRequest
) -> None:
    device: Device = request.getfixturevalue(what)
    met = 0
    for fault, at in points(device, every):
        system = FaultySystem(System(), fault, at)
        with suppress(EdgeError, Killed):
            client = device.open(system=system)
            client.update(MODEL)
        met += system.died or fault is not Fault.KILL
        system.exit()
        release, probability = device.predicts()
        assert probability == pytest.approx(release / 10 * 0.875), f"{fault} at call {at}"
        healed = device.open()
        assert healed.update(MODEL).release == 2, f"{fault} at call {at}"
        assert all(found.ok for found in healed.verify(VerifyLevel.FULL)), f"{fault} at call {at}"
        assert not list((device.folder / "partial").iterdir()), f"{fault} at call {at}"
    assert met >= 60 // every + 1
