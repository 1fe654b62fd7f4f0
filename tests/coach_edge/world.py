"""A small world for the command line: keys, a bundle, a published store, a cache; all real, all quick."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from coach_edge.publish import publish_release
from converters.release.keys import init_keys, load_signers
from device_tests.simulator.models import sealed_model
from device_tests.simulator.tflite_writer import dense_tflite
from edge_sdk import EdgeClient
from edge_sdk.crypto.keyfiles import environment_variable
from edge_sdk.crypto.options import read_app_key
from edge_sdk.crypto.sealed_files import write_sealed
from edge_sdk.runtime import engine_named
from model_server.client import AdminClient
from model_server.keys import load_keys
from model_server.serve import RunningServer, start

BUNDLE = "bundles/focus-1.0.0-tflite-fp32.bundle"
NAMES = ("root-1", "root-2", "root-3", "targets-1", "snapshot", "timestamp", "director")


def passphrase(name: str) -> str:
    return f"secret of {name}"


def environment() -> dict[str, str]:
    """What unlocks the keys on the command line."""
    return {environment_variable(name): passphrase(name) for name in NAMES}


def serve(folder: Path, **options: Any) -> RunningServer:
    """The world's server on a free port; with other options of ``model_server.serve.start`` where given."""
    root = (folder / "keys" / "root.json").read_bytes()
    keys = load_keys(folder / "keys" / "online", root, passphrase)
    return start(root=root, keys=keys, data=folder / "edge-data", bind="127.0.0.1:0", **options)


def build(folder: Path) -> None:
    """Make the world in an empty folder; needs sockets."""
    init_keys(folder / "keys", passphrase, datetime.now(UTC), log_n=10)
    app_key = read_app_key(folder / "keys" / "app.key")
    sealed = sealed_model(dense_tflite([3, 1]), engine=engine_named("litert"), app_key=app_key)
    write_sealed(sealed, folder / "bundles")
    root = (folder / "keys" / "root.json").read_bytes()
    with serve(folder) as server, AdminClient(server.url, server.token) as client:
        signers = load_signers(folder / "keys", root, passphrase)
        publish_release(
            client,
            [sealed],
            root,
            folder / "keys",
            signers,
            channel="stable",
            now=datetime.now(UTC),
            progress=lambda stage, done, total: None,
        )
        with EdgeClient.open(folder / "cache", server.url, root, credential=app_key) as device:
            device.update("focus")
    (folder / "person.json").write_text('{"effort": 0.5, "rest": 0.2, "luck": 0.1}')
    (folder / "events.csv").write_text("user_id,day,event_type,count\nada,1,session,2\nada,2,task_done,1\n")
    (folder / "labels.csv").write_text("user_id,goal_success\nada,1\n")
