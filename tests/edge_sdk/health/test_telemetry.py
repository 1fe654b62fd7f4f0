"""Telemetry of a client: nothing without consent, each report once, and an erase leaves nothing."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from device_tests.simulator.models import ROW, fake_model
from edge_sdk import (
    Conditions,
    EdgeClient,
    EraseScope,
    InputError,
    PrivacySettings,
    TelemetrySettings,
    UpdatePolicy,
    UploadStatus,
    commands,
)
from edge_sdk.update.control import Cancelled, Control
from tests.edge_sdk.conftest import MODEL, Device
from tests.edge_sdk.health.collecting import Collecting

CANARY = {"effort": 0.73291, "rest": 0.31415, "luck": 0.27182}


@pytest.fixture
def server(device: Device) -> Collecting:
    return Collecting(device.network)


def open_telling(device: Device, server: Collecting, **options: Any) -> EdgeClient:
    return device.open(**{"transport": server, "telemetry": TelemetrySettings(), **options})


def predict(client: EdgeClient, times: int, row: dict[str, float] = ROW) -> None:
    model = client.model(MODEL)
    for _ in range(times):
        model.predict(row, deadline_ms=60_000)


def test_nothing_without_consent(device: Device, server: Collecting) -> None:
    client = device.open(transport=server)
    predict(client, 100)
    with pytest.raises(InputError, match="TelemetrySettings"):
        client.upload_telemetry()
    client.update(MODEL, UpdatePolicy.LOCAL_UPDATE_IN_BACKGROUND)
    client.wait()
    client.close()
    assert server.came == []
    assert not (device.folder / "telemetry").exists()


def test_what_was_counted_is_told_once(device: Device, server: Collecting) -> None:
    client = open_telling(device, server)
    predict(client, 60)
    done = client.upload_telemetry()
    assert (done.status, done.sent, done.refused) == (UploadStatus.DONE, 1, 0)
    (report,) = server.reports
    assert (report.window.predictions, report.window.subject.model, report.window.subject.release) == (
        60,
        MODEL,
        1,
    )
    assert report.window.subject.engine == "fake"
    assert report.window.end - report.window.start == timedelta(hours=1)
    assert client.upload_telemetry().sent == 0
    client.close()
    assert open_telling(device, server).upload_telemetry().sent == 0


def test_few_predictions_wait_for_others_also_of_other_processes(device: Device, server: Collecting) -> None:
    for _ in range(2):
        client = open_telling(device, server)
        predict(client, 20)
        assert client.upload_telemetry().sent == 0
        client.close()
    with device.open(server=None, transport=None) as other:
        (kept,) = other.status()["telemetry"]["kept"]
        assert kept["predictions"] == {"fresh": 40}
    told = commands.status.main(["--cache", str(device.folder)], standalone_mode=False)
    assert told["telemetry"] == {"kept": [kept], "reports": 0, "dropped": {}}
    client = open_telling(device, server)
    predict(client, 10)
    assert client.upload_telemetry().sent == 1
    assert server.predictions == 50
    assert client.status()["telemetry"]["kept"] == []


@pytest.mark.parametrize(("singles", "told"), [(1, False), (49, False), (50, True)])
def test_no_sketch_is_of_a_few_predictions_beside_many_batches(
    device: Device, server: Collecting, singles: int, told: bool
) -> None:
    """A batch is a prediction, and in no sketch: one single prediction beside fifty of them would be told as it was."""
    client = open_telling(device, server)
    columns = {name: [value] for name, value in ROW.items()}
    for _ in range(50):
        client.model(MODEL).predict_batch(columns, deadline_ms=60_000)
    predict(client, singles, CANARY)
    assert client.upload_telemetry().sent == 1
    tally = server.reports[0].window.tally
    assert tally.counts["prediction.fresh"] == 50 + singles
    sketched = {name for name in tally.histograms if not name.startswith("latency.")}
    assert sketched == ({*(f"feature.{name}" for name in ROW), "score.probability"} if told else set())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
@pytest.mark.parametrize("looked", [False, True])
def test_a_forked_worker_tells_what_it_counted_itself(
    device: Device, server: Collecting, looked: bool
) -> None:
    client = open_telling(device, server)
    predict(client, 60)
    if looked:
        client.health()
    with client._health._one:  # as a thread would hold it that uploads
        child = os.fork()
        if not child:
            signal.alarm(10)
            predict(client, 55)
            client.upload_telemetry()
            (report,) = server.reports
            sketched = report.window.tally.histograms["feature.effort"].total()
            os._exit(report.window.predictions if sketched == 55 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 55
    assert client.upload_telemetry().sent == 1
    assert server.predictions == 60


def test_conditions_hold_it_back(device: Device, server: Collecting) -> None:
    client = open_telling(device, server)
    predict(client, 50)
    done = client.upload_telemetry(Conditions(require_unmetered=True))
    assert done.status is UploadStatus.POSTPONED
    assert "unmetered" in done.detail
    assert server.came == []
    assert client.upload_telemetry(Conditions(require_unmetered=True, unmetered=True)).sent == 1


def test_an_update_in_the_background_tells_too(device: Device, server: Collecting) -> None:
    client = open_telling(device, server)
    predict(client, 50)
    client.update(MODEL, UpdatePolicy.LOCAL_UPDATE_IN_BACKGROUND, Conditions(require_unmetered=True))
    client.wait()
    assert server.came == []
    assert client.status()["telemetry"]["latest_upload"].startswith("postponed")
    client.update(MODEL, UpdatePolicy.LOCAL_UPDATE_IN_BACKGROUND)
    client.wait()
    assert server.predictions == 50
    assert client.status()["telemetry"]["latest_upload"] == "done, sent 1"


@pytest.mark.parametrize("broken", [0, 429, 500, 503])
def test_what_passes_is_tried_again_with_the_same_bytes(
    device: Device, server: Collecting, broken: int
) -> None:
    server.answers = [broken, broken]
    client = open_telling(device, server)
    predict(client, 50)
    assert client.upload_telemetry().status is UploadStatus.DONE
    assert len(server.came) == 3
    assert len(set(server.came)) == 1


@pytest.mark.parametrize("broken", [0, 404, 401, 503, 200])
def test_what_stays_is_kept(device: Device, server: Collecting, broken: int) -> None:
    server.answers = [broken] * 4
    client = open_telling(device, server)
    predict(client, 50)
    done = client.upload_telemetry()
    assert done.status is UploadStatus.OFFLINE
    assert done.detail
    client.close()
    again = open_telling(device, server)
    waits = again.status()["telemetry"]
    assert (waits["reports"], [health["predictions"] for health in waits["kept"]]) == (1, [{"fresh": 50}])
    assert again.upload_telemetry().sent == 1
    assert len(set(server.came)) == 1


def test_the_server_says_when(device: Device, server: Collecting) -> None:
    server.answers, server.headers = [429], {"Retry-After": "3600"}
    client = open_telling(device, server)
    predict(client, 50)
    assert client.upload_telemetry().status is UploadStatus.OFFLINE
    assert client.upload_telemetry().status is UploadStatus.POSTPONED
    assert len(server.came) == 1
    device.now += timedelta(seconds=3601)
    assert client.upload_telemetry().sent == 1


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_the_server_refuses_is_dropped(device: Device, server: Collecting, status: int) -> None:
    server.answers = [status]
    client = open_telling(device, server)
    predict(client, 50)
    done = client.upload_telemetry()
    assert (done.status, done.sent, done.refused) == (UploadStatus.DONE, 0, 1)
    assert done.detail.endswith(f"HTTP {status}: because")
    assert client.status()["telemetry"]["dropped"] == {"refused": 1}
    assert client.upload_telemetry().sent == 0


@pytest.mark.parametrize("problem", [b"", b"no JSON", b"[" * 9_999, b'{"detail": 1}', b'["detail"]'])
def test_a_server_that_refuses_and_does_not_say_why(
    device: Device, server: Collecting, problem: bytes
) -> None:
    server.answers, server.problem = [422], problem
    client = open_telling(device, server)
    predict(client, 50)
    done = client.upload_telemetry()
    assert (done.refused, done.detail[-19:]) == (1, "it does not say why")


def test_it_is_cancelled(device: Device, server: Collecting) -> None:
    client, control = open_telling(device, server), Control()
    server.answers, server.meanwhile = [500], control.cancel
    predict(client, 50)
    with pytest.raises(Cancelled):
        client.upload_telemetry(control=control)
    server.meanwhile = lambda: None
    assert client.upload_telemetry().sent == 1
    assert len(set(server.came)) == 1


def test_with_noise(device: Device, server: Collecting) -> None:
    settings = TelemetrySettings(PrivacySettings(epsilon_milli=1000, daily_epsilon_milli=1500))
    client = open_telling(device, server, telemetry=settings)
    predict(client, 5)
    assert client.upload_telemetry().sent == 1
    (report,) = server.reports
    assert report.privacy is not None
    assert report.alerts == ()
    assert report.privacy.epsilon_milli == 1000
    histograms = report.window.tally.histograms
    # Compute, load and queue, three features and a score, and the counts; 100 observations of each, twice.
    assert report.privacy.sensitivity == 2 * 100 * 8
    assert len(histograms["latency.compute"]) > 150  # next to every bin has noise
    predict(client, 5)
    assert client.upload_telemetry().sent == 0  # the day's budget does not allow another
    device.now += timedelta(days=1)
    assert client.upload_telemetry().sent == 1


def everything(folder: Path) -> bytes:
    return b"\n".join(
        str(path).encode() + b"\n" + (path.read_bytes() if path.is_file() else b"")
        for path in folder.rglob("*")
    )


def test_an_erase_leaves_nothing(device: Device, server: Collecting) -> None:
    device.network.online = False
    client = open_telling(device, server)
    predict(client, 60, CANARY)
    client.upload_telemetry()  # offline: a report waits
    predict(client, 20, CANARY)
    client.close()  # and a window
    before = everything(device.folder)
    for canary in (b"telemetry-queued", b"telemetry-window", b"feature.effort", b"score.probability"):
        assert canary in before  # the control of the search
    client = open_telling(device, server)
    predict(client, 60, CANARY)  # and this is in memory only
    client.erase(EraseScope.ALL)
    client.close()
    after = everything(device.folder)
    for canary in (
        b"telemetry-queued",
        b"telemetry-window",
        b"feature.effort",
        b"score.probability",
        b"prediction.",
    ):
        assert canary not in after
    assert sorted(path.name for path in (device.folder / "telemetry").iterdir()) == ["epoch"]
    device.network.online = True
    device.repository.publish(fake_model(0.3, 3))
    with open_telling(device, server) as client:
        client.update(MODEL)
        predict(client, 50)
        assert client.upload_telemetry().sent == 1
    assert server.predictions == 50


def test_no_number_of_a_person_is_ever_written_or_sent(device: Device, server: Collecting) -> None:
    """Neither a feature as it was given, nor what the model said, nor who asked."""
    client = open_telling(device, server)
    predict(client, 60, CANARY)
    answer = client.model(MODEL).predict(CANARY, deadline_ms=60_000).values["probability"]
    install_id = client.status()["install_id"].encode()
    device.network.online = False
    client.upload_telemetry()
    kept = everything(device.folder)
    assert b"feature.effort" in kept
    for value in (*CANARY.values(), answer):
        assert repr(value)[:6].encode() not in kept
    device.network.online = True
    assert client.upload_telemetry().sent == 1
    (sent,) = set(server.came)
    assert b"feature.effort" in sent
    for value in (*CANARY.values(), answer):
        assert repr(value)[:6].encode() not in sent
    assert install_id in kept  # the control: it is in the cache, for the device itself
    assert install_id not in sent


def test_an_erase_by_another_process(device: Device, server: Collecting) -> None:
    """What this one counted before is not told, and what it counts afterwards is."""
    client = open_telling(device, server)
    predict(client, 60)
    other = device.open()
    other.erase()
    other.update(MODEL)
    predict(client, 1)  # it still holds the model
    assert client.upload_telemetry().sent == 0
    predict(client, 50)
    assert client.upload_telemetry().sent == 1
    assert server.predictions == 50


def test_an_erase_breaks_off_an_upload(device: Device, server: Collecting) -> None:
    """Begun while a report is under way; the server does not answer, and nothing is sent again."""
    import threading

    client = open_telling(device, server)
    predict(client, 60)
    under_way, threads = threading.Event(), []

    def meanwhile() -> None:
        threads.append(threading.Thread(target=client.erase))
        threads[-1].start()
        while not client._health._control._cancelled.is_set():
            under_way.wait(0.001)

    server.answers, server.meanwhile = [0], meanwhile
    with pytest.raises(Cancelled):
        client.upload_telemetry()
    for thread in threads:
        thread.join()
    assert len(server.came) == 1
    assert sorted(path.name for path in (device.folder / "telemetry").iterdir()) == ["epoch"]
