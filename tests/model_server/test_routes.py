"""Every route through Flask's own client: what is served, how it is cached, and how it is refused."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from edge_sdk.contract import framing
from model_server import layout
from model_server.app import create_app
from model_server.errors import StartError, StorageError
from model_server.publication import Publication
from model_server.services import Services
from model_server.settings import Settings
from tests.model_server import fleet
from tests.model_server.conftest import MakeServer
from tests.model_server.fleet import FIRST, SECOND, TOKEN, MemoryStore

AUTHORISED = {"Authorization": f"Bearer {TOKEN}"}
BUNDLE = fleet.served_bytes()
SHA256 = hashlib.sha256(BUNDLE).hexdigest()
IMMUTABLE = "public, max-age=31536000, immutable"


@pytest.fixture
def http(server: Services) -> FlaskClient:
    return create_app(server).test_client()


@pytest.fixture
def published(server: Services, http: FlaskClient) -> FlaskClient:
    server.publisher.publish(FIRST.publication())
    return http


def problem(response: TestResponse, status: int, slug: str) -> str:
    """The detail of a problem document, whose form is checked."""
    assert (response.status_code, response.content_type) == (status, "application/problem+json"), (
        response.text
    )
    assert response.headers["Cache-Control"] == "no-store"
    value = response.get_json()
    assert value.keys() == {"type", "title", "status", "detail"}
    assert (value["type"], value["status"]) == (f"about:coach-edge/{slug}", status)
    assert "Traceback" not in response.text
    return str(value["detail"])


def as_json(publication: Publication, **changes: Any) -> dict[str, Any]:
    return {
        "targets": base64.b64encode(publication.targets).decode(),
        "manifest": base64.b64encode(publication.manifest).decode(),
        "roots": [base64.b64encode(root).decode() for root in publication.roots],
        "base_targets_version": publication.base_version,
        **changes,
    }


# What everybody may read.


def test_before_the_first_publication(http: FlaskClient) -> None:
    for path in ("/metadata/timestamp.json", "/metadata/1.targets.json", "/v1/manifest", "/v1/directives",
                 f"/v1/bundles/{SHA256}", f"/targets/goal/stable/1/{SHA256}.tflite-fp32.bundle"):  # fmt: skip
        problem(http.get(path), 404, "not-found")
    assert http.get("/metadata/1.root.json").data == fleet.make_root()
    assert http.get("/healthz").get_json() == {"status": "alive"}
    assert http.get("/readyz").get_json() == {"status": "ready", "targets_version": 0}


@pytest.mark.parametrize(
    ("path", "cache"),
    [
        ("/metadata/1.root.json", IMMUTABLE), ("/metadata/1.targets.json", IMMUTABLE),
        ("/metadata/1.snapshot.json", IMMUTABLE), ("/metadata/timestamp.json", "no-cache"),
        ("/v1/manifest", "no-cache"), ("/v1/directives", "no-cache"),
    ],
)  # fmt: skip
def test_documents_are_validated_by_their_digest(path: str, cache: str, published: FlaskClient) -> None:
    first = published.get(path)
    assert first.status_code == 200
    etag = f'"{hashlib.sha256(first.data).hexdigest()}"'
    assert (first.headers["ETag"], first.headers["Cache-Control"]) == (etag, cache)
    for value in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        again = published.get(path, headers={"If-None-Match": value})
        assert (again.status_code, again.data) == (304, b"")
        assert (again.headers["ETag"], again.headers["Cache-Control"]) == (etag, cache)
    assert published.get(path, headers={"If-None-Match": '"x"'}).data == first.data
    head = published.head(path)
    assert (head.status_code, head.data, head.content_length) == (200, b"", len(first.data))


def test_documents_are_those_that_were_signed(published: FlaskClient, store: MemoryStore) -> None:
    assert published.get("/metadata/1.targets.json").data == FIRST.targets()
    assert published.get("/v1/manifest").data == FIRST.envelope()
    assert published.get("/v1/directives").data == store.objects[layout.DIRECTIVES]


def test_older_versions_stay_and_newer_ones_are_not_there_yet(
    server: Services, published: FlaskClient
) -> None:
    server.repository.store.put_if_absent(layout.targets_key(2), b"left by an interrupted publication")
    server.repository.store.put_if_absent(layout.snapshot_key(2), b"likewise")
    server.repository.store.put_if_absent(layout.root_key(2), b"likewise")
    for name in ("2.targets.json", "2.snapshot.json", "2.root.json", "3.targets.json"):
        problem(published.get(f"/metadata/{name}"), 404, "not-found")
    server.publisher.publish(SECOND.publication())
    assert published.get("/metadata/1.targets.json").data == FIRST.targets()
    assert published.get("/metadata/2.targets.json").data == SECOND.targets()
    assert published.get("/metadata/3.snapshot.json").status_code == 200


@pytest.mark.parametrize(
    "name",
    ["targets.json", "0.targets.json", "01.targets.json", "-1.root.json", "1.timestamp.json", "1.other.json",
     "directives.json", "..%2fdirectives.json", "1.root.json%00", "timestamp.json.", "9" * 17 + ".root.json"],
)  # fmt: skip
def test_other_names_are_no_metadata(name: str, published: FlaskClient) -> None:
    problem(published.get(f"/metadata/{name}"), 404, "not-found")


def test_bundles_whole_and_their_segment_lists(published: FlaskClient) -> None:
    for path in (f"/v1/bundles/{SHA256}", f"/targets/goal/stable/1/{SHA256}.tflite-fp32.bundle"):
        answer = published.get(path)
        assert (answer.status_code, answer.data) == (200, BUNDLE)
        assert answer.headers["ETag"] == f'"{SHA256}"'
        assert answer.headers["Cache-Control"] == IMMUTABLE
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert answer.content_type == "application/octet-stream"
    segments = framing.segment_list(BUNDLE)
    answer = published.get(f"/v1/bundles/{hashlib.sha256(segments).hexdigest()}")
    assert (answer.data, answer.content_length) == (segments, len(segments))


def test_a_bundle_of_many_pieces(make_server: MakeServer, store: MemoryStore) -> None:
    server = make_server(settings=Settings(piece_bytes=7))
    server.publisher.publish(FIRST.publication())
    http = create_app(server).test_client()
    assert http.get(f"/v1/bundles/{SHA256}").data == BUNDLE
    for start, stop in ((0, 7), (0, 14), (3, 18), (4999, 5000), (13, 4000)):
        part = http.get(f"/v1/bundles/{SHA256}", headers={"Range": f"bytes={start}-{stop - 1}"})
        assert part.data == BUNDLE[start:stop]


@pytest.mark.parametrize(
    ("headers", "status", "start", "stop"),
    [
        ({"Range": "bytes=10-19"}, 206, 10, 20),
        ({"Range": "bytes=4990-"}, 206, 4990, 5000),
        ({"Range": "bytes=-10"}, 206, 4990, 5000),
        ({"Range": "bytes=0-9999"}, 206, 0, 5000),
        ({"Range": "bytes=0-0,5-6"}, 200, 0, 5000),
        ({"Range": "nonsense"}, 200, 0, 5000),
        ({"Range": "bytes=10-19", "If-Range": f'"{SHA256}"'}, 206, 10, 20),
        ({"Range": "bytes=10-19", "If-Range": '"x"'}, 200, 0, 5000),
        ({"Range": "bytes=10-19", "If-Range": f'W/"{SHA256}"'}, 200, 0, 5000),
        ({"Range": "bytes=10-19", "If-Range": "Sun, 01 Mar 2026 12:00:00 GMT"}, 200, 0, 5000),
    ],
)
def test_ranges(headers: dict[str, str], status: int, start: int, stop: int, published: FlaskClient) -> None:
    answer = published.get(f"/v1/bundles/{SHA256}", headers=headers)
    assert (answer.status_code, answer.data) == (status, BUNDLE[start:stop])
    assert answer.content_length == stop - start
    assert answer.headers.get("Content-Range") == (
        f"bytes {start}-{stop - 1}/5000" if status == 206 else None
    )


def test_ranges_that_are_not_there(published: FlaskClient) -> None:
    answer = published.get(f"/v1/bundles/{SHA256}", headers={"Range": "bytes=5000-"})
    assert "5000 bytes" in problem(answer, 416, "range-not-satisfiable")
    assert answer.headers["Content-Range"] == "bytes */5000"


def test_conditions_and_heads_of_bundles(published: FlaskClient) -> None:
    path, known = f"/v1/bundles/{SHA256}", {"If-None-Match": f'"{SHA256}"'}
    answer = published.get(path, headers={**known, "Range": "bytes=0-1"})
    assert (answer.status_code, answer.data) == (304, b"")
    head = published.head(path, headers={"Range": "bytes=0-1"})  # a range is for GET only
    assert (head.status_code, head.data, head.content_length) == (200, b"", 5000)
    assert "Content-Range" not in head.headers


@pytest.mark.parametrize(
    "path",
    [
        "/v1/bundles/" + "0" * 64, "/v1/bundles/x", f"/v1/bundles/{SHA256.upper()}",
        f"/targets/goal/stable/1/{'0' * 64}.tflite-fp32.bundle", "/targets/goal/stable/1/tflite-fp32.bundle",
        f"/targets/goal/stable/1/{SHA256}.onnx-fp32.bundle", f"/targets/{SHA256}.x", "/", "/v1", "/v1/admin/x",
        f"/v1/bundles/{SHA256}/", "/console",
    ],
)  # fmt: skip
def test_what_is_not_there(path: str, published: FlaskClient) -> None:
    problem(published.get(path), 404, "not-found")


def test_uploaded_is_not_yet_published(published: FlaskClient, server: Services) -> None:
    new = hashlib.sha256(fleet.served_bytes(seed=2)).hexdigest()
    manifest = layout.put_object(server.repository.store, b"any object")
    for sha256 in (new, manifest, layout.digest(FIRST.targets())):
        assert server.repository.store.head(layout.object_key(sha256)) is not None
        problem(published.get(f"/v1/bundles/{sha256}"), 404, "not-found")
    server.publisher.publish(SECOND.publication())
    assert published.get(f"/v1/bundles/{new}").status_code == 200


def test_wrong_methods(published: FlaskClient) -> None:
    for method, path in (
        ("POST", "/v1/manifest"),
        ("DELETE", f"/v1/bundles/{SHA256}"),
        ("GET", "/v1/admin/publish"),
    ):
        answer = published.open(path, method=method, headers=AUTHORISED)
        problem(answer, 405, "method-not-allowed")
        assert answer.headers["Allow"]


def test_a_failing_store_is_a_problem_and_not_half_a_body(
    published: FlaskClient, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = store.get

    def fail(key: str, start: int = 0, length: int | None = None) -> bytes:
        if key.startswith("objects/"):
            raise StorageError("the store cannot use it: gone fishing")
        return true(key, start, length)

    monkeypatch.setattr(store, "get", fail)
    assert problem(published.get(f"/v1/bundles/{SHA256}"), 503, "storage-unavailable").endswith(
        "gone fishing"
    )
    problem(published.get("/v1/manifest"), 503, "storage-unavailable")


def test_a_cut_object_is_a_problem(published: FlaskClient, store: MemoryStore) -> None:
    store.objects[layout.object_key(SHA256)] = BUNDLE[:100]
    problem(published.get(f"/v1/bundles/{SHA256}"), 503, "storage-unavailable")


def test_a_damaged_store_is_a_problem(published: FlaskClient, store: MemoryStore) -> None:
    store.objects[layout.TIMESTAMP] = b"{}"
    problem(published.get(f"/v1/bundles/{SHA256}"), 500, "damaged-store")
    problem(published.get("/readyz"), 500, "damaged-store")


def test_a_defect_shows_no_insides(
    published: FlaskClient, server: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect() -> None:
        raise RuntimeError("the secret of the server")

    monkeypatch.setattr(server.repository, "current", defect)
    answer = published.get("/readyz")
    problem(answer, 500, "internal")
    assert "secret" not in answer.text


# What the admin may do.


@pytest.mark.parametrize(
    "value",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x",
     f"Bearer {TOKEN.upper()}", "Bearer \u00e4"],
)  # fmt: skip
def test_without_the_token_nothing_is_done(value: str | None, http: FlaskClient, store: MemoryStore) -> None:
    headers = {} if value is None else {"Authorization": value}
    before = fleet.listing(store)
    data = b"new"
    for method, path, body in (
        ("PUT", f"/v1/admin/objects/{hashlib.sha256(data).hexdigest()}", data),
        ("POST", "/v1/admin/publish", json.dumps(as_json(FIRST.publication())).encode()),
        ("GET", "/v1/admin/releases", None), ("GET", "/v1/admin/directives", None),
        ("PUT", "/v1/admin/directives/stable/goal", b'{"paused":true}'),
    ):  # fmt: skip
        answer = http.open(path, method=method, data=body, headers=headers)
        problem(answer, 401, "unauthorized")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert fleet.listing(store) == before


def test_short_tokens_are_refused(make_server: MakeServer, server: Services) -> None:
    from model_server.services import create_services

    with pytest.raises(StartError, match="at least 16"):
        create_services(
            root=fleet.make_root(),
            keys=fleet.ONLINE,
            store=MemoryStore(),
            catalogue=server.catalogue,
            token="short",
        )
    assert TOKEN not in repr(server)


def test_uploading(http: FlaskClient, store: MemoryStore) -> None:
    data = b"a new object"
    sha256 = hashlib.sha256(data).hexdigest()
    for status in (201, 200):
        answer = http.put(f"/v1/admin/objects/{sha256}", data=data, headers=AUTHORISED)
        assert (answer.status_code, answer.get_json()) == (status, {"sha256": sha256, "length": len(data)})
    assert store.objects[f"objects/{sha256}"] == data


@pytest.mark.parametrize(
    ("sha256", "status", "slug"),
    [("0" * 64, 422, "digest-mismatch"), ("x", 400, "bad-request"), (SHA256.upper(), 400, "bad-request")],
)
def test_wrong_digests(sha256: str, status: int, slug: str, http: FlaskClient, store: MemoryStore) -> None:
    before = fleet.listing(store)
    problem(http.put(f"/v1/admin/objects/{sha256}", data=b"x", headers=AUTHORISED), status, slug)
    assert fleet.listing(store) == before


def test_a_damaged_object_is_noticed_when_it_is_uploaded_again(http: FlaskClient, store: MemoryStore) -> None:
    store.objects[f"objects/{SHA256}"] = b"damaged"
    answer = http.put(f"/v1/admin/objects/{SHA256}", data=BUNDLE, headers=AUTHORISED)
    assert "damaged in the store" in problem(answer, 503, "storage-unavailable")


def test_bodies_have_a_length_and_a_limit(make_server: MakeServer, store: MemoryStore) -> None:
    http = create_app(make_server(settings=Settings(max_body_bytes=10))).test_client()
    before = fleet.listing(store)
    path = f"/v1/admin/objects/{hashlib.sha256(b'x' * 11).hexdigest()}"
    problem(http.put(path, data=b"x" * 11, headers=AUTHORISED), 413, "too-large")
    problem(http.put(path, headers=AUTHORISED), 411, "length-required")
    cut = http.put(path, data=b"xx", headers=AUTHORISED, environ_overrides={"CONTENT_LENGTH": "5"})
    problem(cut, 400, "bad-request")
    assert fleet.listing(store) == before


def test_publishing_over_http(http: FlaskClient) -> None:
    answer = http.post("/v1/admin/publish", json=as_json(FIRST.publication()), headers=AUTHORISED)
    assert (answer.status_code, answer.get_json()) == (
        200,
        {"targets_version": 1, "manifest_sha256": layout.digest(FIRST.envelope()), "directives_version": 1},
    )
    answer = http.post(
        "/v1/admin/publish", json=as_json(SECOND.publication(), ramp_bp=100), headers=AUTHORISED
    )
    assert answer.status_code == 200
    directives = http.get("/v1/admin/directives", headers=AUTHORISED).get_json()
    assert directives["channels"]["stable"]["goal"]["ramp_bp"] == 100
    assert directives["manifest"] == {"version": 2, "sha256": layout.digest(SECOND.envelope())}
    releases = http.get("/v1/admin/releases", headers=AUTHORISED).get_json()["releases"]
    assert [each["release"] for each in releases] == [2, 1]


def test_refusals_and_conflicts_over_http(http: FlaskClient, store: MemoryStore) -> None:
    http.post("/v1/admin/publish", json=as_json(FIRST.publication()), headers=AUTHORISED)
    before = fleet.listing(store)

    def post(value: Any) -> TestResponse:
        return http.post("/v1/admin/publish", json=value, headers=AUTHORISED)

    stale = replace(FIRST, issued=FIRST.issued.replace(second=9)).publication()
    assert "version 1 is published" in problem(post(as_json(stale)), 409, "conflict")
    forged = replace(SECOND, signed_by=("targets-1",)).publication()
    assert "1/2" in problem(post(as_json(forged)), 422, "refused")
    good = as_json(SECOND.publication())
    for changes, status, slug in (
        ({"targets": "!"}, 400, "bad-request"), ({"targets": 1}, 400, "bad-request"),
        ({"roots": "x"}, 400, "bad-request"), ({"roots": [1]}, 422, "refused"),
        ({"base_targets_version": "1"}, 400, "bad-request"), ({"ramp_bp": 10_001}, 422, "refused"),
        ({"ramp": 1}, 422, "refused"),
    ):  # fmt: skip
        problem(post({**good, **changes}), status, slug)
    for name in ("targets", "manifest", "roots", "base_targets_version"):
        problem(post({key: value for key, value in good.items() if key != name}), 400, "bad-request")
    for body in (b"[]", b"{", b'{"targets":"","targets":""}', b"\xff"):
        answer = http.post("/v1/admin/publish", data=body, headers=AUTHORISED)
        problem(answer, 400, "bad-request")
    assert fleet.listing(store) == before


def test_directing_over_http(published: FlaskClient) -> None:
    def put(path: str, value: Any) -> TestResponse:
        return published.put(f"/v1/admin/directives/{path}", json=value, headers=AUTHORISED)

    answer = put("stable/goal", {"paused": True, "ramp_bp": 1234})
    assert answer.status_code == 200
    assert answer.get_json() == {
        "release": 1, "ramp_bp": 1234, "base_release": 0, "paused": True, "recalled": [], "holdout_bp": 0,
        "variants": None, "min_runtime": 1,
    }  # fmt: skip
    problem(put("stable/goal", {"ramp": 1}), 422, "refused")
    problem(put("beta/goal", {"paused": True}), 404, "not-found")
    problem(put("stable/goal", [1]), 400, "bad-request")
