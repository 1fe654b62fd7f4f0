"""Key folders: what is in them, who may read them, and that there is never half a one."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from securesystemslib.signer import SSlibKey
from tuf.api.metadata import Metadata, Root

from converters.errors import ReleaseError
from converters.release.keys import KeyPlan, init_keys, list_keys, load_signers
from edge_sdk.crypto.files import write_new_private
from edge_sdk.crypto.keyfiles import KeyFile
from edge_sdk.crypto.sealing import AppKey
from edge_sdk.errors import EdgeError, InputError
from tests.converters.release.support import CHEAP, NOW, Repository, passphrase


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_folder_separates_who_signs_from_who_serves(tmp_path: Path) -> None:
    init_keys(tmp_path / "keys", passphrase, NOW, log_n=CHEAP)
    assert files_in(tmp_path / "keys") == [
        "app.key",
        "offline/director.json",
        "offline/root-1.key",
        "offline/root-2.key",
        "offline/root-3.key",
        "offline/targets-1.key",
        "online/director.key",
        "online/snapshot.key",
        "online/timestamp.key",
        "root.json",
    ]
    AppKey.from_text((tmp_path / "keys" / "app.key").read_text())


@pytest.mark.skipif(os.name == "nt", reason="Windows has no file modes")
def test_nobody_else_may_read(repository: Repository) -> None:
    for path in (repository.folder, *repository.folder.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_the_root_is_a_tuf_root_of_the_profile(repository: Repository) -> None:
    metadata = Metadata.from_bytes(repository.root)
    root = metadata.signed
    assert isinstance(root, Root)
    root.verify_delegate(Root.type, metadata.signed_bytes, metadata.signatures)
    assert len(metadata.signatures) == 2
    thresholds = {name: (len(role.keyids), role.threshold) for name, role in root.roles.items()}
    assert thresholds == {"root": (3, 2), "targets": (3, 2), "snapshot": (1, 1), "timestamp": (1, 1)}
    assert (root.version, root.consistent_snapshot, root.expires) == (1, True, NOW + timedelta(days=365))
    assert root.unrecognized_fields == {"x-issued": "2026-11-21T12:00:00Z"}
    director = list_keys(repository.folder / "online")[0]
    assert director.name == "director"
    assert director.key_id not in root.keys  # it signs directives, nothing of TUF
    assert (director.key_id, director.public_key) == (
        repository.signers.director.key_id,
        repository.signers.director.public_key,
    )


def test_key_ids_are_those_of_tuf(repository: Repository) -> None:
    root = Metadata.from_bytes(repository.root).signed
    assert isinstance(root, Root)
    by_name = {info.name: info for info in list_keys(repository.folder)}
    assert root.roles["snapshot"].keyids == [by_name["snapshot"].key_id]
    for key_id, key in repository.signers.keys.items():
        assert SSlibKey.from_crypto(key.public_key()).keyid == key_id
        assert key_id in root.roles["targets"].keyids


def test_only_as_many_passphrases_as_must_be(repository: Repository) -> None:
    asked: list[str] = []

    def counting(name: str) -> str:
        asked.append(name)
        return passphrase(name)

    load_signers(repository.folder / "offline", repository.root, counting)
    assert asked == ["targets-1", "targets-2"]


def test_wrong_passphrase_is_one_line(repository: Repository) -> None:
    with pytest.raises(InputError, match="key targets-1: wrong passphrase") as caught:
        load_signers(repository.folder, repository.root, lambda name: "guess")
    assert "\n" not in str(caught.value)
    assert "COACH_EDGE_PASSPHRASE_TARGETS_1" in str(caught.value)


def test_keys_of_another_root_are_not_used(repository: Repository, other_repository: Repository) -> None:
    with pytest.raises(ReleaseError, match="holds 0 of the 2 targets keys"):
        load_signers(repository.folder, other_repository.root, passphrase)


@pytest.mark.parametrize(
    ("occupy", "message"),
    [
        (lambda out: (out.mkdir(), (out / "note").write_text("mine")), "is not empty"),
        (lambda out: out.write_text("mine"), "is a file"),
    ],
)
def test_nothing_is_overwritten(tmp_path: Path, occupy: Callable[[Path], object], message: str) -> None:
    occupy(tmp_path / "keys")
    with pytest.raises(ReleaseError, match=message):
        init_keys(tmp_path / "keys", passphrase, NOW, log_n=CHEAP)
    assert files_in(tmp_path) in (["keys"], ["keys/note"])


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    assert len(init_keys(tmp_path / "keys", passphrase, NOW, log_n=CHEAP)) == 7


@pytest.mark.parametrize("at", range(10))
@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_nothing_half_written(tmp_path: Path, at: int, fault: BaseException) -> None:
    written: list[Path] = []

    def failing(path: Path, data: bytes) -> None:
        if len(written) == at:
            path.write_bytes(data[: len(data) // 2])
            raise fault
        written.append(path)
        write_new_private(path, data)

    with pytest.raises((ReleaseError, KeyboardInterrupt)):
        init_keys(tmp_path / "keys", passphrase, NOW, log_n=CHEAP, write=failing)
    assert len(written) == at
    assert list(tmp_path.iterdir()) == []


def test_the_fault_above_is_late_enough_to_matter(tmp_path: Path) -> None:
    """The control: until the very last file the folder is not there under its name."""
    seen: list[bool] = []

    def watching(path: Path, data: bytes) -> None:
        seen.append((tmp_path / "keys").exists())
        write_new_private(path, data)

    init_keys(tmp_path / "keys", passphrase, NOW, log_n=CHEAP, write=watching)
    assert seen == [False] * 10


def test_giving_up_at_a_prompt_leaves_nothing(tmp_path: Path) -> None:
    def impatient(name: str) -> str:
        if name == "snapshot":
            raise InputError("no passphrase")
        return passphrase(name)

    with pytest.raises(InputError):
        init_keys(tmp_path / "keys", impatient, NOW, log_n=CHEAP)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "numbers",
    [
        {"root_threshold": 0},
        {"roots": 2, "root_threshold": 3},
        {"roots": 10},
        {"targets": 1, "targets_threshold": 2},
        {"targets": 0, "targets_threshold": 0},
    ],
)
def test_plans_that_nobody_could_keep(numbers: dict[str, int]) -> None:
    with pytest.raises(ReleaseError, match="keys: there are 1 to 9"):
        KeyPlan(**numbers)


def damage_json(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def rename_inside(path: Path) -> None:
    file = KeyFile.from_bytes(path.read_bytes(), "key")
    path.write_bytes(replace(file, name="targets-2").to_bytes())


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("offline/targets-1.key", damage_json, "is not a key file"),
        ("offline/targets-1.key", rename_inside, "holds the key 'targets-2'"),
        ("offline/director.json", damage_json, "does not name a director"),
        ("offline/director.json", Path.unlink, "cannot read"),
        ("root.json", damage_json, "root.json is not TUF metadata"),
    ],
)
def test_damaged_files_are_named(
    tmp_path: Path, name: str, damage: Callable[[Path], object], message: str
) -> None:
    folder = tmp_path / "keys"
    init_keys(folder, passphrase, NOW, log_n=CHEAP)
    root = (folder / "root.json").read_bytes()
    damage(folder / name)
    if name == "root.json":
        root = (folder / "root.json").read_bytes()
    with pytest.raises((ReleaseError, EdgeError), match=message) as caught:
        load_signers(folder, root, passphrase)
    assert "\n" not in str(caught.value)


def test_a_director_whose_id_is_not_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    init_keys(folder, passphrase, NOW, log_n=CHEAP)
    path = folder / "offline" / "director.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "key_id": "0" * 64}))
    with pytest.raises(ReleaseError, match="not that of its public key"):
        load_signers(folder, (folder / "root.json").read_bytes(), passphrase)


def test_an_empty_folder_has_no_keys(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="no key file"):
        list_keys(tmp_path)
