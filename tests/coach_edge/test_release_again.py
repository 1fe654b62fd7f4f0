"""Rolling back and promoting: the same bytes under another number or channel, signed offline, nothing downloaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coach_edge.cli import run
from edge_sdk import EdgeClient
from edge_sdk.crypto.options import read_app_key
from tests.coach_edge import world

pytestmark = [pytest.mark.loopback, pytest.mark.usefixtures("socket_enabled")]


def test_rollback_and_promote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.build(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name, value in world.environment().items():
        monkeypatch.setenv(name, value)

    def edge(command: str) -> tuple[int, str]:
        status = run([*command.split(), "--server", server.url, "--token", server.token])
        said = capsys.readouterr()
        return status, said.out + said.err

    with world.serve(tmp_path) as server:
        signed = "--keys keys/offline --root keys/root.json"
        status, said = edge(f"release rollback focus --to 1 {signed}")
        assert (status, "is the newest in channel stable already" in said) == (1, True)
        assert edge(f"publish {world.BUNDLE} {signed}")[0] == 0  # release 2
        status, said = edge(f"release rollback focus --to 1 {signed} --json")
        assert status == 0
        assert json.loads(said)["release"] == 3
        with EdgeClient.open(
            tmp_path / "cache", server.url, credential=read_app_key(tmp_path / "keys/app.key")
        ) as device:
            seen: list[str] = []
            assert device.update("focus", progress=lambda stage, done, total: seen.append(stage)).release == 3
            assert "download" not in seen
        status, said = edge(f"release promote focus --release 3 --to beta {signed} --json")
        assert (status, json.loads(said)["channel"], json.loads(said)["release"]) == (0, "beta", 1)
        status, said = edge(f"release rollback focus --to 9 {signed}")
        assert (status, "focus has no release 9 in channel stable" in said) == (1, True)
        assert edge("release recall focus --release 2")[0] == 0
        for command in ("rollback focus --to 2", "promote focus --release 2 --to beta"):
            status, said = edge(f"release {command} {signed}")
            assert (status, "release 2 of focus was recalled in channel stable" in said) == (1, True)
        assert edge(said.partition("first: edge ")[2])[0] == 0
        assert edge(f"release rollback focus --to 2 {signed}")[0] == 0
        status, said = edge(f"release promote focus --release 3 --to B! {signed}")
        assert (status, "channel" in said) == (1, True)
