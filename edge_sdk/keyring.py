"""Where the key to a bundle comes from on this device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_sdk.contract.manifest import Artifact

if TYPE_CHECKING:
    from edge_sdk.crypto.credentials import Credential
    from edge_sdk.crypto.sealing import BundleKey


class Keyring:
    """Finds the key of a bundle; never touches the network.

    Args:
        credential: what the app gave to :meth:`edge_sdk.client.EdgeClient.open`.
    """

    def __init__(self, credential: Credential | None) -> None:
        self._credential = credential

    def key_for(self, artifact: Artifact) -> BundleKey | None:
        """The key with which :func:`edge_sdk.loading.open_bundle` opens the bundle; None where there is none."""
        from edge_sdk.crypto.sealing import AppKey

        return self._credential if isinstance(self._credential, AppKey) else None
