"""Where redirects may lead; nothing here opens a socket."""

from __future__ import annotations

import io

import pytest
import urllib3
from tuf.api.exceptions import DownloadError, DownloadHTTPError

from edge_sdk.update.fetching import HttpFetcher

SITE, TOY, LAN = "https://models.example.org/v1/bundles/x", "http://127.0.0.1:8080/x", "http://10.0.0.7/x"


class Answers(HttpFetcher):
    """Redirects along a list of locations, then says 404; ``asked`` is where it was led."""

    def __init__(self, *locations: str) -> None:
        super().__init__()
        self.asked: list[str] = []
        self._locations = iter(locations)

    def _open(self, url: str) -> urllib3.BaseHTTPResponse:
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
    fetcher = Answers(*locations)
    with pytest.raises(DownloadHTTPError, match="404"):
        fetcher.hashed.fetch(url)
    assert fetcher.asked == [url, *asked]


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
    fetcher = Answers(*locations)
    with pytest.raises(DownloadError, match=message):
        fetcher.hashed.fetch(url)
    assert fetcher.asked == [url, *locations[:-1]]


@pytest.mark.parametrize(
    "location",
    ["https://storage.example.net/x", "http://models.example.org/x", "https://models.example.org:444/x"],
)
def test_what_no_digest_is_known_of_stays_on_its_origin(location: str) -> None:
    fetcher = Answers(location)
    with pytest.raises(DownloadError, match="redirects to another server"):
        fetcher.fetch(SITE)
    assert fetcher.asked == [SITE]


def test_three_and_no_more() -> None:
    fetcher = Answers(*["https://a.example/x"] * 9)
    with pytest.raises(DownloadHTTPError, match="302"):
        fetcher.hashed.fetch(SITE)
    assert len(fetcher.asked) == 4
