"""Two publishers at once: one wins, and the other can still publish afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from coach_edge.cli import run
from converters.release import memory
from model_server.client import AdminClient
from model_server.errors import Conflict
from tests.coach_edge import world

pytestmark = [pytest.mark.loopback, pytest.mark.usefixtures("socket_enabled")]


def test_a_lost_race_leaves_a_key_folder_that_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.build(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name, value in world.environment().items():
        monkeypatch.setenv(name, value)
    with world.serve(tmp_path) as server:
        command = (
            f"publish {world.BUNDLE} --server {server.url} --keys keys/offline --root keys/root.json "
            f"--token {server.token}"
        ).split()
        before = memory.read(tmp_path / "keys" / "offline")
        with monkeypatch.context() as patch:

            def lost(self: AdminClient, *args: object, **kwargs: object) -> None:
                raise Conflict("somebody else published; fetch it and sign again")

            patch.setattr(AdminClient, "publish", lost)
            assert run(command) == 1
        assert memory.read(tmp_path / "keys" / "offline") == before
        capsys.readouterr()
        assert run(command) == 0
        assert "release: 2" in capsys.readouterr().out
        # What a publication is refused for has not been forgotten either: a server that was set back.
        memory.write(tmp_path / "keys" / "offline", memory.Signed(9, "0" * 64, ""))
        assert run(command) == 1
        assert "set back or replaced" in capsys.readouterr().err
