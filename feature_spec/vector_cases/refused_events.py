"""Events, instants and zones to refuse."""

from __future__ import annotations

from typing import Any, Final

from feature_spec.vector_cases.case import MORNING, NOON, Case, ago, at

_GOOD: Final = at(MORNING)


def _time(name: str, timestamp: Any, why: str) -> tuple[Case, str]:
    return Case(f"timestamp-{name}", why, (_GOOD, at(timestamp))), "bad-timestamp"


def _as_of(name: str, as_of: Any, why: str) -> tuple[Case, str]:
    return Case(f"as-of-{name}", why, (_GOOD,), as_of=as_of), "bad-timestamp"


def _zone(name: str, zone: Any, why: str) -> tuple[Case, str]:
    return Case(f"zone-{name}", why, (_GOOD,), zone=zone), "bad-zone"


def _event(name: str, reason: str, why: str, **change: Any) -> tuple[Case, str]:
    return Case(name, why, (_GOOD, {**_GOOD, **change})), reason


def _other(name: str, event: Any, why: str) -> tuple[Case, str]:
    return Case(f"event-{name}", why, (_GOOD, event)), "bad-event"


def _conflict(name: str, why: str, first: dict[str, Any], second: dict[str, Any]) -> tuple[Case, str]:
    events = ({**_GOOD, "event_id": "a1", **first}, _GOOD, {**_GOOD, "event_id": "a1", **second})
    return Case(f"conflict-{name}", why, events), "event-id-conflict"


def _flood(name: str, why: str, *events: dict[str, Any]) -> tuple[Case, str]:
    return Case(f"too-many-{name}", why, events), "too-many"


CASES: Final[tuple[tuple[Case, str], ...]] = (
    _time("no-offset", "2026-03-31T09:00:00", "a timestamp without Z or offset names no instant"),
    _time("date-only", "2026-03-31", "a date names no instant"),
    _time("space", "2026-03-31 09:00:00Z", "a space where T belongs"),
    _time("lower-case", "2026-03-31t09:00:00z", "t and z in lower case: parsers differ on them"),
    _time("lower-case-z", "2026-03-31T09:00:00z", "z alone in lower case"),
    _time("month-0", "2026-00-10T09:00:00Z", "months begin at 1"),
    _time("month-13", "2026-13-01T09:00:00Z", "there is no month 13"),
    _time("day-0", "2026-03-00T09:00:00Z", "days begin at 1"),
    _time("april-31", "2026-04-31T09:00:00Z", "April has 30 days"),
    _time("february-30", "2026-02-30T09:00:00Z", "there is no 30 February"),
    _time("february-29", "2026-02-29T09:00:00Z", "2026 is no leap year"),
    _time("february-29-2100", "2100-02-29T09:00:00Z", "nor is 2100"),
    _time("hour-24", "2026-03-30T24:00:00Z", "hours end at 23"),
    _time("minute-60", "2026-03-31T09:60:00Z", "minutes end at 59"),
    _time("second-60", "2026-03-31T09:00:60Z", "leap seconds are not recorded by phones"),
    _time("no-seconds", "2026-03-31T09:00Z", "seconds are written"),
    _time("short-year", "26-03-31T09:00:00Z", "years have four digits"),
    _time("offset-24", "2026-03-31T09:00:00+24:00", "offsets end at 23:59"),
    _time("offset-minute-60", "2026-03-31T09:00:00+01:60", "an offset's minutes end at 59"),
    _time("short-offset", "2026-03-31T09:00:00+02", "an offset has hours and minutes"),
    _time("offset-no-colon", "2026-03-31T09:00:00+0200", "and a colon between them"),
    _time("offset-and-z", "2026-03-31T09:00:00Z+02:00", "either Z or an offset"),
    _time("offset-minus-sign", "2026-03-31T09:00:00\u221202:00", "a minus is a hyphen, U+002D"),
    _time("empty-fraction", "2026-03-31T09:00:00.Z", "a point needs digits"),
    _time("ten-digits", "2026-03-31T09:00:00.1234567890Z", "at most nine digits after the point"),
    _time("comma", "2026-03-31T09:00:00,5Z", "a comma is no point"),
    _time("leading-space", " 2026-03-31T09:00:00Z", "nothing stands before it"),
    _time("line-end", "2026-03-31T09:00:00Z\n", "nothing follows, not even the end of a line"),
    _time("other-digits", "２０２６-03-31T09:00:00Z", "digits are those of ASCII"),
    _time("week-date", "2026-W14-2T09:00:00Z", "weeks are another notation"),
    _time("year-1969", "1969-12-31T23:00:00Z", "before 1970: a clock that was never set"),
    _time(
        "year-1969-offset",
        "1969-12-31T23:30:00-02:00",
        "the year as written counts, though it is 1970 in UTC",
    ),
    _time("year-2200", "2200-01-01T00:00:00Z", "after 2199: a wrong unit"),
    _time("number", 1774947600, "a number is not RFC 3339"),
    _time("empty", "", "an empty text is none either"),
    _time("list", ["2026-03-31T09:00:00Z"], "nor is a list"),
    _time("null", None, "an event needs a time"),
    _as_of("no-offset", "2026-03-31", "the as-of instant keeps the same rules"),
    _as_of("null", None, "there is no default for it"),
    _as_of("year-2200", "2200-01-01T00:00:00Z", "its year is 1970 to 2199 too"),
    _as_of("number", 1774958400000, "a number is not RFC 3339"),
    _zone("unknown", "Europe/Atlantis", "no such zone"),
    _zone("empty", "", "no zone"),
    _zone("offset", "+02:00", "an offset is no zone"),
    _zone("utc-offset", "UTC+2", "nor is an offset behind a name"),
    _zone("spaces", "Europe/Berlin ", "names are written exactly as in the database"),
    _zone("city", "Berlin", "a city alone is no name"),
    _zone("folder", "America", "the first half of a name is none"),
    _zone("leap-seconds", "right/Europe/Berlin", "nor is a copy of the database that counts leap seconds"),
    _zone("of-the-machine", "localtime", "nor what the machine happens to be set to"),
    _zone("null", None, "there is no default for it"),
    _zone("number", 2, "a number of hours is no zone"),
    _zone("path", "../Europe/Berlin", "a name is no path"),
    _event("type-unknown", "unknown-event-type", "not one of the eight", event_type="login"),
    _event("type-case", "unknown-event-type", "types are lower case", event_type="Session"),
    _event("type-plural", "unknown-event-type", "types are written exactly", event_type="sessions"),
    _event("type-space", "unknown-event-type", "and are not trimmed", event_type="session "),
    _event("type-empty", "unknown-event-type", "an empty type is none", event_type=""),
    _event("type-null", "unknown-event-type", "null is no type, and the key is there", event_type=None),
    _event("type-number", "unknown-event-type", "an index is no type", event_type=0),
    _event("count-negative", "bad-count", "counts start at 0", count=-1),
    _event("count-fraction", "bad-count", "counts are whole", count=1.5),
    _event("count-huge", "bad-count", "counts end at 1,000,000", count=1_000_001),
    _event("count-text", "bad-count", "a text is no count", count="1"),
    _event("count-bool", "bad-count", "true is no count", count=True),
    _event("count-list", "bad-count", "a list is no count", count=[1]),
    _event("value-text", "bad-value", "JSON has no NaN, and a text is no value", value="NaN"),
    _event("value-empty", "bad-value", "an empty text is not the same as no value", value=""),
    _event("value-huge", "bad-value", "values end at 1,000,000", value=1_000_000.5),
    _event("value-huge-negative", "bad-value", "and begin at -1,000,000", value=-1_000_000.5),
    _event("value-bool", "bad-value", "true is no value", value=True),
    _event("value-list", "bad-value", "a list is no value", value=[1.0]),
    _event("event-key", "bad-event", "an unknown key is a typing error, not an extension", vlaue=1),
    _event("event-key-user", "bad-event", "events are those of one user: user_id is unknown", user_id="u1"),
    _event("event-id-empty", "bad-event", "an id is not empty", event_id=""),
    _event("event-id-number", "bad-event", "an id is a text", event_id=17),
    _event("goal-id-empty", "bad-event", "nor is a goal's id empty", goal_id=""),
    _event("goal-id-list", "bad-event", "a goal's id is a text", goal_id=["g1"]),
    _other("no-type", {"timestamp": MORNING}, "an event needs a type"),
    _other("no-timestamp", {"event_type": "session"}, "an event needs a time"),
    _other("text", "session", "an event is an object"),
    _other("null", None, "null is no object"),
    _other("list", [MORNING, "session"], "nor is a list"),
    _conflict("instant", "one id, another instant", {}, {"timestamp": "2026-03-31T09:00:01Z"}),
    _conflict(
        "millisecond", "one id, an instant a millisecond later", {}, {"timestamp": "2026-03-31T09:00:00.001Z"}
    ),
    _conflict(
        "zone-notation",
        "one id, the same digits at another offset",
        {},
        {"timestamp": "2026-03-31T09:00:00+01:00"},
    ),
    _conflict("type", "one id, another type", {}, {"event_type": "message"}),
    _conflict("count", "one id, another count", {}, {"count": 2}),
    _conflict("value", "no value differs from 0", {}, {"value": 0}),
    _conflict("value-bits", "values are compared exactly", {"value": 0.1}, {"value": 0.1000000001}),
    _conflict("goal", "one id, with and without a goal", {}, {"goal_id": "g1"}),
    _conflict("goal-other", "one id, two goals", {"goal_id": "g2"}, {"goal_id": "g1"}),
    _conflict("emoji", "an id of any kind", {"event_id": "🎯"}, {"event_id": "🎯", "count": 2}),
    (
        Case(
            "conflict-third",
            "two that agree do not outvote a third",
            (at(MORNING, event_id="a1"), at(MORNING, event_id="a1"), at(MORNING, event_id="a1", count=2)),
        ),
        "event-id-conflict",
    ),
    (
        Case(
            "conflict-future",
            "a conflict is refused even where neither event counts",
            (at("2026-05-01T00:00:00Z", event_id="a1"), at("2026-05-02T00:00:00Z", event_id="a1")),
        ),
        "event-id-conflict",
    ),
    (
        Case(
            "conflict-old",
            "also where both lie before the window",
            (ago(200, event_id="a1"), ago(201, event_id="a1")),
        ),
        "event-id-conflict",
    ),
    _flood(
        "events",
        "a cell beyond 2^24, where float32 loses single counts",
        *({**_GOOD, "count": 1_000_000},) * 17,
    ),
    _flood(
        "by-one",
        "2^24 + 1 is too many",
        *({**_GOOD, "count": 1_000_000},) * 16,
        {**_GOOD, "count": 777_217},
    ),
    _flood("sum", "a sum beyond 2^24", *(at(NOON, "feedback", value=1e6),) * 17),
    _flood("sum-negative", "or below -2^24", *(at(NOON, "feedback", value=-1e6),) * 17),
    _flood(
        "mornings",
        "no cell is beyond 2^24, but the acts before noon together are",
        *(ago(days + 0.25, count=1_000_000) for days in range(17)),
    ),
)
"""Each with the reason code."""
