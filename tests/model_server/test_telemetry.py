"""Telemetry on the server: reports add up once, nothing of who sent them is kept, and a flood is stopped."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from edge_sdk.contract.telemetry import MAX_BYTES, Privacy, Report, Subject, Tally, Window, hour_of
from model_server import rate_limit, telemetry
from model_server.app import create_app
from model_server.rate_limit import RateLimit
from model_server.services import Services
from model_server.settings import Settings
from model_server.telemetry import MOST
from tests.model_server.conftest import MakeServer
from tests.model_server.fleet import FIRST, START, TOKEN, FakeClock
from tests.model_server.test_routes import problem

ADMIN = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def published(server: Services) -> Services:
    server.publisher.publish(FIRST.publication())
    return server


@pytest.fixture
def http(published: Services) -> FlaskClient:
    return create_app(published).test_client()


def subject(services: Services, **changes: Any) -> Subject:
    state = services.repository.current()
    assert state is not None
    entry = state.manifest.artifacts[0].entry
    made = Subject(
        1, "litert", "2.3.0", "android", entry.channel, entry.model, entry.model_version, entry.release
    )
    return replace(made, **changes)


def report(services: Services, number: int, predictions: int = 50, **changes: Any) -> bytes:
    at = {name: changes.pop(name) for name in ("start", "end") if name in changes}
    start = at.get("start", hour_of(START) - timedelta(hours=1))
    histograms = {
        "feature.effort": Counter({3: predictions - 1, 22: 1}),
        "latency.compute": Counter({0: predictions}),
    }
    tally = Tally(
        Counter({"prediction.fresh": predictions, "error.run_failed": 1}),
        changes.pop("histograms", histograms),
    )
    window = Window(subject(services, **changes), start, at.get("end", start + timedelta(hours=1)), tally)
    return Report(window, f"{number:032x}", ("errors",)).to_bytes()


def send(http: FlaskClient, data: bytes) -> TestResponse:
    return http.post("/v1/telemetry", data=data, content_type="application/json")


def sums(http: FlaskClient, query: str = "") -> list[dict[str, Any]]:
    answer = http.get(f"/v1/admin/telemetry{query}", headers=ADMIN)
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.get_json()["telemetry"]
    return found


def test_reports_add_up_and_each_counts_once(http: FlaskClient, published: Services) -> None:
    first, second = report(published, 1), report(published, 2, 70, platform="ios")
    for data in (first, second, first, first):
        answer = send(http, data)
        assert (answer.status_code, answer.get_json()) == (202, {"taken": True})
        assert answer.headers["Cache-Control"] == "no-store"
    (group,) = sums(http)
    told = subject(published)
    assert group == {
        "model": told.model,
        "model_version": told.model_version,
        "release": told.release,
        "channel": told.channel,
        "hour": "2026-03-01T11:00:00Z",
        "counts": {
            "reports": 2,
            "reports.exact": 2,
            "platform.android": 1,
            "platform.ios": 1,
            "alert.errors": 2,
            "prediction.fresh": 120,
            "error.run_failed": 2,
        },
        "histograms": {"feature.effort": [[3, 118], [22, 2]], "latency.compute": [[0, 120]]},
    }
    send(http, report(published, 3, start=hour_of(START) - timedelta(hours=3)))
    assert [group["hour"][11:13] for group in sums(http)] == ["11", "09"]
    assert len(sums(http, f"?model={told.model}")) == 2
    assert sums(http, "?model=other") == []


def test_noise_may_make_sums_negative(http: FlaskClient, published: Services) -> None:
    start = hour_of(START)
    tally = Tally(Counter({"prediction.fresh": -9}), {"feature.effort": Counter({0: -4, 1: 6})})
    window = Window(subject(published), start, start + timedelta(hours=1), tally)
    assert send(http, Report(window, "0" * 32, (), Privacy(1000, 400)).to_bytes()).status_code == 202
    (group,) = sums(http)
    assert group["counts"]["prediction.fresh"] == -9
    assert group["counts"]["reports.private"] == 1
    assert group["histograms"]["feature.effort"] == [[0, -4], [1, 6]]


def test_what_is_refused(http: FlaskClient, published: Services) -> None:
    assert "fewer than 50" in problem(
        send(http, report(published, 1).replace(b":50,", b":49,").replace(b":50}", b":49}")),
        400,
        "bad-request",
    )
    value = json.loads(report(published, 1))
    tracked = json.dumps({**value, "install_id": "8c5f2f1e-6f0e-4c86-9a34-0f6f2b1c9d10"}).encode()
    assert "install_id" in problem(send(http, tracked), 400, "bad-request")
    problem(send(http, b"{"), 400, "bad-request")
    problem(send(http, report(published, 1).ljust(MAX_BYTES + 1)), 413, "too-large")
    for changes in ({"model": "unknown"}, {"release": 99}, {"channel": "beta"}, {"model_version": "9.9.9"}):
        assert "not published here" in problem(send(http, report(published, 1, **changes)), 422, "refused")
    for days in (-46, 1):
        start = hour_of(START) + timedelta(days=days)
        assert "drop it" in problem(send(http, report(published, 1, start=start)), 422, "refused")
    assert http.get("/v1/telemetry").status_code == 405
    assert http.get("/v1/admin/telemetry").status_code == 401
    assert sums(http) == []


def test_before_anything_is_published(server: Services, http: FlaskClient) -> None:
    assert server.telemetry.sums() == []


def test_names_do_not_fill_the_database(
    http: FlaskClient, published: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry, "MAX_SERIES", 10)
    send(http, report(published, 1))
    many = {f"feature.{n}": Counter({1: 1}) for n in range(100)}
    assert send(http, report(published, 2, histograms=many)).status_code == 202
    (group,) = sums(http)
    assert group["counts"]["prediction.fresh"] == 100  # what was there goes on
    names = {*group["counts"], *group["histograms"]}
    assert len(names - telemetry._FIXED) == 10


def test_a_flood_of_names_takes_the_place_of_no_fixed_one(
    http: FlaskClient, published: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry, "MAX_SERIES", 10)
    many = {f"feature.{n}": Counter({1: 1}) for n in range(100)}
    start = hour_of(START) - timedelta(hours=1)
    flood = Window(subject(published), start, start + timedelta(hours=1), Tally(Counter(), many))
    assert send(http, Report(flood, "f" * 32, (), Privacy(1000, 400)).to_bytes()).status_code == 202
    send(http, report(published, 1))
    (group,) = sums(http)
    assert group["counts"]["reports.exact"] == group["counts"]["alert.errors"] == 1
    assert group["counts"]["prediction.fresh"] == 50
    assert group["histograms"]["latency.compute"] == [[0, 50]]


@pytest.mark.parametrize("sign", [1, -1])
def test_sums_do_not_overflow(published: Services, sign: int, monkeypatch: pytest.MonkeyPatch) -> None:
    start = hour_of(START)
    counts = Counter({"prediction.fresh": sign * (2**53 - 1)})
    window = Window(subject(published), start, start + timedelta(hours=1), Tally(counts))
    monkeypatch.setattr(telemetry, "MOST", 2**54)
    for number in range(4):
        data = Report(window, f"{number:032x}", (), Privacy(1000, 400)).to_bytes()
        assert published.telemetry.add(data, START)
    (group,) = published.telemetry.sums()
    assert group["counts"]["prediction.fresh"] == sign * 2**54
    assert MOST + 2**53 < 2**63


def test_keys_are_forgotten_when_such_reports_are_refused(
    http: FlaskClient, published: Services, clock: FakeClock
) -> None:
    data = report(published, 1)
    assert published.telemetry.add(data, clock())
    clock.advance(days=44)
    assert not published.telemetry.add(data, clock())
    clock.advance(days=2)
    problem(send(http, data), 422, "refused")


def test_forgetting_keys_reads_no_others(published: Services) -> None:
    """It is done with every report, and of a large fleet there are millions of keys."""
    with published.catalogue.engine.connect() as connection:
        plan = connection.exec_driver_sql(
            "EXPLAIN QUERY PLAN DELETE FROM telemetry_seen WHERE forget_at < '2026'"
        ).all()
    assert "USING INDEX" in plan[0][-1]


def test_several_at_once(published: Services) -> None:
    data = [report(published, number) for number in range(8)]
    start, added = Barrier(4), list[bool]()

    def run() -> None:
        start.wait()
        added.extend(published.telemetry.add(one, START) for one in data)

    threads = [Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(added) == {True: 8, False: 24}
    (group,) = published.telemetry.sums()
    assert group["counts"]["prediction.fresh"] == 8 * 50


def test_a_flood_is_told_to_wait(make_server: MakeServer) -> None:
    services = make_server(settings=Settings(reports_per_minute=3))
    services.publisher.publish(FIRST.publication())
    http = create_app(services).test_client()
    statuses = [send(http, report(services, number)).status_code for number in range(5)]
    assert statuses == [202, 202, 202, 429, 429]
    answer = send(http, b"{")
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    problem(answer, 429, "too-many-requests")


def test_a_limit_for_each_address_and_each_stretch() -> None:
    now = [0.0]
    limit = RateLimit(2, 60, lambda: now[0], lambda size: b"\1" * size)
    assert [limit.wait_s("192.0.2.1") for _ in range(3)] == [0, 0, 60]
    assert limit.wait_s("192.0.2.2") == 0
    now[0] = 59.0
    assert limit.wait_s("192.0.2.1") == 1
    now[0] = 60.0
    assert limit.wait_s("192.0.2.1") == 0


def test_no_address_is_kept(make_server: MakeServer, tmp_path: Path) -> None:
    """Neither in the database nor in memory: the limit holds counters and a key."""
    address = "203.0.113.77"
    services = make_server()
    services.publisher.publish(FIRST.publication())
    http = create_app(services).test_client()
    for number in range(3):
        http.post("/v1/telemetry", data=report(services, number), environ_base={"REMOTE_ADDR": address})
    assert sums(http)[0]["counts"]["reports"] == 3
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert any(b"prediction.fresh" in data for data in files)  # control: the search finds what is there
    assert not any(address.encode() in data for data in files)
    limit = RateLimit(5, 60)
    limit.wait_s(address)
    kept = {type(value) for value in vars(limit).values()}
    assert str not in kept
    assert len(limit._cells) == rate_limit.CELLS
    assert set(limit._cells) == {0, 1}
