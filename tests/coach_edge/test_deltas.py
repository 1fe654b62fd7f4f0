"""Deltas on the command line: made, published, and used by a device over a real server."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from coach_edge.cli import run
from device_tests.simulator.models import ROW, sealed_model
from device_tests.simulator.tflite_writer import dense_tflite
from edge_sdk import EdgeClient, Updated
from edge_sdk.crypto.options import read_app_key
from edge_sdk.crypto.sealed_files import read_sealed, write_sealed
from edge_sdk.runtime import engine_named
from edge_sdk.update.http import HttpTransport
from edge_sdk.update.transport import Answer
from tests.coach_edge import world

pytestmark = [pytest.mark.loopback, pytest.mark.usefixtures("socket_enabled")]

WIDTHS = (3, 300, 300, 1)
"""About 360 kB of weights, which do not deflate."""


def network(tuned: int = 0) -> bytes:
    """A network; ``tuned`` of its weights differ in their last bit."""
    model = bytearray(dense_tflite(WIDTHS))
    rng = np.random.default_rng(0)
    first = (rng.normal(size=(300, 3)) / np.sqrt(3)).astype("<f4").tobytes()
    start = model.index(first)
    for word in range(tuned):
        model[start + 4 * word] ^= 1
    return bytes(model)


class Counting(HttpTransport):
    """HTTP, and how many bytes of bodies came for each path that is not metadata."""

    def __init__(self) -> None:
        super().__init__()
        self.received: Counter[str] = Counter()

    def request(self, method: str, url: str, **options: Any) -> Answer:
        answer = super().request(method, url, **options)
        path = urlsplit(url).path
        if path.startswith(("/v1/bundles/", "/v1/deltas/")):
            answer._pieces = self._counted(path, answer._pieces)
        return answer

    def _counted(self, path: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.received[path] += len(piece)
            yield piece


@pytest.fixture
def edge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run commands in a world whose server has release 1, and two more bundles of the same model beside it."""
    world.build(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name, value in world.environment().items():
        monkeypatch.setenv(name, value)
    app_key = read_app_key(tmp_path / "keys/app.key")
    for version, tuned in ((2, 0), (3, 200), (4, 400)):
        sealed = sealed_model(
            network(tuned), engine=engine_named("litert"), app_key=app_key, version=f"{version}.0.0"
        )
        assert sealed.entry.codec == "none"
        write_sealed(sealed, tmp_path / "bundles")

    def command(line: str) -> tuple[int, str]:
        status = run(line.split())
        said = capsys.readouterr()
        return status, said.out + said.err

    return command


def bundle(version: int) -> str:
    return f"bundles/focus-{version}.0.0-tflite-fp32.bundle"


def test_bundle_delta(edge: Any, tmp_path: Path) -> None:
    status, said = edge(f"bundle delta {bundle(2)} {bundle(3)} --app-key keys/app.key --out d --json")
    made = json.loads(said)
    assert (status, made["bytes"]) == (0, (tmp_path / "d").stat().st_size)
    assert made["share"] < 0.02
    assert (made["from"], made["to"]) == (
        read_sealed(Path(bundle(2))).sha256,
        read_sealed(Path(bundle(3))).sha256,
    )
    status, said = edge(f"bundle delta {bundle(2)} {bundle(3)} --out e")
    assert (status, "is sealed with app key" in said) == (1, True)
    status, said = edge(f"bundle delta {bundle(3)} {bundle(3)} --app-key keys/app.key --out e")
    assert (status, "they are the same bytes" in said) == (1, True)
    status, said = edge(f"bundle delta {world.BUNDLE} {bundle(3)} --app-key keys/app.key --out e")
    assert (status, "more than 60%" in said) == (1, True)
    assert not (tmp_path / "e").exists()


def test_publishing_with_deltas(edge: Any, tmp_path: Path) -> None:
    signed = "--keys keys/offline --root keys/root.json --app-key keys/app.key --json"
    with world.serve(tmp_path) as server:
        signed += f" --server {server.url} --token {server.token}"
        status, said = edge(f"publish {bundle(3)} {signed} --delta-from {bundle(2)}")
        assert (status, "was not uploaded" in said) == (1, True)
        assert "deltas" not in json.loads(edge(f"publish {bundle(2)} {signed}")[1])
        status, said = edge(
            f"publish {bundle(3)} {signed} --delta-from {bundle(2)} --delta-from {world.BUNDLE}"
        )
        assert status == 0
        good, useless = json.loads(said)["deltas"]
        assert good["bytes"] < 4_000
        assert "more than 60%" in useless["reason"]


def test_an_old_bundle_without_a_successor(edge: Any, tmp_path: Path) -> None:
    other = sealed_model(network(), engine=engine_named("litert"), recipe="int8", version="2.0.0")
    path = write_sealed(other, tmp_path / "bundles")
    with world.serve(tmp_path) as server:
        status, said = edge(
            f"publish {bundle(3)} --keys keys/offline --root keys/root.json --app-key keys/app.key "
            f"--server {server.url} --token {server.token} --delta-from {path}"
        )
    assert (status, "no bundle that is published follows" in said) == (1, True)


def test_a_device_fetches_the_delta_alone_over_a_real_server(edge: Any, tmp_path: Path) -> None:
    app_key = read_app_key(tmp_path / "keys/app.key")
    two, three, four = (read_sealed(Path(bundle(version))) for version in (2, 3, 4))
    with world.serve(tmp_path) as server:

        def publish(version: int, *more: str) -> Any:
            status, said = edge(
                f"publish {bundle(version)} --keys keys/offline --root keys/root.json --app-key keys/app.key --json "
                f"--server {server.url} --token {server.token} {' '.join(more)}"
            )
            assert status == 0, said
            return json.loads(said)

        def update() -> tuple[Updated, dict[str, int]]:
            """By a new client, as after a restart of the app."""
            with closing(Counting()) as transport:
                with EdgeClient.open(
                    tmp_path / "cache", server.url, credential=app_key, transport=transport
                ) as client:
                    done = client.update("focus")
                    assert client.model("focus").predict(ROW, deadline_ms=60_000).release == done.release
                return done, dict(transport.received)

        publish(2)
        done, received = update()
        assert (done.release, received) == (2, {f"/v1/bundles/{two.sha256}": len(two.served)})
        (made,) = publish(3, "--delta-from", bundle(2))["deltas"]
        done, received = update()
        assert (done.release, done.detail) == (3, f"by a delta of {made['bytes']} bytes from release 2")
        assert received == {f"/v1/deltas/{two.sha256}/{three.sha256}": made["bytes"]}
        assert made["bytes"] < 0.02 * len(three.served)
        assert (tmp_path / "cache/blobs" / three.sha256).read_bytes() == three.served
        publish(4)
        done, received = update()
        assert (done.release, done.detail) == (4, "")
        assert received == {f"/v1/bundles/{four.sha256}": len(four.served)}
