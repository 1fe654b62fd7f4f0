"""The feature store of a client: predictions from vectors, health, and erasing."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest

from device_tests.simulator.features import FEATURES_SPEC, spec_bytes
from device_tests.simulator.models import fake_model
from device_tests.simulator.repository import Repository
from edge_sdk import (
    AsyncEdgeClient,
    EdgeClient,
    EraseScope,
    FeatureSettings,
    FormatError,
    InputError,
    NotAvailable,
    Reason,
    ResultCache,
    commands,
)
from edge_sdk.features import places
from edge_sdk.features.places import FOLDER
from edge_sdk.update import UpdateStatus
from feature_spec.definition import FeatureSpec
from tests.edge_sdk.conftest import MODEL, Device, make_device, repository

__all__ = ["make_device", "repository"]

SETTINGS = FeatureSettings(zone="Europe/Berlin", offline_s=7200)
PATIENT: dict[str, Any] = {"deadline_ms": 60_000}
CANARY = "canary-who-is-erased"


@pytest.fixture
def device(make_device: Callable[[Repository], Device], repository: Repository) -> Device:
    """Release 1 is installed, with definitions of its features."""
    repository.publish(fake_model(0.1, 1, feature_spec=spec_bytes()))
    made = make_device(repository)
    done = made.open(root=repository.root).update(MODEL)
    assert done.status is UpdateStatus.INSTALLED
    return made


def event(device: Device, user: str = "u1", *, ago: float = 60, **more: Any) -> dict[str, Any]:
    when = device.now - timedelta(seconds=ago)
    return {"user_id": user, "timestamp": when.isoformat(), "event_type": "session", **more}


def test_a_model_predicts_from_what_the_store_answers(device: Device) -> None:
    client = device.open(features=SETTINGS, server=None, transport=None)
    client.features.record(event(device, ago=7200), event(device, ago=3600))
    client.features.know("u1", "g", {"progress": 0.5})
    model = client.model(MODEL)
    vector = client.features.vector(MODEL, "u1", "g")
    made = model.predict(vector, **PATIENT)
    assert made.values["probability"] == pytest.approx(0.1 * (0.02 + 0.01 + 0.5))
    assert (made.reason, made.feature_age_s, made.filled) == (Reason.FRESH, 0, ())
    same = model.predict(dict(vector.values), **PATIENT)
    assert same.values == made.values
    device.now += timedelta(seconds=100)
    later = model.predict(client.features.vector(model, "u1", "g"), **PATIENT)
    assert (later.reason, later.feature_age_s) == (Reason.FRESH, 100)


def test_the_same_without_blocking_a_loop(device: Device) -> None:
    async def main() -> None:
        async with await AsyncEdgeClient.open(
            device.folder,
            engine=device.engine,
            capabilities=frozenset({"tflite"}),
            clock=lambda: device.now,
            features=SETTINGS,
        ) as client:
            model = await client.model(MODEL)
            recorded = await client.features.record(event(device))
            assert (recorded.kept, recorded.repeated) == (1, 0)
            await client.features.know("u1", "g", {"progress": 0.5})
            await client.features.report("u1", "mood", 0.5)
            assert (await client.features.reported("u1", "mood")).value == 0.5
            for of in (model, MODEL):
                vector = await client.features.vector(of, "u1", "g")
                made = await model.predict(vector, **PATIENT)
                assert made.values["probability"] == pytest.approx(0.051, abs=1e-4)
            assert ((await client.features.stats()).hits, (await client.features.stats()).misses) == (1, 1)
            assert (await client.erase(user="u1")).scope is EraseScope.USER
            with pytest.raises(NotAvailable):
                await client.features.vector(model, "u1", "g")

    asyncio.run(main())


@pytest.mark.parametrize("results", [None, ResultCache()])
def test_a_model_refuses_a_vector_by_other_definitions(device: Device, results: ResultCache | None) -> None:
    client = device.open(features=SETTINGS, results=results)
    client.features.record(event(device))
    old = client.features.vector(MODEL, "u1")
    changed = replace(FEATURES_SPEC.features[0], meaning="Another.", version=2)
    spec = FeatureSpec((changed, *FEATURES_SPEC.features[1:]))
    device.repository.publish(fake_model(0.2, 2, feature_spec=spec_bytes(spec)))
    client.update(MODEL)
    model = client.model(MODEL)
    with pytest.raises(InputError, match="for another model than focus"):
        model.predict(old, **PATIENT)
    new = client.features.vector(model, "u1")
    assert not new.cached
    assert model.predict(new, **PATIENT).reason is Reason.FRESH


def test_what_is_missing_is_filled_by_the_record(device: Device) -> None:
    client = device.open(features=SETTINGS)
    client.features.record(event(device))
    made = client.model(MODEL).predict(client.features.vector(MODEL, "u1"), **PATIENT)
    assert made.filled == ("luck",)


@pytest.mark.parametrize("results", [None, ResultCache()])
def test_stale_features_are_told_and_can_be_replayed(device: Device, results: ResultCache | None) -> None:
    client = device.open(features=SETTINGS, results=results)
    client.features.record(event(device))
    model = client.model(MODEL)
    client.features.vector(model, "u1")
    (path,) = (device.folder / FOLDER).glob("*.tail")
    path.write_bytes(b"damaged")
    for seconds, age in ((30, 30), (3600, 3630)):
        device.now += timedelta(seconds=seconds)
        vector = client.features.vector(model, "u1")
        made = model.predict(vector, **PATIENT)
        assert (made.reason, made.feature_age_s) == (Reason.STALE_FEATURES, age)
        assert client.replay(model.replay_record(made, vector)).equal
    device.now += timedelta(hours=2)
    gone = model.predict(client.features.vector(model, "u1"), **PATIENT)
    assert (gone.reason, gone.filled) == (Reason.STALE_FEATURES, ("effort", "rest", "luck"))
    assert math.isinf(gone.feature_age_s)


def test_hits_are_counted_where_the_alert_looks(device: Device) -> None:
    client = device.open(features=SETTINGS)
    client.features.record(event(device))
    model = client.model(MODEL)
    for _ in range(29):
        client.features.vector(model, "u1")
    for number in range(71):
        client.features.record(event(device, ago=number))
        client.features.vector(model, "u1")
    (health,) = client.health()
    assert health.caches == {"feature_cache.hit": 28, "feature_cache.miss": 72}
    (alert,) = [alert for alert in health.alerts if alert.what == "feature_cache"]
    assert (alert.name, alert.value, alert.threshold) == ("hits", 0.28, 0.7)
    stats = client.features.stats()
    assert (stats.hits, stats.misses, stats.failures, stats.hit_rate) == (28, 72, 0, 0.28)
    assert stats.compute.count == 72
    assert (stats.compute.p50_ms or 0) > 0
    assert (stats.users, stats.clock_jumps) == (1, 0)
    shown = client.status()["features"]
    assert (shown["hit_rate"], shown["users"], shown["compute_ms"]["p50"]) == (0.28, 1, stats.compute.p50_ms)


def test_the_status_can_be_told_of_a_client_that_was_closed(device: Device) -> None:
    client = device.open(features=SETTINGS)
    client.close()
    assert client.status()["features"]["users"] == 0


def test_no_socket_is_opened(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise AssertionError("a socket on the path of a prediction")

    monkeypatch.setattr(socket, "socket", refuse)
    client = device.open(features=SETTINGS)
    client.features.record(event(device))
    client.model(MODEL).predict(client.features.vector(MODEL, "u1"), **PATIENT)


def test_definitions_that_nobody_can_read_are_one_clear_error(device: Device) -> None:
    device.repository.publish(fake_model(0.2, 2, feature_spec=b"{}"))
    client = device.open(features=SETTINGS)
    client.update(MODEL)
    client.features.record(event(device))
    with pytest.raises(FormatError, match=r"feature_spec\.json of focus: "):
        client.features.vector(MODEL, "u1")
    with pytest.raises(InputError, match="features is of the type FeatureSettings"):
        device.open(features={"zone": "UTC"})


def traces(folder: Path, *canaries: bytes) -> list[str]:
    found = [(str(path.relative_to(folder)), path) for path in folder.rglob("*") if path.is_file()]
    return [name for name, path in found if any(c in path.read_bytes() + name.encode() for c in canaries)]


def canaries_of(client: EdgeClient, user: str) -> list[bytes]:
    users = client.features._users
    salt = users.salt()
    assert salt is not None
    known = users.read(users.label(user, salt))
    assert known is not None
    return [users.label(user, salt).encode(), known.events.tobytes()[:40], user.encode()]


def tell(client: EdgeClient, device: Device, user: str) -> None:
    client.features.record(*[event(device, user, ago=n, event_id=f"{user}-{n}") for n in range(70)])
    client.features.record(event(device, user, ago=1.5, goal_id="goal", value=31.4159))
    client.features.know(user, "goal", {"progress": 0.875, "goals_active": 4})
    client.features.report(user, "mood", 2.71828)


def test_erasing_a_user_leaves_nothing_of_him_and_everything_else(device: Device) -> None:
    client, other = device.open(features=SETTINGS), device.open(features=SETTINGS)
    for user in (CANARY, "u2"):
        tell(client, device, user)
        client.features.vector(MODEL, user)
        other.features.vector(MODEL, user)
    canaries = canaries_of(client, CANARY)
    kept = canaries_of(client, "u2")
    left = device.folder / FOLDER / ".part-1_1.0a"
    left.write_bytes(b"what a writer left that was killed: " + canaries[0])
    before = client.model(MODEL)
    receipt = client.erase(user=CANARY)
    assert (receipt.scope, receipt.models, receipt.files) == (EraseScope.USER, (), 3)
    assert receipt.bytes > 70 * 37
    assert traces(device.folder, *canaries) == []
    assert traces(device.folder, *kept[:2])
    for opened in (client, other, device.open(features=SETTINGS)):
        with pytest.raises(NotAvailable, match="nothing is known of this user"):
            opened.features.vector(MODEL, CANARY)
        assert opened.features.vector(MODEL, "u2").values["effort"] == pytest.approx(0.71)
    assert client.model(MODEL) is before
    assert client.erase(user=CANARY).files == 0
    client.erase(user="u2")
    assert not (device.folder / FOLDER).exists()  # with the last of them the secret goes


def test_erasing_a_user_forgets_what_was_answered_of_him(device: Device) -> None:
    client = device.open(features=SETTINGS, results=ResultCache())
    tell(client, device, CANARY)
    model = client.model(MODEL)
    vector = client.features.vector(model, CANARY)
    model.predict(vector, **PATIENT)
    assert model.predict(vector, **PATIENT).cached
    client.erase(user=CANARY)
    assert not model.counters.recent
    assert not model.predict(vector, **PATIENT).cached  # the app still has it


def test_an_erase_that_was_begun_is_finished_by_the_next_open(device: Device) -> None:
    client = device.open(features=SETTINGS)
    tell(client, device, CANARY)
    tell(client, device, "u2")
    canaries = canaries_of(client, CANARY)
    intent = device.folder / places.INTENT
    label = canaries[0].decode()
    intent.write_bytes(b'{"format":"coach-edge/features-erase/1","label":"%b"}' % label.encode())
    (device.folder / FOLDER / f"{label}.tail").unlink()
    again = device.open(features=SETTINGS)
    assert traces(device.folder, *canaries) == []
    assert not intent.exists()
    assert again.features.vector(MODEL, "u2").used


def test_an_intent_that_cannot_be_read_erases_all_users(device: Device) -> None:
    client = device.open(features=SETTINGS)
    tell(client, device, CANARY)
    canaries = canaries_of(client, CANARY)
    (device.folder / places.INTENT).write_bytes(b"...")
    device.open(features=SETTINGS)
    assert traces(device.folder, *canaries) == []


def test_models_can_be_erased_and_users_stay_and_all_takes_both(device: Device) -> None:
    client = device.open(features=SETTINGS)
    tell(client, device, CANARY)
    canaries = canaries_of(client, CANARY)
    receipt = client.erase(EraseScope.MODELS)
    assert traces(device.folder, *canaries[:2])
    assert not [name for name in traces(device.folder, b"") if "erase" in name]
    assert receipt.models == (MODEL,)
    client.update(MODEL)
    assert client.features.vector(MODEL, CANARY).values["effort"] == pytest.approx(0.71)
    client.erase(EraseScope.ALL)
    assert traces(device.folder, *canaries) == []
    client.update(MODEL)
    with pytest.raises(NotAvailable, match="nothing is known"):
        client.features.vector(MODEL, CANARY)
    client.features.record(event(device))
    assert client.features.vector(MODEL, "u1").values["effort"] == pytest.approx(0.01)


def test_a_scope_and_a_user_go_together(device: Device) -> None:
    client = device.open(features=SETTINGS)
    for wrong in ({"scope": EraseScope.USER}, {"scope": EraseScope.ALL, "user": "u1"}, {"user": ""}):
        with pytest.raises(InputError):
            client.erase(**wrong)  # type: ignore[arg-type]


def run(*arguments: str) -> Any:
    return commands.erase.main(list(arguments), standalone_mode=False)


def test_from_a_shell(device: Device) -> None:
    client = device.open(features=SETTINGS)
    tell(client, device, CANARY)
    canaries = canaries_of(client, CANARY)
    done = run("--cache", str(device.folder), "--user", CANARY)
    assert (done["scope"], done["models"]) == ("user", [])
    assert done["files"] > 0
    assert traces(device.folder, *canaries) == []
    for wrong in ((), ("--user", "u1", "--all")):
        with pytest.raises(click.UsageError, match="--user ID, --models or --all"):
            run("--cache", str(device.folder), *wrong)


def test_a_closed_client_keeps_no_events(device: Device) -> None:
    client = device.open(features=SETTINGS)
    assert client.features.stats().users == 0
    client.close()
    with pytest.raises(NotAvailable, match="this client was closed; open another"):
        _ = client.features
