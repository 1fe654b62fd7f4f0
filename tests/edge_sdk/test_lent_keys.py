"""The tier device-key: keys that are lent to an enrolled device, renewed in time, and given back."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from device_tests.simulator.models import ROW, fake_model, renamed
from device_tests.simulator.repository import Repository, key_id
from edge_sdk import (
    AppKey,
    DeviceCredential,
    EdgeClient,
    InputError,
    LeaseExpired,
    NotAvailable,
    Reason,
    UpdateStatus,
    VerificationError,
)
from edge_sdk.contract import key_blob
from edge_sdk.contract.identifiers import format_time
from edge_sdk.contract.key_blob import thumbprint
from edge_sdk.contract.manifest import Director
from edge_sdk.crypto import dsse, keyfiles
from edge_sdk.crypto.data_key import DataKey
from edge_sdk.crypto.device_key import DeviceKey
from edge_sdk.crypto.sealing import Sealed
from edge_sdk.keyring import Loan
from tests.edge_sdk.conftest import MODEL, Device


def lent_model(repository: Repository, weight: float, release: int) -> Sealed:
    """A model of the tier, whose key the server has."""
    key = DataKey.fresh()
    sealed = fake_model(weight, release, data_key=key)
    repository.key_server.keys[sealed.sha256] = key.secret
    return sealed


class Phone:
    """An enrolled device whose client is opened anew for each question, as after a restart of the app."""

    def __init__(self, device: Device) -> None:
        self.device, self.repository = device, device.repository
        self.server = device.repository.key_server
        self.credential = self.server.enrolled()

    def client(self, **options: Any) -> EdgeClient:
        return self.device.open(**{"root": self.repository.root, "credential": self.credential, **options})

    def predicts(self, **options: Any) -> tuple[int, Reason]:
        """Release and reason of an answer, without any network."""
        client = self.client(server=None, transport=None, **options)
        answer = client.model(MODEL).predict(ROW, deadline_ms=60_000)
        return answer.release, answer.reason

    def pass_days(self, days: float) -> None:
        self.device.now = self.repository.live(days)

    @property
    def kept(self) -> dict[str, bytes]:
        """What lies in ``keys/``."""
        folder = self.device.folder / "keys"
        return {path.name: path.read_bytes() for path in folder.glob("*")}


@pytest.fixture
def phone(make_device: Callable[[Repository], Device], repository: Repository) -> Phone:
    """Release 1 is installed, with a lease of 30 days."""
    phone = Phone(make_device(repository))
    repository.publish(lent_model(repository, 0.1, 1))
    assert phone.client().update(MODEL).status is UpdateStatus.INSTALLED
    return phone


def two_releases(phone: Phone, days: float = 10) -> tuple[Sealed, Sealed]:
    """Release 2 became active some days later; each has its own lease."""
    (first,) = phone.repository.sealed.values()
    phone.pass_days(days)
    second = lent_model(phone.repository, 0.2, 2)
    phone.repository.publish(second)
    assert phone.client().update(MODEL).release == 2
    return first, second


def test_an_installed_model_predicts_offline_while_its_lease_lasts(phone: Phone) -> None:
    assert phone.predicts() == (1, Reason.FRESH)
    phone.device.now += timedelta(days=29, hours=23)
    assert phone.predicts() == (1, Reason.FRESH)
    status = phone.client().status()["models"][MODEL]["active"]
    assert status["lease_ends"] == format_time(phone.repository.now + timedelta(days=30))
    phone.device.now += timedelta(hours=1)
    with pytest.raises(LeaseExpired, match="go online to renew it"):
        phone.predicts()


def test_a_model_in_memory_is_not_handed_out_beyond_its_lease(phone: Phone) -> None:
    client = phone.client()
    held = client.model(MODEL)
    phone.device.now += timedelta(days=30)
    with pytest.raises(LeaseExpired):
        client.model(MODEL)
    phone.pass_days(30)
    assert client.refresh().not_renewed == ()
    assert client.model(MODEL) is not held
    assert client.model(MODEL) is client.model(MODEL)


def test_the_model_that_an_update_proved_is_served_to_its_lease_only(phone: Phone) -> None:
    phone.repository.publish(lent_model(phone.repository, 0.2, 2))
    client = phone.client()
    assert client.update(MODEL).release == 2
    assert client.model(MODEL).release == 2
    phone.device.now += timedelta(days=30)
    with pytest.raises(LeaseExpired):
        client.model(MODEL)


def test_a_clock_set_back_extends_no_lease(phone: Phone) -> None:
    phone.pass_days(29)
    phone.server.revoked.add(phone.credential.text)
    phone.client().refresh()
    phone.device.now -= timedelta(days=20)
    assert phone.predicts() == (1, Reason.FRESH)
    phone.pass_days(1)
    phone.client().refresh()
    phone.device.now -= timedelta(days=20)
    with pytest.raises(LeaseExpired):
        phone.predicts()


def test_the_previous_release_stands_in_while_its_own_lease_holds(phone: Phone) -> None:
    first, second = two_releases(phone, days=20)  # the update renewed release 1, being past its half
    assert len(phone.kept) == 2
    phone.server.withdrawn.add(second.sha256)
    phone.pass_days(20)
    (line,) = phone.client().refresh().not_renewed  # release 1 is renewed, release 2 is not
    assert second.sha256 in line
    phone.device.now += timedelta(days=10)
    assert phone.predicts() == (1, Reason.LAST_KNOWN_GOOD)
    client = phone.client()
    assert client.model(MODEL) is client.model(MODEL)
    phone.server.withdrawn.clear()
    phone.device.now = phone.repository.live(10)
    assert client.refresh().not_renewed == ()
    assert client.model(MODEL).release == 2  # the stand-in goes when a key lies there again
    phone.device.now += timedelta(days=30)
    with pytest.raises(LeaseExpired, match="/2/"):
        phone.predicts()
    assert first.sha256 in phone.kept


def test_a_lease_is_renewed_at_its_half_when_nothing_else_is_new(phone: Phone) -> None:
    before = phone.kept
    phone.pass_days(14.9)
    phone.client().refresh()
    assert phone.kept == before
    assert len(phone.server.asked) == 1
    phone.pass_days(0.2)
    done = phone.client().update(MODEL)
    assert (done.status, done.not_renewed) == (UpdateStatus.CURRENT, ())
    assert phone.kept != before
    assert len(phone.server.asked) == 2
    phone.device.now += timedelta(days=29)
    assert phone.predicts() == (1, Reason.FRESH)


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503, 511])
def test_a_failure_to_renew_is_told_and_no_failure_of_the_refresh(phone: Phone, status: int) -> None:
    before = phone.kept
    phone.pass_days(20)
    phone.device.network.status[f"/v1/keys/{next(iter(before))}"] = status
    client = phone.client()
    refreshed = client.refresh()
    assert refreshed.status.value == "updated"
    (line,) = refreshed.not_renewed
    assert str(status) in line
    assert client.status()["not_renewed"] == [line]
    done = client.update(MODEL)
    assert (done.status, done.release, len(done.not_renewed)) == (UpdateStatus.CURRENT, 1, 1)
    assert phone.kept == before
    assert phone.predicts() == (1, Reason.FRESH)
    phone.device.network.status.clear()
    assert client.refresh().not_renewed == ()
    assert client.status()["not_renewed"] == []


def test_a_revoked_device_runs_to_the_end_of_its_lease_and_gets_nothing_new(phone: Phone) -> None:
    phone.server.revoked.add(phone.credential.text)
    phone.repository.publish(lent_model(phone.repository, 0.2, 2))
    before = phone.device.network.requests.copy()
    with pytest.raises(NotAvailable, match="revoked"):
        phone.client().update(MODEL)
    new = phone.device.network.requests[len(before) :]
    assert not [path for path in new if path.startswith("/v1/bundles/")]  # who gets no key downloads nothing
    assert phone.predicts() == (1, Reason.FRESH)
    phone.pass_days(20)
    assert "revoked" in phone.client().refresh().not_renewed[0]
    assert phone.predicts() == (1, Reason.FRESH)
    phone.device.now += timedelta(days=10)
    with pytest.raises(LeaseExpired):
        phone.predicts()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_lends_later(phone: Phone, status: int) -> None:
    second = lent_model(phone.repository, 0.2, 2)
    phone.repository.publish(second)
    phone.device.network.status[f"/v1/keys/{second.sha256}"] = status
    done = phone.client().update(MODEL)
    assert (done.status, done.release) == (UpdateStatus.OFFLINE, 1)
    assert phone.predicts() == (1, Reason.FRESH)
    phone.device.network.status.clear()
    assert phone.client().update(MODEL).release == 2


def test_a_download_that_broke_off_goes_on_with_the_key_that_it_has(phone: Phone) -> None:
    second = lent_model(phone.repository, 0.2, 2)
    phone.repository.publish(second)
    phone.device.network.status[f"/v1/bundles/{second.sha256}"] = 503
    assert phone.client().update(MODEL).release == 1
    assert set(phone.kept) == {*phone.server.asked}
    phone.device.network.status.clear()
    assert phone.client().update(MODEL).release == 2
    assert phone.server.asked.count(second.sha256) == 1


def test_a_release_recalled_while_the_device_is_offline_ends_with_its_lease(phone: Phone) -> None:
    """The server renews no recalled release (see the server's tests); the device need never hear of the recall."""
    (sealed,) = phone.repository.sealed.values()
    phone.repository.direct(MODEL, recalled=(1,))
    phone.server.withdrawn.add(sealed.sha256)
    phone.device.network.online = False
    phone.device.now += timedelta(days=29)
    assert phone.client().refresh().status.value == "offline"
    assert phone.predicts() == (1, Reason.FRESH)
    phone.device.now += timedelta(days=1)
    with pytest.raises(LeaseExpired):
        phone.predicts()


def test_a_recalled_release_is_not_renewed_by_the_device_either(phone: Phone) -> None:
    phone.pass_days(20)
    phone.repository.direct(MODEL, recalled=(1,))
    assert phone.client().refresh().not_renewed == ()
    assert len(phone.server.asked) == 1
    with pytest.raises(NotAvailable, match="recalled"):
        phone.predicts()


def test_a_new_device_key_gets_keys_of_its_own_at_the_next_refresh(phone: Phone) -> None:
    phone.credential = phone.server.enrolled()
    with pytest.raises(VerificationError, match="another device"):
        phone.predicts()
    assert phone.client().refresh().not_renewed == ()
    assert phone.predicts() == (1, Reason.FRESH)


def change_director(repository: Repository) -> None:
    repository.director = repository.director_signs = keyfiles.generate()
    repository.versions["directives"] = 0
    repository.publish()


def test_a_change_of_directors_renews_every_key_and_takes_none_away(phone: Phone) -> None:
    before = phone.kept
    path = f"/v1/keys/{next(iter(before))}"
    change_director(phone.repository)
    phone.device.network.status[path] = 503
    assert phone.client().refresh().not_renewed  # the new director is trusted, and could not be asked
    assert phone.kept == before
    assert phone.predicts() == (1, Reason.FRESH)
    del phone.device.network.status[path]
    assert phone.client().refresh().not_renewed == ()
    (data,) = phone.kept.values()
    assert Loan.from_bytes(data).director.key_id == key_id(phone.repository.director)
    assert phone.predicts() == (1, Reason.FRESH)


def test_a_blob_of_the_former_director_is_not_taken_any_more(phone: Phone) -> None:
    former = phone.repository.director
    change_director(phone.repository)
    phone.repository.lend = lambda sha256, headers, body: phone.server.answer(  # type: ignore[method-assign]
        sha256, headers, body, {key_id(former): former}, phone.repository.now
    )
    before = phone.kept
    (line,) = phone.client().refresh().not_renewed
    assert "signed by 0 of the 1 keys" in line
    assert phone.kept == before


ANSWERS: dict[str, Callable[[Phone, bytes], bytes]] = {
    "nothing": lambda phone, good: b"",
    "a page": lambda phone, good: b"<html>",
    "cut": lambda phone, good: good[:-5],
    "a flipped bit": lambda phone, good: good[:60] + bytes([good[60] ^ 1]) + good[61:],
    "too long": lambda phone, good: good + b" " * 10_000,
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_wrong_answer_takes_the_place_of_no_good_key(phone: Phone, name: str) -> None:
    lend, before = phone.repository.lend, phone.kept
    phone.pass_days(20)

    def spoilt(sha256: str, headers: Any, body: bytes) -> tuple[int, bytes]:
        status, good = lend(sha256, headers, body)
        return status, ANSWERS[name](phone, good)

    phone.repository.lend = spoilt  # type: ignore[method-assign]
    assert len(phone.client().refresh().not_renewed) == 1
    assert phone.kept == before
    assert phone.predicts() == (1, Reason.FRESH)


def test_foreign_loans_are_refused_at_install_and_change_nothing(phone: Phone) -> None:
    """Signed by the director, and yet for another device, for another bundle, or with another bundle's key."""
    repository, server = phone.repository, phone.server
    (first,) = repository.sealed
    second = lent_model(repository, 0.2, 2)
    repository.publish(second)
    lend = repository.lend
    other = server.enrolled()

    def for_another_device(sha256: str, headers: Any, body: bytes) -> tuple[int, bytes]:
        asked = json.dumps({"device": thumbprint(other.holder.public_key)}).encode()
        return lend(sha256, {"Authorization": f"Bearer {other.text}"}, asked)

    def for_another_bundle(sha256: str, headers: Any, body: bytes) -> tuple[int, bytes]:
        return lend(repository.sealed[first].sha256, headers, body)

    cases = [(for_another_device, "another device"), (for_another_bundle, "another bundle")]
    for answer, says in cases:
        repository.lend = answer  # type: ignore[method-assign]
        with pytest.raises(VerificationError, match=says):
            phone.client().update(MODEL)
        assert phone.predicts() == (1, Reason.FRESH)
    repository.lend = lend  # type: ignore[method-assign]
    server.keys[second.sha256] = DataKey.fresh().secret
    with pytest.raises(VerificationError, match="does not open with this data key"):
        phone.client().update(MODEL)
    assert list(phone.kept) == [repository.sealed[first].sha256]
    assert phone.predicts() == (1, Reason.FRESH)


def tampered(data: bytes) -> list[tuple[str, bytes]]:
    """A kept key as a failing disk, or somebody at it, might leave it."""
    fields = json.loads(data)
    stranger = keyfiles.generate()
    other = {"key_id": key_id(stranger), "public_key": keyfiles.public_hex(stranger)}
    envelope = json.loads(base64.b64decode(fields["envelope"]))
    payload = json.loads(base64.b64decode(envelope["payload"]))
    payload["expires"] = "2999-01-01T00:00:00Z"
    longer = {**envelope, "payload": base64.b64encode(json.dumps(payload).encode()).decode()}
    flips = [
        (f"bit {at}", data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]) for at in range(0, len(data), 97)
    ]
    return [
        ("empty", b""),
        ("cut", data[: len(data) // 2]),
        ("of another format", json.dumps({**fields, "format": "coach-edge/kept-key/2"}).encode()),
        ("of another director", json.dumps({**fields, "director": other}).encode()),
        (
            "with a longer lease",
            json.dumps(
                {**fields, "envelope": base64.b64encode(json.dumps(longer).encode()).decode()}
            ).encode(),
        ),
        *flips,
    ]


def test_a_damaged_or_changed_kept_key_is_refused_and_replaced(phone: Phone) -> None:
    ((name, good),) = phone.kept.items()
    path = phone.device.folder / "keys" / name
    refused = 0
    for what, data in tampered(good):
        path.write_bytes(data)
        try:
            assert phone.predicts() == (1, Reason.FRESH), what
        except VerificationError:
            refused += 1
    assert (
        refused > len(tampered(good)) - 5
    )  # a bit may change the case of a key id, say, and nothing that counts
    path.write_bytes(tampered(good)[4][1])
    with pytest.raises(VerificationError):
        phone.predicts()
    assert phone.client().refresh().not_renewed == ()
    assert phone.predicts() == (1, Reason.FRESH)
    path.unlink()
    with pytest.raises(VerificationError, match="no key for it is in the cache; refresh"):
        phone.predicts()
    assert phone.client().refresh().not_renewed == ()
    assert phone.predicts() == (1, Reason.FRESH)


def test_nobody_without_the_data_key_can_make_a_lease_longer(phone: Phone) -> None:
    """Who can write to the cache can name a director of his own, and sign as that; HPKE has bound the old lease."""
    ((name, good),) = phone.kept.items()
    loan, stranger = Loan.from_bytes(good), keyfiles.generate()
    payload = json.loads(base64.b64decode(json.loads(loan.envelope)["payload"]))

    def signed(**change: str) -> bytes:
        body = json.dumps({**payload, **change}).encode()
        envelope = dsse.sign(key_blob.PAYLOAD_TYPE, body, {"stranger": stranger})
        return Loan(Director("stranger", keyfiles.public_hex(stranger)), envelope).to_bytes()

    path = phone.device.folder / "keys" / name
    path.write_bytes(signed(expires="2999-01-01T00:00:00Z"))
    with pytest.raises(VerificationError, match="does not open"):
        phone.predicts()
    path.write_bytes(
        signed()
    )  # the same lease opens, and is asked for anew at once: its director is not the one
    assert phone.predicts() == (1, Reason.FRESH)
    assert phone.client().refresh().not_renewed == ()
    assert Loan.from_bytes(phone.kept[name]).director.key_id == key_id(phone.repository.director)


def test_a_kept_key_of_another_bundle_opens_nothing(phone: Phone) -> None:
    first, second = two_releases(phone)
    folder = phone.device.folder / "keys"
    (folder / second.sha256).write_bytes((folder / first.sha256).read_bytes())
    assert phone.predicts() == (1, Reason.LAST_KNOWN_GOOD)


def test_keys_go_with_their_bundles(phone: Phone) -> None:
    _first, second = two_releases(phone)
    third = lent_model(phone.repository, 0.3, 3)
    phone.repository.publish(third)
    assert phone.client().update(MODEL).release == 3
    assert set(phone.kept) == {second.sha256, third.sha256}
    assert set(phone.kept) <= {path.name for path in (phone.device.folder / "blobs").iterdir()}


def test_a_rollback_needs_a_key_and_no_download(phone: Phone) -> None:
    first, _second = two_releases(phone)
    phone.repository.publish(renamed(first, release=3))
    before = len(phone.device.network.requests)
    assert phone.client().update(MODEL).release == 3
    assert not [p for p in phone.device.network.requests[before:] if p.startswith("/v1/bundles/")]
    assert phone.predicts() == (3, Reason.FRESH)


@pytest.mark.parametrize("credential", [None, AppKey(bytes(32))])
def test_without_a_device_nothing_of_the_tier_is_downloaded(phone: Phone, credential: AppKey | None) -> None:
    phone.repository.publish(lent_model(phone.repository, 0.2, 2))
    with pytest.raises(InputError, match="needs an enrolled device"):
        phone.client(credential=credential).update(MODEL)
    assert not [p for p in phone.device.network.requests[-1:] if p.startswith("/v1/bundles/")]
    with pytest.raises(InputError, match="needs an enrolled device"):
        phone.predicts(credential=credential)
    assert phone.client(credential=credential).refresh().not_renewed == ()
    assert phone.predicts() == (1, Reason.FRESH)


def test_a_device_credential_opens_no_bundle_of_an_app_key(phone: Phone) -> None:
    phone.repository.publish(fake_model(0.2, 2, app_key=AppKey(bytes(32))))
    with pytest.raises(InputError, match="is sealed with app key"):
        phone.client().update(MODEL)
    phone.repository.publish(fake_model(0.3, 3))  # what is not sealed needs no key
    assert phone.client().update(MODEL).release == 3
    assert phone.predicts() == (3, Reason.FRESH)


def test_erasing_leaves_no_key(phone: Phone) -> None:
    two_releases(phone)
    client = phone.client()
    client.model(MODEL)
    client.erase()
    assert phone.kept == {}
    assert not (phone.device.folder / "keys").exists()
    with pytest.raises(NotAvailable, match="is not in"):
        phone.predicts()
    assert phone.client().update(MODEL).release == 2


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def holding(folder: Path, needle: bytes) -> list[Path]:
    """Files in which a secret lies, as it is or in one of its usual spellings."""
    forms = {needle, needle.hex().encode(), needle.hex().upper().encode(), base64.b64encode(needle)}
    return [path for path in files_of(folder) if any(form in path.read_bytes() for form in forms)]


def test_neither_a_data_key_nor_plaintext_lies_in_the_cache(phone: Phone) -> None:
    two_releases(phone)
    folder = phone.device.folder
    plain = b"fake model: "
    seen = phone.device.engine.loaded
    assert any(payload.startswith(plain) for payload in seen)
    secrets = list(phone.server.keys.values())
    assert len(secrets) == 2
    for secret in secrets:
        assert holding(folder, secret) == []
    assert holding(folder, plain) == []
    for secret in (*secrets, plain):  # the search finds what is there
        (folder / "canary").write_bytes(b"x" + base64.b64encode(secret) + b"x")
        assert holding(folder, secret) == [folder / "canary"]
    (folder / "canary").unlink()


@pytest.mark.parametrize("text", ["", "two words", "a\nb", "schl\u00fcssel"])
def test_a_credential_that_is_none(text: str) -> None:
    with pytest.raises(InputError, match="not one"):
        DeviceCredential(DeviceKey.generate(), text)


def test_a_credential_shows_nothing() -> None:
    credential = DeviceCredential(DeviceKey.generate(), "very-secret")
    assert "very-secret" not in repr(credential)


def test_a_folder_that_holds_no_credential(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run 'edge device enroll'"):
        DeviceCredential.from_folder(tmp_path)
    (tmp_path / "device.credential").write_text("abc\n")
    with pytest.raises(InputError, match="enrol first"):
        DeviceCredential.from_folder(tmp_path)
    key = DeviceKey.load_or_create(tmp_path / "device.key")
    made = DeviceCredential.from_folder(tmp_path)
    assert (made.text, made.holder.public_key) == ("abc", key.public_key)
    (tmp_path / "device.credential").write_text("\n")
    with pytest.raises(InputError, match="not one"):
        DeviceCredential.from_folder(tmp_path)
