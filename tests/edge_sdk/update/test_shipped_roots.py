"""The root that an app ships, given to a cache that trusts one already."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from device_tests.simulator.models import ROW, fake_model
from device_tests.simulator.repository import Repository
from edge_sdk import InputError, RefreshStatus, UpdatePolicy, UpdateStatus
from edge_sdk.predict import Reason
from tests.edge_sdk.conftest import MODEL, Device


def rotated(repository: Repository, times: int) -> list[bytes]:
    """The roots of all versions once the root keys were replaced so often, the last one in force."""
    roots = [repository.root]
    for _ in range(times):
        repository.rotate("root")
        roots.append(repository.root)
    repository.publish()
    return roots


def content(device: Device) -> dict[str, bytes]:
    files = (path for path in device.folder.rglob("*") if path.is_file() and path.name != "lock")
    return {str(path): path.read_bytes() for path in files}


class TestOfTheSamePublisher:
    def test_a_newer_one_opens_and_predicts_without_a_network(self, device: Device) -> None:
        newer = rotated(device.repository, 1)[1]
        device.network.online = False
        client, before = device.open(root=newer), content(device)
        assert client.model(MODEL).predict(ROW).reason is Reason.FRESH
        assert client.refresh().status is RefreshStatus.OFFLINE
        assert content(device) == before

    @pytest.mark.parametrize("shipped", [0, 1, 2, 3])
    def test_any_version_serves_to_follow_the_chain(self, device: Device, shipped: int) -> None:
        roots = rotated(device.repository, 3)
        client = device.open(root=roots[shipped])
        assert client.refresh().status is RefreshStatus.UPDATED
        assert client.status()["metadata"]["root"] == 4
        assert client.refresh().status is RefreshStatus.UNCHANGED

    @pytest.mark.parametrize("shipped", [0, 1, 2, 3])
    def test_any_version_serves_once_the_chain_was_followed(self, device: Device, shipped: int) -> None:
        roots = rotated(device.repository, 3)
        device.open().refresh()
        device.repository.publish(fake_model(0.2, 2))
        assert device.open(root=roots[shipped]).update(MODEL).release == 2

    def test_an_older_one_than_the_cache_began_with(self, device: Device) -> None:
        roots = rotated(device.repository, 2)
        device.folder = device.folder.with_name("later")
        assert device.open(root=roots[2]).update(MODEL).status is UpdateStatus.INSTALLED
        assert device.open(root=roots[0]).refresh().status is RefreshStatus.UNCHANGED

    def test_one_that_is_signed_and_not_published_yet(self, device: Device) -> None:
        device.repository.rotate("root")
        del device.repository.files["/metadata/2.root.json"]
        assert device.open(root=device.repository.root).refresh().status is RefreshStatus.UNCHANGED

    def test_the_trusted_one_in_another_spelling(self, device: Device) -> None:
        spelt = json.dumps(json.loads(device.repository.root), indent=3).encode()
        device.network.requests.clear()
        assert device.open(root=spelt).refresh().status is RefreshStatus.UNCHANGED
        assert "/metadata/1.root.json" not in device.network.requests

    def test_what_lies_between_does_not_come(self, device: Device) -> None:
        newest = rotated(device.repository, 2)[2]
        device.network.status["/metadata/2.root.json"] = 503
        client, before = device.open(root=newest), content(device)
        assert client.refresh().status is RefreshStatus.OFFLINE
        assert content(device) == before


def unsigned(device: Device) -> bytes:
    root = json.loads(device.repository.root)
    return json.dumps({**root, "signatures": []}).encode()


def foreign(version: int) -> Callable[[Device], bytes]:
    return lambda device: rotated(Repository(), version - 1)[-1]


def foreign_for_a_rotated_cache(device: Device) -> bytes:
    rotated(device.repository, 1)
    device.open().refresh()
    return Repository().root


def by_one_key_only(device: Device) -> bytes:
    repository = device.repository
    repository.signers["root"] = repository.keys["root"][:1]
    repository.keys["root"] = [*repository.keys["root"][:1], *Repository().keys["root"][:2]]
    repository.versions["root"] = 2
    repository.signers["root"] = repository.keys["root"]
    root = repository.sign_root()
    del repository.files["/metadata/2.root.json"]
    return root


def another_of_the_same_version(device: Device) -> bytes:
    """Signed by the very root keys, but not what the server's chain has."""
    repository = device.repository
    repository.rotate("timestamp")
    shipped = repository.root
    repository.versions["root"] = 1
    repository.rotate("timestamp")
    repository.publish()
    return shipped


def a_gap(device: Device) -> bytes:
    newest = rotated(device.repository, 2)[-1]
    del device.repository.files["/metadata/2.root.json"]
    return newest


def far_away(device: Device) -> bytes:
    device.repository.versions["root"] = 1_000
    root = device.repository.sign_root()
    device.repository.versions["root"] = 1
    return root


def made_of(data: bytes) -> Callable[[Device], bytes]:
    return lambda device: data


OTHER = "trusts another root than the one given"
NONE = "the root given is not TUF root metadata"
REFUSED: dict[str, tuple[Callable[[Device], bytes], str]] = {
    "of somebody else": (foreign(1), rf"{OTHER} \(they are versions 1 and 1\)"),
    "of somebody else, the next version": (
        foreign(2),
        rf"{OTHER} \(version 2 does not follow: .*signed by 0/2",
    ),
    "of somebody else, some versions on": (foreign(4), rf"{OTHER} \(the server has no version 2 between"),
    "of somebody else, the version before": (
        foreign_for_a_rotated_cache,
        rf"{OTHER} \(version 2 does not follow",
    ),
    "by one key of two": (by_one_key_only, rf"{OTHER} \(version 2 does not follow: .*signed by 1/2"),
    "another of the same version": (
        another_of_the_same_version,
        rf"{OTHER} \(the server has another version 2",
    ),
    "after a gap": (a_gap, rf"{OTHER} \(the server has no version 2 between"),
    "far away": (far_away, rf"{OTHER} \(they are versions 1000 and 1\)"),
    "unsigned": (unsigned, rf"{NONE}.*signed by 0/2"),
    "no JSON": (made_of(b"<html>"), NONE),
    "nothing": (made_of(b""), NONE),
    "other metadata": (lambda device: device.repository.sign_targets(), rf"{NONE}: it is targets metadata"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_at_refresh_and_only_there(device: Device, name: str) -> None:
    make, message = REFUSED[name]
    shipped = make(device)
    client, before = device.open(root=shipped), content(device)
    assert client.model(MODEL).predict(ROW).reason is Reason.FRESH
    for attempt in (client.refresh, lambda: client.update(MODEL)):
        with pytest.raises(InputError, match=message) as caught:
            attempt()
        assert str(caught.value).isprintable()
    client.update(MODEL, UpdatePolicy.LOCAL_UPDATE_IN_BACKGROUND)
    assert client.wait()[MODEL].status is UpdateStatus.FAILED
    assert client.update(MODEL, UpdatePolicy.LOCAL).release == 1
    assert content(device) == before
    assert device.predicts() == (1, pytest.approx(0.0875))
    assert device.open().refresh().status in (RefreshStatus.UNCHANGED, RefreshStatus.UPDATED), (
        "without it all is well"
    )


def test_a_root_is_pinned_for_good_once_something_was_verified_by_it(device: Device) -> None:
    first, device.folder = device.repository.root, device.folder.with_name("mistaken")
    mistaken = device.open(root=Repository().root)
    install_id = mistaken.status()["install_id"]
    device.network.online = False
    mistaken.refresh()
    device.network.online = True
    client = device.open(root=first)
    assert client.update(MODEL).status is UpdateStatus.INSTALLED
    assert client.status()["install_id"] == install_id
    with pytest.raises(InputError, match=OTHER):
        device.open(root=Repository().root).refresh()
