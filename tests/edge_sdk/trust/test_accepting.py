"""The judgement over metadata and directives, fed with values: no network, no disk, no TUF client."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from tuf.api.metadata import Metadata

from device_tests.simulator.models import fake_model
from device_tests.simulator.repository import Repository
from edge_sdk.errors import EdgeError, FormatError, VerificationError
from edge_sdk.trust import ClockError, Marks, NotTogether, Trusted, accept
from edge_sdk.trust.accepting import TUF_ROLES

MODEL = fake_model(0.1, 1)
Signed = dict[str, dict[str, Any]]


@pytest.fixture
def repository() -> Repository:
    made = Repository()
    made.publish(MODEL)
    return made


@pytest.fixture
def signed(repository: Repository) -> Signed:
    paths = {"root": "1.root", "timestamp": "timestamp", "snapshot": "1.snapshot", "targets": "1.targets"}
    found = {}
    for role in TUF_ROLES:
        data = repository.files[f"/metadata/{paths[role]}.json"]
        assert isinstance(data, bytes)
        found[role] = Metadata.from_bytes(data).signed.to_dict()
    return found


def judge(repository: Repository, signed: Signed, marks: Marks | None = None, minutes: int = 0) -> Trusted:
    envelope = repository.files["/v1/directives"]
    assert isinstance(envelope, bytes)
    return accept(signed, envelope, marks or Marks(), repository.now + timedelta(minutes=minutes))


def test_what_is_believed(repository: Repository, signed: Signed) -> None:
    trusted = judge(repository, signed)
    assert list(trusted.artifacts) == ["focus/stable/1/tflite-fp32.bundle"]
    directive = trusted.directives.directive("focus", "stable")
    assert directive is not None
    assert directive.release == 1
    assert trusted.marks.signed_time == repository.now
    assert {role: mark.version for role, mark in trusted.marks.roles.items()} == {
        "root": 1, "timestamp": 1, "snapshot": 1, "targets": 1, "directives": 1,
    }  # fmt: skip
    assert judge(repository, signed, trusted.marks).marks == trusted.marks


def put(role: str, key: str, value: object) -> Callable[[Signed], None]:
    def change(signed: Signed) -> None:
        signed[role][key] = value

    return change


def without(role: str, key: str) -> Callable[[Signed], None]:
    def change(signed: Signed) -> None:
        del signed[role][key]

    return change


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        *[
            (without(role, "x-issued"), FormatError, f"{role} lacks the field 'x-issued'")
            for role in TUF_ROLES
        ],
        *[(put(role, "x-issued", "yesterday"), FormatError, f"{role}: 'x-issued'") for role in TUF_ROLES],
        *[
            (put(role, "expires", "2020-01-01T00:00:00Z"), VerificationError, f"{role} expired at 2020")
            for role in TUF_ROLES
        ],
        *[
            (put(role, "x-issued", "2999-01-01T00:00:00Z"), ClockError, f"clock: {role} was")
            for role in TUF_ROLES
        ],
        (without("targets", "x-director"), FormatError, "targets lacks the field 'x-director'"),
        (put("targets", "x-director", {"key_id": "a", "public_key": "b"}), FormatError, "public key"),
        (without("targets", "x-floors"), FormatError, "targets lacks the field 'x-floors'"),
        (put("targets", "x-floors", {"focus": 1}), FormatError, "floor"),
        (put("targets", "x-floors", {"focus/stable": "1"}), FormatError, "release '1'"),
        (put("targets", "version", 2), NotTogether, "manifest version 1, but the targets are version 2"),
    ],
)
def test_refused(
    repository: Repository,
    signed: Signed,
    change: Callable[[Signed], None],
    error: type[EdgeError],
    message: str,
) -> None:
    change(signed)
    with pytest.raises(error, match=message):
        judge(repository, signed)


def test_time_passes(repository: Repository, signed: Signed) -> None:
    judge(repository, signed, minutes=24 * 60 - 1)
    with pytest.raises(VerificationError, match="timestamp expired at"):
        judge(repository, signed, minutes=24 * 60)


def test_a_clock_behind_what_was_seen_before(repository: Repository, signed: Signed) -> None:
    """Also where nothing at hand is from the future: old metadata served to a clock set back looks in force."""
    later = repository.now + timedelta(hours=1)
    marks = judge(repository, signed).marks.advance(judge(repository, signed).marks.roles, [later])
    judge(repository, signed, marks, minutes=60)
    with pytest.raises(ClockError, match="were seen before"):
        judge(repository, signed, marks, minutes=10)


def test_one_entry_that_cannot_be_read_does_not_hide_the_others(
    repository: Repository, signed: Signed
) -> None:
    good = "focus/stable/1/tflite-fp32.bundle"
    signed["targets"]["targets"]["focus/stable/2/tflite-fp32.bundle"] = signed["targets"]["targets"][good]
    trusted = judge(repository, signed)
    assert list(trusted.artifacts) == [good]
    assert "belongs under" in trusted.unreadable["focus/stable/2/tflite-fp32.bundle"]
