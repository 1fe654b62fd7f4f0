"""What may not be found in a cache is searched for in every file of it, before and after an erase, with controls."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from pathlib import Path

import pytest

from device_tests.simulator.models import FakeEngine, sealed_model
from device_tests.simulator.repository import Repository
from edge_sdk import AppKey, EraseScope, TelemetrySettings, UpdateStatus
from tests.edge_sdk.conftest import MODEL, Device
from tests.edge_sdk.health.collecting import Collecting

KEY = AppKey(bytes(range(32)))
SECRET = b"fake model: 0.100000000000000005551115123125782702118158340454101562"
OPEN = b"fake model: 0.200000000000000011102230246251565404236316680908203125"
PERSON = {"effort": 0.73291, "rest": 0.31415, "luck": 0.27182}
NUMBERS = tuple(repr(value).encode() for value in PERSON.values())


def inflated(data: bytes) -> bytes:
    try:
        return zlib.decompressobj(-15).decompress(data)
    except zlib.error:
        return b""


def found(folder: Path, wanted: Iterable[bytes]) -> list[bytes]:
    """Those that are in any file of the cache, as it is or inflated, or in the name of one."""
    everything = [path.name.encode() for path in folder.rglob("*")]
    for path in folder.rglob("*"):
        if path.is_file():
            everything += [path.read_bytes(), inflated(path.read_bytes())]
    assert everything
    return [canary for canary in wanted if any(canary in data for data in everything)]


@pytest.fixture
def used(make_device: object, repository: Repository) -> Device:
    """An encrypted model and one that is not; both predicted, and what was counted waits."""
    engine = FakeEngine()
    repository.publish(
        sealed_model(SECRET, app_key=KEY, engine=engine), sealed_model(OPEN, model="open", engine=engine)
    )
    device: Device = make_device(repository)  # type: ignore[operator]
    with device.open(
        root=repository.root,
        credential=KEY,
        telemetry=TelemetrySettings(),
        transport=Collecting(device.network),
    ) as client:
        for name in (MODEL, "open"):
            assert client.update(name).status is UpdateStatus.INSTALLED
            for _ in range(60):
                client.model(name).predict(PERSON, deadline_ms=60_000)
    return device


def test_before_an_erase_only_what_may_be_there_is(used: Device) -> None:
    with used.open(server=None, transport=None) as client:
        install_id = client.status()["install_id"].encode()
    public = [OPEN, install_id, b"feature.effort", b"telemetry-window"]
    assert found(used.folder, public) == public  # the controls: the search finds what lies there in the clear
    assert found(used.folder, [SECRET, SECRET[12:40], *NUMBERS]) == []


def test_after_an_erase_nothing_is(used: Device) -> None:
    with used.open(server=None, transport=None, credential=KEY, telemetry=TelemetrySettings()) as client:
        install_id = client.status()["install_id"].encode()
        for _ in range(60):
            client.model(MODEL).predict(PERSON, deadline_ms=60_000)
        client.erase(EraseScope.ALL)
    gone = [OPEN, SECRET, install_id, b"feature.effort", b"telemetry-window", b"prediction.", *NUMBERS]
    assert found(used.folder, gone) == []


def test_the_search_would_find_a_number(used: Device) -> None:
    (used.folder / "telemetry" / "left.json").write_bytes(b'{"effort": 0.73291}')
    assert found(used.folder, NUMBERS) == [b"0.73291"]
