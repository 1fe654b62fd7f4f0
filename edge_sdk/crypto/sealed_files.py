"""A sealed bundle on disk: ``NAME.bundle`` and beside it its segment list and its entry.

The entry is written last and read first: without it the other two are nothing, so a build that is killed
leaves no bundle rather than half a one.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from edge_sdk.contract import document
from edge_sdk.contract.entry import MAX_ENTRY_BYTES, Entry
from edge_sdk.crypto.sealing import Sealed
from edge_sdk.errors import FormatError, InputError, VerificationError
from feature_spec.canonical import canonical_json
from feature_spec.files import write_whole

BUNDLE, SEGMENTS, ENTRY = ".bundle", ".bundle.segments", ".bundle.entry.json"


def write_sealed(sealed: Sealed, directory: Path) -> Path:
    """Write the three files and return the path of the bundle; the name says model, version, target, recipe."""
    entry = sealed.entry
    stem = f"{entry.model}-{entry.model_version}-{entry.target}-{entry.recipe}"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / (stem + ENTRY)).unlink(missing_ok=True)
    write_whole(directory / (stem + SEGMENTS), sealed.segments)
    write_whole(directory / (stem + BUNDLE), sealed.served)
    write_whole(directory / (stem + ENTRY), canonical_json({**entry.to_json(), "sha256": sealed.sha256}))
    return directory / (stem + BUNDLE)


def read_sealed(bundle: Path) -> Sealed:
    """Read the three files; the bytes are those that the entry was made for.

    Raises:
        InputError: a file is missing, or ``bundle`` is no ``.bundle`` file.
        VerificationError: the files do not belong together.
    """
    if not bundle.name.endswith(BUNDLE):
        raise InputError(f"{bundle} is not a .bundle file; make one with 'edge bundle build'")
    stem = bundle.name.removesuffix(BUNDLE)
    parts = {}
    for suffix in (ENTRY, BUNDLE, SEGMENTS):
        path = bundle.with_name(stem + suffix)
        try:
            parts[suffix] = path.read_bytes()
        except FileNotFoundError as error:
            raise InputError(f"{path} is missing; build the bundle again with 'edge bundle build'") from error
    try:
        fields = document.parse(parts[ENTRY], "its entry", max_bytes=2 * MAX_ENTRY_BYTES)
        sha256 = fields.pop("sha256", None)
        sealed = Sealed(parts[BUNDLE], parts[SEGMENTS], Entry.from_json(fields))
    except FormatError as error:
        raise VerificationError(f"{bundle}: {error}; build it again") from error
    if sealed.sha256 != sha256 or hashlib.sha256(sealed.segments).hexdigest() != sealed.entry.segments_sha256:
        raise VerificationError(
            f"{bundle}: bundle, segments and entry do not belong together; build it again"
        )
    return sealed
