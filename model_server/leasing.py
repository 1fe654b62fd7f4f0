"""Handing a data key to a device for a while."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from edge_sdk.contract import identifiers
from edge_sdk.contract.key_blob import Lease
from edge_sdk.crypto import dsse
from edge_sdk.crypto.device_key import seal_key_blob
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
        2. The bundle is published now: a key that was uploaded ahead of its release goes nowhere yet.
        3. The data key is sealed for the device key that was enrolled, whatever the request says.

        Raises:
            Unauthorized, Revoked: not an active device.
            NotFound: no such bundle is published, or no key is kept for it.
            StorageError, StateError: database, store or key provider cannot be used.
        """
        identifiers.sha256_hex(bundle_sha256, "bundle")
        public_key = self.devices.authenticate(credential, device)  # 1
        state = self.repository.current()
        if state is None or all(each.sha256 != bundle_sha256 for each in state.manifest.artifacts):  # 2
            raise NotFound(f"no bundle {bundle_sha256} is published")
        data_key = self.bundle_keys.get(bundle_sha256)
        issued = now.replace(microsecond=0)
        lease = Lease(bundle_sha256, device, issued, issued + self.settings.lease_lifetime)
        director = {self.keys.as_director.key_id: self.keys.director}
        return seal_key_blob(
            data_key, public_key, lease, lambda kind, body: dsse.sign(kind, body, director)
        )  # 3
