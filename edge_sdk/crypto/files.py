"""Files that are either wholly there or not there at all."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from feature_spec.files import sync_folder

Writer = Callable[[Path, bytes], None]
"""Path and content to a file on the disk; a parameter, so that tests can let it fail half-way."""

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


def write_new_private(path: Path, data: bytes) -> None:
    """Create a file that only its owner may read, and bring it to the disk.

    Raises:
        OSError: it exists already, or cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def keep_first_private(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path``, complete and on the disk, unless there is a file; of several who try, one succeeds.

    Raises:
        OSError: it cannot be written.
    """
    hidden = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        write_new_private(hidden, data)
        with suppress(FileExistsError):
            os.link(hidden, path)  # unlike a rename it never takes the place of another's file
    finally:
        hidden.unlink(missing_ok=True)
    sync_folder(path.parent)


def replace_private(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path`` in one step, for its owner only; what was there stays until then.

    Raises:
        OSError: it cannot be written.
    """
    hidden = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        write_new_private(hidden, data)
        os.replace(hidden, path)
    finally:
        hidden.unlink(missing_ok=True)
    sync_folder(path.parent)


@contextmanager
def new_private_folder(path: Path) -> Iterator[Path]:
    """A private folder that appears at ``path`` complete, or not at all.

    The body fills a hidden folder beside it; only when the body ends without an exception is that renamed.
    ``path`` may exist as an empty folder, which the rename takes the place of.

    Raises:
        OSError: the folder cannot be made or renamed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))  # mode 0700
    try:
        yield hidden
        for folder in (hidden, *(item for item in hidden.rglob("*") if item.is_dir())):
            sync_folder(folder)
        if os.name == "nt" and path.exists():
            path.rmdir()  # POSIX renames onto an empty folder, Windows does not
        os.rename(hidden, path)
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)
        raise
    sync_folder(path.parent)
