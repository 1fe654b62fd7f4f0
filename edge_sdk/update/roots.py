"""Does the root that an app ships belong to the same chain as the root that its cache trusts?

An app update may ship a newer root than this cache has seen, and an old app an older one. Both are roots of the
same publisher if one is reached from the other by the steps of TUF's client workflow: version N+1 signed by the
thresholds of N and of itself. What the cache trusts never depends on the answer, only whether it is updated.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tuf.api.exceptions import DownloadHTTPError, RepositoryError
from tuf.api.metadata import Metadata, Root
from tuf.ngclient import FetcherInterface

from edge_sdk.errors import InputError
from edge_sdk.store.cache import MAX_ROOT_BYTES

MAX_ROTATIONS: Final = 256
"""How many versions may lie between two roots."""

_NOT_THERE: Final = frozenset({403, 404})  # TUF's client takes both for the end of the chain


def root_name(version: int) -> str:
    """Under which a root that led to the present one is among the files of a refresh."""
    return f"root_history/{version}.root.json"


class ShippedRoot:
    """The root that an app gives to a cache which trusts one already.

    Args:
        data: the root metadata.
        folder: of the cache, for messages.

    Raises:
        InputError: not root metadata that signs itself.
    """

    def __init__(self, data: bytes, folder: Path) -> None:
        self._folder = folder
        try:
            self._root = _parsed(data)
            _check_signed(self._root, by=self._root)
        except RepositoryError as error:
            raise InputError(f"the root given is not TUF root metadata: {_told(error)}") from error

    def check_connected(self, trusted: bytes, fetcher: FetcherInterface, server: str) -> None:
        """Refuse it unless it is the trusted root, or one of the two leads to the other.

        Args:
            trusted: the root that the cache trusts now.
            fetcher: gets the versions in between, where there are any.
            server: its URL.

        Raises:
            InputError: they have nothing to do with each other.
            DownloadError: a version in between did not come.
        """
        ours = _parsed(trusted)
        if ours.signed == self._root.signed:
            return
        old, new = sorted((ours, self._root), key=_version)
        if not 0 < _version(new) - _version(old) <= MAX_ROTATIONS:
            raise self._other(f"they are versions {_version(self._root)} and {_version(ours)}")
        try:
            for version in range(_version(old) + 1, _version(new)):
                url = f"{server}/metadata/{version}.root.json"
                old = _successor(old, _parsed(fetcher.download_bytes(url, MAX_ROOT_BYTES)))
            _successor(old, new)
        except DownloadHTTPError as error:
            if error.status_code not in _NOT_THERE:
                raise
            raise self._other(f"the server has no version {_version(old) + 1} between them") from error
        except RepositoryError as error:
            raise self._other(f"version {_version(old) + 1} does not follow: {_told(error)}") from error

    def check_met(self, files: Mapping[str, bytes]) -> None:
        """Refuse it if the chain that TUF's client followed has another root of its version.

        Args:
            files: what :func:`edge_sdk.update.tuf_metadata.run_tuf` verified, by name; roots by :func:`root_name`.

        Raises:
            InputError: it has.
        """
        met = files.get(root_name(_version(self._root)))
        if met is not None and _parsed(met).signed != self._root.signed:
            raise self._other(f"the server has another version {_version(self._root)}")

    def _other(self, why: str) -> InputError:
        return InputError(
            f"{self._folder} trusts another root than the one given ({why}); give the root of this cache's "
            "publisher, or use another folder; what is installed keeps working"
        )


def _parsed(data: bytes) -> Metadata[Root]:
    metadata = Metadata[Root].from_bytes(data)
    if not isinstance(metadata.signed, Root):
        raise RepositoryError(f"it is {metadata.signed.type} metadata")
    return metadata


def _version(metadata: Metadata[Root]) -> int:
    return int(metadata.signed.version)


def _successor(old: Metadata[Root], new: Metadata[Root]) -> Metadata[Root]:
    """``new``, if it is the next version and signed as TUF's client workflow wants it (5.3.4, 5.3.5)."""
    if _version(new) != _version(old) + 1:
        raise RepositoryError(f"it says version {_version(new)}")
    _check_signed(new, by=old)
    _check_signed(new, by=new)
    return new


def _check_signed(root: Metadata[Root], *, by: Metadata[Root]) -> None:
    by.signed.verify_delegate(Root.type, root.signed_bytes, root.signatures)


def _told(error: RepositoryError) -> str:
    return " ".join(str(error).split())
