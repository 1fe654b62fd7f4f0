"""What the routes work with, put together over a store."""

from __future__ import annotations

from dataclasses import dataclass

from model_server.bundle_keys import BundleKeys
from model_server.catalogue import Catalogue
from model_server.devices import Devices
from model_server.errors import StartError
from model_server.key_provider import KeyProvider
from model_server.keys import OnlineKeys
from model_server.leasing import Leasing
from model_server.publishing import Publisher
from model_server.settings import Clock, Settings, utc_now
from model_server.signing import OnlineSigner, Resigner
from model_server.state import Repository
from model_server.storage import ObjectStore
from model_server.telemetry import Telemetry

MIN_TOKEN_LENGTH = 16


@dataclass(frozen=True)
class Services:
    """Everything that routes need, made once."""

    repository: Repository
    publisher: Publisher
    resigner: Resigner
    catalogue: Catalogue
    settings: Settings
    token: str
    clock: Clock
    telemetry: Telemetry
    leasing: Leasing | None = None

    def __repr__(self) -> str:
        return "Services(...)"  # the token must not end up in a log


def create_services(
    *,
    root: bytes,
    keys: OnlineKeys,
    store: ObjectStore,
    catalogue: Catalogue,
    token: str,
    settings: Settings | None = None,
    clock: Clock = utc_now,
    key_provider: KeyProvider | None = None,
) -> Services:
    """Put a server together over a store, and complete what an interrupted one left there.

    Without a ``key_provider`` it serves no bundles of the tier ``device-key``.

    Raises:
        StartError: the store belongs to another root or director, or the token is too short.
        StateError: the store holds what the root does not vouch for.
    """
    if len(token) < MIN_TOKEN_LENGTH:
        raise StartError(f"the admin token has {len(token)} characters; use at least {MIN_TOKEN_LENGTH}")
    settings = settings or Settings()
    repository = Repository(store, root, keys.as_director)
    repository.adopt_root()
    state = repository.current()
    if state is not None and state.manifest.director != keys.as_director:
        raise StartError(
            f"what is published names the director {state.manifest.director.key_id[:16]}…, and --keys holds "
            f"{keys.as_director.key_id[:16]}…; give the keys that this store was published with"
        )
    publisher = Publisher(repository, keys, catalogue, settings, clock)
    publisher.recover()
    resigner = Resigner(repository, OnlineSigner(repository, keys, settings))
    resigner.tick(clock())
    engine = catalogue.engine
    telemetry = Telemetry(engine, repository)
    leasing = None
    if key_provider is not None:
        leasing = Leasing(repository, keys, Devices(engine), BundleKeys(engine, key_provider), settings)
    return Services(repository, publisher, resigner, catalogue, settings, token, clock, telemetry, leasing)
