"""A repository's keys, cheap to guess and made once, and small artifacts."""

from __future__ import annotations

import pytest

from tests.converters.release.support import Repository, make_repository


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return make_repository(tmp_path_factory.mktemp("repository") / "keys")


@pytest.fixture(scope="session")
def other_repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Somebody else's keys."""
    return make_repository(tmp_path_factory.mktemp("other") / "keys")
