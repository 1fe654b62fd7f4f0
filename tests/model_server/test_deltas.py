"""Deltas: taken when they save enough, found by what they lead from and to, as long as that is published."""

from __future__ import annotations

import hashlib

import pytest
from flask.testing import FlaskClient

from model_server import layout
from model_server.app import create_app
from model_server.deltas import Deltas
from model_server.errors import Refused
from model_server.services import Services
from tests.model_server import fleet
from tests.model_server.fleet import FIRST, SECOND, MemoryStore
from tests.model_server.test_routes import AUTHORISED, IMMUTABLE, problem

OLD, NEW = (hashlib.sha256(data).hexdigest() for data in (fleet.served_bytes(), fleet.served_bytes(seed=2)))
PATH = f"/v1/deltas/{OLD}/{NEW}"
ADMIN_PATH = f"/v1/admin/deltas/{OLD}/{NEW}"
DELTA = bytes(range(250)) * 4
LARGEST = bytes(3_000)
"""60 % of the 5,000 bytes of a bundle."""


@pytest.fixture
def http(server: Services) -> FlaskClient:
    server.publisher.publish(FIRST.publication())
    return create_app(server).test_client()


def put(http: FlaskClient, data: bytes = DELTA, path: str = ADMIN_PATH) -> int:
    return http.put(path, data=data, headers=AUTHORISED).status_code


def test_a_delta_is_served_once_its_bundle_is_published(http: FlaskClient, server: Services) -> None:
    assert put(http) == 201
    problem(http.get(PATH), 404, "not-found")  # uploaded before the release, as everything that is immutable
    server.publisher.publish(SECOND.publication())
    answer = http.get(PATH)
    assert (answer.status_code, answer.data) == (200, DELTA)
    assert answer.headers["ETag"] == f'"{hashlib.sha256(DELTA).hexdigest()}"'
    assert answer.headers["Cache-Control"] == IMMUTABLE
    head = http.head(PATH)
    assert (head.status_code, head.content_length, head.headers["ETag"]) == (
        200,
        1_000,
        answer.headers["ETag"],
    )
    part = http.get(PATH, headers={"Range": "bytes=990-", "If-Range": answer.headers["ETag"]})
    assert (part.status_code, part.data) == (206, DELTA[990:])


def test_the_first_delta_stays(http: FlaskClient, server: Services) -> None:
    """A publisher who tries again makes other bytes, since salts are fresh; both lead to the same bundle."""
    server.publisher.publish(SECOND.publication())
    assert (put(http), put(http), put(http, DELTA[::-1])) == (201, 200, 200)
    assert http.get(PATH).data == DELTA


def test_at_most_60_percent(http: FlaskClient, server: Services, store: MemoryStore) -> None:
    before = dict(store.objects)
    answer = http.put(ADMIN_PATH, data=LARGEST + b"x", headers=AUTHORISED)
    assert "at most 60% of the 5000" in problem(answer, 422, "refused")
    with pytest.raises(Refused, match="has 0 bytes"):
        Deltas(server.repository).put(OLD, NEW, b"")
    assert store.objects == before
    assert put(http, LARGEST) == 201


@pytest.mark.parametrize("pair", [f"{'0' * 64}/{NEW}", f"{OLD}/{'0' * 64}"])
def test_both_bundles_must_be_there(pair: str, http: FlaskClient) -> None:
    answer = http.put(f"/v1/admin/deltas/{pair}", data=DELTA, headers=AUTHORISED)
    assert "was not uploaded" in problem(answer, 404, "not-found")


def test_wrong_uploads(http: FlaskClient) -> None:
    problem(http.put(ADMIN_PATH, data=DELTA), 401, "unauthorized")
    problem(http.put(f"/v1/admin/deltas/x/{NEW}", data=DELTA, headers=AUTHORISED), 400, "bad-request")
    problem(http.put(f"/v1/admin/deltas/{NEW}/{NEW}", data=DELTA, headers=AUTHORISED), 422, "refused")


@pytest.mark.parametrize(
    "pair", [f"{NEW}/{OLD}", f"{'0' * 64}/{NEW}", f"x/{NEW}", f"{OLD.upper()}/{NEW}", f"{OLD}/x"]
)
def test_what_is_not_there(pair: str, http: FlaskClient, server: Services) -> None:
    assert put(http) == 201
    server.publisher.publish(SECOND.publication())
    problem(http.get(f"/v1/deltas/{pair}"), 404, "not-found")


def test_the_object_comes_before_what_leads_to_it(http: FlaskClient, store: MemoryStore) -> None:
    store.fail_at = len(store.writes) + 1
    assert put(http) == 503
    assert layout.delta_key(OLD, NEW) not in store.objects
    store.fail_at = None
    assert put(http) == 201


def test_a_damaged_index_is_a_problem(http: FlaskClient, server: Services, store: MemoryStore) -> None:
    assert put(http) == 201
    server.publisher.publish(SECOND.publication())
    store.objects[layout.delta_key(OLD, NEW)] = b'{"sha256": "x", "length": 1}'
    problem(http.get(PATH), 503, "storage-unavailable")
