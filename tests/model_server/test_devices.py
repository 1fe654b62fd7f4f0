"""Enrolment, leases, revocation and rotation, and what an attacker tries with each."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from edge_sdk.contract import identifiers
from edge_sdk.contract.key_blob import Statement, credential_sha256, origin_of, thumbprint
from edge_sdk.crypto import files
from edge_sdk.crypto.device_key import DeviceKey, open_key_blob
from edge_sdk.crypto.enrolment import enrolment_request
from edge_sdk.errors import FormatError, LeaseExpired, VerificationError
from model_server.app import create_app
from model_server.errors import StateError
from model_server.key_provider import LocalKeyProvider, add_key, load_local
from model_server.services import Services
from model_server.settings import Settings
from tests.model_server import fleet
from tests.model_server.conftest import MakeServer
from tests.model_server.fleet import FIRST, TOKEN, FakeClock

ORIGIN = "https://models.example"
ADMIN = {"Authorization": f"Bearer {TOKEN}"}
BUNDLE = hashlib.sha256(fleet.served_bytes()).hexdigest()
DATA_KEY = hashlib.sha256(b"canary data key").digest()
KEK = hashlib.sha256(b"canary key encryption key").digest()
DIRECTOR = {fleet.DIRECTOR.key_id: fleet.DIRECTOR.public_key}


@pytest.fixture
def server(make_server: MakeServer) -> Services:
    services = make_server(key_provider=LocalKeyProvider([KEK]), settings=Settings(origins=(ORIGIN,)))
    services.publisher.publish(FIRST.publication())
    return services


@pytest.fixture
def http(server: Services) -> FlaskClient:
    return create_app(server).test_client()


def new_token(http: FlaskClient, uses: int = 1, lifetime_s: int = 60) -> str:
    answer = http.post(
        "/v1/admin/enrolment-tokens", json={"uses": uses, "lifetime_s": lifetime_s}, headers=ADMIN
    )
    assert answer.status_code == 201
    return str(answer.get_json()["token"])


class Phone:
    """A device as the protocol page describes it."""

    def __init__(self, clock: FakeClock) -> None:
        self.key, self.clock, self.credential, self.proofs = DeviceKey.generate(), clock, "", 0

    @property
    def thumbprint(self) -> str:
        return thumbprint(self.key.public_key)

    def statement(self, credential: str, **change: Any) -> Statement:
        self.proofs += 1
        nonce = hashlib.sha256(f"{self.thumbprint} {self.proofs}".encode()).digest()[:16]
        made = Statement(ORIGIN, self.key.public_key, credential_sha256(credential), self.clock(), nonce)
        return replace(made, **change)

    def body(
        self, says: Statement, signs: Statement | None = None, key: DeviceKey | None = None
    ) -> dict[str, str]:
        return {
            "origin": says.origin,
            "public_key": base64.b64encode(says.public_key).decode(),
            "issued": identifiers.format_time(says.issued),
            "nonce": base64.b64encode(says.nonce).decode(),
            "signature": base64.b64encode((key or self.key).sign((signs or says).to_bytes())).decode(),
        }

    def enrol(self, http: FlaskClient, credential: str) -> TestResponse:
        answer = send(http, credential, self.body(self.statement(credential)))
        if answer.status_code == 201:
            self.credential = answer.get_json()["credential"]
        return answer

    def ask(self, http: FlaskClient, sha256: str = BUNDLE, **change: str) -> TestResponse:
        asked = {"device": self.thumbprint, "credential": self.credential, **change}
        headers = {"Authorization": f"Bearer {asked['credential']}"}
        return http.post(f"/v1/keys/{sha256}", json={"device": asked["device"]}, headers=headers)


def send(http: FlaskClient, credential: str, body: dict[str, str]) -> TestResponse:
    return http.post("/v1/devices", json=body, headers={"Authorization": f"Bearer {credential}"})


def put_key(http: FlaskClient, key: bytes = DATA_KEY, sha256: str = BUNDLE) -> TestResponse:
    return http.put(
        f"/v1/admin/keys/{sha256}", json={"data_key": base64.b64encode(key).decode()}, headers=ADMIN
    )


def refused(answer: TestResponse, status: int, slug: str) -> str:
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json"), answer.text
    assert answer.get_json()["type"] == f"about:coach-edge/{slug}"
    assert (answer.headers.get("WWW-Authenticate") == "Bearer") == (status == 401)
    return str(answer.get_json()["detail"])


@pytest.fixture
def phone(http: FlaskClient, clock: FakeClock) -> Phone:
    """Enrolled, and the key of the bundle is there."""
    phone = Phone(clock)
    assert phone.enrol(http, new_token(http)).status_code == 201
    assert put_key(http).status_code == 201
    return phone


def test_an_enrolled_device_opens_what_it_gets_and_nobody_else_does(
    http: FlaskClient, phone: Phone, clock: FakeClock
) -> None:
    answer = phone.ask(http)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert open_key_blob(answer.data, DIRECTOR, phone.key, BUNDLE, clock()) == DATA_KEY
    with pytest.raises(VerificationError, match="another device"):
        open_key_blob(answer.data, DIRECTOR, Phone(clock).key, BUNDLE, clock())
    with pytest.raises(LeaseExpired):
        open_key_blob(answer.data, DIRECTOR, phone.key, BUNDLE, clock.advance(days=30))
    assert open_key_blob(phone.ask(http).data, DIRECTOR, phone.key, BUNDLE, clock()) == DATA_KEY


def test_who_gets_no_key(http: FlaskClient, phone: Phone, clock: FakeClock) -> None:
    other = Phone(clock)
    other.enrol(http, new_token(http))
    refused(phone.ask(http, credential="guessed"), 401, "unauthorized")
    refused(phone.ask(http, credential=TOKEN), 401, "unauthorized")
    refused(phone.ask(http, credential=other.credential), 401, "unauthorized")
    refused(phone.ask(http, device=other.thumbprint), 401, "unauthorized")
    refused(phone.ask(http, credential=new_token(http)), 401, "unauthorized")  # a token enrols, no more
    refused(phone.ask(http, device="x"), 400, "bad-request")
    refused(phone.ask(http, BUNDLE.upper()), 400, "bad-request")
    onnx = hashlib.sha256(fleet.served_bytes("onnx")).hexdigest()
    assert "no data key" in refused(phone.ask(http, onnx), 404, "not-found")
    ahead = hashlib.sha256(fleet.served_bytes(seed=2)).hexdigest()
    assert put_key(http, sha256=ahead).status_code == 201
    assert "is published" in refused(phone.ask(http, ahead), 404, "not-found")


def test_a_recalled_bundle_is_lent_no_more_but_under_a_release_that_is_not(
    server: Services, http: FlaskClient, phone: Phone, clock: FakeClock
) -> None:
    def recall(*releases: int) -> None:
        server.publisher.set_directive("stable", "goal", {"recalled": list(releases)})

    recall(1)
    assert "was recalled" in refused(phone.ask(http), 404, "not-found")
    recall()
    assert phone.ask(http).status_code == 200
    recall(1)
    again = fleet.artifact(release=2)  # the same bytes, as after a rollback
    server.publisher.publish(replace(FIRST, version=2, artifacts=(*FIRST.artifacts, again)).publication())
    assert open_key_blob(phone.ask(http).data, DIRECTOR, phone.key, BUNDLE, clock()) == DATA_KEY
    recall(1, 2)
    assert "was recalled" in refused(phone.ask(http), 404, "not-found")


def test_a_revoked_device_gets_no_more_keys_and_cannot_come_back(http: FlaskClient, phone: Phone) -> None:
    (row,) = http.get("/v1/admin/devices", headers=ADMIN).get_json()["devices"]
    assert row == {
        "device_id": row["device_id"], "thumbprint": phone.thumbprint, "revoked_at": None,
        "enrolled_at": "2026-03-01T12:00:00Z",
    }  # fmt: skip
    path = f"/v1/admin/devices/{row['device_id']}"
    assert http.delete(path, headers=ADMIN).get_json()["was_active"] is True
    assert http.delete(path, headers=ADMIN).get_json()["was_active"] is False
    refused(http.delete("/v1/admin/devices/none", headers=ADMIN), 404, "not-found")
    refused(phone.ask(http), 403, "device-revoked")
    token = new_token(http)
    refused(phone.enrol(http, token), 403, "device-revoked")
    refused(phone.enrol(http, phone.credential), 401, "unauthorized")
    phone.key = DeviceKey.generate()
    assert phone.enrol(http, token).status_code == 201  # the refusal had not used up the token
    assert phone.ask(http).status_code == 200


def test_a_new_device_key_takes_the_place_of_the_old(
    http: FlaskClient, phone: Phone, clock: FakeClock
) -> None:
    old = Phone(clock)
    old.key, old.credential = phone.key, phone.credential
    refused(phone.enrol(http, phone.credential), 401, "unauthorized")  # the same key is no new one
    phone.key = DeviceKey.generate()
    assert phone.enrol(http, old.credential).status_code == 201
    refused(old.ask(http), 403, "device-revoked")
    assert open_key_blob(phone.ask(http).data, DIRECTOR, phone.key, BUNDLE, clock()) == DATA_KEY


def test_a_lost_answer_is_asked_for_again(http: FlaskClient, phone: Phone) -> None:
    before = phone.credential
    assert phone.enrol(http, new_token(http)).status_code == 201
    assert phone.ask(http).status_code == 200
    refused(phone.ask(http, credential=before), 401, "unauthorized")
    assert len(http.get("/v1/admin/devices", headers=ADMIN).get_json()["devices"]) == 1


def test_proofs_that_prove_nothing(http: FlaskClient, clock: FakeClock) -> None:
    token, phone, other = new_token(http), Phone(clock), Phone(clock)
    good = phone.statement(token)

    def refuse(says: Statement, detail: str, slug: str = "refused", status: int = 422, **how: Any) -> None:
        assert detail in refused(send(http, token, phone.body(says, **how)), status, slug)

    refuse(good, "not signed by", key=other.key)
    refuse(replace(good, public_key=other.key.public_key), "not signed by")
    refuse(good, "not signed by", signs=replace(good, nonce=bytes(16)))
    refuse(good, "not signed by", signs=replace(good, origin="https://evil.example"))
    refuse(replace(good, origin="https://evil.example"), "this server is https://models.example")
    refuse(good, "not signed by", signs=replace(good, credential_sha256=credential_sha256("mine")))
    refuse(good, "not signed by", signs=replace(good, issued=clock() + timedelta(seconds=1)))
    for minutes in (-6, 6):
        refuse(replace(good, issued=clock() + timedelta(minutes=minutes)), "set the clock")
    refuse(replace(good, public_key=b"\4" + b"\1" * 64), "no point of the curve", "bad-request", 400)
    assert send(http, token, phone.body(good)).status_code == 201  # none of them used up token or proof


def test_a_proof_is_taken_once_however_it_is_signed(http: FlaskClient, clock: FakeClock) -> None:
    token, phone = new_token(http, uses=2), Phone(clock)
    body = phone.body(says := phone.statement(token))
    assert send(http, token, body).status_code == 201
    assert "used before" in refused(send(http, token, body), 422, "refused")
    another = phone.body(says)
    assert another["signature"] != body["signature"]
    assert "used before" in refused(send(http, token, another), 422, "refused")
    clock.advance(minutes=16)
    assert "set the clock" in refused(send(http, token, body), 422, "refused")


def test_tokens_enrol_as_many_as_they_say_while_they_last(http: FlaskClient, clock: FakeClock) -> None:
    token = new_token(http, uses=2)
    assert [Phone(clock).enrol(http, token).status_code for _ in range(3)] == [201, 201, 401]
    late = new_token(http)
    clock.advance(seconds=60)
    refused(Phone(clock).enrol(http, late), 401, "unauthorized")
    refused(Phone(clock).enrol(http, ""), 401, "unauthorized")
    refused(Phone(clock).enrol(http, TOKEN), 401, "unauthorized")


def test_the_admin_routes_want_the_admin_token(http: FlaskClient, phone: Phone) -> None:
    for headers in ({}, {"Authorization": f"Bearer {phone.credential}"}, {"Authorization": f"Basic {TOKEN}"}):
        for method, path in (
            ("POST", "enrolment-tokens"), ("GET", "devices"), ("DELETE", "devices/x"), ("PUT", f"keys/{BUNDLE}"),
        ):  # fmt: skip
            refused(
                http.open(f"/v1/admin/{path}", method=method, json={}, headers=headers), 401, "unauthorized"
            )


def test_a_server_without_a_key_provider_says_so(make_server: MakeServer) -> None:
    http = create_app(make_server()).test_client()
    assert "no keys" in refused(put_key(http), 404, "not-found")


def test_devices_that_enrol_at_the_same_moment(server: Services, http: FlaskClient, clock: FakeClock) -> None:
    token, same = new_token(http, uses=3), Phone(clock)
    phones = [same, same, *(Phone(clock) for _ in range(6))]
    bodies = [phone.body(phone.statement(token)) for phone in phones]
    barrier, statuses = Barrier(len(phones)), []

    def enrol(body: dict[str, str]) -> None:
        client = create_app(server).test_client()
        barrier.wait()
        statuses.append(send(client, token, body).status_code)

    threads = [Thread(target=enrol, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201] * 3 + [401] * 5
    rows = http.get("/v1/admin/devices", headers=ADMIN).get_json()["devices"]
    assert len({row["thumbprint"] for row in rows}) == len(rows)


def test_a_data_key_is_kept_once(http: FlaskClient, phone: Phone, clock: FakeClock) -> None:
    assert put_key(http).status_code == 200
    assert "another data key" in refused(put_key(http, bytes(32)), 422, "refused")
    refused(put_key(http, bytes(31), "0" * 64), 422, "refused")
    assert open_key_blob(phone.ask(http).data, DIRECTOR, phone.key, BUNDLE, clock()) == DATA_KEY


def test_servers_that_start_together_make_one_key_encryption_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it is on the disk before it wraps anything: one that a power cut takes away takes all data keys along."""
    path, synced = tmp_path / "keys" / "kek", list[str]()
    monkeypatch.setattr(files, "sync_folder", lambda folder: synced.append(folder.name))
    start = Barrier(4)

    def random(size: int) -> bytes:
        start.wait(60)
        return os.urandom(size)

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: load_local(path, random).key_id, range(4)))
    assert len(set(made)) == 1
    assert synced == ["keys"] * 4
    assert [each.name for each in path.parent.iterdir()] == ["kek"], "nothing is left beside it"


def test_key_encryption_keys_are_replaced_while_keys_are_handed_out(
    make_server: MakeServer, clock: FakeClock, tmp_path: Path
) -> None:
    path = tmp_path / "keks"
    first = load_local(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_local(path).key_id == first.key_id
    server = make_server(key_provider=first)
    assert server.leasing is not None
    server.leasing.bundle_keys.add(BUNDLE, DATA_KEY, clock())
    second = add_key(path)
    assert second.key_id != first.key_id
    assert path.stat().st_mode & 0o777 == 0o600
    keys = type(server.leasing.bundle_keys)(server.catalogue.engine, second)
    assert keys.get(BUNDLE) == DATA_KEY
    assert (keys.rewrap(), keys.rewrap()) == (1, 0)
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    alone = type(keys)(server.catalogue.engine, load_local(path))
    assert alone.get(BUNDLE) == DATA_KEY
    with pytest.raises(StateError, match="put it back"):
        server.leasing.bundle_keys.get(BUNDLE)


def test_a_wrapped_key_is_of_one_bundle_and_one_kek() -> None:
    provider = LocalKeyProvider([KEK, bytes(32)])
    wrapped = provider.wrap(DATA_KEY, BUNDLE)
    assert provider.unwrap(wrapped, BUNDLE, provider.key_id) == DATA_KEY
    assert provider.wrap(DATA_KEY, BUNDLE) != wrapped
    old = LocalKeyProvider([bytes(32)]).key_id
    flipped = wrapped[:-1] + bytes([wrapped[-1] ^ 1])
    for data, bundle, kek in (
        (wrapped, "0" * 64, provider.key_id), (wrapped, BUNDLE, old), (wrapped, BUNDLE, "kek-none"),
        (flipped, BUNDLE, provider.key_id), (b"", BUNDLE, provider.key_id),
    ):  # fmt: skip
        with pytest.raises(StateError):
            provider.unwrap(data, bundle, kek)


def test_no_secret_is_in_the_database_the_log_or_a_repr(
    server: Services, http: FlaskClient, phone: Phone, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        token = new_token(http, uses=2)
        phone.ask(http)
        phone.ask(http, "0" * 64)
        put_key(http, bytes(32))
    assert server.leasing is not None
    fresh = Phone(phone.clock)
    statement = fresh.statement(token)
    signature = fresh.key.sign(statement.to_bytes())
    enrolled = server.leasing.devices.enrol(statement, signature, token, phone.clock())
    shown = caplog.text + repr(server) + repr(server.leasing) + repr(enrolled) + repr(LocalKeyProvider([KEK]))
    database = b"".join(path.read_bytes() for path in tmp_path.glob("*.sqlite*"))
    assert phone.thumbprint.encode() in database  # the search can find what is there
    for secret in (token, phone.credential, enrolled.credential):
        assert secret not in shown
        assert secret.encode() not in database
    for key in (DATA_KEY, KEK):
        for form in (key, key.hex().encode(), base64.b64encode(key), repr(key).encode()):
            assert form not in database
            assert form not in shown.encode()


@pytest.mark.parametrize(
    ("url", "origin"),
    [("http://127.0.0.1:8765", "http://127.0.0.1:8765"), ("https://Models.Example:443/x/", "https://models.example"),
     ("http://[::1]:80", "http://[::1]")],
)  # fmt: skip
def test_origins(url: str, origin: str) -> None:
    assert origin_of(url) == origin
    with pytest.raises(FormatError):
        origin_of("ftp://" + url)


def test_requests_that_are_none(http: FlaskClient) -> None:
    headers = {"Authorization": "Bearer x"}
    refused(http.post("/v1/devices", headers=headers), 411, "length-required")
    for data in (b"[]", b"{", json.dumps({"origin": 1}).encode()):
        refused(http.post("/v1/devices", data=data, headers=headers), 400, "bad-request")
    refused(http.post("/v1/devices", data=b" " * 10_001, headers=headers), 413, "too-large")


def test_the_request_of_the_sdk_is_taken(http: FlaskClient, clock: FakeClock) -> None:
    token, key = new_token(http), DeviceKey.generate()
    body = enrolment_request(key, ORIGIN + "/", token, clock(), bytes(16))
    answer = http.post("/v1/devices", data=body, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 201
    (row,) = http.get("/v1/admin/devices", headers=ADMIN).get_json()["devices"]
    assert row["thumbprint"] == thumbprint(key.public_key)
