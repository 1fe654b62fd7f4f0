"""What a device goes through while something fails: each scenario is a device, a server with news, and steps."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from device_tests.faults.site import MODEL, SECRET, Site
from device_tests.simulator.models import ROW, renamed, sealed_model
from device_tests.simulator.repository import Repository
from edge_sdk.client import EdgeClient
from edge_sdk.erasing import EraseScope, Receipt
from edge_sdk.errors import VerificationError

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
    tier: str = "none"

    def site(self) -> Site:
        """Made anew, with new keys."""
        site = Site(Repository(), self.tier)
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


def delta(site: Site) -> None:
    """The news differs from what is there in a few bytes of many."""
    shared = random.Random(0).randbytes(8_000)
    old, new = site.model(1, shared), site.model(2, shared)
    site.sync(old)
    site.news(new)
    site.offer_delta(old, new)


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
        keys = [data for name, data in site.before.items() if name.startswith("keys/")]
        canary = {
            name: f"canary {name}".encode() for name in ("keys/focus", f"partial/{'0' * 64}", "left/deep")
        }
        site.before |= canary
        site.change(lambda state: replace(state, wanted={"other": "0" * 64}))
        site.erases, served = scope, [sealed.served for sealed in site.repository.sealed.values()]
        site.canaries = [
            *canary.values(),
            *keys,
            *(data[at : at + 64] for data in served for at in (0, len(data) // 2)),
        ]

    return prepare


SCENARIOS: Final = (
    Scenario("first-install", _first_install, (refresh, update)),
    Scenario("first-install-encrypted", _first_install, (update,), tier="app-key"),
    Scenario("upgrade", _upgrade, (refresh, update)),
    Scenario("upgrade-encrypted", _upgrade, (update,), tier="app-key"),
    Scenario("first-install-lent", _first_install, (update,), tier="device-key"),
    Scenario("upgrade-lent", _upgrade, (update,), tier="device-key"),
    Scenario("upgrade-by-delta", delta, (update,)),
    Scenario("upgrade-by-delta-lent", delta, (update,), tier="device-key"),
    Scenario("rollback", _rollback, (update,)),
    Scenario("collection-encrypted", _collection, (update,), tier="app-key"),
    Scenario("recall", _recall, (refresh,)),
    Scenario("rotation", _rotation, (refresh, update)),
    Scenario("deception", _deception, (deceived,)),
    Scenario("start", _start, (predict,)),
    Scenario("first-load", _first_load, (predict,)),
    Scenario("erase-models", _erase(EraseScope.MODELS), (erase_models,)),
    Scenario("erase-models-lent", _erase(EraseScope.MODELS), (erase_models,), tier="device-key"),
    Scenario("erase-all-encrypted", _erase(EraseScope.ALL), (erase_all,), tier="app-key"),
)
