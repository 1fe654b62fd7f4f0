"""Laws of the day input over made-up event logs in every zone; and that wrong day inputs break them."""

from __future__ import annotations

import random
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from feature_spec.day_input import Context, DayInput, Event, day_input
from feature_spec.errors import DayInputError
from feature_spec.instants import (
    DAY_MS,
    FIRST_INSTANT,
    LAST_INSTANT,
    local_day,
    parse_instant,
    zone,
    zone_offsets,
)
from feature_spec.vocabulary import EVENT_TYPES
from tests.feature_spec.one_by_one import (
    Compute,
    compute_with,
    hours_by_24,
    one_by_one,
    present_offset,
    written_offset,
)

pytestmark = pytest.mark.sampled

# Machines have files beside the database: what they are set to, and rules without a name.
ZONES = sorted(zoneinfo.available_timezones() - {"localtime", "posixrules"})
RESTLESS = (
    "Africa/Casablanca",
    "America/St_Johns",
    "Antarctica/Troll",
    "Asia/Gaza",
    "Australia/Lord_Howe",
    "Europe/Berlin",
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

law = settings(max_examples=60)


@dataclass(frozen=True)
class Log:
    """One user's events and the rest of an input."""

    events: list[Event]
    as_of: str
    zone: str
    context: Context

    def by(self, compute: Compute) -> DayInput:
        return compute(self.events, self.as_of, self.zone, self.context)

    def change(self, events: list[Event]) -> Log:
        return replace(self, events=events)


def written(instant: int, minutes: int = 0) -> str:
    """An instant as a timestamp in the notation of an offset."""
    moment = (EPOCH + timedelta(milliseconds=instant)).astimezone(timezone(timedelta(minutes=minutes)))
    sign, hours = "-" if minutes < 0 else "+", f"{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}{sign}{hours}"


@st.composite
def logs(draw: st.DrawFn, ids: bool = False, values: bool = True) -> Log:
    """Events around an as-of instant, many of them where a day begins or clocks change."""
    name = draw(st.sampled_from(ZONES) | st.sampled_from(RESTLESS))
    day = 86_400_000
    now = draw(st.integers(FIRST_INSTANT + 200 * day, LAST_INSTANT - 20 * day))
    starts, offsets = zone_offsets(zone(name), now - 95 * day, now + 3 * day)
    midnights = ((now + offsets[-1]) // day - np.arange(-2, 93)) * day - offsets[-1]
    edges = np.concatenate([starts[1:], midnights, [now]]).tolist()
    near = st.tuples(st.sampled_from(edges), st.sampled_from([-3_600_000, -1, 0, 1, 1_799_999])).map(sum)
    instant = near | st.integers(now - 95 * day, now + 3 * day)
    # Quarters add up without error in any order.
    value = st.none() | st.integers(-400, 400).map(lambda quarter: quarter / 4) if values else st.none()
    event = st.builds(
        lambda at, kind, count, value, goal: Event(written(at), kind, count, value, None, goal),
        instant,
        st.sampled_from(EVENT_TYPES),
        st.integers(0, 5) | st.just(1_000_000),
        value,
        st.sampled_from([None, "g1", "目標"]),
    )
    events = draw(st.lists(event, max_size=15))
    if ids:
        events = [replace(e, event_id=f"é{i}" if draw(st.booleans()) else None) for i, e in enumerate(events)]
    today = np.datetime64(local_day(now, zone(name)), "D")
    dates = st.none() | st.integers(0, 120).map(lambda days: str(today - days))
    known = Context(
        observed_since=draw(dates), account_since=draw(dates), progress=draw(st.none() | st.just(0.25))
    )
    return Log(events, written(draw(st.just(now)), draw(st.sampled_from([0, 120, -300]))), name, known)


def same(left: DayInput, right: DayInput) -> bool:
    return np.array_equal(left.daily, right.daily) and np.array_equal(left.context, right.context)


@law
@given(logs(ids=True))
def test_columns_give_what_one_event_at_a_time_gives(log: Log) -> None:
    assert same(log.by(day_input), log.by(one_by_one))


@law
@given(logs(ids=True), st.randoms(use_true_random=False))
def test_the_order_of_events_does_not_matter(log: Log, shuffler: random.Random) -> None:
    shuffled = list(log.events)
    shuffler.shuffle(shuffled)
    assert same(log.by(day_input), log.change(shuffled).by(day_input))


@law
@given(logs(), st.data())
def test_events_with_an_id_may_come_again_and_others_add_up(log: Log, data: st.DataObject) -> None:
    named = [replace(event, event_id=f"e{index}") for index, event in enumerate(log.events)]
    again = data.draw(st.lists(st.sampled_from(named), max_size=5)) if named else []
    once = log.by(day_input)
    assert same(log.change(named + again).by(day_input), once)
    assert np.array_equal(log.change(log.events * 2).by(day_input).daily, 2 * once.daily)


@law
@given(logs(ids=True), st.lists(st.integers(1, 3 * DAY_MS), max_size=5), st.sampled_from(EVENT_TYPES))
def test_what_happens_later_does_not_matter(log: Log, delays: list[int], kind: str) -> None:
    later = [Event(written(parse_instant(log.as_of) + delay), kind, 7, 1.5) for delay in delays]
    past = [event for event in log.events if event.instant <= parse_instant(log.as_of)]
    assert same(log.change(log.events + later).by(day_input), log.by(day_input))
    assert same(log.change(past).by(day_input), log.by(day_input))


@law
@given(logs(), st.integers(0, 10**6), st.integers(1, 10**6))
def test_an_event_without_id_is_the_sum_of_its_parts(log: Log, part: int, rest: int) -> None:
    for event in log.events[:1]:
        count = min(part + rest, 10**6)
        whole = [replace(event, count=count), *log.events[1:]]
        # A row has one value, however high its count: one of the parts keeps it.
        parts = [replace(event, count=count - rest % count), replace(event, count=rest % count, value=None)]
        assert same(log.change(whole).by(day_input), log.change([*log.events[1:], *parts]).by(day_input))


@law
@given(logs(ids=True), st.integers(-23 * 60 - 59, 23 * 60 + 59))
def test_how_an_instant_is_written_does_not_matter(log: Log, minutes: int) -> None:
    rewritten = [replace(event, timestamp=written(event.instant, minutes)) for event in log.events]
    assert same(
        log.change(log.events + [e for e in rewritten if e.event_id]).by(day_input), log.by(day_input)
    )
    assert same(log.change(rewritten).by(day_input), log.by(day_input))


@law
@given(logs(ids=True), st.integers(0, DAY_MS))
def test_later_the_same_day_nothing_moves(log: Log, delay: int) -> None:
    """Until the day ends every earlier event stays where it is; a rule of 24 hours would move some."""
    _stays(day_input, log, delay)


def _stays(compute: Compute, log: Log, delay: int) -> None:
    now, where = parse_instant(log.as_of), zone(log.zone)
    later = now + delay
    if local_day(later, where) == local_day(now, where):
        past = [event for event in log.events if event.instant <= now]
        first = log.change(past).by(compute).daily
        then = replace(log, events=past, as_of=written(later)).by(compute).daily
        assert np.array_equal(first, then)


CHANGES: dict[str, Callable[[Event], Event]] = {
    "instant": lambda e: replace(e, timestamp=written(e.instant - 1)),
    "type": lambda e: replace(e, event_type="session" if e.event_type != "session" else "message"),
    "count": lambda e: replace(e, count=e.count + 1 if e.count < 10**6 else 0),
    "value": lambda e: replace(e, value=0.125 if e.value is None else None),
    "goal": lambda e: replace(e, goal_id="other"),
}


@law
@given(logs(), st.sampled_from(sorted(CHANGES)), st.data())
def test_one_id_with_two_contents_is_refused(log: Log, change: str, data: st.DataObject) -> None:
    if log.events:
        named = [replace(event, event_id=f"e{index}") for index, event in enumerate(log.events)]
        other = CHANGES[change](data.draw(st.sampled_from(named)))
        where = data.draw(st.integers(0, len(named)))
        with pytest.raises(DayInputError) as caught:
            log.change([*named[:where], other, *named[where:]]).by(day_input)
        assert caught.value.reason == "event-id-conflict"


@law
@given(logs(), st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_any_values_add_up_to_float32(log: Log, values: list[float], shuffler: random.Random) -> None:
    """In another order the doubles may differ in their last bits, so sums that cancel may in float32."""
    at = log.as_of
    shuffled = list(values)
    shuffler.shuffle(shuffled)
    sums = [
        day_input([Event(at, "feedback", 1, value) for value in several], at, log.zone).daily[0, 7, 2]
        for several in (values, shuffled)
    ]
    allowed = 1e-14 * sum(map(abs, values)) + abs(sums[0]) * 2**-23
    assert abs(float(sums[0]) - float(sums[1])) <= allowed


# ---- Controls: a day input that numbers days wrongly is caught, by a law and by a vector

WRONG = {"hours by 24": hours_by_24, "offset of as-of": present_offset, "written offset": written_offset}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_a_wrong_day_breaks_the_law(name: str) -> None:
    wrong = compute_with(WRONG[name])
    quick = settings(max_examples=2000, phases=[Phase.generate], database=None, derandomize=True)
    log = find(logs(), lambda found: not same(found.by(wrong), found.by(day_input)), settings=quick)
    assert log.events


def test_days_of_24_hours_move_during_the_day() -> None:
    log = Log([Event("2026-03-30T13:00:00Z", "session")], "2026-03-31T12:00:00Z", "UTC", Context())
    _stays(day_input, log, 7_200_000)
    with pytest.raises(AssertionError):
        _stays(compute_with(hours_by_24), log, 7_200_000)


def test_the_right_day_breaks_nothing() -> None:
    quick = settings(max_examples=200, phases=[Phase.generate], database=None, derandomize=True)
    with pytest.raises(NoSuchExample):
        find(logs(), lambda found: not same(found.by(one_by_one), found.by(day_input)), settings=quick)
