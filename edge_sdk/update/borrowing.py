"""Asking the server for the keys of bundles that are sealed for enrolled devices, and asking again in good time."""

from __future__ import annotations

from edge_sdk.contract.manifest import Artifact, Director
from edge_sdk.errors import EdgeError
from edge_sdk.keyring import LENT, Keyring, Loan
from edge_sdk.store import Cache
from edge_sdk.update.enrolling import ask_for_key
from edge_sdk.update.transport import Offline, Transport


def borrow(
    keyring: Keyring, transport: Transport, server: str, artifact: Artifact, director: Director
) -> None:
    """Have the key of a bundle, where it needs one; what is at hand and far from its end is not asked for again.

    What the server answers is opened before it is kept, so that a wrong one takes the place of none that is good.

    Args:
        keyring: where it is kept.
        transport: how to reach the server.
        server: its URL.
        artifact: the bundle, which the state names already.
        director: who must sign, by the newest targets.

    Raises:
        InputError: the device is not enrolled, or the server does not take its credential.
        NotAvailable: it was revoked, or the bundle is not lent (any more).
        Offline: no answer.
        VerificationError: the answer does not open, or to another key than the bundle's.
        StoreError: the disk refuses.
    """
    if artifact.entry.tier != LENT or not keyring.is_due(artifact, director):
        return
    device = keyring.device_for(artifact)
    loan = Loan(director, ask_for_key(transport, server, device.holder, device.text, artifact.sha256))
    loan.open(artifact, device, keyring.now())
    keyring.keep(artifact, loan)


def renew(
    cache: Cache, keyring: Keyring, transport: Transport, server: str, director: Director
) -> tuple[str, ...]:
    """Borrow anew what is due, of the bundles that predict or stand in.

    Returns:
        Why a key could not be renewed, a line each; what was lent before holds to the end of its lease.
    """
    if keyring.device is None:
        return ()
    slots = cache.state().models.values()
    used = [slot.active for slot in slots if not slot.withdrawn]
    used += [slot.previous for slot in slots if slot.previous is not None]
    failed = []
    for artifact in used:
        try:
            borrow(keyring, transport, server, artifact, director)
        except EdgeError as error:
            failed.append(f"{artifact.path}: {error}")
            if isinstance(error, Offline):
                break  # the others would wait for no answer too
    return tuple(failed)
