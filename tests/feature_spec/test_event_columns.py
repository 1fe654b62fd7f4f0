"""Columns of one user's events: the same as events, any number of them, and what is refused."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from feature_spec.day_input import Context, Event, EventColumns, day_input, day_input_of_columns
from feature_spec.errors import DayInputError
from feature_spec.instants import FIRST_INSTANT, LAST_INSTANT, parse_instant
from feature_spec.vocabulary import CONTEXT, EVENT_TYPES

pytestmark = pytest.mark.sampled

AS_OF = "2026-03-31T12:00:00Z"
NOW = parse_instant(AS_OF)
DAY = 86_400_000


def columns(**change: Any) -> EventColumns:
    """Three good rows, with columns exchanged."""
    good: dict[str, Any] = {
        "instants": np.array([NOW - DAY, NOW - 1, NOW], np.int64),
        "types": np.array([0, 7, 3], np.int64),
        "counts": np.array([1.0, 2.0, 3.0]),
        "values": np.array([np.nan, 4.5, np.nan]),
    }
    return EventColumns(**good | change)


def test_columns_are_what_events_are() -> None:
    events = [
        Event("2026-03-31T11:59:59.999Z", "feedback", 2, 4.5, "id-ä", "g"),
        Event("2026-03-01T12:00:00+02:00", "session"),
    ]
    made = EventColumns.of(events)
    assert made.instants.tolist() == [NOW - 1, parse_instant("2026-03-01T10:00:00Z")]
    assert (made.types.tolist(), made.counts.tolist()) == ([7, 0], [2, 1])
    assert made.values is not None
    assert made.values[0] == 4.5
    assert np.isnan(made.values[1])
    assert (made.ids, made.goals, len(made)) == (["id-ä", None], ["g", None], 2)
    assert (EventColumns.of(iter(events[1:])).ids, len(EventColumns.of([]))) == (None, 0)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"instants": [NOW - DAY, NOW - 1, NOW]},
        {"types": np.array([0, 7, 3], np.uint8), "counts": np.array([1, 2, 3], np.int32)},
        {"values": np.array([np.nan, 4.5, np.nan], np.float32)},
        {"ids": ["a", None, "b"]},
        {"ids": np.array(["a", "b", "c"])},
        {"ids": list(np.array(["a", "b", "c"]))},
        {"ids": np.array(["a", None, "c"], object), "goals": ("g", None, None)},
    ],
    ids=lambda change: "-".join(change) or "as they are",
)
def test_other_containers_and_types_give_the_same(change: dict[str, Any]) -> None:
    result = day_input_of_columns(columns(**change), NOW, "UTC")
    expected = day_input_of_columns(columns(), NOW, "UTC")
    assert np.array_equal(result.daily, expected.daily)
    assert np.array_equal(result.context, expected.context)
    assert result.daily.sum() == 1 + 2 + 1 + 4.5 + 3


def test_what_has_the_right_type_is_not_copied() -> None:
    made = columns()
    again = replace(made)
    assert all(np.shares_memory(getattr(made, n), getattr(again, n)) for n in ("instants", "types", "counts"))


def test_no_events() -> None:
    empty = np.zeros(0, np.int64)
    result = day_input_of_columns(EventColumns(empty, empty, empty), NOW, "Asia/Tokyo")
    assert not result.daily.any()
    assert dict(zip(CONTEXT, result.context.tolist(), strict=True)) == dict.fromkeys(CONTEXT, -1) | {
        "weekday": 1,
        "hour_of_day": 21,
        "day_of_month": 31,
        "day_of_year": 90,
        "morning_acts": 0,
    }


def test_repeated_ids_are_marked() -> None:
    twice = columns(
        instants=[NOW, NOW, NOW], types=[0, 0, 0], counts=[1, 1, 1], values=[np.nan] * 3, ids=["a", None, "a"]
    )
    assert twice.repeats().tolist() == [False, False, True]  # type: ignore[union-attr]
    assert day_input_of_columns(twice, NOW, "UTC").daily.sum() == 2
    assert columns(ids=["a", None, None]).repeats() is None
    assert columns().repeats() is None


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "seconds-as-float",
        {"instants": np.array([1.7e9, 1.7e9, 1.7e9])},
        "bad-timestamp",
        "float64; give integers",
    ),
    (
        "too-early",
        {"instants": [0, FIRST_INSTANT - 1, 0]},
        "bad-timestamp",
        "row 1: .* are these milliseconds",
    ),
    ("too-late", {"instants": [0, 0, LAST_INSTANT + 1]}, "bad-timestamp", "row 2: "),
    ("nanoseconds", {"instants": [NOW * 10**6] * 3}, "bad-timestamp", "row 0: "),
    (
        "unsigned",
        {"instants": np.full(3, 2**64 - 1, np.uint64)},
        "bad-timestamp",
        "row 0: 18446744073709551615",
    ),
    ("dates", {"instants": np.array(["2026-03-31"] * 3, "M8[ms]")}, "bad-timestamp", "datetime64"),
    ("names", {"types": ["session"] * 3}, "unknown-event-type", "give integers"),
    (
        "eighth",
        {"types": [0, 8, 0]},
        "unknown-event-type",
        "row 1: unknown event type 8; give an index into session",
    ),
    ("negative-type", {"types": [0, 0, -1]}, "unknown-event-type", "row 2: unknown event type -1"),
    ("bool-type", {"types": [True, False, True]}, "unknown-event-type", "bool"),
    ("negative-count", {"counts": [1, 1, -1]}, "bad-count", "row 2: the count -1 is no whole number"),
    ("fraction", {"counts": [1, 0.5, 1]}, "bad-count", "row 1: the count 0.5"),
    ("nan-count", {"counts": [np.nan, 1, 1]}, "bad-count", "row 0: the count nan"),
    ("infinite-count", {"counts": [1, 1, np.inf]}, "bad-count", "row 2: the count inf"),
    ("huge-count", {"counts": [1, 1_000_001, 1]}, "bad-count", "row 1: the count 1000001"),
    ("bool-count", {"counts": [True, True, True]}, "bad-count", "bool; give numbers"),
    ("text-count", {"counts": ["1", "1", "1"]}, "bad-count", "give numbers"),
    (
        "infinite-value",
        {"values": [np.nan, np.nan, -np.inf]},
        "bad-value",
        "row 2: the value -inf is no finite",
    ),
    ("huge-value", {"values": [np.nan, 1_000_000.5, 0]}, "bad-value", "row 1: the value 1000000.5"),
    ("object-value", {"values": [None, 1.0, None]}, "bad-value", "object; give numbers"),
    ("empty-id", {"ids": ["a", "", None]}, "bad-event", "row 1 of ids is ''"),
    ("number-id", {"ids": ["a", None, 7]}, "bad-event", "row 2 of ids is 7; give a text"),
    ("bytes-goal", {"goals": [b"g", None, None]}, "bad-event", "row 0 of goals"),
    ("short-values", {"values": [1.0]}, "bad-event", "values has 1 rows for 3 instants"),
    ("long-ids", {"ids": ["a"] * 4}, "bad-event", "ids has 4 rows for 3"),
    ("two-dimensions", {"counts": [[1, 1, 1]]}, "bad-event", r"counts has the shape \(1, 3\)"),
    ("one-number", {"instants": NOW}, "bad-event", r"instants has the shape \(\)"),
]


@pytest.mark.parametrize(
    ("change", "reason", "says"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_refuses_columns(change: dict[str, Any], reason: str, says: str) -> None:
    with pytest.raises(DayInputError, match=says) as caught:
        columns(**change)
    assert caught.value.reason == reason
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"as_of": FIRST_INSTANT - 1}, "bad-timestamp"),
        ({"as_of": NOW * 1000}, "bad-timestamp"),
        ({"zone_name": "Mars/Olympus"}, "bad-zone"),
        ({"zone_name": "../etc/passwd"}, "bad-zone"),
        ({"events": columns(ids=["a", "a", None])}, "event-id-conflict"),
        ({"context": Context(observed_since="2026-04-01")}, "not-observed"),
        (
            {"events": columns(types=[0] * 3, instants=[NOW] * 3, values=[1e6] * 3, counts=[1e6] * 3)},
            None,
        ),
    ],
)
def test_refuses_the_rest(change: dict[str, Any], reason: str | None) -> None:
    given: dict[str, Any] = {"events": columns(), "as_of": NOW, "zone_name": "UTC"} | change
    if reason is None:  # the largest numbers are fine, until a cell adds up to too many
        assert day_input_of_columns(**given).daily[0, 0].tolist() == [3e6, 3, 3e6]
        return
    with pytest.raises(DayInputError) as caught:
        day_input_of_columns(**given)
    assert caught.value.reason == reason


def many(count: int) -> EventColumns:
    random = np.random.default_rng(4)
    return EventColumns(
        random.integers(NOW - 120 * DAY, NOW + DAY, count),
        random.integers(0, len(EVENT_TYPES), count),
        np.ones(count),
    )


def test_any_number_of_events_needs_a_few_megabytes() -> None:
    """A flood of ten million events is counted, in memory that does not grow with it."""
    events = many(10_000_000)
    tracemalloc.start()
    result = day_input_of_columns(events, NOW, "America/New_York")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000 < events.instants.nbytes
    inside = (events.instants <= NOW) & (events.instants >= parse_instant("2026-01-01T05:00:00Z"))
    assert result.daily[:, :, 0].sum() == inside.sum()
    half = EventColumns(*(column[5_000_000:] for column in (events.instants, events.types, events.counts)))
    rest = EventColumns(*(column[:5_000_000] for column in (events.instants, events.types, events.counts)))
    parts = [day_input_of_columns(part, NOW, "America/New_York").daily for part in (half, rest)]
    assert np.array_equal(parts[0] + parts[1], result.daily)


def test_a_flood_on_one_day_is_refused() -> None:
    rows = 17
    flood = EventColumns(np.full(rows, NOW), np.zeros(rows, np.int64), np.full(rows, 1_000_000))
    with pytest.raises(DayInputError, match=r"more than 2\^24 of one event type; check the units") as caught:
        day_input_of_columns(flood, NOW, "UTC")
    assert caught.value.reason == "too-many"
    mornings = EventColumns(
        NOW - 4 * 3_600_000 - DAY * np.arange(rows), np.zeros(rows, np.int64), np.full(rows, 1_000_000)
    )
    with pytest.raises(DayInputError, match="acts before noon"):
        day_input_of_columns(mornings, NOW, "UTC")


def test_repeats_are_found_across_parts_of_a_long_log() -> None:
    count = 70_000  # more than the parts in which events are taken
    instants = np.full(count, NOW)
    events = EventColumns(
        instants, np.zeros(count, np.int64), np.ones(count), None, [str(i % 65_000) for i in range(count)]
    )
    assert day_input_of_columns(events, NOW, "UTC").daily[0, 0, 0] == 65_000


def test_events_by_any_iterable() -> None:
    events = [Event(AS_OF, "session"), Event(AS_OF, "session")]
    assert day_input(iter(events), AS_OF, "UTC").daily[0, 0, 0] == 2
