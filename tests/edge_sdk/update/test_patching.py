"""Upgrades by delta: the signed bytes for a fraction of the download, and the whole bundle where anything is wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from converters.deltas import make_delta
from device_tests.simulator.models import fake_payload, sealed_model
from device_tests.simulator.repository import Repository
from edge_sdk import AppKey, Conditions, Control, UpdateStatus
from edge_sdk.contract import delta as patch_format
from edge_sdk.contract.delta import ADD, Operation
from edge_sdk.contract.manifest import Artifact
from edge_sdk.crypto import deltas
from edge_sdk.crypto.data_key import DataKey
from edge_sdk.crypto.sealing import BundleKey, Sealed
from edge_sdk.update.control import Cancelled
from tests.edge_sdk.conftest import MODEL, Device

APP = AppKey(bytes(range(32)))
DIGITS = b"".join(b"%d" % byte for byte in np.random.default_rng(0).bytes(20_000))


def model(release: int, key: BundleKey | None = None, *, compress: bool = False) -> Sealed:
    """Some 50 kB, the same in every release but for the weight and the record."""
    return sealed_model(
        fake_payload(release / 10) + DIGITS,
        release=release,
        version=f"{release}.0.0",
        app_key=key if isinstance(key, AppKey) else None,
        data_key=key if isinstance(key, DataKey) else None,
        compress=compress,
    )


class Site:
    """A device that has release 1, and release 2 that is published together with a delta."""

    def __init__(self, device: Device, key: AppKey | None) -> None:
        self.device, self.repository, self.key = device, device.repository, key
        self.old, self.new = model(1, key), model(2, key)
        self.path = f"/v1/deltas/{self.old.sha256}/{self.new.sha256}"
        self.whole = f"/v1/bundles/{self.new.sha256}"
        self.repository.publish(self.old)
        self.client().update(MODEL)
        self.repository.publish(self.new)
        self.delta = make_delta(self.old, self.new, key, key)
        self.repository.files[self.path] = self.delta
        self.network.requests.clear()

    @property
    def network(self) -> Any:
        return self.device.network

    @property
    def fetched(self) -> list[str]:
        """What was asked for besides metadata."""
        return [path for path in self.network.requests if path.startswith(("/v1/deltas/", "/v1/bundles/"))]

    def client(self, **options: Any) -> Any:
        return self.device.open(root=self.repository.root, credential=self.key, **options)

    def sealed_patch(self, patch: bytes) -> bytes:
        old, new = (Artifact(s.entry.path, len(s.served), s.sha256, s.entry) for s in (self.old, self.new))
        return deltas.seal(patch, old, new, self.key)

    def check(self) -> None:
        """Release 2 is installed as it was signed, and nothing else was left."""
        blob = self.device.folder / "blobs" / self.new.sha256
        assert blob.read_bytes() == self.new.served
        assert self.client(server=None, transport=None).model(MODEL).release == 2
        assert list((self.device.folder / "partial").iterdir()) == []


@pytest.fixture(params=["none", "app-key"])
def site(
    request: pytest.FixtureRequest, make_device: Callable[[Repository], Device], repository: Repository
) -> Site:
    return Site(make_device(repository), APP if request.param == "app-key" else None)


@pytest.fixture
def plain(make_device: Callable[[Repository], Device], repository: Repository) -> Site:
    return Site(make_device(repository), None)


def test_an_upgrade_fetches_the_delta_and_nothing_else(site: Site) -> None:
    seen: list[tuple[str, int, int]] = []
    done = site.client().update(MODEL, progress=lambda *step: seen.append(step))
    assert (done.status, done.release) == (UpdateStatus.INSTALLED, 2)
    assert done.detail == f"by a delta of {len(site.delta)} bytes from release 1"
    assert site.fetched == [site.path, site.path]  # HEAD and GET
    assert len(site.delta) < 0.05 * len(site.new.served)
    assert ("delta", len(site.delta), len(site.delta)) in seen
    assert not any(stage == "download" for stage, _, _ in seen)
    site.check()


def test_keys_that_are_lent(make_device: Callable[[Repository], Device], repository: Repository) -> None:
    device = make_device(repository)
    credential = repository.key_server.enrolled()
    keys = DataKey.fresh(), DataKey.fresh()
    old, new = model(1, keys[0]), model(2, keys[1])
    for sealed, key in zip((old, new), keys, strict=True):
        repository.key_server.keys[sealed.sha256] = key.secret
    client = device.open(root=repository.root, credential=credential)
    repository.publish(old)
    client.update(MODEL)
    repository.publish(new)
    repository.files[f"/v1/deltas/{old.sha256}/{new.sha256}"] = make_delta(old, new, *keys)
    assert "by a delta" in client.update(MODEL).detail
    assert f"/v1/bundles/{new.sha256}" not in device.network.requests
    assert (device.folder / "blobs" / new.sha256).read_bytes() == new.served


def test_from_a_bundle_whose_lease_has_ended_none_is_fetched(
    make_device: Callable[[Repository], Device], repository: Repository
) -> None:
    device = make_device(repository)
    keys = DataKey.fresh(), DataKey.fresh()
    old, new = model(1, keys[0]), model(2, keys[1])
    for sealed, key in zip((old, new), keys, strict=True):
        repository.key_server.keys[sealed.sha256] = key.secret
    client = device.open(root=repository.root, credential=repository.key_server.enrolled())
    repository.publish(old)
    client.update(MODEL)
    device.now = repository.live(31)
    repository.publish(new, recalled=(1,))  # so its lease is not renewed
    path = f"/v1/deltas/{old.sha256}/{new.sha256}"
    repository.files[path] = make_delta(old, new, *keys)
    device.network.requests.clear()
    done = client.update(MODEL)
    assert done.release == 2
    assert "whole, as its delta did not do: " in done.detail
    assert "the lease of the key ended" in done.detail
    assert device.network.requests.count(path) == 1, "it was asked whether there is one"


def test_without_a_delta(site: Site) -> None:
    del site.repository.files[site.path]
    done = site.client().update(MODEL)
    assert (done.status, done.detail) == (UpdateStatus.INSTALLED, "")
    assert site.fetched == [site.path, site.whole]
    site.check()


def test_the_third_release_has_no_delta(site: Site) -> None:
    site.client().update(MODEL)
    third = model(3, site.key)
    site.repository.publish(third)
    site.network.requests.clear()
    assert site.client().update(MODEL).release == 3
    assert site.fetched == [f"/v1/deltas/{site.new.sha256}/{third.sha256}", f"/v1/bundles/{third.sha256}"]


def spoilt(data: bytes) -> bytes:
    return data[:-9] + bytes([data[-9] ^ 4]) + data[-8:]


def nothing_of_the_kind(site: Site) -> bytes:
    return b"\0" * 500


def a_spoilt_byte(site: Site) -> bytes:
    return spoilt(site.delta)


def other_plain_bytes(site: Site) -> bytes:
    length = site.new.entry.plain_length
    header = deltas.header_of(site.new.served, site.new.entry)
    made = Operation(ADD, length, 0, bytes(length))
    return site.sealed_patch(patch_format.write(site.old.entry.plain_length, length, header, [made]))


def another_base(site: Site) -> bytes:
    header = deltas.header_of(site.new.served, site.new.entry)
    length = site.new.entry.plain_length
    return site.sealed_patch(patch_format.write(7, length, header, [Operation(ADD, 5, 0, b"hello")]))


def a_bomb(site: Site) -> bytes:
    header = deltas.header_of(site.new.served, site.new.entry)
    return site.sealed_patch(patch_format.write(site.old.entry.plain_length, 2**32 - 1, header, []))


@pytest.mark.parametrize(
    "wrong", [nothing_of_the_kind, a_spoilt_byte, other_plain_bytes, another_base, a_bomb]
)
def test_a_wrong_delta_is_refused_and_the_whole_bundle_fetched(
    wrong: Callable[[Site], bytes], site: Site
) -> None:
    site.repository.files[site.path] = wrong(site)
    done = site.client().update(MODEL)
    assert (done.status, done.release) == (UpdateStatus.INSTALLED, 2)
    assert done.detail.startswith("whole, as its delta did not do: ")
    assert site.fetched == [site.path, site.path, site.whole]
    site.check()


def test_another_salt_makes_other_bytes_and_is_refused(
    make_device: Callable[[Repository], Device], repository: Repository
) -> None:
    """The plain bytes are right: only the digest of what lies on the disk in the end shows it."""
    site = Site(make_device(repository), APP)
    old, new = (bytes(deltas.plain_of(sealed.served, sealed.entry, APP)) for sealed in (site.old, site.new))
    header = site.new.served[:1] + bytes(32) + site.new.served[33:40]
    patch = patch_format.write(len(old), len(new), header, [Operation(ADD, len(new), 0, new)])
    site.repository.files[site.path] = site.sealed_patch(patch)
    done = site.client().update(MODEL)
    assert "not what was signed" in done.detail
    assert site.fetched == [site.path, site.path, site.whole]
    site.check()


def test_bytes_that_are_not_those_of_the_tag(plain: Site) -> None:
    """HEAD and GET speak of different things, again and again."""
    served = plain.network.request

    def request(method: str, url: str, **options: Any) -> Any:
        plain.repository.files[plain.path] = plain.delta if method == "HEAD" else spoilt(plain.delta)
        return served(method, url, **options)

    plain.network.request = request
    done = plain.client().update(MODEL)
    assert "other bytes than the signed ones" in done.detail
    plain.check()


def test_a_delta_that_is_longer_than_it_may_be_is_not_fetched(plain: Site) -> None:
    plain.repository.files[plain.path] = bytes(len(plain.new.served) * 61 // 100)
    assert plain.client().update(MODEL).detail == ""
    assert plain.fetched == [plain.path, plain.whole]


@pytest.mark.parametrize(
    "headers", [{"ETag": None}, {"ETag": '"x"'}, {"Content-Length": None}, {"Content-Length": "0"}]
)
def test_an_answer_without_digest_or_length_is_no_delta(headers: dict[str, str | None], plain: Site) -> None:
    served = plain.network.request

    def request(method: str, url: str, **options: Any) -> Any:
        answer = served(method, url, **options)
        if method == "HEAD":
            for name, value in headers.items():
                answer._headers.pop(name.lower())
                if value:
                    answer._headers[name.lower()] = value
        return answer

    plain.network.request = request
    assert plain.client().update(MODEL).release == 2
    assert plain.fetched == [plain.path, plain.whole]


@pytest.mark.parametrize(("status", "asked"), [(403, 1), (405, 1), (500, 4), (503, 4), (511, 1)])
def test_a_server_that_refuses_deltas_only(status: int, asked: int, plain: Site) -> None:
    plain.network.status[plain.path] = status
    assert plain.client().update(MODEL).release == 2
    assert plain.fetched == [plain.path] * asked + [plain.whole]


def test_a_delta_that_cannot_come_whole(plain: Site) -> None:
    """The head is answered, the body breaks off each time: after some tries the whole bundle is fetched."""
    served = plain.network.request

    def request(method: str, url: str, **options: Any) -> Any:
        plain.network.status[plain.path] = 200 if method == "HEAD" else 500
        return served(method, url, **options)

    plain.network.request = request
    done = plain.client().update(MODEL)
    assert "HTTP 500" in done.detail
    plain.check()


def test_a_delta_is_gone_on_with_by_the_next_attempt(site: Site) -> None:
    """What came is kept, over a restart and a refresh in between."""
    control, half = Control(), len(site.delta) // 2
    served = site.network.request

    def request(method: str, url: str, **options: Any) -> Any:
        answer = served(method, url, **options)
        if method == "GET" and url.endswith(site.path):

            def pieces() -> Iterator[bytes]:
                yield site.delta[:half]
                control.cancel()
                yield site.delta[half : half + 1]

            answer._pieces = pieces()
        return answer

    site.network.request = request
    with pytest.raises(Cancelled):
        site.client().update(MODEL, control=control)
    site.network.request = served
    site.client().refresh()
    site.network.ranges.clear()
    site.network.requests.clear()
    assert "by a delta" in site.client().update(MODEL).detail
    (asked,) = [each for each in site.network.ranges if each]
    assert int(asked.removeprefix("bytes=").split("-")[0]) in (half, half + 1)
    assert site.fetched == [site.path, site.path]
    site.check()


def test_a_download_that_is_nearly_done_is_finished(plain: Site) -> None:
    control = Control()

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "download" and total - done < len(plain.delta):
            control.cancel()

    del plain.repository.files[plain.path]
    with pytest.raises(Cancelled):
        plain.client().update(MODEL, progress=stop, control=control)
    plain.repository.files[plain.path] = plain.delta
    plain.network.requests.clear()
    assert plain.client().update(MODEL).detail == ""
    assert plain.fetched == [plain.path, plain.whole]
    plain.check()


def test_a_damaged_base_is_not_started_from(site: Site) -> None:
    blob = site.device.folder / "blobs" / site.old.sha256
    blob.write_bytes(spoilt(site.old.served))
    assert site.client().update(MODEL).release == 2
    assert site.fetched == [site.whole]


def test_no_room_for_a_delta_beside_the_bundle(plain: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    free = len(plain.new.served) + 10_000 + len(plain.delta) - 1
    monkeypatch.setattr("edge_sdk.store.disk.Disk.free_bytes", lambda *_: free)
    conditions = Conditions(min_free_bytes=10_000)
    assert plain.client().update(MODEL, conditions=conditions).detail == ""
    assert plain.fetched == [plain.path, plain.whole]


def test_nobody_is_asked_where_there_can_be_no_delta(
    make_device: Callable[[Repository], Device], repository: Repository
) -> None:
    device = make_device(repository)
    client = device.open(root=repository.root, credential=APP)
    for sealed in (model(1), model(2, compress=True), model(3, APP), model(4)):
        repository.publish(sealed)
        assert client.update(MODEL).release == sealed.entry.release
    assert not any(path.startswith("/v1/deltas/") for path in device.network.requests)


def test_deltas_chain(plain: Site) -> None:
    plain.client().update(MODEL)
    third = model(3)
    plain.repository.publish(third)
    plain.repository.files[f"/v1/deltas/{plain.new.sha256}/{third.sha256}"] = make_delta(plain.new, third)
    assert "by a delta" in plain.client().update(MODEL).detail
    stored = (plain.device.folder / "blobs" / third.sha256).read_bytes()
    assert hashlib.sha256(stored).hexdigest() == third.sha256
