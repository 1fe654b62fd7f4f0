"""The three keys that a server holds: snapshot, timestamp and director; never a key that could ship a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_sdk.contract.manifest import Director
from edge_sdk.crypto import keyfiles
from edge_sdk.crypto.keyfiles import KeyFile, Passphrase
from edge_sdk.errors import EdgeError, VerificationError
from model_server import tuf_metadata
from model_server.errors import StartError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from tuf.api.metadata import Root

NAMES = ("snapshot", "timestamp", "director")


@dataclass(frozen=True)
class OnlineKeys:
    """Unlocked online keys."""

    snapshot: Ed25519PrivateKey
    timestamp: Ed25519PrivateKey
    director: Ed25519PrivateKey

    def __repr__(self) -> str:
        return f"OnlineKeys(director={self.as_director.key_id})"

    @property
    def as_director(self) -> Director:
        """The public half of the director key, as targets metadata names it."""
        return Director(tuf_metadata.key_id(self.director.public_key()), keyfiles.public_hex(self.director))

    def check_root(self, root: Root, what: str) -> None:
        """Check that what these keys sign is what clients of ``root`` accept, and that they can sign no more.

        Raises:
            VerificationError: another key or threshold for snapshot or timestamp, or one of the keys is also
                a root or targets key.
        """
        for role in tuf_metadata.ONLINE_ROLES:
            public = keyfiles.public_hex(getattr(self, role))
            keys, threshold = tuf_metadata.role_keys(root, role, what)
            if public not in keys.values() or threshold != 1:
                raise VerificationError(
                    f"{what} does not name this server's {role} key {public[:16]}… as sufficient"
                )
        own = {keyfiles.public_hex(getattr(self, name)) for name in NAMES}
        for role in ("root", "targets"):
            if own.intersection(tuf_metadata.role_keys(root, role, what)[0].values()):
                raise VerificationError(f"{what} names a key of this server as {role} key")


def load_keys(folder: Path, root: bytes, passphrase: Passphrase) -> OnlineKeys:
    """Read and unlock the online keys of a folder.

    Nothing is unlocked before it is clear that the folder holds no key that must not be here and that the
    keys are those of the root.

    Raises:
        StartError: a missing key, a root or targets key in the folder, or keys that ``root`` does not name.
        InputError: a wrong passphrase or damaged file.
    """
    files = _read(folder)
    try:
        trusted = tuf_metadata.read_root(root, "--root")
    except EdgeError as error:
        raise StartError(f"{error}; give the root.json of 'edge keys init'") from error
    dangerous: dict[str, str] = {}
    for role in ("root", "targets"):
        dangerous |= dict.fromkeys(tuf_metadata.role_keys(trusted, role)[0].values(), role)
    for path, file in files.items():
        role = dangerous.get(file.public) or file.name.partition("-")[0]
        if role in ("root", "targets"):
            raise StartError(
                f"{path} is a {role} key; keep it offline, and give a folder with only "
                f"{', '.join(f'{name}.key' for name in NAMES)}"
            )
    named = {file.name: file for file in files.values()}
    for name in NAMES:
        if name not in named:
            raise StartError(f"{folder} holds no {name}.key; give the 'online' folder of 'edge keys init'")
        if name in tuf_metadata.ONLINE_ROLES:
            allowed = tuf_metadata.role_keys(trusted, name)[0].values()
            if named[name].public not in allowed:
                raise StartError(
                    f"{folder / name}.key is not the {name} key that --root names; take root and keys of one "
                    "'edge keys init'"
                )
    keys = OnlineKeys(**{name: named[name].unlock(passphrase(name)) for name in NAMES})
    try:
        keys.check_root(trusted, "--root")
    except EdgeError as error:
        raise StartError(f"{error}; take root and keys of one 'edge keys init'") from error
    return keys


def _read(folder: Path) -> Mapping[Path, KeyFile]:
    """Every key file in the folder, whatever it is called: a targets key does not hide behind another name."""
    files = {}
    try:
        for path in sorted(path for path in folder.iterdir() if path.is_file()):
            if path.stat().st_size > keyfiles.MAX_BYTES:
                continue
            try:
                files[path] = KeyFile.from_bytes(path.read_bytes(), str(path))
            except EdgeError as error:
                if path.suffix == ".key" and (
                    path.stem in NAMES or path.stem.startswith(("root-", "targets-"))
                ):
                    raise StartError(str(error)) from error
    except OSError as error:
        raise StartError(f"cannot read the keys in {folder}: {error.strerror}") from error
    return files
