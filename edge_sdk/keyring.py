"""Where the key to a bundle comes from on this device: from the app, or from what was lent to an enrolled device.

A loan is kept as it came, sealed for the device key and signed; the data key in it is in memory only, while a
bundle is being opened.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from edge_sdk.contract import document
from edge_sdk.contract.document import Fields
from edge_sdk.contract.manifest import Artifact, Director
from edge_sdk.errors import InputError, LeaseExpired, VerificationError
from edge_sdk.store import Cache, Clock, State
from edge_sdk.store.disk import Stamp
from feature_spec.canonical import canonical_json

if TYPE_CHECKING:
    from edge_sdk.contract.key_blob import Lease
    from edge_sdk.crypto.credentials import Credential, DeviceCredential
    from edge_sdk.crypto.sealing import BundleKey

FORMAT: Final = "coach-edge/kept-key/1"
LENT: Final = "device-key"
"""The tier whose keys are lent."""


@dataclass(frozen=True)
class Loan:
    """A key blob as it came, and who was the director then.

    The director is kept with it, and not only the present one believed, since a change of directors must not take
    from a device, which may be offline, what was lent to it. What comes from a server is always judged by the present.
    """

    director: Director
    envelope: bytes

    def lease(self) -> Lease:
        """The lease, signed by that director.

        Raises:
            VerificationError: it is not, or it is damaged.
        """
        from edge_sdk.crypto.device_key import verified_key_blob

        return verified_key_blob(self.envelope, self._keys).lease

    def open(self, artifact: Artifact, device: DeviceCredential, now: datetime) -> Unlocked:
        """The data key, and how long it may be used.

        Raises:
            LeaseExpired: renew it when online; until then, fall back.
            VerificationError: it is not for this device and bundle, or damaged.
        """
        from edge_sdk.crypto.data_key import DataKey
        from edge_sdk.crypto.device_key import open_key_blob

        try:
            secret = open_key_blob(self.envelope, self._keys, device.holder, artifact.sha256, now)
        except (LeaseExpired, VerificationError) as error:
            raise type(error)(f"{artifact.path}: {error}") from error
        key = DataKey(secret)
        key.checked_for(artifact.entry)
        return Unlocked(key, self.lease().expires)

    @property
    def _keys(self) -> dict[str, str]:
        return {self.director.key_id: self.director.public_key}

    def to_bytes(self) -> bytes:
        """As it is kept."""
        envelope = base64.b64encode(self.envelope).decode("ascii")
        return canonical_json({"format": FORMAT, "director": self.director.to_json(), "envelope": envelope})

    @classmethod
    def from_bytes(cls, data: bytes) -> Loan:
        """As it was kept.

        Raises:
            FormatError: damaged.
        """
        from edge_sdk.contract.key_blob import MAX_ENVELOPE_BYTES

        fields = Fields(document.parse(data, "kept key", max_bytes=2 * MAX_ENVELOPE_BYTES), "kept key")
        fields.format(FORMAT)
        envelope = document.decode_base64(fields.text("envelope"), "kept key: envelope")
        return cls(Director.from_json(fields.mapping("director")), envelope)


class Unlocked(NamedTuple):
    """What opens a bundle, and until when; None for what is not encrypted, and for what does not end."""

    key: BundleKey | None
    until: datetime | None = None


class Keyring:
    """Finds the key of a bundle; never touches the network.

    Args:
        cache: where loans are kept.
        credential: what the app gave to :meth:`edge_sdk.client.EdgeClient.open`.
        clock: the wall clock.
    """

    def __init__(self, cache: Cache, credential: Credential | None, clock: Clock) -> None:
        self._cache, self._credential, self._clock = cache, credential, clock

    @property
    def device(self) -> DeviceCredential | None:
        """The credential of the enrolled device, where that is what the app gave."""
        from edge_sdk.crypto.sealing import AppKey

        return None if isinstance(self._credential, AppKey) else self._credential

    def device_for(self, artifact: Artifact) -> DeviceCredential:
        """The credential of the enrolled device, which the bundle needs.

        Raises:
            InputError: there is none.
        """
        device = self.device
        if device is None:
            raise InputError(
                f"{artifact.path}: tier {LENT} needs an enrolled device; open the client with its DeviceCredential "
                "(--device FOLDER)"
            )
        return device

    def now(self, state: State | None = None) -> datetime:
        """The later of the clock and the highest signed time seen: a clock set back extends no lease.

        Args:
            state: of the cache, for who has just looked at it.
        """
        seen = (state or self._cache.state()).marks.signed_time
        now = self._clock()
        return now if seen is None else max(now, seen)

    def unlock(self, artifact: Artifact) -> Unlocked:
        """What opens a bundle now.

        Raises:
            LeaseExpired: what was lent is to be given back; fall back until it is renewed.
            VerificationError: there is no loan, or it is damaged or for another device.
            InputError: the bundle is for enrolled devices, and no device credential was given.
        """
        from edge_sdk.crypto.sealing import AppKey

        if artifact.entry.tier != LENT:
            return Unlocked(self._credential if isinstance(self._credential, AppKey) else None)
        device = self.device_for(artifact)
        loan = self.loan(artifact)
        if loan is None:
            raise VerificationError(f"{artifact.path}: no key for it is in the cache; refresh to get one")
        return loan.open(artifact, device, self.now())

    def loan(self, artifact: Artifact) -> Loan | None:
        """What was lent for a bundle; None where nothing was.

        Raises:
            FormatError: it is damaged.
        """
        data = self._cache.keys.read(artifact.sha256)
        return None if data is None else Loan.from_bytes(data)

    def keep(self, artifact: Artifact, loan: Loan) -> None:
        """Keep what was lent, in place of what was before; the state names the bundle already."""
        self._cache.keys.write(artifact.sha256, loan.to_bytes())

    def is_due(self, artifact: Artifact, director: Director) -> bool:
        """Whether to ask for the key anew: it is gone, damaged, of another director or device, or past half of
        its lease, so that a device that is online now and then never comes to its end."""
        device, now = self.device_for(artifact), self.now()
        try:
            loan = self.loan(artifact)
            if loan is None or loan.director != director:
                return True
            lease = loan.lease()
        except VerificationError:
            return True
        from edge_sdk.contract.key_blob import thumbprint

        mine = thumbprint(device.holder.public_key), artifact.sha256
        half = lease.issued + (lease.expires - lease.issued) / 2
        return (lease.device, lease.bundle) != mine or now >= half

    def lease_end(self, artifact: Artifact) -> datetime | None:
        """When the lease of a bundle's key ends; None where it has none, or none that is whole."""
        try:
            loan = self.loan(artifact) if artifact.entry.tier == LENT else None
            return None if loan is None else loan.lease().expires
        except VerificationError:
            return None

    def stamp(self, artifact: Artifact) -> Stamp | None:
        """What changes when a loan is replaced; None where there is none."""
        return self._cache.keys.stamp(artifact.sha256) if artifact.entry.tier == LENT else None
