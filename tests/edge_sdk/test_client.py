"""The client on an honest repository."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from device_tests.simulator.models import ROW, fake_model, fake_payload, renamed, sealed_model
from edge_sdk import (
    Conditions,
    EdgeClient,
    InputError,
    NotAvailable,
    RefreshStatus,
    UpdatePolicy,
    UpdateStatus,
)
from edge_sdk.crypto.sealing import AppKey
from edge_sdk.errors import RetryLater, StoreError
from edge_sdk.predict import Reason, ResultCache
from edge_sdk.runtime import PoolClosed
from edge_sdk.store import System
from tests.edge_sdk.conftest import MODEL, Device


def test_first_install_then_offline(device: Device) -> None:
    assert device.predicts() == (1, pytest.approx(0.0875))


def test_next_release_is_installed_and_the_old_one_kept(device: Device) -> None:
    device.repository.publish(fake_model(0.2, 2))
    client = device.open()
    done = client.update(MODEL)
    assert (done.status, done.release, done.model_version) == (UpdateStatus.INSTALLED, 2, "2.0.0")
    assert device.predicts() == (2, pytest.approx(0.175))
    slot = client.status()["models"][MODEL]
    assert (slot["active"]["release"], slot["previous"]["release"]) == (2, 1)


def test_nothing_new_costs_two_requests_and_writes_nothing(device: Device) -> None:
    client, before = device.open(), device.state
    device.network.requests.clear()
    assert client.refresh().status is RefreshStatus.UNCHANGED
    assert device.network.requests == ["/metadata/2.root.json", "/metadata/timestamp.json", "/v1/directives"]
    assert client.update(MODEL).status is UpdateStatus.CURRENT
    assert device.state == before


def test_refresh_tells_news(device: Device) -> None:
    device.repository.publish()
    client = device.open()
    assert client.refresh().status is RefreshStatus.UPDATED
    assert client.status()["metadata"]["targets"] == 2


def test_offline_is_a_status(device: Device) -> None:
    device.network.online = False
    client, before = device.open(), device.state
    refreshed = client.refresh()
    assert refreshed.status is RefreshStatus.OFFLINE
    assert "no network" in refreshed.detail
    assert client.update(MODEL).status is UpdateStatus.OFFLINE
    assert device.state == before
    assert device.predicts()[0] == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_like_none(device: Device, status: int) -> None:
    device.network.status["/metadata/timestamp.json"] = status
    assert device.open().refresh().status is RefreshStatus.OFFLINE


def test_a_server_without_metadata_is_told(device: Device) -> None:
    del device.repository.files["/metadata/timestamp.json"]
    with pytest.raises(NotAvailable, match="HTTP 404; check its address, or publish first"):
        device.open().refresh()


def test_offline_between_metadata_and_bundle(device: Device) -> None:
    new = fake_model(0.2, 2)
    device.repository.publish(new)
    device.network.status[f"/v1/bundles/{new.sha256}"] = 503
    assert device.open().update(MODEL).status is UpdateStatus.OFFLINE
    assert device.predicts()[0] == 1


def test_a_rollback_downloads_nothing(device: Device) -> None:
    repository = device.repository
    old = next(iter(repository.sealed.values()))
    repository.publish(fake_model(0.2, 2))
    client = device.open()
    client.update(MODEL)
    repository.publish(renamed(old, release=3))
    device.network.requests.clear()
    assert client.update(MODEL).release == 3
    assert not [path for path in device.network.requests if "bundles" in path]
    assert device.predicts() == (3, pytest.approx(0.0875))


def test_only_what_is_pointed_to_is_kept(device: Device) -> None:
    client = device.open()
    for release in (2, 3, 4):
        device.repository.publish(fake_model(release / 10, release))
        client.update(MODEL)
    kept = {path.name for path in (device.folder / "blobs").iterdir()}
    bundles = {s.sha256: s.entry.release for s in device.repository.sealed.values()}
    assert sorted(bundles[name] for name in kept & set(bundles)) == [3, 4]
    assert len(kept) == 2 + 5  # two bundles and the five files of metadata; the pinned root is one of them


def test_several_models_in_one_cache(device: Device) -> None:
    device.repository.publish(fake_model(0.3, 1, model="other"))
    client = device.open()
    client.update("other")
    assert client.model("other").predict(ROW).values["probability"] == pytest.approx(0.2625)
    assert device.predicts()[0] == 1


def test_sealed_with_an_app_key(device: Device) -> None:
    key = AppKey(bytes(range(32)))
    device.repository.publish(fake_model(0.2, 2, app_key=key))
    client = device.open(credential=key)
    assert client.update(MODEL).release == 2
    assert client.model(MODEL).predict(ROW).release == 2
    plain = fake_payload(0.2)
    assert not [path for path in device.folder.rglob("*") if path.is_file() and plain in path.read_bytes()]


def test_metadata_is_fetched_again_when_the_copy_is_damaged(device: Device) -> None:
    for path in (device.folder / "blobs").iterdir():
        if json.loads(device.state)["body"]["pinned_root"] != path.name:
            path.write_bytes(b"damaged")
    client = device.open()
    assert client.update(MODEL).status is UpdateStatus.INSTALLED
    assert device.predicts()[0] == 1


class TestConditions:
    def test_unknown_counts_as_metered(self, device: Device) -> None:
        device.repository.publish(fake_model(0.2, 2))
        for known in (None, False):
            done = device.open().update(MODEL, conditions=Conditions(known, require_unmetered=True))
            assert done.status is UpdateStatus.POSTPONED
            assert "unmetered network is required" in done.detail
            assert done.release == 1

    @pytest.mark.parametrize("known", [None, False])
    @pytest.mark.parametrize(
        ("what", "message"), [("charging", "must be charging"), ("idle", "must be idle")]
    )
    def test_charging_and_idle(self, device: Device, what: str, message: str, known: bool | None) -> None:
        device.repository.publish(fake_model(0.2, 2))
        asked = {what: known, f"require_{what}": True}
        done = device.open().update(MODEL, conditions=Conditions(**asked))  # type: ignore[arg-type]
        assert done.status is UpdateStatus.POSTPONED
        assert message in done.detail
        met = Conditions(**{**asked, what: True})  # type: ignore[arg-type]
        assert device.open().update(MODEL, conditions=met).release == 2

    def test_a_disk_without_room(self, device: Device) -> None:
        class Full(System):
            def free_bytes(self, folder: Path) -> int:
                return 5000

        device.repository.publish(fake_model(0.2, 2))
        client = device.open(system=Full())
        done = client.update(MODEL, conditions=Conditions(min_free_bytes=4500))
        assert done.status is UpdateStatus.POSTPONED
        assert "4500 more are to stay free, and 5000 are free" in done.detail
        assert client.update(MODEL, conditions=Conditions(min_free_bytes=1000)).release == 2

    def test_unmetered_downloads(self, device: Device) -> None:
        device.repository.publish(fake_model(0.2, 2))
        done = device.open().update(MODEL, conditions=Conditions(True, require_unmetered=True))
        assert done.status is UpdateStatus.INSTALLED

    def test_what_is_here_already_needs_no_network(self, device: Device) -> None:
        old = next(iter(device.repository.sealed.values()))
        device.repository.publish(renamed(old, release=2))
        done = device.open().update(MODEL, conditions=Conditions(require_unmetered=True))
        assert (done.status, done.release) == (UpdateStatus.INSTALLED, 2)


class TestPolicies:
    def test_local_asks_nobody(self, device: Device) -> None:
        device.repository.publish(fake_model(0.2, 2))
        device.network.requests.clear()
        done = device.open().update(MODEL, UpdatePolicy.LOCAL)
        assert (done.status, done.release) == (UpdateStatus.LOCAL, 1)
        assert device.network.requests == []

    def test_background_serves_the_old_and_brings_the_new(self, device: Device) -> None:
        new = fake_model(0.2, 2)
        device.repository.publish(new)
        may_answer = threading.Event()

        def slowly() -> object:
            assert may_answer.wait(60)
            return iter([new.served])

        device.repository.files[f"/v1/bundles/{new.sha256}"] = slowly  # type: ignore[assignment]
        client = device.open()
        done = client.update(MODEL, UpdatePolicy.LOCAL_UPDATE_IN_BACKGROUND)
        assert (done.status, done.release) == (UpdateStatus.STARTED, 1)
        old = client.model(MODEL)
        assert old.predict(ROW).release == 1
        may_answer.set()
        assert client.wait()[MODEL].status is UpdateStatus.INSTALLED
        assert client.model(MODEL).predict(ROW).release == 2
        assert old.predict(ROW).release == 1, "what was handed out keeps working"

    def test_requests_for_the_same_are_one(self, device: Device) -> None:
        new = fake_model(0.2, 2)
        device.repository.publish(new)
        asked, may_answer = threading.Event(), threading.Event()

        def slowly() -> object:
            asked.set()
            assert may_answer.wait(60)
            return iter([new.served])

        device.repository.files[f"/v1/bundles/{new.sha256}"] = slowly  # type: ignore[assignment]
        client = device.open()
        before = device.network.requests.count("/metadata/timestamp.json")
        with ThreadPoolExecutor(4) as pool:
            first = pool.submit(client.update, MODEL)
            assert asked.wait(60)
            others = [pool.submit(client.update, MODEL) for _ in range(3)]
            may_answer.set()
            answers = [future.result(60) for future in (first, *others)]
        assert {answer.release for answer in answers} == {2}
        assert device.network.requests.count(f"/v1/bundles/{new.sha256}") == 1
        # At most one more refresh: by those who came after the first had just ended.
        assert device.network.requests.count("/metadata/timestamp.json") - before <= 2

    def test_background_failure_is_told_and_harmless(self, device: Device) -> None:
        new = fake_model(0.2, 2)
        device.repository.publish(new)
        device.repository.files[f"/v1/bundles/{new.sha256}"] = b"x" * len(new.served)
        client = device.open()
        client.update(MODEL, UpdatePolicy.LOCAL_UPDATE_IN_BACKGROUND)
        done = client.wait()[MODEL]
        assert (done.status, done.release) == (UpdateStatus.FAILED, 1)
        assert "other bytes than the signed ones" in client.status()["background"][MODEL]["detail"]


class TestChoosing:
    def test_the_exact_recipe_unless_asked_otherwise(self, device: Device) -> None:
        small, exact = fake_model(0.2, 2, recipe="weight-int8"), fake_model(0.3, 2)
        device.repository.publish(small, exact)
        assert device.open().update(MODEL).release == 2
        assert device.predicts()[1] == pytest.approx(0.2625)
        client = device.open(recipes=("weight-int8",))
        assert client.update(MODEL).status is UpdateStatus.INSTALLED
        assert device.predicts()[1] == pytest.approx(0.175)

    def test_another_channel(self, device: Device) -> None:
        device.repository.publish(fake_model(0.5, 1, channel="beta"))
        client = device.open(channel="beta")
        assert client.update(MODEL).status is UpdateStatus.INSTALLED
        assert device.predicts() == (1, pytest.approx(0.4375))

    def test_unknown_model(self, device: Device) -> None:
        with pytest.raises(NotAvailable, match="no model 'nope' in channel 'stable'; it has focus"):
            device.open().update("nope")


class TestModels:
    def test_loaded_once(self, device: Device) -> None:
        client = device.open()
        assert client.model(MODEL) is client.model(MODEL)

    def test_another_process_updates_under_us(self, device: Device) -> None:
        reader = device.open(server=None)
        assert reader.model(MODEL).release == 1
        device.repository.publish(fake_model(0.2, 2))
        device.open().update(MODEL)
        assert reader.model(MODEL).release == 2

    def test_damaged_bundle_without_a_previous_one(self, device: Device) -> None:
        (device.folder / "blobs" / next(iter(device.repository.sealed.values())).sha256).write_bytes(b"no")
        loads = len(device.engine.loaded)
        with pytest.raises(Exception, match="fetch it again") as caught:
            device.predicts()
        assert type(caught.value).__name__ == "VerificationError"
        assert len(device.engine.loaded) == loads
        assert device.open().update(MODEL).status is UpdateStatus.INSTALLED
        assert device.predicts()[0] == 1

    def test_damaged_bundle_with_a_previous_one(self, device: Device) -> None:
        new = fake_model(0.2, 2)
        device.repository.publish(new)
        device.open().update(MODEL)
        blob = device.folder / "blobs" / new.sha256
        blob.write_bytes(blob.read_bytes()[:-1])
        answer = device.open().model(MODEL).predict(ROW)
        assert (answer.release, answer.reason) == (1, Reason.LAST_KNOWN_GOOD)

    def test_a_stand_in_goes_when_the_bundle_is_whole_again(self, device: Device) -> None:
        new = fake_model(0.2, 2)
        device.repository.publish(new)
        device.open().update(MODEL)
        blob = device.folder / "blobs" / new.sha256
        blob.write_bytes(b"damaged")
        client = device.open(server=None)
        stand_in = client.model(MODEL)
        assert stand_in.predict(ROW).reason is Reason.LAST_KNOWN_GOOD
        loads = len(device.engine.loaded)
        assert client.model(MODEL) is stand_in, "the same bytes are not tried again"
        assert len(device.engine.loaded) == loads
        blob.write_bytes(b"damaged otherwise")
        assert client.model(MODEL).predict(ROW).reason is Reason.LAST_KNOWN_GOOD
        assert device.open().update(MODEL).status is UpdateStatus.INSTALLED
        answer = client.model(MODEL).predict(ROW)
        assert (answer.release, answer.reason) == (2, Reason.FRESH)
        assert client.model(MODEL) is client.model(MODEL)
        assert stand_in.predict(ROW).release == 1, "what was handed out keeps working"

    def test_a_stand_in_goes_when_a_bundle_that_was_gone_is_back(self, device: Device) -> None:
        new = fake_model(0.2, 2)
        device.repository.publish(new)
        client = device.open()
        client.update(MODEL)
        blob = device.folder / "blobs" / new.sha256
        blob.unlink()
        reader = device.open(server=None)
        assert reader.model(MODEL).predict(ROW).reason is Reason.LAST_KNOWN_GOOD
        blob.write_bytes(new.served)
        assert reader.model(MODEL).predict(ROW).reason is Reason.FRESH

    def test_not_installed(self, device: Device) -> None:
        with pytest.raises(NotAvailable, match=r"'nope' is not in .*, which has focus; fetch it first"):
            device.open().model("nope")

    def test_fetched_for_another_engine(self, device: Device) -> None:
        with pytest.raises(InputError, match=r"another engine \(it needs tflite\)"):
            device.open(capabilities=frozenset({"onnx-opset17"})).model(MODEL)

    def test_a_model_of_tensors_runs_and_does_not_predict(self, device: Device) -> None:
        device.repository.publish(sealed_model(fake_payload(2), model="tensors", features=()))
        client = device.open()
        client.update("tensors")
        model = client.model("tensors")
        row = np.ones((1, 3), np.float32)
        assert model.run({"features": row})["probability"].tolist() == [[6.0]]
        with pytest.raises(InputError, match="takes tensors"):
            model.predict(ROW)

    def test_a_closed_client(self, device: Device) -> None:
        client = device.open()
        model = client.model(MODEL)
        client.close()
        client.close()
        with pytest.raises(NotAvailable):
            model.predict(ROW)
        with pytest.raises(NotAvailable, match="this client was closed"):
            client.model(MODEL)


class TestOpening:
    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(NotAvailable, match="holds no models yet; fetch one first"):
            EdgeClient.open(tmp_path / "none")
        assert not (tmp_path / "none").exists()

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"server": "models.example.org"}, "is not a URL"),
            ({"server": "ftp://models.example.org"}, "is not a URL"),
            ({"server": "http://[::1"}, "is not a URL"),
            ({"server": "http://a:99999"}, "is not a URL"),
            ({"channel": "Stable!"}, "channel 'Stable!' is not a name"),
            ({"credential": b"secret"}, "a credential is an AppKey or a DeviceCredential"),
            ({"max_sessions": 4}, "max_sessions must be 1, 2 or 3"),
            ({"engine": "tensorrt", "capabilities": None}, "not known; choose litert, onnxruntime"),
        ],
    )
    def test_wrong_arguments(self, device: Device, options: dict[str, object], message: str) -> None:
        with pytest.raises(InputError, match=message):
            device.open(**options)

    def test_updating_without_a_server(self, device: Device) -> None:
        client = device.open(server=None)
        for attempt in (client.refresh, lambda: client.update(MODEL)):
            with pytest.raises(InputError, match="without a server"):
                attempt()

    @pytest.mark.parametrize("damage", [b"", b"{}", b"\x00" * 100])
    def test_damaged_state(self, device: Device, damage: bytes) -> None:
        for path in (device.folder / "states").iterdir():
            path.write_bytes(damage)
        with pytest.raises(StoreError, match=r"holds no whole state; .* fetch again, nothing else is lost"):
            device.open(root=device.repository.root)

    def test_one_update_at_a_time(self, device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
        from edge_sdk.store import lock

        monkeypatch.setattr(lock, "WAIT_S", 0.0)
        other = device.open()
        with other._cache.updating(), pytest.raises(RetryLater, match="another update"):
            device.open().refresh()
        assert device.open().refresh().status is RefreshStatus.UNCHANGED


def test_what_is_received_passes_through_no_folder_but_the_cache(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda *_, **__: pytest.fail("a file somewhere else"))
    device.repository.publish(fake_model(0.2, 2))
    assert device.open().update(MODEL).release == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_worker_forked_while_a_thread_loads_a_model(device: Device) -> None:
    client = device.open()
    with client._serving._loading:
        child = os.fork()
        if not child:
            signal.alarm(10)
            os._exit(10 + client.model(MODEL).predict(ROW, deadline_ms=60_000).release)
    # 1 would be what the child of a failing test ends with.
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 11


class TestRememberedAnswers:
    def test_off_unless_asked_for(self, device: Device) -> None:
        model = device.open().model(MODEL)
        assert [model.predict(ROW).cached for _ in range(2)] == [False, False]

    def test_another_release_remembers_nothing(self, device: Device) -> None:
        client = device.open(results=ResultCache())
        assert [client.model(MODEL).predict(ROW).cached for _ in range(2)] == [False, True]
        assert client.model(MODEL).counters.snapshot().hit_rate == 0.5
        device.repository.publish(fake_model(0.2, 2))
        assert client.update(MODEL).status is UpdateStatus.INSTALLED
        new = client.model(MODEL).predict(ROW)
        assert (new.release, new.cached, new.values["probability"]) == (2, False, pytest.approx(0.175))
        assert client.model(MODEL).predict(ROW).cached

    def test_an_erase_forgets_them_wherever_the_model_is_held(self, device: Device) -> None:
        client = device.open(results=ResultCache())
        model = client.model(MODEL)
        assert [model.predict(ROW).cached for _ in range(2)] == [False, True]
        client.erase()
        with pytest.raises(PoolClosed):
            model.predict(ROW)
