"""The catalogue can be thrown away: what it says comes from the signed metadata."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from model_server.catalogue import Catalogue
from model_server.errors import StorageError
from model_server.services import Services
from tests.model_server.conftest import MakeServer
from tests.model_server.fleet import FIRST, SECOND, START, FakeClock


def test_releases_newest_first_with_the_day_they_were_signed(server: Services, clock: FakeClock) -> None:
    assert server.publisher.releases() == []
    server.publisher.publish(FIRST.publication())
    clock.advance(days=2)
    server.publisher.publish(replace(SECOND, issued=START + timedelta(days=1)).publication())
    releases = server.publisher.releases()
    assert [(each["release"], each["model_version"], each["published_at"]) for each in releases] == [
        (2, "1.1.0", "2026-03-02T12:00:00Z"),
        (1, "1.0.0", "2026-03-01T11:00:00Z"),
    ]
    assert [each["target"] for each in releases[1]["artifacts"]] == ["onnx", "tflite"]
    artifact = FIRST.artifacts[0]
    assert releases[1]["artifacts"][1] == {
        "target": "tflite", "recipe": "fp32", "length": artifact.length, "sha256": artifact.sha256,
    }  # fmt: skip


def test_an_empty_database_is_filled_at_the_start(server: Services, make_server: MakeServer) -> None:
    server.publisher.publish(FIRST.publication())
    server.publisher.publish(SECOND.publication())
    again = make_server()
    assert again.catalogue.version() == server.catalogue.version()
    assert again.catalogue.releases() == server.catalogue.releases()
    assert again.catalogue.audited() == []  # what was done, and not what is, is only in the log


def test_one_version_further_reads_no_older_metadata(
    server: Services, make_server: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.publisher.publish(FIRST.publication())
    monkeypatch.setattr(server.repository, "first_seen", lambda _: pytest.fail("read every version"))
    later = replace(SECOND, issued=SECOND.issued + timedelta(seconds=1))
    server.publisher.publish(later.publication())
    assert server.catalogue.releases() == make_server().catalogue.releases()


def test_a_catalogue_that_is_behind_catches_up(server: Services, make_server: MakeServer) -> None:
    other = make_server()
    server.publisher.publish(FIRST.publication())
    assert other.catalogue.version() is None
    assert other.publisher.releases() == server.publisher.releases()


def test_a_database_that_cannot_be_used(tmp_path: Path) -> None:
    for url in (
        f"sqlite:///{tmp_path}/absent/x.sqlite",
        "nonsense",
        "nonsense://",
        "postgresql+absent://x/y",
    ):
        with pytest.raises(StorageError, match="the catalogue cannot be used") as refused:
            Catalogue(url)
        assert "\n" not in str(refused.value)
