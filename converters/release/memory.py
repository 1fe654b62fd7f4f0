"""What was signed last, kept beside the offline keys.

A signer builds on what the server shows. Without a memory of its own, a stolen server could show an older
version, which is genuinely signed, and have releases and floors signed away on top of it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from converters.errors import ReleaseError
from edge_sdk.contract import document, identifiers
from edge_sdk.contract.document import Fields
from edge_sdk.errors import FormatError
from feature_spec.canonical import canonical_json
from feature_spec.files import write_whole

FORMAT: Final = "coach-edge/signed/1"
FILE: Final = "signed.json"
_MAX_BYTES: Final = 4_000


@dataclass(frozen=True)
class Signed:
    """The targets that were signed last, and the ones they were built on (``base_sha256`` empty: none)."""

    version: int
    sha256: str
    base_sha256: str

    @classmethod
    def of(cls, version: int, targets: bytes, base: bytes | None) -> Signed:
        return cls(version, _digest(targets), _digest(base))

    def check_base(self, version: int, base: bytes | None) -> None:
        """Refuse to build on anything older than, or other than, what was signed last.

        Newer is fine: somebody else with the same keys published. One version older is fine if it is what
        the last one was built on: then that never arrived.

        Raises:
            ReleaseError: the server shows something else.
        """
        if version > self.version:
            return
        if version == self.version and _digest(base) == self.sha256:
            return
        if version == self.version - 1 and _digest(base) == self.base_sha256:
            return
        raise ReleaseError(
            f"the server shows version {version} of the targets, and version {self.version} was signed here; it "
            f"was set back or replaced. If that was your doing, delete {FILE} beside the keys; if not, do not sign"
        )


def read(folder: Path) -> Signed | None:
    """What was signed last with the keys in a folder; None where nothing was.

    Raises:
        ReleaseError: the file is damaged.
    """
    path = folder / FILE
    try:
        f = Fields(document.parse(path.read_bytes(), str(path), max_bytes=_MAX_BYTES), str(path))
        f.format(FORMAT)
        base = f.text("base_sha256")
        return Signed(
            f.integer("version", 1),
            f.checked("sha256", identifiers.sha256_hex),
            identifiers.sha256_hex(base) if base else "",
        )
    except FileNotFoundError:
        return None
    except (OSError, FormatError) as error:
        raise ReleaseError(f"{path} cannot be read: {error}; restore it, or delete it if you must") from error


def write(folder: Path, signed: Signed) -> None:
    """Remember; before what was signed leaves this machine.

    Raises:
        ReleaseError: it cannot be written.
    """
    try:
        write_whole(folder / FILE, canonical_json({"format": FORMAT, **vars(signed)}))
    except OSError as error:
        raise ReleaseError(
            f"cannot write {folder / FILE}: {error.strerror}; nothing was published"
        ) from error


def restore(folder: Path, signed: Signed | None) -> None:
    """Forget what was signed last, in favour of what was remembered before: a server refused it as out of date.

    Raises:
        ReleaseError: it cannot be written.
    """
    if signed is not None:
        write(folder, signed)
        return
    try:
        (folder / FILE).unlink(missing_ok=True)
    except OSError as error:
        raise ReleaseError(f"cannot delete {folder / FILE}: {error.strerror}; delete it by hand") from error


def _digest(data: bytes | None) -> str:
    return "" if data is None else hashlib.sha256(data).hexdigest()
