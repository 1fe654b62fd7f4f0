"""The commands ``serve`` and ``release``: results, refusals, and that every option says what it does."""

from __future__ import annotations

import io
import os
import signal
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from edge_sdk.crypto.keyfiles import KeyFile
from edge_sdk.errors import InputError
from model_server import serve as serving
from model_server.commands import serve
from model_server.device_commands import device
from model_server.errors import NotFound, StartError, Unreachable
from model_server.release_commands import Percent, release
from model_server.serve import RunningServer
from model_server.settings import Settings
from tests.model_server import fleet
from tests.model_server.test_live_server import LIVE_FIRST, LIVE_SECOND, NOW, hand_in

ROOT = fleet.make_root(expires=NOW + timedelta(days=365))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Root and online keys as files, passphrases in the environment, and the folder as the present one."""
    (tmp_path / "online").mkdir()
    (tmp_path / "root.json").write_bytes(ROOT)
    for name in ("snapshot", "timestamp", "director"):
        data = KeyFile.lock(name, fleet.key(name), f"pass {name}", log_n=10).to_bytes()
        (tmp_path / "online" / f"{name}.key").write_bytes(data)
        monkeypatch.setenv(f"COACH_EDGE_PASSPHRASE_{name.upper()}", f"pass {name}")
    monkeypatch.delenv("COACH_EDGE_TOKEN", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command: click.Command, *arguments: str) -> Any:
    """The value that a command returns."""
    return command.main(arguments, standalone_mode=False)


@pytest.mark.loopback
@pytest.mark.usefixtures("socket_enabled")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_until_a_signal(
    number: signal.Signals, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)
    true = serving.start
    found: list[RunningServer] = []

    def start(**options: Any) -> RunningServer:
        server = true(**options)
        found.append(server)
        threading.Timer(0, os.kill, (os.getpid(), number)).start()
        return server

    monkeypatch.setattr(serving, "start", start)
    result = run(serve, "--root", "root.json", "--keys", "online", "--bind", "127.0.0.1:0")
    assert result == {"url": found[0].url, "stopped": True}
    assert found[0]._stopping.is_set()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        f"Serving on {found[0].url}; the admin token is in edge-data/admin-token. Ctrl-C stops.\n"
    )
    assert signal.getsignal(number) is before
    assert sorted(path.name for path in (folder / "edge-data").iterdir()) == [
        "admin-token", "catalogue.sqlite", "key-encryption-keys", "objects",
    ]  # fmt: skip


def test_what_serve_is_told_about_devices(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def start(**options: Any) -> RunningServer:
        given.update(options)
        raise StartError("that will do")

    monkeypatch.setattr(serving, "start", start)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    arn = "arn:aws:kms:eu-central-1:123456789012:key/abc"
    origins = ("--origin", "https://Models.Example:443/", "--origin", "http://10.0.0.1:8765")
    with pytest.raises(StartError, match="that will do"):
        run(serve, "--root", "root.json", "--keys", "online", *origins, "--kms-key", arn, "--lease-days", "7")
    assert given["settings"].origins == ("https://models.example", "http://10.0.0.1:8765")
    assert given["settings"].lease_lifetime == timedelta(days=7)
    assert repr(given["key_provider"]) == f"KmsKeyProvider({arn})"
    with pytest.raises(StartError, match="that will do"):
        run(serve, "--root", "root.json", "--keys", "online")
    assert (given["settings"], given["key_provider"]) == (Settings(), None)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--origin", "models.example"), "--origin.*write an address"),
        (("--origin", "https://models.example:x"), "--origin.*write an address"),
        (("--kms-key", "alias/models"), "write the ARN of a key"),
        (("--kms-key", "arn:aws:kms:eu-central-1:123456789012:alias/models"), "write the ARN of a key"),
    ],
)
def test_what_serve_refuses_about_devices(options: tuple[str, ...], reason: str, folder: Path) -> None:
    with pytest.raises(StartError, match=reason):
        run(serve, "--root", "root.json", "--keys", "online", *options)
    assert not (folder / "edge-data").exists()


@pytest.mark.parametrize(
    ("missing", "reason"),
    [("root.json", "cannot read --root root.json"), ("online/director.key", r"holds no director\.key")],
)
def test_serve_without_its_files(missing: str, reason: str, folder: Path) -> None:
    (folder / missing).unlink()
    with pytest.raises(StartError, match=reason):
        run(serve, "--root", "root.json", "--keys", "online")
    assert not (folder / "edge-data").exists()


def test_serve_without_or_with_wrong_passphrases(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COACH_EDGE_PASSPHRASE_DIRECTOR", "wrong")
    with pytest.raises(InputError, match="key director: wrong passphrase"):
        run(serve, "--root", "root.json", "--keys", "online")
    monkeypatch.delenv("COACH_EDGE_PASSPHRASE_DIRECTOR")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(InputError, match="set COACH_EDGE_PASSPHRASE_DIRECTOR"):
        run(serve, "--root", "root.json", "--keys", "online")
    assert not (folder / "edge-data").exists()


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningServer]:
    from model_server.client import AdminClient

    with serving.start(root=ROOT, keys=fleet.ONLINE, data=tmp_path, bind="127.0.0.1:0") as server:
        monkeypatch.setenv("COACH_EDGE_TOKEN", server.token)
        with AdminClient(server.url, server.token) as client:
            hand_in(client, LIVE_FIRST)
            hand_in(client, LIVE_SECOND)
        yield server


@pytest.mark.loopback
def test_release_commands(socket_enabled: None, running: RunningServer) -> None:
    server = ("--server", running.url)
    listed = run(release, "list", *server)
    assert [each["release"] for each in listed["releases"]] == [2, 1]
    assert [each["new_installs"] for each in listed["releases"]] == ["100 % of devices", "nobody"]
    for arguments, expected, who in (
        (
            ("rollout", "goal", "--percent", "0.29"),
            {"percent": 0.29, "paused": False},
            ["0.29 % of devices", "all other devices"],
        ),
        (
            ("pause", "goal"),
            {"percent": 0.29, "paused": True},
            ["nobody while paused, then 0.29 % of devices", "nobody while paused, then all other devices"],
        ),
        (
            ("rollout", "goal", "--percent", "100"),
            {"percent": 100, "paused": True},
            ["nobody while paused, then 100 % of devices", "nobody"],
        ),
        (
            ("resume", "goal", "--channel", "stable"),
            {"percent": 100, "paused": False},
            ["100 % of devices", "nobody"],
        ),
        (
            ("recall", "goal", "--release", "2"),
            {"recalled": [2]},
            ["nobody: recalled", "nobody"],
        ),
        (
            ("recall", "goal", "--release", "1"),
            {"recalled": [1, 2]},
            ["nobody: recalled", "nobody: recalled"],
        ),
        (
            ("recall", "goal", "--release", "2", "--lift"),
            {"recalled": [1]},
            ["100 % of devices", "nobody: recalled"],
        ),
    ):
        answer = run(release, *arguments, *server)
        assert (answer["model"], answer["channel"], answer["release"]) == ("goal", "stable", 2)
        assert expected.items() <= answer.items()
        listed = run(release, "list", *server)
        assert [each["new_installs"] for each in listed["releases"]] == who
    with pytest.raises(NotFound, match="goal has no release in channel beta"):
        run(release, "pause", "goal", "--channel", "beta", *server)
    with pytest.raises(NotFound, match="goal has no release 7 in channel stable; it has 1, 2"):
        run(release, "recall", "goal", "--release", "7", *server)
    running.close()
    with pytest.raises(Unreachable, match="no answer from"):
        run(release, "list", *server)


@pytest.mark.parametrize(
    ("text", "points"),
    [("0", 0), ("100", 10_000), ("100.00", 10_000), ("0.29", 29), ("1.1", 110), ("57.57", 5757), ("0.01", 1),
     ("00.10", 10)],
)  # fmt: skip
def test_percent(text: str, points: int) -> None:
    assert Percent().convert(text, None, None) == points


def test_every_share_with_two_decimals_is_exact() -> None:
    texts = (f"{points // 100}.{points % 100:02}" for points in range(10_001))
    assert [Percent().convert(text, None, None) for text in texts] == list(range(10_001))


@pytest.mark.parametrize(
    "text",
    ["", "-1", "100.01", "101", "1.234", ".5", "1.", "1e1", "nan", "5%", "1,5", "\u0661", " 1", "1000"],
)
def test_other_shares_are_wrong_usage(text: str) -> None:
    arguments = ["rollout", "goal", f"--percent={text}", "--server", "http://127.0.0.1:9", "--token", "x"]
    result = CliRunner().invoke(release, arguments)
    assert result.exit_code == 2, result.output
    assert "share from 0 to 100" in result.output


def test_every_option_says_what_it_does() -> None:
    for command in (serve, *release.commands.values()):
        assert command.help
        for parameter in command.params:
            assert isinstance(parameter, click.Argument) or (
                isinstance(parameter, click.Option) and parameter.help
            )


@pytest.mark.loopback
def test_device_commands(socket_enabled: None, running: RunningServer) -> None:
    server = ("--server", running.url)
    made = run(device, "token", "--uses", "2", *server)
    assert (len(made["token"]) > 40, made["uses"], made["hours"]) == (True, 2, 24)
    assert run(device, "list", *server) == {"devices": []}
    with pytest.raises(NotFound, match="no device x"):
        run(device, "revoke", "x", *server)
