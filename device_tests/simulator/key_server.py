"""The part of a server that lends keys to enrolled devices, in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_sdk.contract.key_blob import Lease, thumbprint
from edge_sdk.crypto import dsse
from edge_sdk.crypto.credentials import DeviceCredential
from edge_sdk.crypto.device_key import DeviceKey, seal_key_blob

KEYS_PATH = "/v1/keys/"


class KeyServer:
    """Lends the keys of bundles, until it is told otherwise.

    Attributes:
        keys: data keys by the digest of the served bytes.
        devices: public keys by credential.
        revoked: credentials that get nothing any more.
        withdrawn: digests of bundles that are not lent any more.
        lifetime: of a lease.
        asked: the digests that were asked for, refused or not.
    """

    def __init__(self) -> None:
        self.keys: dict[str, bytes] = {}
        self.devices: dict[str, bytes] = {}
        self.revoked: set[str] = set()
        self.withdrawn: set[str] = set()
        self.lifetime = timedelta(days=30)
        self.asked: list[str] = []
        self._lent: dict[tuple[Lease, Ed25519PrivateKey], bytes] = {}

    def enrolled(self) -> DeviceCredential:
        """A fresh device, enrolled."""
        key, text = DeviceKey.generate(), f"credential-{len(self.devices)}"
        self.devices[text] = key.public_key
        return DeviceCredential(key, text)

    def answer(
        self,
        sha256: str,
        headers: Mapping[str, str],
        body: bytes,
        director: Mapping[str, Ed25519PrivateKey],
        now: datetime,
    ) -> tuple[int, bytes]:
        """Status and body of ``POST /v1/keys/{sha256}``."""
        self.asked.append(sha256)
        credential = headers.get("Authorization", "").removeprefix("Bearer ")
        public, device = self.devices.get(credential), json.loads(body)["device"]
        if public is None or thumbprint(public) != device:
            return 401, _problem("the credential is not one of this device key; enrol again")
        if credential in self.revoked:
            return 403, _problem("this device was revoked; it gets no more keys")
        if sha256 not in self.keys or sha256 in self.withdrawn:
            return 404, _problem(f"no bundle {sha256} is published")
        issued = now.replace(microsecond=0)
        lease = Lease(sha256, device, issued, issued + self.lifetime)
        [signer] = director.values()
        if (
            lease,
            signer,
        ) not in self._lent:  # the same lease is the same blob, so that devices can be compared
            self._lent[lease, signer] = seal_key_blob(
                self.keys[sha256], public, lease, lambda kind, payload: dsse.sign(kind, payload, director)
            )
        return 200, self._lent[lease, signer]


def _problem(detail: str) -> bytes:
    return json.dumps({"type": "about:coach-edge/refused", "detail": detail}).encode()
