"""One bit changed on the way: refused, or what is believed is the same; no changed byte reaches an engine."""

from __future__ import annotations

import base64
import json
import random
import shutil
from contextlib import suppress

import pytest
from tuf.api.metadata import Metadata

from device_tests.simulator.models import FakeEngine, fake_model, fake_payload
from device_tests.simulator.repository import Repository, key_id
from edge_sdk.client import EdgeClient
from edge_sdk.contract.directives import PAYLOAD_TYPE, Directives
from edge_sdk.contract.manifest import PAYLOAD_TYPE as MANIFEST_TYPE
from edge_sdk.contract.manifest import Artifact, Director, Manifest
from edge_sdk.crypto import dsse
from edge_sdk.crypto.keyfiles import public_hex
from edge_sdk.crypto.opening import InMemory
from edge_sdk.crypto.sealing import AppKey, Sealed
from edge_sdk.errors import VerificationError
from edge_sdk.loading import load, open_bundle
from edge_sdk.update import UpdateStatus
from tests.edge_sdk.conftest import MODEL, Device

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
IN_THE_MANIFEST = 250


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


def on_the_way(device: Device, path: str, new: Sealed) -> int:
    """Flip bits of one answer of the server; the device holds release 1, and 2 is published."""
    repository, count = device.repository, ON_THE_WAY[path]
    path = f"/v1/bundles/{new.sha256}" if path == "bundle" else path
    honest = repository.files[path]
    assert isinstance(honest, bytes)
    backup = device.folder.with_name("backup")

    def start_over() -> EdgeClient:
        shutil.rmtree(device.folder)
        shutil.copytree(backup, device.folder)
        return device.open()

    client = start_over()
    client.update(MODEL)
    truth, payloads = believed(client, repository), {fake_payload(0.1), fake_payload(0.2)}

    client, done, refused = start_over(), 0, 0
    for bit in bits(honest, count, path):
        before = device.state
        repository.files[path] = flipped(honest, bit)
        done += 1
        try:
            ended = client.update(MODEL)
        except VerificationError:
            refused += 1
            assert client.status()["models"][MODEL]["active"]["release"] == 1
            assert "bundles" in path or device.state == before
        else:
            assert ended.status is UpdateStatus.INSTALLED
            assert believed(client, repository) == truth
            client = start_over()
    repository.files[path] = honest

    assert set(device.engine.loaded) <= payloads, f"{path}: a changed payload reached the engine"
    # What is spare: one of the root's three signatures, and the case of a hexadecimal digit in any of them.
    assert refused == done if "metadata" not in path else 0.6 * done < refused, f"{path}: {refused} of {done}"
    return done


def at_rest(tier: str) -> int:
    """Flip bits of a bundle in the cache."""
    key, count = AT_REST[tier]
    sealed, engine, done = fake_model(0.2, 2, app_key=key), FakeEngine(), 0
    for bit in bits(sealed.served, count, tier):
        done += 1
        with pytest.raises(VerificationError):
            load_from(flipped(sealed.served, bit), sealed, engine, key)
    assert engine.loaded == []
    return done


def in_the_manifest(repository: Repository) -> int:
    """Flip bits of a manifest's envelope as an SDK without TUF reads it."""
    manifest, envelope, keys = signed_manifest(repository)
    done = refused = 0
    for bit in bits(envelope, IN_THE_MANIFEST, "manifest"):
        done += 1
        try:
            read = Manifest.from_bytes(dsse.verify(flipped(envelope, bit), MANIFEST_TYPE, keys, 1))
        except VerificationError:
            refused += 1
        else:
            assert read == manifest
    assert refused > 0.9 * done, f"{refused} of {done}"
    return done


def signed_manifest(repository: Repository) -> tuple[Manifest, bytes, dict[str, str]]:
    director, targets = repository.director, repository.keys["targets"][0]
    manifest = Manifest(
        version=repository.versions["targets"],
        issued=repository.issued["targets"],
        expires=repository.expires["targets"],
        director=Director(key_id(director), public_hex(director)),
        floors={"focus/stable": 1},
        artifacts=tuple(
            Artifact(path, len(sealed.served), sealed.sha256, sealed.entry)
            for path, sealed in sorted(repository.sealed.items())
        ),
    )
    envelope = dsse.sign(MANIFEST_TYPE, manifest.to_bytes(), {key_id(targets): targets})
    return manifest, envelope, {key_id(targets): public_hex(targets)}


@pytest.mark.sampled
def test_more_than_two_thousand_flips(device: Device) -> None:
    """One test, so that what is counted is what was done: of everything that is received, and of what is kept."""
    repository, new = device.repository, fake_model(0.2, 2)
    repository.rotate("timestamp")
    repository.publish(new)
    shutil.copytree(device.folder, device.folder.with_name("backup"))
    done = {path: on_the_way(device, path, new) for path in ON_THE_WAY}
    done.update({tier: at_rest(tier) for tier in AT_REST})
    assert sum(done.values()) >= 2_000, done
    assert min(done.values()) >= 150, done
    assert in_the_manifest(repository) >= 250


@pytest.mark.parametrize("tier", AT_REST)
def test_control_of_the_flips_at_rest(tier: str) -> None:
    """The same way with the honest bytes does reach the engine: the recording engine records."""
    key, _ = AT_REST[tier]
    sealed, engine = fake_model(0.2, 2, app_key=key), FakeEngine()
    load_from(sealed.served, sealed, engine, key)
    assert engine.loaded == [fake_payload(0.2)]


def test_control_of_the_flips_in_the_manifest(device: Device) -> None:
    """The honest envelope is read; and were signatures not checked, a flip would be believed."""
    manifest, envelope, keys = signed_manifest(device.repository)
    assert Manifest.from_bytes(dsse.verify(envelope, MANIFEST_TYPE, keys, 1)) == manifest
    payload = base64.b64decode(json.loads(envelope)["payload"])
    believed_unsigned = 0
    for bit in bits(payload, IN_THE_MANIFEST, "control"):
        with suppress(VerificationError):
            believed_unsigned += Manifest.from_bytes(flipped(payload, bit)) != manifest
    assert believed_unsigned > 0


def load_from(served: bytes, sealed: Sealed, engine: FakeEngine, key: AppKey | None) -> None:
    artifact = Artifact(sealed.entry.path, len(sealed.served), sealed.sha256, sealed.entry)
    load(open_bundle(InMemory(served), artifact, key, known=True).content, artifact, engine, 1).close()
