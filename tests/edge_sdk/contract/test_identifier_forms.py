"""Names, versions, times and buckets beyond what the vectors fix."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.contract import buckets, identifiers
from edge_sdk.errors import FormatError

moments = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC))
installs = st.uuids().map(str)


@given(moments)
def test_times_survive_in_whole_seconds(moment: datetime) -> None:
    whole = moment.replace(microsecond=0)
    assert identifiers.parse_time(identifiers.format_time(moment)) == whole


def test_a_time_of_another_zone_is_written_in_utc() -> None:
    berlin = timezone(timedelta(hours=2))
    assert identifiers.format_time(datetime(2026, 6, 1, 1, tzinfo=berlin)) == "2026-05-31T23:00:00Z"


@given(st.text())
def test_a_text_is_a_name_exactly_if_it_has_the_form(value: str) -> None:
    allowed = set("abcdefghijklmnopqrstuvwxyz0123456789-")
    good = 1 <= len(value) <= 63 and set(value) <= allowed and value[0] != "-"
    if good:
        assert identifiers.name(value) == value
    else:
        with pytest.raises(FormatError, match="is not a name"):
            identifiers.name(value)


@pytest.mark.parametrize("check", [identifiers.name, identifiers.model_version, identifiers.release])
@pytest.mark.parametrize("value", [None, [], {}, b"a", 1.0, True])
def test_other_types_are_refused(check: object, value: object) -> None:
    with pytest.raises(FormatError):
        check(value)  # type: ignore[operator]


def test_buckets_are_even() -> None:
    counts = Counter(buckets.bucket("ramp", "m/stable/1", str(n)) // 1_000 for n in range(20_000))
    # 2,000 expected in each tenth; six standard deviations of a binomial are 255.
    assert set(counts) == set(range(10))
    assert all(abs(count - 2_000) < 255 for count in counts.values())


@given(installs, st.integers(0, 10_000), st.integers(0, 10_000))
def test_a_larger_ramp_removes_nobody(install: str, one: int, other: int) -> None:
    small, large = sorted((one, other))
    if buckets.in_ramp("m", "stable", 3, small, install):
        assert buckets.in_ramp("m", "stable", 3, large, install)


@given(installs)
def test_nobody_at_zero_and_everybody_at_all(install: str) -> None:
    assert not buckets.in_ramp("m", "stable", 3, 0, install)
    assert buckets.in_ramp("m", "stable", 3, 10_000, install)


def test_purposes_and_salts_are_independent() -> None:
    fleet = [f"install {n}" for n in range(4_000)]
    halves = {
        "ramp": [buckets.in_ramp("m", "stable", 3, 5_000, install) for install in fleet],
        "next release": [buckets.in_ramp("m", "stable", 4, 5_000, install) for install in fleet],
        "holdout": [buckets.in_holdout("stable", 5_000, install) for install in fleet],
        "variant": [buckets.variant("stable", [5_000], install) == 0 for install in fleet],
    }
    names = list(halves)
    for index, one in enumerate(names):
        for other in names[:index]:
            agree = sum(a == b for a, b in zip(halves[one], halves[other], strict=True))
            assert abs(agree - 2_000) < 190, f"{one} tells something about {other}"


@given(installs, st.lists(st.integers(0, 3_000), min_size=1, max_size=3))
def test_a_variant_is_the_first_arm_beyond_the_bucket(install: str, weights: list[int]) -> None:
    position = buckets.bucket("variant", "tone", install)
    arm = buckets.variant("tone", weights, install)
    if arm is None:
        assert sum(weights) <= position
    else:
        assert sum(weights[:arm]) <= position < sum(weights[: arm + 1])
