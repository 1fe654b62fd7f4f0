"""``edge device`` against a server that runs: enrol, get a key refused for want of a bundle, be revoked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from coach_edge.device import device
from edge_sdk.crypto.device_key import DeviceKey
from edge_sdk.errors import InputError, NotAvailable
from edge_sdk.update.enrolling import ask_for_key
from edge_sdk.update.http import HttpTransport
from model_server import serve
from tests.model_server import fleet


def run(*arguments: str) -> Any:
    return device.main(arguments, standalone_mode=False)


@pytest.mark.loopback
def test_a_device_enrols_and_is_revoked(
    socket_enabled: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, out = fleet.make_root(), tmp_path / "app"
    with serve.start(root=root, keys=fleet.ONLINE, data=tmp_path / "data", bind="127.0.0.1:0") as server:
        monkeypatch.setenv("COACH_EDGE_TOKEN", server.token)
        at = ("--server", server.url)
        token = run("token", *at)["token"]
        done = run("enroll", *at, "--token", token, "--out", str(out))
        assert {path.name: path.stat().st_mode & 0o777 for path in out.iterdir()} == {
            "device.key": 0o600, "device.credential": 0o600,
        }  # fmt: skip
        (row,) = run("list", *at)["devices"]
        assert (row["device_id"], row["thumbprint"]) == (done["device_id"], done["thumbprint"])
        with pytest.raises(InputError, match="used up"):
            run("enroll", *at, "--token", token, "--out", str(out))
        key, credential = DeviceKey.load(out / "device.key"), (out / "device.credential").read_text().strip()
        transport = HttpTransport()
        with pytest.raises(NotAvailable, match="is published"):
            ask_for_key(transport, server.url, key, credential, "0" * 64)
        assert run("revoke", row["device_id"], *at)["was_active"]
        with pytest.raises(NotAvailable, match="revoked"):
            ask_for_key(transport, server.url, key, credential, "0" * 64)
        transport.close()
