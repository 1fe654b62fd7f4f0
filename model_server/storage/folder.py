"""An object store in a local folder: the default, and enough for one machine."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model_server.errors import Conflict, ObjectNotFound, StorageError
from model_server.storage import files
from model_server.storage.store import ObjectStore, Stat, check_key, check_prefix, check_range


class FolderStore(ObjectStore):
    """One file an object, under its key. Several processes may share the folder."""

    def __init__(self, path: Path | str) -> None:
        """Open the folder, making it where it is missing.

        Raises:
            StorageError: it cannot be made, or is a file.
        """
        self._root = Path(path).absolute()
        with _translated(str(self._root)):
            self._root.mkdir(parents=True, exist_ok=True)

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        check_range(start, length)
        path = self._path(key)
        with _translated(key), open(path, "rb") as file:
            file.seek(start)
            return file.read(-1 if length is None else length)

    def head(self, key: str) -> Stat | None:
        try:
            data = self.get(key)
        except ObjectNotFound:
            return None
        return Stat(len(data), _version(data))

    def put_if_absent(self, key: str, data: bytes) -> bool:
        path = self._path(key)
        with _translated(key):
            if path.is_file():
                # Saves the writing; but whoever created it may have died before its name was on the disk.
                files.sync_folders(path.parent, self._root)
                return False
            return files.create(path, data, self._root)

    def replace_if_match(self, key: str, data: bytes, etag: str | None) -> str:
        path = self._path(key)
        with _translated(key), files.exclusive(self._root / ".lock"):
            stat = self.head(key)
            if (stat.etag if stat else None) != etag:
                raise Conflict(f"{key} was changed by somebody else; read it again")
            if stat is not None:
                files.replace(path, data, self._root)
            elif not files.create(path, data, self._root):
                raise Conflict(f"{key} was created by somebody else; read it again")
        return _version(data)

    def list(self, prefix: str) -> Iterator[str]:
        folder = check_prefix(prefix).rpartition("/")[0]
        with _translated(prefix):
            keys = sorted(self._walk(self._root / folder, f"{folder}/" if folder else ""))
        yield from (key for key in keys if key.startswith(prefix))

    def _walk(self, folder: Path, before: str) -> Iterator[str]:
        try:
            entries = list(os.scandir(folder))
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            if entry.name.startswith("."):
                continue  # our own: temporary files and the lock
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(folder / entry.name, f"{before}{entry.name}/")
            else:
                yield before + entry.name

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)


def _version(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@contextmanager
def _translated(key: str) -> Iterator[None]:
    """The one place where errors of the operating system become ours."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise ObjectNotFound(f"there is no object {key}") from error
    except OSError as error:
        raise StorageError(f"the store cannot use {key}: {error.strerror}") from error
