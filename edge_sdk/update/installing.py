"""From what is trusted to an active model: resolve, download, verify, prove, flip."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from edge_sdk.contract.framing import SEGMENT_BYTES
from edge_sdk.contract.manifest import Artifact
from edge_sdk.errors import NotAvailable, RetryLater, StoreError
from edge_sdk.keyring import LENT
from edge_sdk.loading import LoadedModel, load, open_bundle, prove
from edge_sdk.store import Cache, Slot, State
from edge_sdk.store.partial import Partial
from edge_sdk.store.trying import condemned, trying, trying_apart
from edge_sdk.trust import Reason, Resolution, Trusted, resolve
from edge_sdk.trust.resolving import floor_of
from edge_sdk.update.borrowing import borrow
from edge_sdk.update.device import Device
from edge_sdk.update.downloading import Means, Wanted, download
from edge_sdk.update.patching import Offer, look_for, make
from edge_sdk.update.policy import Conditions, UpdateStatus
from edge_sdk.update.proving import prove_apart
from edge_sdk.update.undertaking import Undertaking


@dataclass(frozen=True)
class Installation:
    """How it ended; ``loaded`` is the new model, proven, where there is one, and ``until`` the end of its lease."""

    status: UpdateStatus
    detail: str = ""
    loaded: LoadedModel | None = None
    until: datetime | None = None


def install(
    cache: Cache,
    undertaking: Undertaking,
    trusted: Trusted,
    model: str,
    device: Device,
    conditions: Conditions,
) -> Installation:
    """Make the release that is meant for this device active; the caller is inside of ``Cache.updating``.

    1. The directives, the floors and the marks say which artifact, or that there is none.
    2. Its key is borrowed, where it is lent to devices, so that who gets none downloads nothing. Then its bytes are
       downloaded, unless they are here already (a rollback names old ones), or made by a delta from what is active.
    3. They are verified and opened in memory.
    4. In a child process the model loads, gives all golden cases twice within the record's tolerances, and keeps
       its budgets; then it loads here, and gives them again.
    5. The pointer is flipped; what was active is kept as the previous one.

    Whatever fails before 5 leaves the active model as it is. What does not work here is remembered: after
    :data:`edge_sdk.store.state.MAX_FAILURES` failures the same bytes are never tried again on this device.

    Raises:
        NotAvailable: the server has no such model in this channel, or lends this device no keys.
        UpdateRequired: it needs a newer SDK.
        Offline, RetryLater: the bytes did not come, or not all of them.
        Cancelled, DeadlineExceeded: as the undertaking says.
        VerificationError: they are not the signed ones, or the model does not work here.
        InputError: it is sealed for another key, or for an enrolled device, which this one is not (any more).
        StoreError: the disk refuses.
    """
    installed = cache.state().models.get(model)
    resolution = _resolve(cache, trusted, model, device)  # 1
    artifact = resolution.artifact
    if artifact is None:
        return Installation(UpdateStatus.WITHHELD, str(resolution))
    if resolution.reason is Reason.CURRENT:
        return Installation(UpdateStatus.CURRENT)
    failure = condemned(cache, artifact)
    if failure is not None:
        detail = f"release {artifact.entry.release} does not work on this device: {failure.reason}"
        return Installation(UpdateStatus.WITHHELD, detail)
    whole = cache.is_whole(artifact.sha256)
    if not whole:
        obstacle = conditions.obstacle or _no_room(cache, artifact, conditions)
        if obstacle:
            return Installation(UpdateStatus.POSTPONED, obstacle)
    offer = None if whole else look_for(cache, undertaking, artifact, _room(cache, artifact, conditions))
    if not whole or artifact.entry.tier == LENT:
        cache.note(lambda state: state.wanting(artifact, offer.sha256 if offer else ""))
    borrow(device.keyring, undertaking.transport, undertaking.server, artifact, trusted.director)  # 2
    detail = "" if whole else _bring(cache, undertaking, device, artifact, offer)
    undertaking.control.check()
    key, until = device.keyring.unlock(artifact)
    with cache.reading(artifact.sha256) as served:  # what lies on the disk counts, not what was sent there
        if served is None:
            raise StoreError(f"{artifact.path}: the disk lost what was written to it; check it")
        content, segments = open_bundle(served, artifact, key, known=False)  # 3
    if artifact.length > SEGMENT_BYTES:
        cache.put(segments)  # by which a part of the bundle can be verified; without it only the whole can
    with trying_apart(cache, artifact):
        prove_apart(content, artifact, device.engine, undertaking.progress)  # 4
    with trying(cache, artifact):
        loaded = load(content, artifact, device.engine, device.max_sessions)
        try:
            prove(loaded, content, undertaking.progress)
            cache.change(lambda state: _installing(state, artifact, installed))  # 5
        except BaseException:
            loaded.close()
            raise
    return Installation(UpdateStatus.INSTALLED, detail, loaded, until)


def _no_room(cache: Cache, artifact: Artifact, conditions: Conditions) -> str:
    room = _room(cache, artifact, conditions)
    if room >= 0:
        return ""
    return (
        f"the bundle has {artifact.length} bytes, {conditions.min_free_bytes} more are to stay free, and "
        f"{room + artifact.length + conditions.min_free_bytes} are free on this disk"
    )


def _room(cache: Cache, artifact: Artifact, conditions: Conditions) -> int:
    """Bytes that may be used besides those of the bundle."""
    return cache.disk.free_bytes(cache.folder) - artifact.length - conditions.min_free_bytes


def _installing(state: State, artifact: Artifact, before: Slot | None) -> State:
    """The state once ``artifact`` is active.

    Raises:
        RetryLater: another process has installed something else meanwhile.
    """
    entry = artifact.entry
    if (
        state.models.get(entry.model) != before
        and state.marks.release(entry.model, entry.channel) > entry.release
    ):
        raise RetryLater(
            f"{artifact.path}: another process installed a higher release meanwhile; update again"
        )
    return state.installed(artifact)


def _resolve(cache: Cache, trusted: Trusted, model: str, device: Device) -> Resolution:
    state, channel = cache.state(), device.channel
    known = {a.entry.model for a in trusted.artifacts.values() if a.entry.channel == channel}
    if model not in known:
        has = ", ".join(sorted(known)) or "none at all"
        raise NotAvailable(f"the server has no model {model!r} in channel {channel!r}; it has {has}")
    slot = state.models.get(model)
    whole = slot is not None and cache.is_whole(slot.active.sha256)
    return resolve(
        model,
        channel,
        trusted.artifacts.values(),
        trusted.directives.directive(model, channel),
        capabilities=device.capabilities,
        install_id=state.install_id,
        floor=floor_of(trusted.floors, model, channel),
        mark=state.marks.release(model, channel),
        installed=slot.active if slot is not None and whole and not slot.withdrawn else None,
        preference=device.preference,
    )


def _bring(
    cache: Cache, undertaking: Undertaking, device: Device, artifact: Artifact, offer: Offer | None
) -> str:
    """Have the bundle in the cache, by a delta if that works; what to tell of it."""
    refused = ""
    if offer is not None:
        refused = make(cache, undertaking, device.keyring, offer, artifact)
        if not refused:
            return f"by a delta of {offer.length} bytes from release {offer.base.entry.release}"
    fetch(cache, undertaking, artifact)
    return refused and f"whole, as its delta did not do: {refused}"


def fetch(cache: Cache, undertaking: Undertaking, artifact: Artifact) -> None:
    """Bring a bundle into the cache, going on where an earlier attempt ended; see :func:`download`."""
    servers = (undertaking.server, *undertaking.mirrors)
    means = Means(undertaking.transport, servers, cache.disk.system.monotonic, undertaking.retry)
    wanted = Wanted(artifact.path, artifact.sha256, artifact.length, artifact.entry.segments_sha256)
    with cache.partial(artifact.sha256) as partial:
        if artifact.length > SEGMENT_BYTES and not partial.length:
            _salvage(cache, artifact, partial)
        download(wanted, partial, means, undertaking.control, undertaking.progress)
        partial.finish()


def _salvage(cache: Cache, artifact: Artifact, partial: Partial) -> None:
    """Begin with the damaged bundle that lies in the cache, where one does: only what is bad in it is fetched."""
    with cache.reading(artifact.sha256) as damaged:
        if damaged is None:
            return
        piece = memoryview(bytearray(SEGMENT_BYTES))
        for start in range(0, min(damaged.length, artifact.length), SEGMENT_BYTES):
            try:
                read = damaged.read_into(piece, start)
            except StoreError:
                continue  # a bad place on the disk: a hole, which is fetched
            partial.write(start, piece[:read])
