"""The server behind real sockets: a TUF client, the admin client, stopping, and starting wrongly."""

from __future__ import annotations

import hashlib
import json
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import urllib3
from tuf.ngclient import Updater, UpdaterConfig

from model_server import layout
from model_server.client import AdminClient
from model_server.errors import (
    Conflict,
    NotFound,
    Refused,
    ServerError,
    StartError,
    StateError,
    StorageError,
    Unauthorized,
    Unreachable,
)
from model_server.serve import RunningServer, start
from model_server.services import Services
from model_server.settings import Settings
from tests.model_server import fleet
from tests.model_server.fleet import FIRST, ONLINE, SECOND, Draft

pytestmark = [pytest.mark.loopback, pytest.mark.usefixtures("socket_enabled")]

NOW = datetime.now(UTC).replace(microsecond=0)
LIVE_FIRST = replace(FIRST, issued=NOW, expires=NOW + timedelta(days=90))
LIVE_SECOND = replace(SECOND, issued=NOW, expires=NOW + timedelta(days=90))
ROOT = fleet.make_root(expires=NOW + timedelta(days=365))
FAST = Settings(resign_interval_s=0.01, threads=4)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningServer]:
    with start(root=ROOT, keys=ONLINE, data=tmp_path / "data", bind="127.0.0.1:0", settings=FAST) as server:
        yield server


@pytest.fixture
def client(running: RunningServer) -> Iterator[AdminClient]:
    with AdminClient(running.url, running.token) as client:
        yield client


def hand_in(client: AdminClient, draft: Draft) -> dict[str, Any]:
    from edge_sdk.contract import framing

    for data in fleet.BUNDLES.values():
        client.put_object(data)
        client.put_object(framing.segment_list(data))
    return client.publish(draft.publication(), base_version=draft.version - 1)


def test_everything_over_the_admin_client(client: AdminClient) -> None:
    assert client.current_targets() is None
    assert client.releases() == []
    with pytest.raises(NotFound, match="nothing is published yet"):
        client.directives()
    assert client.root(1) == ROOT
    assert client.root(2) is None

    assert hand_in(client, LIVE_FIRST)["targets_version"] == 1
    assert client.current_targets() == LIVE_FIRST.targets()
    assert hand_in(client, LIVE_SECOND)["targets_version"] == 2
    assert client.current_targets() == LIVE_SECOND.targets()
    assert [each["release"] for each in client.releases()] == [2, 1]
    assert client.set_directive("stable", "goal", ramp_bp=29, paused=True)["ramp_bp"] == 29
    directive = client.directives()["channels"]["stable"]["goal"]
    assert (directive["release"], directive["base_release"], directive["paused"]) == (2, 1, True)


def test_upload_tells_how_far_it_is(client: AdminClient) -> None:
    data, seen = bytes(600_000), []
    assert client.put_object(data, lambda *step: seen.append(step)) == hashlib.sha256(data).hexdigest()
    assert seen == [("upload", 262_144, 600_000), ("upload", 524_288, 600_000), ("upload", 600_000, 600_000)]


def test_refusals_reach_the_caller(client: AdminClient) -> None:
    hand_in(client, LIVE_FIRST)
    with pytest.raises(Refused, match=r"publication refused: targets is refused: .*1/2"):
        client.publish(replace(LIVE_SECOND, signed_by=("targets-1",)).publication(), base_version=1)
    with pytest.raises(Conflict, match="builds on targets version 4, and version 1 is published"):
        client.publish(LIVE_SECOND.publication(), base_version=4)
    with pytest.raises(NotFound, match="other has no release in channel stable"):
        client.set_directive("stable", "other", paused=True)
    with pytest.raises(NotFound):
        client.set_directive("../x", "a/b?c", paused=True)
    with pytest.raises(Refused, match="give some of"):
        client.set_directive("stable", "goal")


def test_a_tuf_client_of_another_kind_is_content(
    running: RunningServer, client: AdminClient, tmp_path: Path
) -> None:
    def refreshed() -> Updater:
        for name in ("metadata", "targets"):
            (tmp_path / name).mkdir(exist_ok=True)
        updater = Updater(
            str(tmp_path / "metadata"),
            f"{running.url}/metadata/",
            str(tmp_path / "targets"),
            f"{running.url}/targets/",
            config=UpdaterConfig(prefix_targets_with_hash=True),
            bootstrap=ROOT,
        )
        updater.refresh()
        return updater

    hand_in(client, LIVE_FIRST)
    info = refreshed().get_targetinfo("goal/stable/1/tflite-fp32.bundle")
    assert info is not None
    path = refreshed().download_target(info, str(tmp_path / "bundle"))
    assert Path(path).read_bytes() == fleet.served_bytes()
    assert refreshed().get_targetinfo("goal/stable/2/tflite-fp32.bundle") is None
    second = fleet.make_root(2, expires=NOW + timedelta(days=365))
    hand_in(client, replace(LIVE_SECOND, roots=(second,)))
    assert refreshed().get_targetinfo("goal/stable/2/tflite-fp32.bundle") is not None
    assert json.loads((tmp_path / "metadata" / "root.json").read_bytes())["signed"]["version"] == 2


def test_ranges_and_heads_over_the_wire(running: RunningServer, client: AdminClient) -> None:
    hand_in(client, LIVE_FIRST)
    data = fleet.served_bytes()
    url = f"{running.url}/v1/bundles/{hashlib.sha256(data).hexdigest()}"
    with urllib3.PoolManager() as pool:
        part = pool.request("GET", url, headers={"Range": "bytes=100-199"})
        assert (part.status, part.data) == (206, data[100:200])
        whole = pool.request("GET", url)
        assert (whole.status, whole.data) == (200, data)
        head = pool.request("HEAD", url)
        assert (head.status, head.data, head.headers["Content-Length"]) == (200, b"", "5000")
        again = pool.request("GET", url, headers={"If-None-Match": whole.headers["ETag"]})
        assert (again.status, again.data) == (304, b"")
        assert "Server" not in whole.headers


# The client, against servers that are not ours.


class Answering:
    """A socket that answers every request with the same bytes."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(self.answer)

    def close(self) -> None:
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        self.thread.join()


def _http(status: str, body: bytes, more: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}Connection: close\r\n\r\n"
    return head.encode() + body


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        (_http("502 Bad Gateway", b"<html>proxy</html>"), Unreachable, "502 Bad Gateway"),
        (_http("500 Oops", b'{"detail": "a\\nb"}'), ServerError, "failed: a b"),
        (_http("200 OK", b"<html>"), ServerError, "does not answer like a model server"),
        (_http("200 OK", b'{"releases": 1}'), ServerError, "'releases' is not a list"),
        (_http("302 Found", b"", "Location: http://127.0.0.1:1/\r\n"), ServerError, "302"),
        (_http("403 Forbidden", b""), Unauthorized, "admin token"),
        (_http("413 Too Large", b"Request Entity Too Large"), Refused, "413"),
        (_http("200 OK", b"x" * 10).replace(b"10", b"99"), Unreachable, "no answer from"),
        (b"nonsense\r\n\r\n", Unreachable, "no answer from"),
        (b"", Unreachable, "no answer from"),
    ],
)
def test_other_answers(answer: bytes, kind: type[Exception], reason: str) -> None:
    with closing(Answering(answer)) as other, AdminClient(other.url, "secret-token-x") as client:
        with pytest.raises(kind) as failed:
            client.releases()
        assert type(failed.value) is kind
        assert reason in str(failed.value)
        assert "\n" not in str(failed.value)
        assert "secret" not in str(failed.value)


def test_nobody_there() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with AdminClient(url) as client, pytest.raises(Unreachable, match=f"{url} .Connection refused"):
            client.releases()


@pytest.mark.parametrize("url", ["", "127.0.0.1:1", "ftp://x", "http://", "http://x/?a", "http://x/#a"])
def test_wrong_addresses(url: str) -> None:
    with pytest.raises(Refused, match="write an address"):
        AdminClient(url)


def test_wrong_tokens(running: RunningServer) -> None:
    with AdminClient(running.url, "wrong") as client, pytest.raises(Unauthorized, match="COACH_EDGE_TOKEN"):
        client.releases()
    with pytest.raises(Refused, match="characters that no token has"):
        AdminClient(running.url, "a\r\nb")


# Starting and stopping.


def test_a_second_start_has_everything(tmp_path: Path) -> None:
    def once() -> RunningServer:
        return start(root=ROOT, keys=ONLINE, data=tmp_path, bind="127.0.0.1:0")

    with once() as first, AdminClient(first.url, first.token) as client:
        hand_in(client, LIVE_FIRST)
        before = client.directives()
    with once() as second, AdminClient(second.url, second.token) as client:
        assert second.token == first.token
        assert client.directives() == before
        assert client.current_targets() == LIVE_FIRST.targets()
    assert stat.S_IMODE((tmp_path / "admin-token").stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "admin-token", "catalogue.sqlite", "key-encryption-keys", "objects",
    ]  # fmt: skip


def test_requests_under_way_are_finished(running: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, go_on = threading.Event(), threading.Event()
    services: Services = running._services
    true = services.repository.current

    def slow() -> Any:
        inside.set()
        assert go_on.wait(60)
        return true()

    monkeypatch.setattr(services.repository, "current", slow)
    answers: list[int] = []

    def ask() -> None:
        with urllib3.PoolManager() as pool:
            answers.append(pool.request("GET", f"{running.url}/readyz", retries=False).status)

    asking = threading.Thread(target=ask)
    asking.start()
    assert inside.wait(60)
    stopping = threading.Thread(target=running.close)
    stopping.start()
    assert running._stopping.wait(60)
    go_on.set()
    asking.join(60)
    stopping.join(60)
    assert answers == [200]
    running.close()  # twice is once
    with AdminClient(running.url) as client, pytest.raises(Unreachable):
        client.root(1)


def test_it_signs_again_by_itself(tmp_path: Path) -> None:
    clock = fleet.FakeClock(NOW)
    options: dict[str, Any] = {"root": ROOT, "keys": ONLINE, "data": tmp_path, "bind": "127.0.0.1:0"}
    with (
        start(**options, settings=FAST, clock=clock) as server,
        AdminClient(server.url, server.token) as client,
    ):
        hand_in(client, LIVE_FIRST)
        signed_again = threading.Event()
        store = server._services.repository.store
        true = store.replace_if_match

        def seen(key: str, data: bytes, etag: str | None) -> str:
            version = true(key, data, etag)
            if key == layout.DIRECTIVES:
                signed_again.set()
            return version

        store.replace_if_match = seen  # type: ignore[method-assign]
        clock.advance(hours=13)
        assert signed_again.wait(60)
        assert client.directives()["version"] == 2


def test_a_failing_store_does_not_end_signing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    failures: list[Exception] = [StorageError("the store is away"), RuntimeError("a defect")]
    enough = threading.Event()
    with start(root=ROOT, keys=ONLINE, data=tmp_path, bind="127.0.0.1:0", settings=FAST) as server:
        true = server._services.resigner.tick

        def failing(now: datetime) -> tuple[str, ...]:
            if failures:
                raise failures.pop(0)
            enough.set()
            return true(now)

        server._services.resigner.tick = failing  # type: ignore[method-assign]
        assert enough.wait(60)
    assert "cannot sign again, will try in a while: the store is away" in caplog.text
    assert "a defect while signing again" in caplog.text


def test_a_port_in_use(running: RunningServer, tmp_path: Path) -> None:
    port = running.url.rpartition(":")[2]
    with pytest.raises(StartError, match=f"^port {port} is in use; choose another with --bind$"):
        start(root=ROOT, keys=ONLINE, data=tmp_path / "other", bind=f"127.0.0.1:{port}")
    assert not (tmp_path / "other").exists()


def _file_as_folder(folder: Path) -> dict[str, Any]:
    (folder / "file").write_bytes(b"")
    return {"data": folder / "file"}


def _empty_token(folder: Path) -> dict[str, Any]:
    (folder / "admin-token").write_bytes(b"\n")
    return {}


def _damaged_store(folder: Path) -> dict[str, Any]:
    (folder / "objects" / "metadata").mkdir(parents=True)
    (folder / "objects" / "metadata" / "timestamp.json").write_bytes(b"{}")
    return {}


@pytest.mark.parametrize(
    ("spoil", "kind", "reason"),
    [
        (lambda _: {"bind": "127.0.0.1"}, StartError, "write HOST:PORT"),
        (lambda _: {"bind": "127.0.0.1:x"}, StartError, "write HOST:PORT"),
        (lambda _: {"bind": "127.0.0.1:65536"}, StartError, "write HOST:PORT"),
        (lambda _: {"bind": "192.0.2.1:0"}, StartError, "cannot listen on"),
        (lambda _: {"storage": "ftp://x"}, StartError, "--storage"),
        (lambda _: {"database": "nonsense://"}, StorageError, "the catalogue cannot be used"),
        (lambda _: {"token": "short"}, StartError, "at least 16"),
        (lambda _: {"root": b"{}"}, StartError, "--root"),
        (_file_as_folder, StartError, "cannot make the folder"),
        (_empty_token, StartError, "is empty"),
        (_damaged_store, StateError, "restore it"),
    ],
)
def test_wrong_starts_are_one_line_and_free_the_port(
    spoil: Callable[[Path], dict[str, Any]], kind: type[Exception], reason: str, tmp_path: Path
) -> None:
    options = {"root": ROOT, "keys": ONLINE, "data": tmp_path, "bind": "127.0.0.1:0", **spoil(tmp_path)}
    with pytest.raises(kind, match=reason) as refused:
        start(**options)
    assert "\n" not in str(refused.value)
