"""Something between the device and the server that answers in its place: a status, never an error or a change."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from device_tests.simulator.models import fake_model
from device_tests.simulator.repository import Network, Repository
from edge_sdk import RefreshStatus, UpdateStatus
from edge_sdk.update.transport import NO_HEADERS, Answer
from tests.edge_sdk.conftest import MODEL, Device

NEW = fake_model(0.2, 2)
PATHS = {
    "root": "/metadata/2.root.json",
    "timestamp": "/metadata/timestamp.json",
    "snapshot": "/metadata/2.snapshot.json",
    "targets": "/metadata/2.targets.json",
    "directives": "/v1/directives",
    "bundle": f"/v1/bundles/{NEW.sha256}",
}
LOGIN = b"<html>Welcome to the hotel</html>"


def answer(status: int, body: bytes = LOGIN, **headers: str) -> Callable[[], Answer]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda: Answer(status, named, iter((body,)))


PORTALS: dict[str, tuple[Callable[[], Answer], str]] = {
    "a page": (answer(200, Content_Type="text/html; charset=utf-8"), "log in to this network first"),
    "a page of XHTML": (answer(200, Content_Type="application/xhtml+xml"), "log in to this network first"),
    "a status that says so": (answer(511, Content_Type="text/html"), "wants a login first"),
    "something that compresses": (answer(200, b"\x1f\x8b", Content_Encoding="gzip"), "compresses"),
    "a busy gateway": (answer(502, Content_Type="text/html"), "502"),
    "a gateway that gives up": (answer(504, Content_Type="text/html"), "504"),
}


class Between(Network):
    """Answers with ``portal`` where ``path`` is asked for."""

    def __init__(self, repository: Repository, path: str, portal: Callable[[], Answer]) -> None:
        super().__init__(repository)
        self.path, self.portal = path, portal
        self.asked = 0

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        body: bytes | None = None,
        elsewhere: bool = False,
    ) -> Answer:
        if not url.endswith(self.path):
            return super().request(method, url, headers=headers, body=body, elsewhere=elsewhere)
        self.asked += 1
        return self.portal()


@pytest.mark.parametrize("portal", PORTALS)
@pytest.mark.parametrize("where", PATHS)
def test_it_is_told_as_offline_and_changes_nothing(device: Device, where: str, portal: str) -> None:
    device.repository.publish(NEW)
    answers, message = PORTALS[portal]
    device.network = between = Between(device.repository, PATHS[where], answers)
    client, before = device.open(), device.state
    done = client.update(MODEL)
    assert (done.status, done.release) == (UpdateStatus.OFFLINE, 1)
    assert message in done.detail
    login = portal.startswith(("a page", "a status", "something"))
    assert between.asked == (1 if login else 4), "a login does not come by trying again"
    if where != "bundle":
        assert device.state == before
        refreshed = client.refresh()
        assert refreshed.status is RefreshStatus.OFFLINE
        assert message in refreshed.detail
    between.path = "nothing"
    assert client.update(MODEL).release == 2


@pytest.mark.parametrize("where", [where for where in PATHS if where != "bundle"])
@pytest.mark.parametrize("status", [302, 403, 404, 410])
def test_a_refusal_is_no_news(device: Device, where: str, status: int) -> None:
    device.repository.publish(NEW)
    device.network = between = Between(device.repository, PATHS[where], answer(status, b""))
    before = device.state
    if where == "root" and status in (403, 404):  # the way to say that there is no newer root
        assert device.open().update(MODEL).release == 2
        return
    with pytest.raises(Exception, match=f"HTTP {status}") as caught:
        device.open().update(MODEL)
    assert type(caught.value).__name__ == "NotAvailable"
    assert device.state == before
    assert between.asked == 1
