"""What must hold on a device, whatever failed: six invariants, judged from outside."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from device_tests.faults.site import MODEL, SECRET, Site, state_of, tree
from device_tests.simulator.models import ROW
from edge_sdk.erasing import INTENT, EraseScope, Receipt
from edge_sdk.errors import EdgeError, NotAvailable
from edge_sdk.features import places
from edge_sdk.health.queue import FOLDER as TELEMETRY
from edge_sdk.store import State, System
from edge_sdk.store.cache import KEYS
from edge_sdk.trust.marks import Marks

SLACK: Final = 1 << 20
"""Bytes beside two versions of a model: metadata, states."""

_PLAINTEXT: Final = (SECRET, b"bundle.json")
_CANARY: Final = 64
_FOLDERS: Final = frozenset(
    {"blobs", "holds", "lock", "partial", "states", KEYS, TELEMETRY, places.FOLDER, places.LOCK}
)


class Violation(NamedTuple):
    """An invariant that did not hold, and what was seen."""

    invariant: str
    detail: str


@dataclass(frozen=True)
class Promise:
    """What the app was told last: the state behind the latest success, None before any; and what was erased."""

    state: State | None = None
    receipt: Receipt | None = None

    @property
    def release(self) -> int:
        """What predicts by it; 0 where nothing does."""
        slot = self.state.models.get(MODEL) if self.state else None
        return slot.active.entry.release if slot and not slot.withdrawn else 0

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for two promises of the same."""
        receipt = self.receipt and replace(self.receipt, finished=datetime.min)
        return self.state and self.state.to_bytes(), receipt


def reached(marks: Marks, earlier: Marks) -> str:
    """What went back between two readings of the marks; empty where nothing did."""
    if earlier.signed_time and (marks.signed_time is None or marks.signed_time < earlier.signed_time):
        return f"signed time {marks.signed_time} after {earlier.signed_time}"
    for role, mark in earlier.roles.items():
        now = marks.roles.get(role)
        if now is None or (now.keys == mark.keys and now.version < mark.version):
            return f"{role} {now and now.version} after {mark.version}"
    for key, release in earlier.releases.items():
        if marks.releases.get(key, 0) < release:
            return f"release {marks.releases.get(key, 0)} of {key} after {release}"
    return ""


def no_plaintext(site: Site, folder: Path) -> list[Violation]:
    """Nothing of an encrypted bundle lies on the disk in the clear."""
    if site.tier == "none" or not folder.exists():
        return []
    canaries = [*_PLAINTEXT, *(clear[:_CANARY] for clear in site.clear)]
    return [
        Violation("no plaintext", name)
        for name, data in tree(folder).items()
        if any(canary in data for canary in canaries)
    ]


def ended(site: Site, promise: Promise, folder: Path) -> list[Violation]:
    """Nothing failed, and the app was told what it wanted to hear."""
    if site.erases is None:
        reached_it = promise.release == site.goal
        return [] if reached_it else [Violation("heals", "the steps do not lead there though nothing fails")]
    after = tree(folder)
    removed = [len(data) for name, data in site.before.items() if name not in after]
    receipt = promise.receipt
    told = receipt and (receipt.scope, receipt.models, receipt.files, receipt.bytes)
    if told == (site.erases, (MODEL,), len(removed), sum(removed)):
        return []
    return [
        Violation("truthful", f"{len(removed)} files of {sum(removed)} bytes were erased, told is {told}")
    ]


def kept(site: Site, folder: Path, promise: Promise, system: System | None = None) -> list[Violation]:
    """Usable, truthful and monotone: what a process finds that starts without a network.

    Args:
        site: what it may find.
        folder: of the cache.
        promise: what the app was told.
        system: of the process.
    """
    try:
        state = state_of(folder)
    except NotAvailable:
        state = None
    except EdgeError as error:
        return [Violation("usable", f"the cache does not open: {error}")]
    if state is None:
        lost = [Violation("usable", "no cache where one was")] if site.before else []
        return lost + ([Violation("truthful", "success was told, and all is gone")] if promise.state else [])
    found = []
    if state.marks.signed_time and state.marks.signed_time > site.repository.now:
        found.append(Violation("monotone", f"signed time {state.marks.signed_time}, which nobody signed"))
    if promise.state and (back := reached(state.marks, promise.state.marks)):
        found.append(Violation("truthful", back))
    if site.erases is not None and ((folder / INTENT).exists() or MODEL not in state.models):
        return found + _erased(site, folder, promise, system)
    if promise.receipt is not None:
        return [*found, Violation("truthful", "the erase was told, and all is there")]
    if site.erases is not None and promise.state is None:
        found += [
            Violation("usable", f"{name} is not as it was, and no erase was begun")
            for name, data in site.before.items()
            if not (folder / name).exists() or (folder / name).read_bytes() != data
        ]
    if promise.state and Promise(state).release not in (promise.release, site.goal):
        detail = f"release {promise.release} was told, {Promise(state).release} is active"
        found.append(Violation("truthful", detail))
    allowed = {promise.release or site.had, site.goal}
    if promise.release or site.had:
        found += _answers(site, folder, allowed, system)
    elif MODEL in state.models:
        found += _answers(site, folder, {site.goal}, system)
    return found


def _erased(site: Site, folder: Path, promise: Promise, system: System | None) -> list[Violation]:
    """Once it is begun, an erase is finished by whoever opens the cache, and nothing comes back."""
    before = _newest_state_of(site)
    found = []
    if promise.receipt is not None:
        found += [Violation("truthful", f"{what}, and the erase was told") for what in _remains(site, folder)]
    try:
        with site.open(folder, system, online=False) as client:
            client.model(MODEL)
        found.append(Violation("erased", "a model that was erased predicts"))
    except NotAvailable:
        pass
    except EdgeError as error:
        found.append(Violation("usable", f"the erase is not finished: {error}"))
    after = state_of(folder)
    if (after.install_id == before.install_id) is (site.erases is EraseScope.ALL):
        found.append(Violation("erased", f"install id {before.install_id}, then {after.install_id}"))
    if back := reached(after.marks, before.marks):
        found.append(Violation("monotone", back))
    return found + [Violation("erased", what) for what in _remains(site, folder)]


def _remains(site: Site, folder: Path) -> list[str]:
    """What is there that should be gone."""
    state = _newest_state_of(site)
    canaries = [*site.canaries, *([state.install_id.encode()] if site.erases is EraseScope.ALL else [])]
    files = tree(folder)
    found = [
        f"{name} holds what was erased" for name, data in files.items() if any(c in data for c in canaries)
    ]
    slots = state.models.values()
    digests = {a.sha256 for slot in slots for a in (slot.active, slot.previous) if a}
    digests.update(state.wanted.values())
    found += [
        f"{name} tells of what was erased"  # the publisher's signed list names every bundle and does not count
        for name, data in files.items()
        if name.startswith("states/") and any(digest.encode() in data for digest in digests)
    ]
    return found + [
        f"{name} is there"
        for name in (*digests, KEYS, INTENT)
        if any(name in path.split("/") for path in files)
    ]


def _newest_state_of(site: Site) -> State:
    newest = max(name for name in site.before if name.startswith("states/"))
    return State.from_bytes(site.before[newest])


def _answers(site: Site, folder: Path, allowed: set[int], system: System | None) -> list[Violation]:
    try:
        with site.open(folder, system, online=False) as client:
            model = client.model(MODEL)
            answer = model.predict(ROW, deadline_ms=60_000)
            sha256 = model.artifact.sha256
    except EdgeError as error:
        return [Violation("usable", f"nothing predicts: {error}")]
    if answer.release not in allowed:
        return [Violation("usable", f"release {answer.release} predicts, not one of {sorted(allowed)}")]
    if abs(answer.values["probability"] - site.answers[answer.release]) > 1e-6:
        return [Violation("usable", f"release {answer.release} answers {answer.values}")]
    signed = {s.sha256 for s in site.repository.sealed.values() if s.entry.release == answer.release}
    blob = folder / "blobs" / sha256
    if sha256 not in signed or hashlib.sha256(blob.read_bytes()).hexdigest() != sha256:
        return [Violation("usable", f"the bytes of release {answer.release} are not the signed ones")]
    return []


def heals(site: Site, folder: Path, system: System | None = None) -> list[Violation]:
    """The next sync, in a new process, ends with the release that is meant, and nothing left behind."""
    try:
        with site.open(folder, system) as client:
            client.update(MODEL)
    except EdgeError as error:
        return [Violation("heals", f"the next sync fails: {error}")]
    state = state_of(folder)
    if Promise(state).release != site.goal:
        return [Violation("heals", f"after the next sync release {Promise(state).release} is active")]
    return _answers(site, folder, {site.goal}, system) + bounded(site, folder)


def bounded(site: Site, folder: Path) -> list[Violation]:
    """At most two versions of a model and a little more, and nothing that was temporary."""
    files, state = tree(folder), state_of(folder)
    begun = {f"partial/{digest}" for digest in state.wanted.values()}
    temporary = [
        name
        for name in files
        if "/." in f"/{name}" or (name.startswith(("partial/", "holds/")) and name not in begun)
    ]
    temporary += [
        name
        for name in files
        if name.startswith(f"{KEYS}/") and name not in site.before and name.split("/")[1] not in state.blobs
    ]
    known = _FOLDERS | {name.split("/")[0] for name in site.before}
    temporary += [path.name for path in folder.iterdir() if path.name not in known]
    found = [Violation("bounded", f"left behind: {', '.join(temporary)}")] if temporary else []
    lengths = {sealed.sha256: len(sealed.served) for sealed in site.repository.sealed.values()}
    versions = [name for name in files if name.removeprefix("blobs/") in lengths]
    if len(versions) > 2:
        found.append(Violation("bounded", f"{len(versions)} versions of one model"))
    size = sum(map(len, files.values()))
    if size > 2 * max(lengths.values()) + SLACK:
        found.append(Violation("bounded", f"{size} bytes"))
    return found


def judged(site: Site, folder: Path, promise: Promise, system: System | None = None) -> list[Violation]:
    """All six, of a cache folder that a process left; it is brought up to date on the way.

    Args:
        site: what may be found there.
        folder: of the cache.
        promise: what the app was told.
        system: of the process that starts there next.
    """
    found = no_plaintext(site, folder)
    found += kept(site, folder, promise, system)
    before = _marks(folder)
    found += heals(site, folder, system)
    after = _marks(folder)
    if before and (after is None or reached(after, before)):
        found.append(Violation("monotone", "the next sync lowered a mark"))
    return found + no_plaintext(site, folder)


def _marks(folder: Path) -> Marks | None:
    try:
        return state_of(folder).marks
    except EdgeError:
        return None
