"""Files of one folder under the digest of what they are about, and removing those that nobody needs.

A file that may go is taken out of sight first; then it is looked whether anybody needs it after all, and it is put
back if so. Whoever needs one says so first and looks for it afterwards. Whichever is later sees the other, so
no order of the two loses a file that is needed, and no lock is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from edge_sdk.store.disk import Disk, Reader, Stamp, is_private

_ASIDE: Final = ".aside-"


class Shelf:
    """The files in a folder.

    Args:
        folder: where they lie.
        disk: how to reach them.
    """

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._folder, self._disk = folder, disk

    def path(self, sha256: str) -> Path:
        """Where the file lies."""
        return self._folder / sha256

    def read(self, sha256: str) -> bytes | None:
        """The bytes under this digest as they lie there, not verified; None where there are none."""
        for path in (self.path(sha256), self._folder / (_ASIDE + sha256), self.path(sha256)):
            data = self._disk.read(path)  # twice: a collector may be putting it back
            if data is not None:
                return data
        return None

    @contextmanager
    def reading(self, sha256: str) -> Iterator[Reader | None]:
        """The file under this digest to be read in pieces, not verified; None where there is none."""
        for path in (self.path(sha256), self._folder / (_ASIDE + sha256), self.path(sha256)):
            with self._disk.reading(path) as reader:  # twice: a collector may be putting it back
                if reader is not None:
                    yield reader
                    return
        yield None

    def write(self, sha256: str, data: bytes) -> None:
        """Replace a file, atomically and durably; the folder is made where there is none."""
        self._disk.make_folder(self._folder)
        self._disk.write(self.path(sha256), data)

    def write_all(self, files: Mapping[str, bytes]) -> None:
        """Write several, as :meth:`write` does each."""
        self._disk.make_folder(self._folder)
        self._disk.write_all(self._folder, files)

    def stamp(self, sha256: str) -> Stamp | None:
        """What changes when the file is replaced; None where there is none."""
        return self._disk.stamp(self.path(sha256))

    def settle(self) -> None:
        """Bring to the disk what others may have written and not synced before they died or failed."""
        if self._disk.stamp(self._folder) is not None:
            self._disk.sync_folder(self._folder)

    def sweep(self, needed: Callable[[], frozenset[str]], held: Callable[[], bool]) -> None:
        """Remove what nobody needs.

        Args:
            needed: digests that must stay, read anew at each call.
            held: whether somebody is at work who keeps all that is there, looked up anew at each call.
        """
        for name in self._disk.names(self._folder):
            if name.startswith(_ASIDE):
                self._judge(name.removeprefix(_ASIDE), needed, held)
            elif (
                not is_private(name)
                and name not in needed()
                and self._disk.move(self.path(name), self._folder / (_ASIDE + name))
            ):
                self._judge(name, needed, held)
        for path, _label in self._disk.abandoned(self._folder):
            self._disk.remove(path)

    def _judge(self, sha256: str, needed: Callable[[], frozenset[str]], held: Callable[[], bool]) -> None:
        """Put back or remove a file that is out of sight already."""
        aside = self._folder / (_ASIDE + sha256)
        if (held() or sha256 in needed()) and self._disk.stamp(self.path(sha256)) is None:
            self._disk.move(aside, self.path(sha256))
            self._disk.sync_folder(self._folder)
            return
        self._disk.remove(aside)
