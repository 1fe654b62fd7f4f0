"""Which key folders a server starts with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edge_sdk.crypto.keyfiles import KeyFile
from edge_sdk.errors import InputError
from model_server.errors import StartError
from model_server.keys import load_keys
from tests.model_server import fleet

CHEAP = 10  # scrypt's cost, as a power of two


def lock(folder: Path, name: str, key: str | None = None, file: str | None = None) -> None:
    data = KeyFile.lock(name, fleet.key(key or name), f"pass {name}", log_n=CHEAP).to_bytes()
    (folder / (file or f"{name}.key")).write_bytes(data)


def passphrase(name: str) -> str:
    return f"pass {name}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("snapshot", "timestamp", "director"):
        lock(tmp_path, name)
    return tmp_path


def test_the_three_online_keys(folder: Path) -> None:
    (folder / "README").write_text("other files are of no interest")
    (folder / "app.key").write_text("neither is this\n")
    (folder / "large").write_bytes(bytes(10_000))
    keys = load_keys(folder, fleet.make_root(), passphrase)
    assert keys.as_director == fleet.DIRECTOR
    assert repr(keys) == f"OnlineKeys(director={fleet.DIRECTOR.key_id})"


def _director_as_targets_key(folder: Path) -> None:
    lock(folder, "director", key="targets-1")


CASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "targets key": (lambda folder: lock(folder, "targets-1"), r"targets-1\.key is a targets key; keep it offline"),
    "root key": (lambda folder: lock(folder, "root-3"), r"root-3\.key is a root key; keep it offline"),
    "targets key in disguise": (
        lambda folder: lock(folder, "backup", key="targets-2", file="notes.txt"), r"notes\.txt is a targets key",
    ),
    "targets key of another root": (lambda folder: lock(folder, "targets-9"), r"targets-9\.key is a targets key"),
    "director that is a targets key": (_director_as_targets_key, r"director\.key is a targets key"),
    "no timestamp key": (lambda folder: (folder / "timestamp.key").unlink(), r"holds no timestamp\.key"),
    "foreign snapshot key": (
        lambda folder: lock(folder, "snapshot", key="other"), r"snapshot\.key is not the snapshot key that --root",
    ),
    "swapped keys": (
        lambda folder: lock(folder, "snapshot", key="timestamp"), r"snapshot\.key is not the snapshot key",
    ),
    "damaged": (lambda folder: (folder / "director.key").write_bytes(b"{"), r"director\.key is not a key file"),
    "damaged root key": (lambda folder: (folder / "root-1.key").write_bytes(b"{"), r"root-1\.key is not a key file"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_refused_before_anything_is_unlocked(case: str, folder: Path) -> None:
    spoil, reason = CASES[case]
    spoil(folder)
    with pytest.raises(StartError, match=reason) as refused:
        load_keys(folder, fleet.make_root(), lambda name: pytest.fail(f"asked for {name}"))
    assert "\n" not in str(refused.value)


def test_roots_that_do_not_fit(folder: Path) -> None:
    more = fleet.make_root(names={"snapshot": ("snapshot", "other")}, thresholds={"snapshot": 2})
    with pytest.raises(StartError, match="does not name this server's snapshot key"):
        load_keys(folder, more, passphrase)
    for wrong in (b"", b"{}", fleet.FIRST.targets(), fleet.make_root(signed_by=("root-1",))):
        with pytest.raises(StartError, match="--root"):
            load_keys(folder, wrong, passphrase)


def test_wrong_passphrase(folder: Path) -> None:
    with pytest.raises(InputError, match="key snapshot: wrong passphrase"):
        load_keys(folder, fleet.make_root(), lambda name: "wrong")


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"cannot read the keys in .*: No such file"):
        load_keys(tmp_path / "absent", fleet.make_root(), passphrase)
