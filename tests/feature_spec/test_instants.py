"""Local days of arrays: the same as one instant at a time, in every zone and around every change of its clocks."""

from __future__ import annotations

import struct
import zoneinfo
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_spec import instants
from feature_spec.errors import DataError
from feature_spec.instants import (
    DAY_MS,
    FIRST_INSTANT,
    LAST_INSTANT,
    Instants,
    last_instant,
    local_day,
    local_days,
    local_milliseconds,
    local_moment,
    parse_date,
    parse_instant,
    zone,
    zone_offsets,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Machines have files beside the database: what they are set to, and rules without a name.
ALL = sorted(zoneinfo.available_timezones() - {"localtime", "posixrules"})
ODD = (
    "Africa/Casablanca",  # turns its clocks for Ramadan
    "Africa/Monrovia",  # -00:44:30 until 1972
    "America/Nuuk",
    "America/Sao_Paulo",  # days that began at 01:00
    "America/St_Johns",  # clocks that went back at 00:01
    "Antarctica/Troll",  # two hours at once
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Asia/Manila",
    "Australia/Eucla",
    "Australia/Lord_Howe",  # half an hour
    "Pacific/Apia",  # no 2011-12-30
    "Pacific/Chatham",
    "Pacific/Kiritimati",  # no 1994-12-31
    "Pacific/Kwajalein",  # no 1993-08-21
)
NEAR = np.array([-DAY_MS, -3_600_001, -1001, -1, 0, 1, 999, 3_599_999, DAY_MS], np.int64)


def one_by_one(moments: Instants, where: tzinfo) -> list[int]:
    """The clock's milliseconds by ``zoneinfo`` alone."""
    shown = [local_moment(int(moment), where).replace(tzinfo=UTC) - EPOCH for moment in moments]
    return [clock // timedelta(milliseconds=1) for clock in shown]


def around_changes(where: tzinfo, first: int, last: int) -> Instants:
    starts, _ = zone_offsets(where, first, last)
    near = (starts[1:, None] + NEAR).ravel()
    return near[(near >= first) & (near <= last)]


@given(
    st.sampled_from(ALL) | st.sampled_from(ODD),
    st.lists(st.integers(FIRST_INSTANT, LAST_INSTANT), max_size=20),
)
def test_any_instants_of_any_zone(name: str, moments: list[int]) -> None:
    array, where = np.array(moments, np.int64), zone(name)
    assert local_milliseconds(array, where).tolist() == one_by_one(array, where)
    assert local_days(array, where).tolist() == [local_day(moment, where) for moment in moments]


@given(
    st.sampled_from(ALL) | st.sampled_from(ODD),
    st.integers(FIRST_INSTANT, LAST_INSTANT),
    st.integers(0, 90 * DAY_MS),
)
def test_a_window_of_any_zone_and_its_changes(name: str, first: int, length: int) -> None:
    where, last = zone(name), min(first + length, LAST_INSTANT)
    array = np.append(around_changes(where, first, last), [first, last]).astype(np.int64)
    assert local_milliseconds(array, where).tolist() == one_by_one(array, where)


@pytest.mark.parametrize("name", [*ODD, *ALL[::60]])
def test_around_every_change_of_two_centuries(name: str) -> None:
    where = zone(name)
    array = around_changes(where, FIRST_INSTANT, LAST_INSTANT)
    assert local_milliseconds(array, where).tolist() == one_by_one(array, where)


def changes_in_the_database(name: str) -> list[tuple[int, int]]:
    """When a zone changes its offset, and to what, in seconds: read from the second part of its TZif file."""
    for folder in map(Path, zoneinfo.TZPATH):
        if (folder / name).is_file():
            data = (folder / name).read_bytes()
            break
    else:
        data = resources.files("tzdata.zoneinfo").joinpath(*name.split("/")).read_bytes()
    counts = struct.unpack(">6l", data[20:44])  # isut, isstd, leap, time, type, char
    body = 44 + counts[3] * 5 + counts[4] * 6 + counts[5] + counts[2] * 8 + counts[1] + counts[0]
    times, types = struct.unpack(">2l", data[body + 32 : body + 40])
    at = body + 44
    starts = struct.unpack(f">{times}q", data[at : at + 8 * times])
    kinds = data[at + 8 * times : at + 9 * times]
    first = at + 9 * times
    offsets = [struct.unpack(">l", data[first + 6 * i : first + 6 * i + 4])[0] for i in range(types)]
    found: list[tuple[int, int]] = []
    before = offsets[0]
    for start, kind in zip(starts, kinds, strict=True):
        if offsets[kind] != before:
            found.append((start, offsets[kind]))
            before = offsets[kind]
    return found


@pytest.mark.sampled
@pytest.mark.parametrize("part", range(12))
def test_every_change_is_found(part: int) -> None:
    """The grid on which changes are looked for is fine enough for every zone of the database."""
    first, last = parse_instant("1970-01-02T00:00:00Z"), parse_instant("2037-12-31T00:00:00Z")
    compared = 0
    for name in [*ODD, *ALL[part::24]] if part == 0 else ALL[part::24]:
        starts, offsets = zone_offsets(zone(name), first, last)
        found = list(zip((starts[1:] // 1000).tolist(), (offsets[1:] // 1000).tolist(), strict=True))
        expected = [pair for pair in changes_in_the_database(name) if first < pair[0] * 1000 <= last]
        # A file may end with a rule instead of a list; what follows from rules is compared above.
        assert found[: len(expected)] == expected, name
        assert len(starts) < 2 or np.diff(starts).min() >= 6 * DAY_MS, name
        compared += len(expected)
    assert compared > 400


def test_a_grid_that_is_too_coarse_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: Boa Vista tried summer time for a week of the year 2000."""
    first, last = parse_instant("2000-01-01T00:00:00Z"), parse_instant("2000-12-31T00:00:00Z")
    fine = zone_offsets(zone("America/Boa_Vista"), first, last)
    instants._pieces.cache_clear()
    instants._table.cache_clear()
    monkeypatch.setattr(instants, "_STEP", 64 * 86_400)
    assert len(zone_offsets(zone("America/Boa_Vista"), first, last)[0]) < len(fine[0])
    instants._pieces.cache_clear()
    instants._table.cache_clear()


def test_dates_that_a_zone_left_out() -> None:
    for name, eve, dates in (
        ("Pacific/Apia", "2011-12-30T09:59:59.999Z", ("2011-12-29", "2011-12-31")),
        ("Pacific/Kwajalein", "1993-08-21T11:59:59.999Z", ("1993-08-20", "1993-08-22")),
        ("Pacific/Kiritimati", "1994-12-31T09:59:59.999Z", ("1994-12-30", "1995-01-01")),
    ):
        both = parse_instant(eve) + np.array([0, 1], np.int64)
        assert np.datetime_as_string(local_days(both, zone(name)).astype("datetime64[D]")).tolist() == [
            *dates
        ]


@given(st.sampled_from(ALL) | st.sampled_from(ODD), st.integers(0, 84_005))
def test_the_last_instant_of_a_day(name: str, day: int) -> None:
    where = zone(name)
    last = last_instant(day, where)
    assert local_day(last, where) == day or (local_day(last + 1, where), local_day(last, where)) == (
        day + 1,
        day - 1,
    )
    # Nothing for a day after it is on that day again, wherever clocks are moved.
    later = last + 1 + np.arange(0, DAY_MS, 600_000)
    assert (local_days(later[later <= LAST_INSTANT], where) > day).all()


@pytest.mark.parametrize(
    ("name", "date", "last"),
    [
        ("UTC", "2026-03-31", "2026-03-31T23:59:59.999Z"),
        ("Europe/Berlin", "2026-03-29", "2026-03-29T21:59:59.999Z"),
        ("America/St_Johns", "2006-10-28", "2006-10-29T03:29:59.999Z"),  # clocks came to this day again
        ("Pacific/Apia", "2011-12-30", "2011-12-30T09:59:59.999Z"),  # left out: the end of the 29th
        ("Asia/Pyongyang", "2018-05-04", "2018-05-04T14:59:59.999Z"),
        ("Pacific/Kiritimati", "2199-12-31", "2199-12-31T09:59:59.999Z"),
        ("Pacific/Pago_Pago", "1970-01-01", "1970-01-02T10:59:59.999Z"),
    ],
)
def test_the_last_instant_of_special_days(name: str, date: str, last: str) -> None:
    assert last_instant(parse_date(date), zone(name)) == parse_instant(last)


@pytest.mark.parametrize("day", [-1, 84_006, 10**9])
def test_refuses_the_last_instant_of_other_centuries(day: int) -> None:
    with pytest.raises(DataError, match="outside of 1970 to 2199"):
        last_instant(day, UTC)


def test_other_kinds_of_zones_and_shapes() -> None:
    array = np.array([[0, DAY_MS - 1], [DAY_MS, -1]], np.int64)
    assert local_days(array, UTC).tolist() == [[0, 0], [1, -1]]
    east = timezone(timedelta(hours=5, minutes=45))
    assert local_milliseconds(array, east).tolist() == (array + 20_700_000).tolist()
    assert local_days(np.zeros((0, 3), np.int64), east).shape == (0, 3)


@pytest.mark.parametrize("moment", [FIRST_INSTANT - 1, LAST_INSTANT + 1, 2**62])
def test_refuses_what_is_no_instant(moment: int) -> None:
    with pytest.raises(DataError, match=f"{moment} ms since 1970 .* are these milliseconds"):
        local_days(np.array([0, moment], np.int64), UTC)


def test_the_first_and_the_last_instant() -> None:
    assert parse_instant("1970-01-01T00:00:00+23:59") == FIRST_INSTANT
    assert parse_instant("2199-12-31T23:59:59.999-23:59") == LAST_INSTANT
    for name in ALL[::20]:
        edges = np.array([FIRST_INSTANT, LAST_INSTANT], np.int64)
        assert local_milliseconds(edges, zone(name)).tolist() == one_by_one(edges, zone(name))
