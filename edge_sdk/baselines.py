"""Bundles that an app ships inside itself, for a first start offline and for when nothing that was fetched works.

An app trusts its own files as it trusts its code: no signature is asked for. The bytes must still be those that
their entry was made for, and the model must answer its golden cases on this device.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from edge_sdk.contract.manifest import Artifact
from edge_sdk.errors import InputError, VerificationError
from edge_sdk.store import Disk


class Baseline(NamedTuple):
    """A ``.bundle`` file as ``edge bundle build`` wrote it, and what the entry beside it says."""

    path: Path
    artifact: Artifact

    def read(self, disk: Disk) -> bytes:
        """The bytes.

        Raises:
            VerificationError: the file is gone, or is not what its entry was made for.
        """
        served = disk.read(self.path)
        # A recall names a digest, so it must be that of these bytes.
        if served is None or hashlib.sha256(served).hexdigest() != self.artifact.sha256:
            what = "is gone" if served is None else "is damaged"
            raise VerificationError(f"{self.path} {what}; ship it with the app as it was built")
        return served


def find_baselines(bundles: Iterable[str | os.PathLike[str]], disk: Disk) -> Mapping[str, Baseline]:
    """Baselines by the name of their model; reads the entries only.

    Raises:
        InputError: a file is missing or is no bundle, or two are of one model.
    """
    paths = [Path(bundle) for bundle in bundles]
    if not paths:
        return MappingProxyType({})
    from edge_sdk.crypto.sealed_files import entry_path, parse_entry  # not what every start should import

    found: dict[str, Baseline] = {}
    for bundle in paths:
        beside = entry_path(bundle)
        data, stamp = disk.read(beside), disk.stamp(bundle)
        if data is None or stamp is None:
            missing = beside if data is None else bundle
            raise InputError(f"the baseline {missing} is missing; ship the bundle and its entry")
        try:
            entry, sha256 = parse_entry(data)
            artifact = Artifact(entry.path, stamp[1], sha256, entry)
        except VerificationError as error:
            raise InputError(f"the baseline {bundle}: {error}; build it again") from error
        if entry.model in found:
            raise InputError(f"{found[entry.model].path} and {bundle} are both baselines of {entry.model}")
        found[entry.model] = Baseline(bundle, artifact)
    return found
