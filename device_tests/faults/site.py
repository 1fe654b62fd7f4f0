"""A device and a server with news, before anything fails."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from device_tests.simulator.deltas import plain_delta
from device_tests.simulator.models import ROW, FakeEngine, sealed_model
from device_tests.simulator.repository import SERVER, Network, Repository
from edge_sdk.client import EdgeClient
from edge_sdk.crypto.credentials import DeviceCredential
from edge_sdk.crypto.data_key import DataKey
from edge_sdk.crypto.sealing import AppKey, Sealed
from edge_sdk.erasing import EraseScope
from edge_sdk.features import FeatureSettings
from edge_sdk.health.telemetry import TelemetrySettings
from edge_sdk.store import Cache, Disk, State, System
from edge_sdk.update.retrying import RetryPolicy
from edge_sdk.update.transport import NO_HEADERS, Answer, Transport

MODEL: Final = "focus"
APP_KEY: Final = AppKey(bytes(range(32)))
SECRET: Final = b"271828182845904523536"
"""In the payload of every model, and nowhere else: plaintext shows by it."""

Tree = dict[str, bytes]
"""Files of a folder by their paths in it."""


TIERS: Final = ("none", "app-key", "device-key")


def weight_of(version: int) -> float:
    """Of the model of this version: its probability over the sum of the features."""
    return float(_payload(version).removeprefix(b"fake model: "))


def _payload(version: int) -> bytes:
    return b"fake model: 0.%d0000%b" % (version, SECRET)


@dataclass
class Site:
    """A repository with news, and what a device had before them.

    Attributes:
        tier: of the bundles.
        had: the release that predicted before; 0 where there was none.
        goal: the release that predicts once the device is up to date.
        answers: the probability that each release must give.
        before: the cache folder as it was.
        clear: what the bundles are before they are encrypted, where they are.
        lie: what the first download of a bundle brings in its place; empty where all are honest.
        erases: what the app erases; None where it erases nothing.
        canaries: what the device had that must be gone then.
        keys: of bundles of the tier device-key, by digest.
        tells: whether the app agreed to telemetry.
        features: bounds of the feature store; those of the SDK by default.
    """

    repository: Repository
    tier: str = "none"
    had: int = 0
    goal: int = 0
    answers: dict[int, float] = field(default_factory=dict)
    before: Tree = field(default_factory=dict)
    clear: list[bytes] = field(default_factory=list)
    lie: bytes = b""
    erases: EraseScope | None = None
    canaries: list[bytes] = field(default_factory=list)
    keys: dict[str, DataKey] = field(default_factory=dict)
    tells: bool = False
    features: FeatureSettings | None = None

    def __post_init__(self) -> None:
        assert self.tier in TIERS
        lent = self.tier == "device-key"
        self.credential: AppKey | DeviceCredential | None = APP_KEY if self.tier == "app-key" else None
        if lent:
            self.credential = self.repository.key_server.enrolled()

    def model(self, version: int, padding: bytes = b"") -> Sealed:
        """A sealed model of this version, released under the same number, with idle bytes in it."""
        self.answers[version] = weight_of(version) * sum(ROW.values())
        payload, text = _payload(version), f"{version}.0.0"
        if padding:
            payload += b"\n" + padding
        compress = not padding
        clear = sealed_model(payload, release=version, version=text, compress=compress)
        if self.tier == "none":
            return clear
        self.clear.append(clear.served)
        if self.tier == "app-key":
            return sealed_model(payload, release=version, version=text, compress=compress, app_key=APP_KEY)
        key = DataKey.fresh()
        lent = sealed_model(payload, release=version, version=text, compress=compress, data_key=key)
        self.keys[lent.sha256] = key
        self.repository.key_server.keys[lent.sha256] = key.secret
        return lent

    def offer_delta(self, old: Sealed, new: Sealed) -> None:
        """Serve a delta between two bundles."""
        old_key, key = (APP_KEY if self.tier == "app-key" else self.keys.get(s.sha256) for s in (old, new))
        path = f"/v1/deltas/{old.sha256}/{new.sha256}"
        self.repository.files[path] = plain_delta(old, new, key, old_key)

    def open(
        self,
        folder: Path,
        system: System | None = None,
        *,
        online: bool = True,
        transport: Transport | None = None,
    ) -> EdgeClient:
        """A client on a cache folder, as a new process would open one.

        Args:
            folder: of the cache.
            system: of the process.
            online: whether it knows a server.
            transport: how it reaches it; an honest network by default.
        """
        return EdgeClient.open(
            folder,
            SERVER if online else None,
            self.repository.root if online else None,
            credential=self.credential,
            engine=FakeEngine(),
            system=system,
            transport=(transport or Network(self.repository)) if online else None,
            telemetry=TelemetrySettings() if self.tells else None,
            features=self.features,
            retry=RetryPolicy(rest=lambda control, seconds: None),
            capabilities=frozenset({"tflite"}),
        )

    def network(self) -> Network:
        """As it is at first: it lies where the scenario has it so."""
        return _Lying(self.repository, self.lie)

    def lay_out(self, folder: Path) -> None:
        """The cache folder as it was before."""
        for name, data in self.before.items():
            path = folder / name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_bytes(data)

    def sync(self, *releases: Sealed) -> None:
        """Publish and install, one after the other, with nothing failing."""
        with tempfile.TemporaryDirectory() as base:
            folder = Path(base) / "cache"
            self.lay_out(folder)
            for sealed in releases:
                self.repository.publish(sealed)
                with self.open(folder, _Unsynced()) as client:
                    client.update(MODEL)
            self.before = tree(folder)
        self.had = self.goal = releases[-1].entry.release

    def change(self, step: Callable[[State], State]) -> None:
        """Change the state that the device had."""
        with tempfile.TemporaryDirectory() as base:
            folder = Path(base) / "cache"
            self.lay_out(folder)
            cache_of(folder).change(step)
            self.before = tree(folder)

    def news(self, sealed: Sealed) -> None:
        """Publish without installing."""
        self.repository.publish(sealed)
        self.goal = sealed.entry.release
        self.answers.setdefault(self.goal, self.answers.get(1, 0.0))


def state_of(folder: Path) -> State:
    """The state in a cache folder.

    Raises:
        NotAvailable: there is no cache.
        StoreError: it holds no whole state.
    """
    return cache_of(folder).state()


def cache_of(folder: Path) -> Cache:
    """The cache in a folder; raises like :func:`state_of`."""
    return Cache.open(folder, None, os.urandom, Disk(_Unsynced()))


def tree(folder: Path) -> Tree:
    """All files of a folder but the lock, which is empty."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


class _Unsynced(System):
    """Nothing fails here and no power goes: bringing it to the disk would only take time."""

    def fsync(self, handle: int) -> None:
        """Nothing."""

    def sync_folder(self, path: Path) -> None:
        """Nothing."""


class _Lying(Network):
    """Answers the first request for a bundle with ``lie``, unless that is empty."""

    def __init__(self, repository: Repository, lie: bytes) -> None:
        super().__init__(repository)
        self._lie = lie

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        body: bytes | None = None,
        elsewhere: bool = False,
    ) -> Answer:
        if not self._lie or not urlsplit(url).path.startswith("/v1/bundles/"):
            return super().request(method, url, headers=headers, body=body, elsewhere=elsewhere)
        lie, self._lie = self._lie, b""
        return Answer(200, {"Content-Length": str(len(lie))}, iter([lie]))
