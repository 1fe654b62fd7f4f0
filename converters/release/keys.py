"""The key files of a new repository, and reading them back.

``offline/`` holds what signs roots and targets and never leaves the signer; ``online/`` is what a server gets.
A stolen server therefore cannot ship a model.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from converters.errors import ReleaseError
from converters.release import tuf_metadata
from edge_sdk.contract import document
from edge_sdk.contract.manifest import Director
from edge_sdk.crypto import keyfiles
from edge_sdk.crypto.files import PRIVATE_FOLDER, Writer, new_private_folder, write_new_private
from edge_sdk.crypto.keyfiles import KeyFile, Passphrase
from edge_sdk.crypto.sealing import APP_KEY_BYTES, AppKey
from edge_sdk.errors import EdgeError
from feature_spec.canonical import canonical_json

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

OFFLINE: Final = "offline"
ONLINE: Final = "online"
ROOT_FILE: Final = "root.json"
APP_KEY_FILE: Final = "app.key"
DIRECTOR_FILE: Final = "director.json"
"""In ``offline/``: the director's public half, which the targets metadata names."""

ONLINE_KEYS: Final = ("snapshot", "timestamp", "director")


@dataclass(frozen=True)
class KeyPlan:
    """How many keys there are, and how many of them must sign.

    One key each for snapshot, timestamp and director: a server signs with them by itself, so that more of
    them in the same place would protect nothing.
    """

    roots: int = 3
    root_threshold: int = 2
    targets: int = 1
    targets_threshold: int = 1

    def __post_init__(self) -> None:
        for role, count, threshold in (
            ("root", self.roots, self.root_threshold),
            ("targets", self.targets, self.targets_threshold),
        ):
            if not 1 <= threshold <= count <= 9:
                raise ReleaseError(
                    f"{threshold} of {count} {role} keys: there are 1 to 9 keys, and 1 to all of them must sign"
                )

    @property
    def offline(self) -> tuple[str, ...]:
        """Names of the keys that stay with the signers."""
        counts = (("root", self.roots), ("targets", self.targets))
        return tuple(f"{role}-{number}" for role, count in counts for number in range(1, count + 1))


@dataclass(frozen=True)
class KeyInfo:
    """What a key file tells without its passphrase."""

    name: str
    key_id: str
    public_key: str
    path: Path


@dataclass(frozen=True)
class Signers:
    """What a publisher signs with: unlocked targets keys by TUF key id, and the director they name."""

    keys: Mapping[str, Ed25519PrivateKey]
    director: Director


def init_keys(
    out: Path,
    passphrase: Passphrase,
    now: datetime,
    *,
    plan: KeyPlan | None = None,
    random: Callable[[int], bytes] = os.urandom,
    generate: Callable[[], Ed25519PrivateKey] = keyfiles.generate,
    log_n: int = keyfiles.SCRYPT_LOG_N,
    write: Writer = write_new_private,
) -> tuple[KeyInfo, ...]:
    """Make all keys and the first root; the folder appears complete or not at all.

    Writes ``offline/root-*.key``, ``offline/targets-*.key``, ``offline/director.json``, ``online/snapshot.key``,
    ``online/timestamp.key``, ``online/director.key``, ``root.json`` and ``app.key``.

    Args:
        out: a folder that does not exist, or is empty.
        passphrase: asked for each key by its name, in the order above.
        now: the root is issued then, and expires a year later.
        plan: numbers and thresholds; 2 of 3 root keys and 1 of 1 targets key by default.
        random: source of salts, nonces and the app key.
        generate: source of signing keys.
        log_n: cost of guessing a passphrase.
        write: how a file comes into being.

    Raises:
        ReleaseError: ``out`` holds something already, or cannot be written.
        InputError: an empty passphrase.
    """
    plan = plan or KeyPlan()
    _refuse_occupied(out)
    names = {**dict.fromkeys(plan.offline, OFFLINE), **dict.fromkeys(ONLINE_KEYS, ONLINE)}
    keys = {name: generate() for name in names}
    # All passphrases are asked for before anything is written: a person may give up in the middle.
    files = {
        f"{folder}/{name}.key": KeyFile.lock(
            name, keys[name], passphrase(name), log_n=log_n, random=random
        ).to_bytes()
        for name, folder in names.items()
    }
    director = Director(tuf_metadata.tuf_key_id(keys["director"]), keyfiles.public_hex(keys["director"]))
    files[f"{OFFLINE}/{DIRECTOR_FILE}"] = canonical_json(director.to_json())
    files[APP_KEY_FILE] = AppKey(random(APP_KEY_BYTES)).to_text().encode("ascii")
    files[ROOT_FILE] = _first_root(plan, keys, now.astimezone(UTC).replace(microsecond=0))
    try:
        with new_private_folder(out) as folder:
            for part in (OFFLINE, ONLINE):
                (folder / part).mkdir(mode=PRIVATE_FOLDER)
            for name, data in files.items():
                write(folder / name, data)
    except OSError as error:
        raise ReleaseError(f"cannot write the keys to {out}: {error.strerror}; nothing was left") from error
    return list_keys(out)


def list_keys(folder: Path) -> tuple[KeyInfo, ...]:
    """What key files lie in a folder, or in its ``offline`` and ``online``; asks for no passphrase.

    Raises:
        ReleaseError: there is none.
        InputError: one is not a key file.
    """
    places = (folder, folder / OFFLINE, folder / ONLINE)
    paths = [path for place in places for path in sorted(place.glob("*.key")) if path.name != APP_KEY_FILE]
    if not paths:
        raise ReleaseError(
            f"there is no key file in {folder}; make keys with 'edge keys init --out {folder}'"
        )
    return tuple(_info(_read_key(path), path) for path in paths)


def offline_folder(folder: Path) -> Path:
    """The folder of the offline keys: the one given, or ``offline`` in it."""
    return folder / OFFLINE if (folder / OFFLINE).is_dir() else folder


def load_signers(folder: Path, root: bytes, passphrase: Passphrase) -> Signers:
    """Unlock as many targets keys as ``root`` asks for, and no more.

    Args:
        folder: the ``offline`` folder, or the one that holds it.
        root: the root metadata that devices trust.
        passphrase: asked for each key that is used.

    Raises:
        ReleaseError: too few targets keys of that root lie in the folder, or the director's public half is missing.
        InputError: a wrong passphrase.
    """
    folder = offline_folder(folder)
    named, threshold = tuf_metadata.role_keys(tuf_metadata.parse_root(root), "targets")
    found = map(_read_key, sorted(folder.glob("targets-[1-9].key")))
    usable = [file for file in found if file.public in named.values()]
    if len(usable) < threshold:
        raise ReleaseError(
            f"{folder} holds {len(usable)} of the {threshold} targets keys that root.json asks for; "
            "give the folder of keys that this root was made with"
        )
    director = _read_director(folder / DIRECTOR_FILE)
    unlocked = [file.unlock(passphrase(file.name)) for file in usable[:threshold]]
    return Signers({tuf_metadata.tuf_key_id(key): key for key in unlocked}, director)


def _first_root(plan: KeyPlan, keys: Mapping[str, Ed25519PrivateKey], issued: datetime) -> bytes:
    members = {
        "root": [keys[f"root-{number}"] for number in range(1, plan.roots + 1)],
        "targets": [keys[f"targets-{number}"] for number in range(1, plan.targets + 1)],
        "snapshot": [keys["snapshot"]],
        "timestamp": [keys["timestamp"]],
    }
    thresholds = {
        "root": plan.root_threshold,
        "targets": plan.targets_threshold,
        "snapshot": 1,
        "timestamp": 1,
    }
    return tuf_metadata.build_root(members, thresholds, issued)


def _refuse_occupied(out: Path) -> None:
    if out.is_dir():
        if any(out.iterdir()):
            raise ReleaseError(f"{out} is not empty; keys are never overwritten, choose another folder")
    elif out.exists():
        raise ReleaseError(f"{out} is a file; choose a folder that does not exist yet")


def _info(file: KeyFile, path: Path) -> KeyInfo:
    return KeyInfo(file.name, tuf_metadata.key_id_of_public(file.public), file.public, path)


def _read_key(path: Path) -> KeyFile:
    file = KeyFile.from_bytes(_read(path), str(path))
    if path.stem != file.name:
        raise ReleaseError(f"{path} holds the key '{file.name}'; give the file its own name back")
    return file


def _read_director(path: Path) -> Director:
    data = _read(path)
    try:
        value: dict[str, Any] = document.parse(data, str(path), max_bytes=keyfiles.MAX_BYTES)
        director = Director.from_json(value)
    except EdgeError as error:
        raise ReleaseError(f"{path} does not name a director: {error}") from error
    if director.key_id != tuf_metadata.key_id_of_public(director.public_key):
        raise ReleaseError(f"{path}: the director's key id is not that of its public key")
    return director


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ReleaseError(f"cannot read {path}: {error.strerror}") from error
