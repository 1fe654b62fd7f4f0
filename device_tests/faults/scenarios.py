"""What a device goes through while something fails: each scenario is a device, a server with news, and steps."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from device_tests.simulator.deltas import plain_delta
from device_tests.simulator.models import ROW, FakeEngine, renamed, sealed_model
from device_tests.simulator.repository import SERVER, Network, Repository
from edge_sdk.client import EdgeClient
from edge_sdk.crypto.sealing import AppKey, Sealed
from edge_sdk.erasing import EraseScope, Receipt
from edge_sdk.errors import VerificationError
from edge_sdk.store import Cache, Disk, State, System
from edge_sdk.update.retrying import RetryPolicy
from edge_sdk.update.transport import NO_HEADERS, Answer, Transport

MODEL: Final = "focus"
APP_KEY: Final = AppKey(bytes(range(32)))
SECRET: Final = b"271828182845904523536"
"""In the payload of every model, and nowhere else: plaintext shows by it."""

Tree = dict[str, bytes]
"""Files of a folder by their paths in it."""


def weight_of(version: int) -> float:
    """Of the model of this version: its probability over the sum of the features."""
    return float(_payload(version).removeprefix(b"fake model: "))


def _payload(version: int) -> bytes:
    return b"fake model: 0.%d0000%b" % (version, SECRET)


@dataclass
class Site:
    """A repository with news, and what a device had before them.

    Attributes:
        had: the release that predicted before; 0 where there was none.
        goal: the release that predicts once the device is up to date.
        answers: the probability that each release must give.
        before: the cache folder as it was.
        clear: what the bundles are before they are encrypted, where they are.
        lie: what the first download of a bundle brings in its place; empty where all are honest.
        erases: what the app erases; None where it erases nothing.
        canaries: what the device had that must be gone then.
    """

    repository: Repository
    app_key: AppKey | None
    had: int = 0
    goal: int = 0
    answers: dict[int, float] = field(default_factory=dict)
    before: Tree = field(default_factory=dict)
    clear: list[bytes] = field(default_factory=list)
    lie: bytes = b""
    erases: EraseScope | None = None
    canaries: list[bytes] = field(default_factory=list)

    def model(self, version: int, padding: int = 0, *, alike: bool = False) -> Sealed:
        """A sealed model of this version, released under the same number, with so many idle bytes.

        ``alike`` makes these the same in all versions, and deflates nothing: then a delta can lead to it.
        """
        self.answers[version] = weight_of(version) * sum(ROW.values())
        payload, text, deflate = _payload(version), f"{version}.0.0", not alike
        if padding:
            payload += b"\n" + random.Random(0 if alike else version).randbytes(padding)
        if self.app_key:
            clear = sealed_model(payload, release=version, version=text, compress=deflate)
            self.clear.append(clear.served)
        return sealed_model(payload, release=version, version=text, app_key=self.app_key, compress=deflate)

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
            credential=self.app_key,
            engine=FakeEngine(),
            system=system,
            transport=(transport or Network(self.repository)) if online else None,
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


Step = Callable[[EdgeClient, Path], Receipt | None]
"""What an app does; it returns where success was reported, and raises an EdgeError where it was not."""


@dataclass(frozen=True)
class Scenario:
    """A named course of events.

    Attributes:
        prepare: makes the server and what the device had.
        steps: what the app does while something fails.
    """

    name: str
    prepare: Callable[[Site], None]
    steps: tuple[Step, ...]
    encrypted: bool = False

    def site(self) -> Site:
        """Made anew, with new keys."""
        site = Site(Repository(), APP_KEY if self.encrypted else None)
        self.prepare(site)
        return site


def update(client: EdgeClient, folder: Path) -> None:
    """Bring the model up to date, then predict in the same process."""
    client.update(MODEL)
    client.model(MODEL).predict(ROW, deadline_ms=60_000)


def refresh(client: EdgeClient, folder: Path) -> None:
    """Bring the metadata up to date."""
    client.refresh()


def predict(client: EdgeClient, folder: Path) -> None:
    """Load what is installed, and predict."""
    client.model(MODEL).predict(ROW, deadline_ms=60_000)


def deceived(client: EdgeClient, folder: Path) -> None:
    """The bundle comes as other bytes and is refused; the next attempt is honest."""
    try:
        client.update(MODEL)
    except VerificationError:
        client.update(MODEL)


def erase_models(client: EdgeClient, folder: Path) -> Receipt:
    """Erase the models."""
    return client.erase(EraseScope.MODELS)


def erase_all(client: EdgeClient, folder: Path) -> Receipt:
    """Erase all."""
    return client.erase(EraseScope.ALL)


def _first_install(site: Site) -> None:
    site.news(site.model(1))


def _upgrade(site: Site) -> None:
    site.sync(site.model(1))
    site.news(site.model(2))


def _upgrade_by_delta(site: Site) -> None:
    old, new = (site.model(version, 6_000, alike=True) for version in (1, 2))
    site.sync(old)
    site.news(new)
    site.repository.files[f"/v1/deltas/{old.sha256}/{new.sha256}"] = plain_delta(old, new, site.app_key)


def _collection(site: Site) -> None:
    """The third version drives out the first, in a cache full of what others left when they died."""
    site.sync(site.model(1), site.model(2))
    third = site.model(3)
    site.news(third)
    gone, digest = "999999999_1", "0" * 64
    site.before |= {
        f"blobs/.part-{gone}.0a": b"half a blob",
        f"blobs/.aside-{digest}": b"about to be removed",
        f"blobs/{digest}": b"nobody needs it",
        f"holds/.part-{gone}.0b": b"",
        f"partial/.part-{gone}.0c.{digest}": b"half a download",
        f"partial/{digest}": b"another half",
        f"partial/{third.sha256}": bytes(len(third.served) + 1),
        f"states/.part-{gone}.0d": b"half a state",
        f".part-{gone}.0e/root.json": b"scratch",
    }


def _rollback(site: Site) -> None:
    old = site.model(1)
    site.sync(old, site.model(2))
    site.news(renamed(old, release=3))


def _recall(site: Site) -> None:
    site.sync(site.model(1), site.model(2))
    site.repository.direct(MODEL, recalled=(2,))
    site.goal = 1


def _rotation(site: Site) -> None:
    site.sync(site.model(1))
    for role in ("root", "timestamp", "targets"):
        site.repository.rotate(role)
    site.news(site.model(2))


def _deception(site: Site) -> None:
    """The server sends another bundle first, whole in itself and of the same length."""
    _upgrade(site)
    honest = next(sealed for sealed in site.repository.sealed.values() if sealed.entry.release == site.goal)
    version = honest.entry.model_version
    for number in range(10_000, 100_000):
        lie = sealed_model(b"fake model: 0.%d%b" % (number, SECRET), release=site.goal, version=version)
        if (len(lie.served), lie.entry.plain_length) == (len(honest.served), honest.entry.plain_length):
            site.lie = lie.served
            return
    raise AssertionError("no lie of the right length")


def _start(site: Site) -> None:
    site.sync(site.model(1), site.model(2))


def _first_load(site: Site) -> None:
    """What was installed never answered in a process of the app: whether it ends that process is not known yet."""
    site.sync(site.model(1), site.model(2))
    site.change(
        lambda state: replace(
            state, models={name: replace(slot, confirmed=False) for name, slot in state.models.items()}
        )
    )


def _erase(scope: EraseScope) -> Callable[[Site], None]:
    def prepare(site: Site) -> None:
        """Two versions, a key, half of a download, and what somebody else left."""
        site.sync(site.model(1), site.model(2))
        canary = {
            name: f"canary {name}".encode() for name in ("keys/focus", f"partial/{'0' * 64}", "left/deep")
        }
        site.before |= canary
        site.change(lambda state: replace(state, wanted={"other": "0" * 64}))
        site.erases, served = scope, [sealed.served for sealed in site.repository.sealed.values()]
        site.canaries = [
            *canary.values(),
            *(data[at : at + 64] for data in served for at in (0, len(data) // 2)),
        ]

    return prepare


SCENARIOS: Final = (
    Scenario("first-install", _first_install, (refresh, update)),
    Scenario("first-install-encrypted", _first_install, (update,), encrypted=True),
    Scenario("upgrade", _upgrade, (refresh, update)),
    Scenario("upgrade-encrypted", _upgrade, (update,), encrypted=True),
    Scenario("upgrade-by-delta-encrypted", _upgrade_by_delta, (update,), encrypted=True),
    Scenario("rollback", _rollback, (update,)),
    Scenario("collection-encrypted", _collection, (update,), encrypted=True),
    Scenario("recall", _recall, (refresh,)),
    Scenario("rotation", _rotation, (refresh, update)),
    Scenario("deception", _deception, (deceived,)),
    Scenario("start", _start, (predict,)),
    Scenario("first-load", _first_load, (predict,)),
    Scenario("erase-models", _erase(EraseScope.MODELS), (erase_models,)),
    Scenario("erase-all-encrypted", _erase(EraseScope.ALL), (erase_all,), encrypted=True),
)


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
