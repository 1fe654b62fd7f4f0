"""The executable that the public conformance suite of TUF drives, as a process against a server on this machine."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tuf.api.metadata import Metadata

from device_tests.conformance.client import main
from device_tests.simulator.models import fake_model
from device_tests.simulator.repository import Network, Repository

pytestmark = pytest.mark.loopback


class Scene:
    """A repository behind a socket, and the folders of a client."""

    def __init__(self, folder: Path, url: str, network: Network) -> None:
        self.network = network
        self.repository = network.repository
        self.metadata = folder / "metadata"
        self.targets = folder / "targets"
        self.root = folder / "first_root.json"
        self.url = url
        self.metadata.mkdir()
        self.targets.mkdir()
        self.root.write_bytes(self.repository.root)

    def arguments(self, command: str, *names: str) -> list[str]:
        urls = ["--metadata-url", f"{self.url}/metadata", "--target-base-url", f"{self.url}/targets"]
        folders = ["--metadata-dir", str(self.metadata), "--target-dir", str(self.targets)]
        targets = [argument for name in names for argument in ("--target-name", name)]
        return [*urls, *folders, *targets, command]

    def run(self, command: str, *names: str) -> int:
        return main(self.arguments(command, *names))

    def version(self, role: str) -> int:
        version: int = Metadata.from_file(str(self.metadata / f"{role}.json")).signed.version
        return version


@pytest.fixture
def scene(socket_enabled: None, tmp_path: Path) -> Iterator[Scene]:
    network = Network(Repository())
    network.repository.publish()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with network.request("GET", urlsplit(self.path).path) as answer:
                data = b"".join(answer.pieces())
                self.send_response(answer.status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    scene = Scene(tmp_path, f"http://127.0.0.1:{server.server_port}", network)
    assert main(["--metadata-dir", str(scene.metadata), "init", str(scene.root)]) == 0
    yield scene
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_process_refreshes(scene: Scene) -> None:
    command = [sys.executable, "-m", "device_tests.conformance.client", *scene.arguments("refresh")]
    assert subprocess.run(command, check=False).returncode == 0
    assert (scene.version("root"), scene.version("timestamp")) == (1, scene.repository.versions["timestamp"])
    names = {path.name for path in scene.metadata.iterdir()}
    assert names == {"root.json", "snapshot.json", "targets.json", "timestamp.json"}


def test_a_failed_refresh_says_so_and_keeps_what_was_verified(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scene.run("refresh") == 0
    scene.repository.rotate("timestamp")
    trusted = scene.version("timestamp")
    scene.repository.write()
    scene.network.status["/metadata/timestamp.json"] = 500
    assert scene.run("refresh") == 1
    assert "metadata" in capsys.readouterr().err
    assert (scene.version("root"), scene.version("timestamp")) == (2, trusted)


def test_targets_are_verified_and_not_fetched_again(scene: Scene) -> None:
    sealed = fake_model(1.0, release=1)
    scene.repository.publish(sealed)
    path = sealed.entry.path
    folder, _, name = path.rpartition("/")
    served = f"/targets/{folder}/{sealed.sha256}.{name}"
    scene.repository.files[served] = bytes(len(sealed.served))  # not what was signed
    assert scene.run("download", path) == 1
    assert list(scene.targets.iterdir()) == []
    scene.repository.files[served] = sealed.served
    assert scene.run("download", path) == 0
    assert [file.read_bytes() for file in scene.targets.iterdir()] == [sealed.served]
    scene.network.requests.clear()
    assert scene.run("download", path) == 0
    assert served not in scene.network.requests
    assert scene.run("download", path, "nothing/of/that/name") == 1


def test_before_init_nothing_is_trusted(scene: Scene) -> None:
    (scene.metadata / "root.json").unlink()
    scene.network.requests.clear()
    assert scene.run("refresh") == 1
    assert scene.network.requests == []
