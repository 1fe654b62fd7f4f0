"""The tier device-key over a server that runs: enrol, publish, fetch, predict offline, renew, recall, revoke, erase."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from coach_edge.cli import run
from converters.release.keys import init_keys
from device_tests.simulator.models import ROW, sealed_model
from device_tests.simulator.tflite_writer import dense_tflite
from edge_sdk import DeviceCredential, EdgeClient, LeaseExpired, Reason
from edge_sdk.contract.identifiers import format_time
from edge_sdk.crypto.data_key import DataKey
from edge_sdk.crypto.data_key_files import PASSPHRASE_NAME, DataKeyFile
from edge_sdk.crypto.device_key import DeviceKey
from edge_sdk.crypto.keyfiles import environment_variable
from edge_sdk.crypto.sealed_files import write_sealed
from edge_sdk.runtime import engine_named
from model_server.client import AdminClient
from model_server.errors import Refused
from model_server.serve import RunningServer
from tests.coach_edge import world
from tests.coach_edge.test_deltas import network
from tests.coach_edge.test_predict_is_offline import FORBIDDEN, WATCHED

pytestmark = [pytest.mark.loopback, pytest.mark.usefixtures("socket_enabled")]

BUNDLE = "bundles/focus-{}.0.0-tflite-fp32.bundle"
SECRET = "secret of the data keys"
Edge = Callable[..., tuple[int, str]]


class World:
    """A publisher, a server whose clock is set by hand, and the command line."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.keys: dict[int, DataKey] = {}
        init_keys(folder / "keys", world.passphrase, self.now, log_n=10)
        (folder / "person.json").write_text(json.dumps(ROW))

    def clock(self) -> datetime:
        return self.now

    def serve(self) -> RunningServer:
        """The server; started anew, it signs anew what is due."""
        return world.serve(self.folder, clock=self.clock)

    def build(self, version: int, payload: bytes | None = None) -> Path:
        """What ``edge bundle build --tier device-key`` writes, without converting anything."""
        self.keys[version] = DataKey.fresh()
        payload = payload or dense_tflite([3, 1], seed=version)
        sealed = sealed_model(
            payload, version=f"{version}.0.0", engine=engine_named("litert"), data_key=self.keys[version]
        )
        locked = DataKeyFile.lock(self.keys[version], sealed.sha256, SECRET, log_n=10).to_bytes()
        return write_sealed(sealed, self.folder / "bundles", locked)

    def edge(self, command: str, server: RunningServer | None = None) -> tuple[int, str]:
        at = ["--server", server.url] if server else []
        status = run([*command.split(), *at])
        said = self._capsys.readouterr()
        return status, said.out + said.err

    def publish(self, version: int, server: RunningServer, more: str = "") -> None:
        signed = f"--keys keys/offline --root keys/root.json {more}"
        status, said = self.edge(
            f"publish {BUNDLE.format(version)} {signed} --token {server.token} --json", server
        )
        assert (status, json.loads(said)["release"]) == (0, version)

    def enrol(self, server: RunningServer, into: str) -> str:
        """Enrol a device by the command line; its id."""
        status, said = self.edge(f"device token --token {server.token} --json", server)
        assert status == 0
        token = json.loads(said)["token"]
        status, said = self.edge(f"device enroll --token {token} --out {into} --json", server)
        assert status == 0
        return str(json.loads(said)["device_id"])

    def client(self, server: RunningServer | None, **options: Any) -> EdgeClient:
        """A client on the device ``phone``, at the time of this world."""
        return EdgeClient.open(
            self.folder / "cache",
            server.url if server else None,
            (self.folder / "keys" / "root.json").read_bytes(),
            credential=DeviceCredential.from_folder(self.folder / "phone"),
            clock=self.clock,
            **options,
        )

    def predicts(self) -> tuple[int, Reason]:
        """Release and reason of an answer without a server."""
        with self.client(None) as client:
            answer = client.model("focus").predict(ROW, deadline_ms=60_000)
            return answer.release, answer.reason


@pytest.fixture
def place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[World]:
    monkeypatch.chdir(tmp_path)
    for name, value in world.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(environment_variable(PASSPHRASE_NAME), SECRET)
    return World(tmp_path, capsys)


def holding(folder: Path, secret: bytes) -> list[str]:
    """Files in which a secret lies, as it is or in a usual spelling."""
    forms = {secret, secret.hex().encode(), secret.hex().upper().encode(), base64.b64encode(secret)}
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in files if any(form in path.read_bytes() for form in forms)]


def test_the_whole_way_on_the_command_line(place: World) -> None:
    place.build(1)
    fetch = "fetch focus --root keys/root.json --cache cache --json"
    predict = "predict focus --cache cache --input person.json --json"
    with place.serve() as server:
        place.publish(1, server)
        status, said = place.edge(fetch, server)
        assert (status, "needs an enrolled device" in said) == (1, True)
        status, said = place.edge(f"{fetch} --device bundles", server)
        assert (status, "run 'edge device enroll'" in said) == (1, True)
        place.enrol(server, "phone")
        status, said = place.edge(f"{fetch} --device phone", server)
        assert status == 0
        fetched = json.loads(said)
        assert (fetched["status"], fetched["tier"]) == ("installed", "device-key")
        assert fetched["lease_ends"] > (place.now + timedelta(days=29)).isoformat()
        status, said = place.edge(f"{fetch} --device phone --app-key keys/app.key", server)
        assert (status, "not both" in said) == (2, True)
    status, said = place.edge(f"{predict} --device phone")  # no server any more
    assert (status, json.loads(said)["predictions"][0]["reason"]) == (0, "fresh")
    status, said = place.edge(predict)
    assert (status, "needs an enrolled device" in said) == (1, True)
    for name in ("inspect", "bundle verify"):
        status, said = place.edge(f"{name} {BUNDLE.format(1)} --json")
        assert status == 0
        assert "effort" in said  # what is inside: the locked key lies beside it
    seen = subprocess.run(
        [sys.executable, "-c", WATCHED.replace("PROVOKE", ""), json.dumps(f"{predict} --device phone".split())],
        cwd=place.folder, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    watched = json.loads(seen.stderr.splitlines()[-1])
    assert (watched["status"], watched["events"]) == (0, [])
    assert not set(FORBIDDEN) & set(watched["imported"])
    assert holding(place.folder, place.keys[1].secret) == []  # in no cache, bundle, key file, database or log
    (place.folder / "canary").write_text(place.keys[1].secret.hex())
    assert len(holding(place.folder, place.keys[1].secret)) == 1
    status, said = place.edge("erase --cache cache --models --json")
    assert (status, list((place.folder / "cache").glob("keys/*"))) == (0, [])
    assert place.edge(f"{predict} --device phone")[0] == 1


def test_a_lease_is_renewed_and_a_recalled_release_ends_with_it_offline(place: World) -> None:
    place.build(1)
    with place.serve() as server:
        place.publish(1, server)
        place.enrol(server, "phone")
        with place.client(server) as client:
            client.update("focus")
    place.now += timedelta(days=16)
    with place.serve() as server, place.client(server) as client:
        assert client.refresh().not_renewed == ()
        assert client.status()["models"]["focus"]["active"]["lease_ends"] == format_time(
            place.now + timedelta(days=30)
        )
        status, said = place.edge(
            f"release recall focus --release 1 --token {server.token}", server
        )  # the device goes offline now, and hears nothing of it
        assert status == 0, said
    place.now += timedelta(days=29)
    assert place.predicts() == (1, Reason.FRESH)
    with (
        place.serve() as server
    ):  # a device that can reach the server, and whose directives are still those before
        credential = DeviceCredential.from_folder(place.folder / "phone")
        from edge_sdk.errors import NotAvailable
        from edge_sdk.update.enrolling import ask_for_key
        from edge_sdk.update.http import HttpTransport

        transport = HttpTransport()
        (digest,) = {path.name for path in (place.folder / "cache" / "keys").iterdir()}
        with pytest.raises(NotAvailable, match="was recalled; its key is lent no more"):
            ask_for_key(transport, server.url, credential.holder, credential.text, digest)
        transport.close()
    place.now += timedelta(days=1)
    with pytest.raises(LeaseExpired):
        place.predicts()


def test_a_revoked_device_keeps_what_it_has_to_the_end_of_the_lease(place: World) -> None:
    place.build(1)
    with place.serve() as server:
        place.publish(1, server)
        device_id = place.enrol(server, "phone")
        with place.client(server) as client:
            client.update("focus")
        assert place.edge(f"device revoke {device_id} --token {server.token}", server)[0] == 0
        place.build(2)
        place.publish(2, server)
        status, said = place.edge("fetch focus --root keys/root.json --cache cache --device phone", server)
        assert (status, "this device was revoked" in said) == (1, True)
        place.enrol(server, "again")  # an operator lets the same phone in with a new key
    place.now += timedelta(days=16)
    with place.serve() as server, place.client(server) as client:
        (line,) = client.refresh().not_renewed
        assert "this device was revoked" in line
    assert place.predicts() == (1, Reason.FRESH)
    place.now += timedelta(days=14)
    with pytest.raises(LeaseExpired):
        place.predicts()
    (place.folder / "phone").rename(place.folder / "old")
    (place.folder / "again").rename(place.folder / "phone")
    with place.serve() as server, place.client(server) as client:
        assert client.refresh().not_renewed == ()
        assert client.update("focus").release == 2
    assert place.predicts() == (2, Reason.FRESH)


def test_an_enrolled_device_upgrades_by_a_delta(place: World) -> None:
    """Sealed with the lent key of the new bundle; the old one opens with its own."""
    place.build(1, network())
    place.build(2, network(tuned=200))
    with place.serve() as server:
        place.publish(1, server)
        place.enrol(server, "phone")
        with place.client(server) as client:
            client.update("focus")
        assert place.edge(f"bundle delta {BUNDLE.format(1)} {BUNDLE.format(2)} --out delta")[0] == 0
        assert (
            holding(place.folder, place.keys[1].secret) == holding(place.folder, place.keys[2].secret) == []
        )
        place.publish(2, server, f"--delta-from {BUNDLE.format(1)}")
        with place.client(server) as client:
            assert client.update("focus").detail.startswith("by a delta of ")
    assert place.predicts() == (2, Reason.FRESH)


def test_a_device_key_is_replaced_by_the_credential_of_the_old_one(place: World) -> None:
    place.build(1)
    with place.serve() as server:
        place.publish(1, server)
        place.enrol(server, "phone")
        with place.client(server) as client:
            client.update("focus")
        old = (place.folder / "phone" / "device.credential").read_text().strip()
        status, said = place.edge(f"device enroll --token {old} --out new", server)
        assert status == 0, said
        (place.folder / "phone").rename(place.folder / "old")
        (place.folder / "new").rename(place.folder / "phone")
        with place.client(server) as client:
            assert client.refresh().not_renewed == ()
        status, said = place.edge("fetch focus --root keys/root.json --cache other --device old", server)
        assert (status, "revoked" in said) == (1, True)
    assert place.predicts() == (1, Reason.FRESH)
    (key,) = (place.folder / "cache" / "keys").iterdir()
    key.write_bytes(b"")  # without it, the second release is all there would be, and there is none
    status, said = place.edge("predict focus --cache cache --input person.json --device phone")
    assert status == 1
    assert said.startswith("edge: ")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path: path.unlink(), "is missing; build the bundle again"),
        (lambda path: path.write_bytes(b"{}"), "holds no data key"),
        (lambda path: path.write_bytes(path.read_bytes().replace(b'"bundle":"', b'"bundle":"0')), "holds no data key"),
        (lambda path: path.write_bytes(path.read_bytes().replace(b'"nonce":"', b'"nonce":"zz')), "holds no data key"),
    ],
)  # fmt: skip
def test_a_publication_without_its_data_key_is_refused_before_anything_is_sent(
    place: World, spoil: Callable[[Path], object], says: str
) -> None:
    spoil(place.build(1).with_name("focus-1.0.0-tflite-fp32.bundle.key"))
    command = f"publish {BUNDLE.format(1)} --keys keys/offline --root keys/root.json --token {'t' * 32}"
    status, said = place.edge(command + " --server http://127.0.0.1:9")
    assert (status, says in said) == (1, True), said


def test_the_key_of_another_bundle_is_refused(place: World, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = (place.build(version).with_suffix(".bundle.key") for version in (1, 2))
    good = one.read_bytes()
    one.write_bytes(two.read_bytes())
    command = f"publish {BUNDLE.format(1)} --keys keys/offline --root keys/root.json --token {'t' * 32}"
    status, said = place.edge(command + " --server http://127.0.0.1:9")
    assert (status, "is of another bundle" in said) == (1, True)
    one.write_bytes(good)
    monkeypatch.setenv(environment_variable(PASSPHRASE_NAME), "wrong")
    status, said = place.edge(command + " --server http://127.0.0.1:9")
    assert (status, "wrong passphrase or damaged file" in said) == (1, True)


def test_a_data_key_travels_over_tls_or_on_one_machine_only() -> None:
    with (
        AdminClient("http://models.example", "t" * 32) as client,
        pytest.raises(Refused, match="is not https"),
    ):
        client.put_data_key("0" * 64, bytes(32))


SPOILT = {
    "no key": (lambda phone: (phone / "device.key").unlink(), "enrol first"),
    "another file as key": (lambda phone: (phone / "device.key").write_bytes(b"x"), "holds no device key"),
    "no credential": (lambda phone: (phone / "device.credential").unlink(), "run 'edge device enroll'"),
    "an empty credential": (lambda phone: (phone / "device.credential").write_bytes(b""), "is not one"),
    "no text": (lambda phone: (phone / "device.credential").write_bytes(b"\xff\x00"), "is not one"),
    "a folder": (lambda phone: (phone / "device.key").unlink() or (phone / "device.key").mkdir(), "device.key"),
}  # fmt: skip


@pytest.mark.parametrize("what", SPOILT)
def test_a_device_folder_that_is_none(place: World, what: str) -> None:
    spoil, says = SPOILT[what]
    DeviceKey.load_or_create(place.folder / "phone" / "device.key")
    (place.folder / "phone" / "device.credential").write_text("a-credential\n")
    spoil(place.folder / "phone")
    for command in (
        "fetch focus --server http://127.0.0.1:9 --root keys/root.json --cache cache --device phone",
        "predict focus --cache cache --input person.json --device phone",
    ):
        status, said = place.edge(command)
        assert (status, says in said, len(said.splitlines())) == (1, True, 1), said
        assert not (place.folder / "cache").exists()


def test_a_device_folder_that_is_not_there_is_wrong_usage(place: World) -> None:
    status, said = place.edge("predict focus --cache cache --input person.json --device nowhere")
    assert (status, "'nowhere' does not exist" in said) == (2, True)
