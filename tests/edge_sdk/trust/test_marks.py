"""High-water marks never sink, and begin anew with new keys only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.errors import FormatError, VerificationError
from edge_sdk.trust import ClockError, Marks, RoleMark, check_clock
from edge_sdk.trust.accepting import SKEW
from edge_sdk.trust.marks import ROLES

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def roles(version: int = 1, keys: tuple[str, ...] = ("a",), **changes: RoleMark) -> dict[str, RoleMark]:
    return {**dict.fromkeys(ROLES, RoleMark(version, keys)), **changes}


def test_the_first_refresh_sets_them() -> None:
    marks = Marks().advance(roles(), [NOW, NOW - timedelta(days=1)])
    assert marks.signed_time == NOW
    assert marks.roles == roles()


@pytest.mark.parametrize("role", ROLES)
def test_a_lower_version_of_any_role_is_refused(role: str) -> None:
    marks = Marks().advance(roles(5), [NOW])
    with pytest.raises(VerificationError, match=f"{role} version 4 is older than version 5"):
        marks.advance(roles(5, **{role: RoleMark(4, ("a",))}), [NOW])


@pytest.mark.parametrize("role", ROLES)
def test_other_keys_begin_anew(role: str) -> None:
    marks = Marks().advance(roles(5), [NOW])
    assert marks.advance(roles(5, **{role: RoleMark(1, ("b",))}), [NOW]).roles[role].version == 1


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=5))
def test_signed_time_only_grows(offsets: list[int]) -> None:
    marks, newest = Marks(), None
    for offset in offsets:
        marks = marks.advance(roles(), [NOW + timedelta(minutes=offset)])
        assert newest is None or marks.signed_time >= newest
        newest = marks.signed_time
    assert newest == NOW + timedelta(minutes=max(offsets))


@given(st.lists(st.integers(1, 100), min_size=1, max_size=10))
def test_releases_only_grow(releases: list[int]) -> None:
    marks = Marks()
    for release in releases:
        marks = marks.with_release("focus", "stable", release)
    assert marks.release("focus", "stable") == max(releases)
    assert marks.release("focus", "beta") == 0


def test_the_clock() -> None:
    check_clock(Marks(), datetime(1970, 1, 1, tzinfo=UTC))
    marks = Marks().advance(roles(), [NOW])
    check_clock(marks, NOW - SKEW)
    with pytest.raises(ClockError, match=r"clock: it says 2026-11-21T11:54:59Z, .* set the clock"):
        check_clock(marks, NOW - SKEW - timedelta(seconds=1))


@pytest.mark.parametrize(
    "wrong",
    [
        {"roles": {"root": RoleMark(1)}, "signed_time": NOW},
        {"roles": roles()},
        {"signed_time": NOW},
        {"releases": {"focus": 1}},
        {"releases": {"focus/stable": 0}},
    ],
)
def test_valid_by_construction(wrong: dict[str, object]) -> None:
    with pytest.raises(FormatError):
        Marks(**wrong)  # type: ignore[arg-type]
