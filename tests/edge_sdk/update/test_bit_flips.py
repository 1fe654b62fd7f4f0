"""One bit changed on the way: refused, or what is believed is the same; no changed byte reaches an engine."""

from __future__ import annotations

import random
import shutil

import pytest
from tuf.api.metadata import Metadata

from edge_sdk.client import EdgeClient
from edge_sdk.contract.directives import PAYLOAD_TYPE, Directives
from edge_sdk.crypto import dsse
from edge_sdk.crypto.keyfiles import public_hex
from edge_sdk.crypto.sealing import AppKey, Sealed
from edge_sdk.errors import VerificationError
from edge_sdk.loading import load, open_bundle
from edge_sdk.update import UpdateStatus
from tests.edge_sdk.conftest import MODEL, Device
from tests.edge_sdk.models import FakeEngine, fake_model, fake_payload
from tests.edge_sdk.repository import Repository, key_id

SEED = 20_261_121
KEY = AppKey(bytes(range(32)))
ON_THE_WAY = {
    "/metadata/2.root.json": 250,
    "/metadata/timestamp.json": 250,
    "/metadata/2.snapshot.json": 150,
    "/metadata/2.targets.json": 250,
    "/v1/directives": 250,
    "bundle": 150,
}
AT_REST = {"tier none": (None, 350), "tier app-key": (KEY, 350)}


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)


def bits(data: bytes, count: int, salt: str) -> list[int]:
    return random.Random(f"{SEED} {salt}").sample(range(len(data) * 8), count)


def believed(client: EdgeClient, repository: Repository) -> dict[str, object]:
    """Everything that signatures vouch for, out of the cache of a client."""
    trust = client._cache.state().trust
    data = {name: client._cache.verified(digest) for name, digest in trust.items()}
    found: dict[str, object] = {
        name: Metadata.from_bytes(content).signed.to_dict()
        for name, content in data.items()
        if content is not None and name != "directives.json"
    }
    envelope = data["directives.json"]
    assert envelope is not None
    director = repository.director
    payload = dsse.verify(envelope, PAYLOAD_TYPE, {key_id(director): public_hex(director)}, 1)
    found["directives.json"] = Directives.from_bytes(payload)
    return found


@pytest.mark.parametrize("path", ON_THE_WAY)
def test_on_the_way(device: Device, path: str) -> None:
    repository, count, new = device.repository, ON_THE_WAY[path], fake_model(0.2, 2)
    repository.rotate("timestamp")
    repository.publish(new)
    path = f"/v1/bundles/{new.sha256}" if path == "bundle" else path
    honest = repository.files[path]
    assert isinstance(honest, bytes)
    backup = device.folder.with_name("backup")
    shutil.copytree(device.folder, backup)

    def start_over() -> EdgeClient:
        shutil.rmtree(device.folder)
        shutil.copytree(backup, device.folder)
        return device.open()

    client, refused = device.open(), 0
    client.update(MODEL)
    truth, payloads = believed(client, repository), {fake_payload(0.1), fake_payload(0.2)}

    client = start_over()
    for bit in bits(honest, count, path):
        before = device.state
        repository.files[path] = flipped(honest, bit)
        try:
            done = client.update(MODEL)
        except VerificationError:
            refused += 1
            assert client.status()["models"][MODEL]["active"]["release"] == 1
            assert "bundles" in path or device.state == before
        else:
            assert done.status is UpdateStatus.INSTALLED
            assert believed(client, repository) == truth
            client = start_over()

    assert set(device.engine.loaded) <= payloads, "a changed payload reached the engine"
    # What is spare: one of the root's three signatures, and the case of a hexadecimal digit in any of them.
    assert refused == count if "metadata" not in path else 0.6 * count < refused


@pytest.mark.parametrize("tier", AT_REST)
def test_at_rest(tier: str) -> None:
    key, count = AT_REST[tier]
    sealed, engine = fake_model(0.2, 2, app_key=key), FakeEngine()
    for bit in bits(sealed.served, count, tier):
        with pytest.raises(VerificationError):
            load_from(flipped(sealed.served, bit), sealed, engine, key)
    assert engine.loaded == []


@pytest.mark.parametrize("tier", AT_REST)
def test_control_of_the_flips(tier: str) -> None:
    """The same way with the honest bytes does reach the engine: the recording engine records."""
    key, _ = AT_REST[tier]
    sealed, engine = fake_model(0.2, 2, app_key=key), FakeEngine()
    load_from(sealed.served, sealed, engine, key)
    assert engine.loaded == [fake_payload(0.2)]


def load_from(served: bytes, sealed: Sealed, engine: FakeEngine, key: AppKey | None) -> None:
    from edge_sdk.contract.manifest import Artifact

    artifact = Artifact(sealed.entry.path, len(sealed.served), sealed.sha256, sealed.entry)
    load(open_bundle(served, artifact, key), artifact, engine, 1).close()


def test_two_thousand_in_all() -> None:
    assert sum(ON_THE_WAY.values()) + sum(count for _, count in AT_REST.values()) == 2_000
