"""A sealed bundle on disk: ``NAME.bundle`` and beside it its segment list and its entry.

Where it is sealed for enrolled devices, its data key lies there too, locked (:mod:`edge_sdk.crypto.data_key_files`).
The entry is written last and read first: without it the others are nothing, so a build that is killed
leaves no bundle rather than half a one.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from edge_sdk.contract import document, identifiers
from edge_sdk.contract.entry import MAX_ENTRY_BYTES, Entry
from edge_sdk.crypto.files import write_new_private
from edge_sdk.crypto.sealing import Sealed
from edge_sdk.errors import FormatError, InputError, VerificationError
from feature_spec.canonical import canonical_json
from feature_spec.files import write_whole

BUNDLE, SEGMENTS, ENTRY, KEY = ".bundle", ".bundle.segments", ".bundle.entry.json", ".bundle.key"


def beside(bundle: Path, suffix: str) -> Path:
    """The file that goes with a ``.bundle`` file."""
    return bundle.with_name(bundle.name.removesuffix(BUNDLE) + suffix)


def write_sealed(sealed: Sealed, directory: Path, locked_key: bytes | None = None) -> Path:
    """Write the files and return the path of the bundle; the name says model, version, target, recipe.

    Args:
        sealed: the bundle.
        directory: made if need be; files of the same name are replaced.
        locked_key: the data key of tier ``device-key``, locked.
    """
    entry = sealed.entry
    stem = f"{entry.model}-{entry.model_version}-{entry.target}-{entry.recipe}"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / (stem + ENTRY)).unlink(missing_ok=True)
    (directory / (stem + KEY)).unlink(missing_ok=True)
    if locked_key is not None:
        write_new_private(directory / (stem + KEY), locked_key)
    write_whole(directory / (stem + SEGMENTS), sealed.segments)
    write_whole(directory / (stem + BUNDLE), sealed.served)
    write_whole(directory / (stem + ENTRY), canonical_json({**entry.to_json(), "sha256": sealed.sha256}))
    return directory / (stem + BUNDLE)


def read_sealed(bundle: Path) -> Sealed:
    """Read the bundle, its segment list and its entry; the bytes are those that the entry was made for.

    Raises:
        InputError: a file is missing, or ``bundle`` is no ``.bundle`` file.
        VerificationError: the files do not belong together.
    """
    _check_name(bundle)
    parts = {}
    for suffix in (ENTRY, BUNDLE, SEGMENTS):
        path = beside(bundle, suffix)
        try:
            parts[suffix] = path.read_bytes()
        except FileNotFoundError as error:
            raise InputError(f"{path} is missing; build the bundle again with 'edge bundle build'") from error
    try:
        entry, sha256 = parse_entry(parts[ENTRY])
        sealed = Sealed(parts[BUNDLE], parts[SEGMENTS], entry)
    except FormatError as error:
        raise VerificationError(f"{bundle}: {error}; build it again") from error
    if sealed.sha256 != sha256 or hashlib.sha256(sealed.segments).hexdigest() != sealed.entry.segments_sha256:
        raise VerificationError(
            f"{bundle}: bundle, segments and entry do not belong together; build it again"
        )
    return sealed


def entry_path(bundle: Path) -> Path:
    """Where the entry of a ``.bundle`` file lies.

    Raises:
        InputError: ``bundle`` is none.
    """
    _check_name(bundle)
    return beside(bundle, ENTRY)


def parse_entry(data: bytes) -> tuple[Entry, str]:
    """The entry in its file, and the digest of the served bytes.

    Raises:
        FormatError: malformed.
    """
    fields = document.parse(data, "its entry", max_bytes=2 * MAX_ENTRY_BYTES)
    sha256 = identifiers.sha256_hex(fields.pop("sha256", None), "its entry: sha256")
    return Entry.from_json(fields), sha256


def _check_name(bundle: Path) -> None:
    if not bundle.name.endswith(BUNDLE):
        raise InputError(f"{bundle} is not a .bundle file; make one with 'edge bundle build'")
