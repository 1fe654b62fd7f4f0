"""From staged to active and back: what does not work here, what kills a process, what was recalled."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest

from device_tests.simulator.models import ROW, FakeEngine, fake_model, renamed
from edge_sdk.client import EdgeClient
from edge_sdk.errors import NotAvailable, RetryLater, StoreError, VerificationError
from edge_sdk.runtime.trial import ModelCrashed
from edge_sdk.store import Cache, State, trying
from edge_sdk.store.state import ENDED
from edge_sdk.update import UpdateStatus, installing
from tests.edge_sdk.conftest import MODEL, Device

BAD = fake_model(0.2, 2, golden_shift=0.5)


class Died(BaseException):
    """The process ends; nothing catches it."""


class Deadly(FakeEngine):
    """Ends the process that loads the model of release 2."""

    def load(self, model: bytes, threads: int = 1) -> Any:
        if model.endswith(b"0.2"):
            raise Died
        return super().load(model, threads)


def state(device: Device) -> State:
    return State.from_bytes(device.state)


class TestQuarantine:
    def test_after_two_failures_a_bundle_is_never_tried_again(self, device: Device) -> None:
        device.repository.publish(BAD)
        client = device.open()
        for _ in range(2):
            with pytest.raises(VerificationError, match="golden case"):
                client.update(MODEL)
        asked = device.network.requests.count(f"/v1/bundles/{BAD.sha256}")
        done = client.update(MODEL)
        assert (done.status, done.release) == (UpdateStatus.WITHHELD, 1)
        assert "release 2 does not work on this device: " in done.detail
        assert "golden case" in done.detail
        assert device.network.requests.count(f"/v1/bundles/{BAD.sha256}") == asked
        failure = client.status()["failures"][BAD.sha256]
        assert (failure["times"], failure["quarantined"]) == (2, True)

    def test_the_next_release_is_tried(self, device: Device) -> None:
        device.repository.publish(BAD)
        client = device.open()
        for _ in range(2):
            with pytest.raises(VerificationError):
                client.update(MODEL)
        device.repository.publish(fake_model(0.3, 3))
        assert client.update(MODEL).release == 3
        assert device.predicts() == (3, pytest.approx(0.2625))

    def test_what_ends_the_process_while_it_is_installed_is_tried_twice(self, device: Device) -> None:
        device.repository.publish(fake_model(0.2, 2))
        for _ in range(2):
            with pytest.raises(Died):
                device.open(engine=Deadly()).update(MODEL)
        done = device.open(engine=Deadly()).update(MODEL)
        assert (done.status, done.release) == (UpdateStatus.WITHHELD, 1)
        assert ENDED in done.detail
        assert device.predicts() == (1, pytest.approx(0.0875))

    def test_what_the_child_process_finds_counts_and_that_this_one_ends_meanwhile_does_not(
        self, device: Device, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ends: list[BaseException] = [Died(), Died(), Died(), ModelCrashed("it died"), ModelCrashed("it died")]

        def trial(*_: object) -> None:
            raise ends.pop(0)

        monkeypatch.setattr(installing, "prove_apart", trial)
        device.repository.publish(fake_model(0.2, 2))
        for _ in range(3):
            with pytest.raises(Died):
                device.open().update(MODEL)
            assert state(device).failures == {}
        for times in (1, 2):
            with pytest.raises(ModelCrashed):
                device.open().update(MODEL)
            assert [failure.times for failure in state(device).failures.values()] == [times]
        assert device.open().update(MODEL).status is UpdateStatus.WITHHELD

    @pytest.mark.parametrize(
        "error", [StoreError("a full disk"), RetryLater("others were quicker"), OSError()]
    )
    def test_what_the_model_has_no_part_in_does_not_count(
        self, device: Device, error: Exception, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def flip(*_: object) -> None:
            raise error

        device.repository.publish(fake_model(0.2, 2))
        with monkeypatch.context() as patch:
            patch.setattr(installing, "_installing", flip)
            for _ in range(3):
                with pytest.raises(type(error)):
                    device.open().update(MODEL)
                assert state(device).failures == {}
        assert device.open().update(MODEL).release == 2

    def test_a_success_forgets_the_failure_before_it(self, device: Device) -> None:
        device.repository.publish(fake_model(0.2, 2))
        with pytest.raises(Died):
            device.open(engine=Deadly()).update(MODEL)
        assert device.open().update(MODEL).release == 2
        assert state(device).failures == {}


class TestFirstLoad:
    """Of a bundle that became active without having answered in a process of the app."""

    @pytest.fixture
    def staged(self, device: Device) -> Device:
        device.repository.publish(fake_model(0.2, 2))
        device.open().update(MODEL)
        cache = Cache(device.folder)
        cache.change(lambda s: replace(s, models={MODEL: replace(s.models[MODEL], confirmed=False)}))
        return device

    def test_one_that_ends_the_process_gives_way_after_two_starts(self, staged: Device) -> None:
        for _ in range(2):
            with pytest.raises(Died):
                staged.open(server=None, engine=Deadly()).model(MODEL)
        client = staged.open(server=None, engine=Deadly())
        answer = client.model(MODEL).predict(ROW)
        assert (answer.release, answer.reason.value) == (1, "last_known_good")
        assert staged.predicts()[0] == 1
        assert staged.open().update(MODEL).status is UpdateStatus.WITHHELD

    def test_without_the_mark_it_would_go_on_for_ever(
        self, staged: Device, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The control."""
        monkeypatch.setattr(trying, "trying", lambda cache, artifact: nullcontext())
        for _ in range(4):
            with pytest.raises(Died):
                staged.open(server=None, engine=Deadly()).model(MODEL)

    def test_one_that_answers_is_confirmed_and_not_marked_again(self, staged: Device) -> None:
        assert staged.predicts()[0] == 2
        confirmed = staged.state
        assert state(staged).models[MODEL].confirmed
        assert staged.predicts()[0] == 2
        assert staged.state == confirmed


class TestRecall:
    @pytest.fixture
    def second(self, device: Device) -> Device:
        device.repository.publish(fake_model(0.2, 2))
        device.open().update(MODEL)
        return device

    def test_the_one_before_stands_in_without_a_download(self, second: Device) -> None:
        second.repository.direct(MODEL, recalled=(2,))
        asked = len(second.network.requests)
        client = second.open()
        client.refresh()
        assert client.model(MODEL).predict(ROW).release == 1
        assert not [path for path in second.network.requests[asked:] if "bundles" in path]
        assert second.predicts() == (1, pytest.approx(0.0875))
        assert state(second).marks.release(MODEL, "stable") == 2

    def test_a_model_in_use_gives_way_too(self, second: Device) -> None:
        client = second.open()
        assert client.model(MODEL).predict(ROW).release == 2
        second.repository.direct(MODEL, recalled=(2,))
        client.refresh()
        assert client.model(MODEL).predict(ROW).release == 1

    def test_where_all_are_recalled_nothing_predicts_and_a_lifted_recall_brings_it_back(
        self, second: Device
    ) -> None:
        second.repository.direct(MODEL, recalled=(1, 2))
        client = second.open()
        client.refresh()
        with pytest.raises(NotAvailable, match=r"must not be used .*release 2 was recalled"):
            client.model(MODEL)
        assert client.status()["models"][MODEL]["active"] is None
        assert client.update(MODEL).status is UpdateStatus.WITHHELD
        second.repository.direct(MODEL, recalled=())
        client.refresh()
        assert client.model(MODEL).predict(ROW).release == 2

    def test_a_higher_release_replaces_what_was_recalled(self, second: Device) -> None:
        second.repository.direct(MODEL, recalled=(1, 2))
        client = second.open()
        client.refresh()
        second.repository.publish(fake_model(0.3, 3), recalled=(1, 2))
        assert client.update(MODEL).release == 3
        assert state(second).models[MODEL].previous is None, "what was recalled must not stand in"

    def test_what_was_recalled_never_stands_in(self, second: Device) -> None:
        second.repository.direct(MODEL, recalled=(1,))
        second.open().refresh()
        assert state(second).models[MODEL].previous is None
        assert second.predicts()[0] == 2

    def test_a_pause_takes_nothing_back(self, second: Device) -> None:
        second.repository.direct(MODEL, paused=True)
        client = second.open()
        client.refresh()
        assert client.model(MODEL).predict(ROW).release == 2


def test_a_rollback_downloads_nothing(device: Device) -> None:
    """A higher release that names the old bytes."""
    old = device.repository.sealed[f"{MODEL}/stable/1/tflite-fp32.bundle"]
    device.repository.publish(fake_model(0.2, 2))
    client: EdgeClient = device.open()
    assert client.update(MODEL).release == 2
    again = renamed(old, release=3)
    device.repository.publish(again)
    asked = len(device.network.requests)
    assert client.update(MODEL).release == 3
    assert not [path for path in device.network.requests[asked:] if "bundles" in path]
    assert device.predicts() == (3, pytest.approx(0.0875))
