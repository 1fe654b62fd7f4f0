"""Health: what was done is counted by release, and what is wrong is said once there is enough of it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from device_tests.simulator.models import ROW, fake_model
from edge_sdk import Alert, HealthSettings, InputError
from edge_sdk.contract.telemetry import Tally, hour_of
from edge_sdk.health.alerts import alerts_of
from edge_sdk.predict.counters import HIT, MISS
from tests.edge_sdk.conftest import MODEL, Device

PATIENT = {"deadline_ms": 60_000}


def latency(bin_: int, n: int, stage: str = "compute") -> Tally:
    return Tally(Counter({"prediction.fresh": n}), {f"latency.{stage}": Counter({bin_: n})})


SLOW, QUICK = 154, 90  # more than half a second; a millisecond or so


@pytest.mark.parametrize(
    ("tally", "name"),
    [
        (latency(SLOW, 100), "latency"),
        (latency(SLOW, 100, "queue"), "latency"),
        (latency(SLOW, 99), None),
        (latency(QUICK, 1000), None),
        (latency(QUICK, 949).plus(latency(SLOW, 51)), "latency"),
        (latency(QUICK, 951).plus(latency(SLOW, 49)), None),
        (Tally(Counter({"prediction.fresh": 98, "error.broken": 2})), "errors"),
        (Tally(Counter({"prediction.fresh": 99, "error.broken": 1})), None),
        (Tally(Counter({"prediction.fresh": 10, "error.broken": 9})), None),
        (Tally(Counter({"error.busy": 60, "error.refused": 40})), "errors"),
        (Tally(Counter({"result_cache.hit": 69, "result_cache.miss": 31})), "hits"),
        (Tally(Counter({"result_cache.hit": 70, "result_cache.miss": 30})), None),
        (Tally(Counter({"result_cache.miss": 99})), None),
        (Tally(Counter({"feature_cache.miss": 100})), "hits"),
        (Tally(), None),
    ],
)
def test_alerts_of_the_source_with_enough_observations(tally: Tally, name: str | None) -> None:
    found = alerts_of(MODEL, 1, tally, HealthSettings())
    assert [alert.name for alert in found] == ([name] if name else [])


def test_thresholds_can_be_others() -> None:
    settings = HealthSettings(latency_ms=2000, min_observations=5)
    assert alerts_of(MODEL, 1, latency(SLOW, 100), settings) == ()
    (alert,) = alerts_of(MODEL, 1, Tally(Counter({"error.busy": 5})), settings)
    assert alert == Alert("errors", MODEL, 1, "predictions", 1.0, 0.01, 5)
    for wrong in ({"latency_ms": 0}, {"error_rate": 1.1}, {"hit_rate": -1}, {"min_observations": 0}):
        with pytest.raises(InputError, match="thresholds"):
            HealthSettings(**wrong)  # type: ignore[arg-type]


def test_what_a_client_did(device: Device) -> None:
    client = device.open()
    assert client.health() == ()
    model = client.model(MODEL)
    for _ in range(20):
        model.predict(ROW, **PATIENT)
    model.predict(ROW, feature_age_s=1e9, **PATIENT)
    model.predict_batch({"effort": [0.1, 0.2]}, **PATIENT)
    with pytest.raises(InputError):
        model.predict({"nobody": 1.0})
    for event in (HIT, HIT, MISS):
        model.counters.count(event)
    (health,) = client.health()
    assert (health.model, health.model_version, health.release) == (MODEL, "1.0.0", 1)
    assert health.predictions == {
        "fresh": 23,
        "stale_features": 1,
    }  # 20, a batch, and two from the result cache
    assert health.errors == {"refused": 1}
    assert health.caches == {"result_cache.hit": 2, "result_cache.miss": 1}
    assert health.alerts == ()  # too few to say
    for stage in ("load", "queue", "compute"):
        quantiles = health.latency[stage]
        assert quantiles.p50 is not None
        assert quantiles.p99 is not None
        assert 0 < quantiles.p50 <= quantiles.p99 < 60_000
    assert client.health() == (health,)  # looking changes nothing
    assert client.status()["health"][0]["predictions"] == {"fresh": 23, "stale_features": 1}


def test_releases_are_told_apart_and_what_was_replaced_is_not_lost(device: Device) -> None:
    client = device.open()
    client.model(MODEL).predict(ROW, **PATIENT)
    device.repository.publish(fake_model(0.2, 2))
    client.update(MODEL)
    for _ in range(2):
        client.model(MODEL).predict(ROW, **PATIENT)
    assert {h.release: h.predictions.get("fresh") for h in client.health()} == {1: 1, 2: 2}
    assert {h.release: h.predictions.get("fresh") for h in client.health()} == {1: 1, 2: 2}


def test_alerts_are_called_once(device: Device) -> None:
    told: list[Alert] = []
    client = device.open(health=HealthSettings(min_observations=10, on_alert=told.append))
    model = client.model(MODEL)
    for _ in range(10):
        with pytest.raises(InputError):
            model.predict({"nobody": 1.0})
    assert told == []  # not from a thread that predicts
    (health,) = client.health()
    assert told == list(health.alerts)
    assert [(alert.name, alert.value, alert.observations) for alert in told] == [("errors", 1.0, 10)]
    client.health()
    client.close()
    assert len(told) == 1


def test_windows_end_with_whole_hours_whatever_the_clock_does(device: Device) -> None:
    device.now = hour_of(device.now) + timedelta(minutes=5)
    client = device.open()
    client.model(MODEL).predict(ROW, **PATIENT)
    device.now += timedelta(hours=3, minutes=7)
    monitor = client._health.monitor
    (window,) = monitor.cut()
    assert window.end - window.start == timedelta(hours=4)
    assert window.start <= device.now - timedelta(hours=3, minutes=7)
    assert monitor.cut() == []
    for jump in (timedelta(days=-400), timedelta(days=900)):
        client.model(MODEL).predict(ROW, **PATIENT)
        device.now += jump
        (window,) = monitor.cut()
        assert timedelta(0) < window.end - window.start <= timedelta(days=31)
    assert window.tally.counts == {"prediction.fresh": 1}
    assert set(window.tally.histograms) == {
        "feature.effort", "feature.rest", "feature.luck", "score.probability", "latency.queue", "latency.compute",
    }  # fmt: skip


def test_beyond_the_last_edge_status_is_json_still(device: Device) -> None:
    client = device.open(health=HealthSettings(min_observations=1))
    client.model(MODEL).counters.count((10, 1 << 40))
    (health,) = client.status()["health"]
    assert '"p99": 17179.869184' in json.dumps(health, allow_nan=False)
    assert [alert["value"] for alert in health["alerts"]] == [17179.869184]


def test_sketches_hold_bins_and_no_values(device: Device) -> None:
    client = device.open()
    model = client.model(MODEL)
    model.predict({"effort": 0.51, "rest": 2.0}, **PATIENT)
    model.predict({"effort": 0.52, "rest": -1.0}, **PATIENT)
    (window,) = client._health.monitor.cut()
    histograms = window.tally.histograms
    assert histograms["feature.effort"] == {10: 2}
    assert histograms["feature.rest"] == {21: 1, 20: 1}
    assert histograms["feature.luck"] == {22: 2}
    assert histograms["score.probability"].total() == 2
    assert replace(window, tally=Tally()) != window
