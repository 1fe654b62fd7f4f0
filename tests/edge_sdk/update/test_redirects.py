"""Where redirects may lead; nothing here opens a socket."""

from __future__ import annotations

import io
from collections.abc import Mapping

import pytest
import urllib3

from edge_sdk.update.http import HttpTransport
from edge_sdk.update.transport import Offline

SITE, TOY, LAN = "https://models.example.org/v1/bundles/x", "http://127.0.0.1:8080/x", "http://10.0.0.7/x"


class Answers(HttpTransport):
    """Redirects along a list of locations, then says 404; ``asked`` is where it was led."""

    def __init__(self, *locations: str) -> None:
        super().__init__()
        self.asked: list[str] = []
        self._locations = iter(locations)

    def _open(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> urllib3.BaseHTTPResponse:
        self.asked.append(url)
        location = next(self._locations, None)
        headers = {} if location is None else {"Location": location}
        return urllib3.HTTPResponse(
            io.BytesIO(), headers, 404 if location is None else 302, preload_content=False
        )


FOLLOWED = [
    (SITE, ["https://storage.example.net/b/x?signature=1"], ["https://storage.example.net/b/x?signature=1"]),
    (SITE, ["https://cdn.example/b/x", "y"], ["https://cdn.example/b/x", "https://cdn.example/b/y"]),
    (SITE, ["https://cdn.example/b/x", "/y"], ["https://cdn.example/b/x", "https://cdn.example/y"]),
    (SITE, ["//cdn.example/x"], ["https://cdn.example/x"]),
    (
        SITE,
        ["/y", "https://a/x", "https://b/x"],
        ["https://models.example.org/y", "https://a/x", "https://b/x"],
    ),
    (TOY, ["http://127.0.0.1:9000/x"], ["http://127.0.0.1:9000/x"]),
    ("http://localhost:1/x", ["http://[::1]:9000/x"], ["http://[::1]:9000/x"]),
    (TOY, ["https://storage.example.net/x"], ["https://storage.example.net/x"]),
    (LAN, ["/y"], ["http://10.0.0.7/y"]),
    (LAN, ["https://storage.example.net/x"], ["https://storage.example.net/x"]),
]


@pytest.mark.parametrize(("url", "locations", "asked"), FOLLOWED)
def test_hashed_bytes_may_lie_elsewhere(url: str, locations: list[str], asked: list[str]) -> None:
    transport = Answers(*locations)
    assert transport.request("GET", url, elsewhere=True).status == 404
    assert transport.asked == [url, *asked]


REFUSED = [
    (SITE, ["http://storage.example.net/x"], "not HTTPS"),
    (SITE, ["http://models.example.org/x"], "not HTTPS"),
    (SITE, ["http://127.0.0.1/x"], "not HTTPS"),
    (SITE, ["https://cdn.example/x", "http://cdn.example/x"], "not HTTPS"),
    (SITE, ["ftp://storage.example.net/x"], "not HTTPS"),
    (SITE, ["file:///etc/passwd"], "not HTTPS"),
    (TOY, ["file:///etc/passwd"], "not HTTPS"),
    (LAN, ["http://10.0.0.8/x"], "not HTTPS"),
    (LAN, ["http://127.0.0.1/x"], "not HTTPS"),
    ("http://127.0.0.1.example.org/x", ["http://storage.example.net/x"], "not HTTPS"),
    (SITE, ["https://[::1"], "redirects to 'https"),
    (SITE, ["https://a:99999/x"], "redirects to 'https"),
]


@pytest.mark.parametrize(("url", "locations", "message"), REFUSED)
def test_but_not_everywhere(url: str, locations: list[str], message: str) -> None:
    transport = Answers(*locations)
    with pytest.raises(Offline, match=message):
        transport.request("GET", url, elsewhere=True)
    assert transport.asked == [url, *locations[:-1]]


@pytest.mark.parametrize(
    ("url", "location"),
    [
        (SITE, "https://storage.example.net/x"),
        (SITE, "http://models.example.org/x"),
        (SITE, "https://models.example.org:444/x"),
        (SITE, "//storage.example.net/x"),
        (LAN, "https://10.0.0.7/x"),
        (LAN, "https://storage.example.net/x"),
        (TOY, "https://storage.example.net/x"),
        (TOY, "http://127.0.0.1:9000/x"),
    ],
)
def test_what_no_digest_is_known_of_stays_on_its_origin(url: str, location: str) -> None:
    transport = Answers(location)
    with pytest.raises(Offline, match="redirects to another server"):
        transport.request("GET", url)
    assert transport.asked == [url]


def test_three_and_no_more() -> None:
    transport = Answers(*["https://a.example/x"] * 9)
    assert transport.request("GET", SITE, elsewhere=True).status == 302
    assert len(transport.asked) == 4


def test_what_is_sent_is_sent_to_one_place() -> None:
    transport = Answers("/elsewhere")
    assert transport.request("POST", SITE, body=b"{}", elsewhere=True).status == 302
    assert transport.asked == [SITE]
