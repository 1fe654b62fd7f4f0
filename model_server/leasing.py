"""Handing a data key to a device for a while."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from edge_sdk.contract import identifiers
from edge_sdk.contract.key_blob import Lease
from edge_sdk.crypto import dsse
from edge_sdk.crypto.device_key import seal_key_blob
from model_server import layout
from model_server.bundle_keys import BundleKeys
from model_server.devices import Devices
from model_server.errors import NotFound
from model_server.keys import OnlineKeys
from model_server.settings import Settings
from model_server.state import Repository


@dataclass(frozen=True)
class Leasing:
    """What the routes for devices and keys work with."""

    repository: Repository
    keys: OnlineKeys
    devices: Devices
    bundle_keys: BundleKeys
    settings: Settings

    def __repr__(self) -> str:
        return "Leasing(...)"

    def lease(self, bundle_sha256: str, credential: str, device: str, now: datetime) -> bytes:
        """The signed key blob for one device and one bundle.

        1. The device is who it says, and active.
        2. The bundle is published now, and not every release of it recalled: a key that was uploaded ahead of its
           release goes nowhere yet, and what was recalled ends on every device, offline or not, with its lease.
        3. The data key is sealed for the device key that was enrolled, whatever the request says.

        Raises:
            Unauthorized, Revoked: not an active device.
            NotFound: no such bundle is published, or no key is kept for it.
            StorageError, StateError: database, store or key provider cannot be used.
        """
        identifiers.sha256_hex(bundle_sha256, "bundle")
        public_key = self.devices.authenticate(credential, device)  # 1
        self._check_published(bundle_sha256)  # 2
        data_key = self.bundle_keys.get(bundle_sha256)
        issued = now.replace(microsecond=0)
        lease = Lease(bundle_sha256, device, issued, issued + self.settings.lease_lifetime)
        director = {self.keys.as_director.key_id: self.keys.director}
        return seal_key_blob(
            data_key, public_key, lease, lambda kind, body: dsse.sign(kind, body, director)
        )  # 3

    def _check_published(self, bundle_sha256: str) -> None:
        state = self.repository.current()
        artifacts = state.manifest.artifacts if state else ()
        entries = [each.entry for each in artifacts if each.sha256 == bundle_sha256]
        if not entries:
            raise NotFound(f"no bundle {bundle_sha256} is published")
        pointer = layout.read_pointer(self.repository.store, layout.DIRECTIVES)
        channels = self.repository.directives(pointer[0]).channels if pointer else {}
        for entry in entries:
            directive = channels.get(entry.channel, {}).get(entry.model)
            if directive is None or entry.release not in directive.recalled:
                return
        raise NotFound(f"bundle {bundle_sha256} was recalled; its key is lent no more")
