"""What answers when nothing that was fetched does: the baseline in the app, then the declared default."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_tests.simulator.models import ROW, FakeEngine, fake_model, renamed, sealed_model
from device_tests.simulator.repository import Repository
from device_tests.simulator.tflite_writer import dense_tflite
from edge_sdk.client import EdgeClient
from edge_sdk.crypto.sealed_files import write_sealed
from edge_sdk.crypto.sealing import Sealed
from edge_sdk.errors import (
    FormatError,
    InputError,
    NotAvailable,
    RetryLater,
    UpdateRequired,
    VerificationError,
)
from edge_sdk.predict import Reason
from edge_sdk.runtime.engine import RunFailed
from edge_sdk.runtime.engines import engine_named
from edge_sdk.store import Cache
from edge_sdk.update import UpdateStatus
from tests.edge_sdk.conftest import MODEL, Device

FIRST = fake_model(0.1, 1)
SHIPPED = fake_model(0.4, 1)


class Died(BaseException):
    """The process ends."""


class Refusing(FakeEngine):
    """Cannot load the payloads with these weights."""

    def __init__(self, *weights: str, error: BaseException | None = None) -> None:
        super().__init__()
        self._ends = tuple(weight.encode() for weight in weights)
        self._error = error or FormatError("this library cannot")

    def load(self, model: bytes, threads: int = 1) -> Any:
        if model.endswith(self._ends):
            raise self._error
        return super().load(model, threads)


class Together(FakeEngine):
    """Loads nothing before as many want to."""

    def __init__(self, many: int) -> None:
        super().__init__()
        self._gate = threading.Barrier(many)

    def load(self, model: bytes, threads: int = 1) -> Any:
        self._gate.wait(60)
        return super().load(model, threads)


@pytest.fixture
def ship(tmp_path: Path) -> Callable[[Sealed], Path]:
    """Puts a bundle into the app, without the segment list, which no app needs."""

    def put(sealed: Sealed) -> Path:
        path = write_sealed(sealed, tmp_path / "app")
        path.with_name(path.name + ".segments").unlink()
        return path

    return put


@pytest.fixture
def baseline(ship: Callable[[Sealed], Path]) -> Path:
    return ship(SHIPPED)


@pytest.fixture
def fresh(make_device: Callable[[Repository], Device], repository: Repository) -> Device:
    """A device that has fetched nothing yet."""
    repository.publish(fake_model(0.2, 2))
    return make_device(repository)


def answers(client: EdgeClient) -> tuple[str, float]:
    """Reason and probability; a quarter of the weight is the sum of ROW's features, 0.875."""
    made = client.model(MODEL).predict(ROW, deadline_ms=60_000)
    return made.reason.value, round(made.values["probability"] / 0.875, 6)


def blobs(device: Device, *sealed: Sealed) -> None:
    """Damage the bundles in the cache."""
    for one in sealed:
        (device.folder / "blobs" / one.sha256).write_bytes(b"damaged")


class TestBaseline:
    def test_the_first_start_offline_is_answered(self, fresh: Device, baseline: Path) -> None:
        client = fresh.open(server=None, root=fresh.repository.root, baselines=[baseline])
        assert answers(client) == ("baseline", 0.4)
        old = client.model(MODEL).predict(ROW, feature_age_s=1e9)
        assert old.reason is Reason.BASELINE
        assert client.model(MODEL) is client.model(MODEL), "loaded once"
        assert client.status()["models"] == {}
        assert client.status()["baselines"][MODEL]["sha256"] == SHIPPED.sha256

    def test_it_is_never_written_to_the_cache(self, fresh: Device, baseline: Path) -> None:
        answers(fresh.open(server=None, root=fresh.repository.root, baselines=[baseline]))
        stored = [path.read_bytes() for path in fresh.folder.rglob("*") if path.is_file()]
        assert not any(SHIPPED.served[:64] in data for data in stored)

    def test_it_gives_way_to_what_is_installed(self, fresh: Device, baseline: Path) -> None:
        client = fresh.open(root=fresh.repository.root, baselines=[baseline])
        held = client.model(MODEL)
        assert client.update(MODEL).status is UpdateStatus.INSTALLED
        assert answers(client) == ("fresh", 0.2)
        assert held.predict(ROW).reason is Reason.BASELINE, "what was handed out keeps working"
        assert answers(fresh.open(server=None, baselines=[baseline])) == ("fresh", 0.2)

    def test_it_gives_way_to_what_another_process_installs(self, fresh: Device, baseline: Path) -> None:
        reader = fresh.open(server=None, root=fresh.repository.root, baselines=[baseline])
        assert answers(reader) == ("baseline", 0.4)
        fresh.open().update(MODEL)
        assert answers(reader) == ("fresh", 0.2)

    def test_the_release_before_comes_first(self, device: Device, baseline: Path) -> None:
        second = fake_model(0.2, 2)
        device.repository.publish(second)
        device.open().update(MODEL)
        blobs(device, second)
        client = device.open(server=None, baselines=[baseline])
        assert answers(client) == ("last_known_good", 0.1)
        blobs(device, FIRST)
        again = device.open(server=None, baselines=[baseline])
        assert answers(again) == ("baseline", 0.4)
        assert device.open(baselines=[baseline]).update(MODEL).status is UpdateStatus.INSTALLED
        assert answers(again) == ("fresh", 0.2), "whole again"

    def test_where_it_does_not_work_either_both_are_told(self, device: Device, baseline: Path) -> None:
        blobs(device, FIRST)
        client = device.open(server=None, baselines=[baseline], engine=Refusing("0.4"))
        with pytest.raises(
            VerificationError, match=r"fetch it again; nor does the baseline work: this library"
        ):
            client.model(MODEL)

    def test_an_engine_that_is_too_old_for_the_newest(self, device: Device, baseline: Path) -> None:
        client = device.open(
            server=None, baselines=[baseline], engine=Refusing("0.1", error=UpdateRequired("too old"))
        )
        assert answers(client) == ("baseline", 0.4)

    def test_golden_cases_prove_it_here(self, fresh: Device, ship: Callable[[Sealed], Path]) -> None:
        wrong = ship(fake_model(0.4, 1, golden_shift=0.5))
        client = fresh.open(server=None, root=fresh.repository.root, baselines=[wrong])
        with pytest.raises(NotAvailable, match=r"fetch it first; nor does the baseline work: .*golden case"):
            client.model(MODEL)

    def test_one_that_ends_the_process_is_tried_twice(self, fresh: Device, baseline: Path) -> None:
        deadly = Refusing("0.4", error=Died())
        for _ in range(2):
            with pytest.raises(Died):
                fresh.open(
                    server=None, root=fresh.repository.root, baselines=[baseline], engine=deadly
                ).model(MODEL)
        client = fresh.open(server=None, baselines=[baseline], engine=deadly)
        with pytest.raises(NotAvailable, match="it ended the process that loaded it"):
            client.model(MODEL)

    def test_processes_that_start_together_are_not_held_against_it(
        self, fresh: Device, baseline: Path
    ) -> None:
        options: dict[str, Any] = {
            "server": None,
            "root": fresh.repository.root,
            "baselines": [baseline],
            "engine": Together(4),
        }
        clients = [fresh.open(**options) for _ in range(4)]
        with ThreadPoolExecutor(len(clients)) as pool:
            found = list(pool.map(answers, clients))
        assert found == [("baseline", 0.4)] * len(clients)
        assert clients[0].status()["failures"] == {}

    def test_starts_that_go_well_are_not_counted(self, fresh: Device, baseline: Path) -> None:
        for _ in range(4):
            client = fresh.open(server=None, root=fresh.repository.root, baselines=[baseline])
            assert answers(client) == ("baseline", 0.4)
        assert client.status()["failures"] == {}

    def test_a_real_one_is_tried_out_in_a_child_process(
        self, fresh: Device, ship: Callable[[Sealed], Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from edge_sdk.update import proving

        tried = []
        real = proving.try_out
        monkeypatch.setattr(proving, "try_out", lambda *a, **k: tried.append(a[1]) or real(*a, **k))
        path = ship(sealed_model(dense_tflite((3, 4, 1)), engine=_Named()))
        client = fresh.open(
            server=None, root=fresh.repository.root, baselines=[path], engine="litert", capabilities=None
        )
        assert client.model(MODEL).predict(ROW, deadline_ms=60_000).reason is Reason.BASELINE
        assert tried == ["litert"]


class _Named:
    """LiteRT, whose input and output here are named as the simulator's are."""

    name = "litert"

    def load(self, model: bytes, threads: int = 1) -> Any:
        return engine_named("litert").load(model, threads)


class TestRecall:
    def test_recalled_bytes_do_not_come_back_as_the_baseline(
        self, device: Device, ship: Callable[[Sealed], Path]
    ) -> None:
        same = ship(FIRST)
        device.repository.direct(MODEL, recalled=(1,))
        client = device.open(baselines=[same])
        client.refresh()
        for one in (client, device.open(server=None, baselines=[same])):
            with pytest.raises(NotAvailable, match="release 1 was recalled"):
                one.model(MODEL)

    def test_nor_on_a_device_that_never_installed_them(
        self,
        make_device: Callable[[Repository], Device],
        repository: Repository,
        ship: Callable[[Sealed], Path],
    ) -> None:
        """Whatever release the file in the app was built under."""
        repository.publish(FIRST, recalled=(1,))
        device = make_device(repository)
        client = device.open(root=repository.root, baselines=[ship(renamed(FIRST, release=77))])
        assert answers(client) == ("baseline", 0.1), "nothing is known of a recall yet"
        client.refresh()
        with pytest.raises(NotAvailable, match="fetch it first"):
            client.model(MODEL)
        repository.direct(MODEL, recalled=())
        client.refresh()
        assert answers(client) == ("baseline", 0.1), "the recall was lifted"

    def test_another_baseline_stands_in_for_what_was_recalled(self, device: Device, baseline: Path) -> None:
        device.repository.direct(MODEL, recalled=(1,))
        client = device.open(baselines=[baseline])
        assert answers(client) == ("fresh", 0.1)
        client.refresh()
        assert answers(client) == ("baseline", 0.4)

    def test_what_stands_in_is_recalled_while_it_answers(self, device: Device, baseline: Path) -> None:
        second = fake_model(0.2, 2)
        device.repository.publish(second)
        device.open().update(MODEL)
        blobs(device, second)
        client = device.open(baselines=[baseline])
        assert answers(client) == ("last_known_good", 0.1)
        assert client.model(MODEL) is client.model(MODEL), "loaded once"
        device.repository.direct(MODEL, recalled=(1,))
        client.refresh()
        assert answers(client) == ("baseline", 0.4)

    def test_bytes_that_a_later_release_brought_back_are_not_recalled(
        self, device: Device, ship: Callable[[Sealed], Path]
    ) -> None:
        device.repository.publish(renamed(FIRST, release=3), recalled=(1,))
        device.open().refresh()
        assert Cache(device.folder).state().recalled == frozenset()

    def test_an_erase_does_not_forget(self, device: Device, ship: Callable[[Sealed], Path]) -> None:
        device.repository.direct(MODEL, recalled=(1,))
        client = device.open(baselines=[ship(FIRST)])
        client.refresh()
        client.erase()
        with pytest.raises(NotAvailable, match="fetch it first"):
            client.model(MODEL)


class TestDefault:
    """The simulator's records declare a probability of 0.5."""

    def test_a_whole_bundle_whose_model_does_not_load(self, device: Device) -> None:
        client = device.open(server=None, engine=Refusing("0.1"))
        model = client.model(MODEL)
        made = model.predict({"effort": 0.5}, deadline_ms=60_000)
        assert (made.reason, made.values, made.filled) == (
            Reason.FALLBACK,
            {"probability": 0.5},
            ("rest", "luck"),
        )
        assert (made.release, made.model_version) == (1, "1.0.0")
        batch = model.predict_batch({"effort": [0.1, 0.2]})
        assert batch.values["probability"].tolist() == [0.5, 0.5]
        assert batch.reason is Reason.FALLBACK
        with pytest.raises(InputError, match="unknown feature"):
            model.predict({"effrt": 0.5})
        with pytest.raises(RetryLater, match="this library cannot"):
            model.run({"features": np.zeros((1, 3), np.float32)})
        assert model.counters.snapshot().fallbacks == 2
        assert client.model(MODEL) is model, "the same bytes are not tried again"
        model.close()

    def test_the_baseline_comes_first(self, device: Device, baseline: Path) -> None:
        client = device.open(server=None, baselines=[baseline], engine=Refusing("0.1"))
        assert answers(client) == ("baseline", 0.4)

    def test_a_damaged_bundle_declares_nothing(self, device: Device) -> None:
        blobs(device, FIRST)
        with pytest.raises(VerificationError, match="fetch it again"):
            device.open(server=None).model(MODEL)

    def test_one_that_ended_the_process_twice(self, device: Device) -> None:
        cache = Cache(device.folder)
        cache.change(lambda s: replace(s, models={MODEL: replace(s.models[MODEL], confirmed=False)}))
        deadly = Refusing("0.1", error=Died())
        for _ in range(2):
            with pytest.raises(Died):
                device.open(server=None, engine=deadly).model(MODEL)
        client = device.open(server=None, engine=deadly)
        for _ in range(2):
            assert client.model(MODEL).predict(ROW).reason is Reason.FALLBACK
        assert device.open(server=None, engine=deadly).model(MODEL).predict(ROW).reason is Reason.FALLBACK

    def test_nor_does_one_that_was_recalled_after_it_did_not_work_here(self, device: Device) -> None:
        cache = Cache(device.folder)
        cache.change(lambda s: replace(s, models={MODEL: replace(s.models[MODEL], confirmed=False)}))
        deadly = Refusing("0.1", error=Died())
        for _ in range(2):
            with pytest.raises(Died):
                device.open(server=None, engine=deadly).model(MODEL)
        client = device.open(engine=deadly)
        assert answers(client)[0] == "fallback"
        device.repository.direct(MODEL, recalled=(1,))
        client.refresh()
        for each in (client, device.open(engine=deadly)):
            with pytest.raises(NotAvailable, match="release 1 was recalled"):
                each.model(MODEL)

    def test_a_recalled_record_declares_nothing(self, device: Device) -> None:
        device.repository.direct(MODEL, recalled=(1,))
        client = device.open(engine=Refusing("0.1"))
        client.refresh()
        with pytest.raises(NotAvailable, match="release 1 was recalled"):
            client.model(MODEL)

    def test_what_fails_while_it_runs_is_no_reason_for_it(self, device: Device) -> None:
        class Broken(FakeEngine):
            def load(self, model: bytes, threads: int = 1) -> Any:
                session = super().load(model, threads)
                session.run = lambda inputs: 1 / 0  # type: ignore[method-assign,assignment,return-value]
                return session

        with pytest.raises(RunFailed):
            device.open(server=None, engine=Broken()).model(MODEL).predict(ROW)


class TestFiles:
    @pytest.mark.parametrize("missing", [".bundle", ".bundle.entry.json"])
    def test_a_missing_file(self, fresh: Device, baseline: Path, missing: str) -> None:
        baseline.with_name(baseline.name.removesuffix(".bundle") + missing).unlink()
        with pytest.raises(InputError, match=r"baseline .* is missing; ship the bundle and its entry"):
            fresh.open(root=fresh.repository.root, baselines=[baseline])

    def test_two_of_one_model(self, fresh: Device, ship: Callable[[Sealed], Path]) -> None:
        both = [ship(fake_model(0.1, 1)), ship(fake_model(0.2, 2))]
        with pytest.raises(InputError, match="are both baselines of focus"):
            fresh.open(root=fresh.repository.root, baselines=both)

    def test_an_entry_that_is_none(self, fresh: Device, baseline: Path) -> None:
        baseline.with_name(baseline.name + ".entry.json").write_text("{}")
        with pytest.raises(InputError, match="build it again"):
            fresh.open(root=fresh.repository.root, baselines=[baseline])

    def test_no_bundle(self, fresh: Device, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"is not a \.bundle file"):
            fresh.open(root=fresh.repository.root, baselines=[tmp_path / "model.tflite"])

    def test_damage(self, fresh: Device, baseline: Path) -> None:
        data = bytearray(baseline.read_bytes())
        data[len(data) // 2] ^= 1
        baseline.write_bytes(data)
        client = fresh.open(server=None, root=fresh.repository.root, baselines=[baseline])
        with pytest.raises(NotAvailable, match=r"is damaged; ship it with the app"):
            client.model(MODEL)
        baseline.unlink()
        with pytest.raises(NotAvailable, match=r"is gone; ship it with the app"):
            client.model(MODEL)


def test_threads_share_one_baseline(fresh: Device, baseline: Path) -> None:
    client = fresh.open(server=None, root=fresh.repository.root, baselines=[baseline])
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(client.model(MODEL))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len({id(model) for model in found}) == 1
