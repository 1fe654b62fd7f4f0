"""The inputs from which the golden vectors are made; every one is there for one rule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

NOON: Final = "2026-03-31T12:00:00Z"


@dataclass(frozen=True)
class Case:
    """One input: events as JSON objects, an instant, a zone, and what else is known."""

    name: str
    why: str
    events: tuple[Any, ...] = ()
    as_of: Any = NOON
    zone: Any = "UTC"
    context: Any = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The ``input`` object of the vector."""
        return {"as_of": self.as_of, "zone": self.zone, "context": self.context, "events": list(self.events)}


def _at(timestamp: Any, event_type: Any = "session", **rest: Any) -> dict[str, Any]:
    return {"timestamp": timestamp, "event_type": event_type, **rest}


def _ago(days: float, event_type: str, **rest: Any) -> dict[str, Any]:
    instant = datetime(2026, 3, 31, 12, tzinfo=UTC) - timedelta(days=days)
    return _at(instant.strftime("%Y-%m-%dT%H:%M:%SZ"), event_type, **rest)


def _habit() -> Iterator[dict[str, Any]]:
    """A user who comes daily, talks weekly, and does most of what falls due, better each time."""
    for days in range(60):
        yield _ago(days, "session", count=1 + days % 3)
        if days % 7 == 2:
            yield _ago(days, "message", count=2)
            yield _ago(days, "task_due")
        if days % 7 == 3 and days % 21 != 3:
            yield _ago(days, "task_done", value=(90 - days) / 100)
            yield _ago(days, "progress", value=0.0625)


_KNOWN: Final = {
    "observed_since": "2026-01-15",
    "account_since": "2025-11-01",
    "goal_start": "2026-01-15",
    "goal_total_days": 120,
    "goals_completed_before": 2,
    "progress": 0.5,
    "goals_active": 3,
    "goals_overdue": 1,
}

ACCEPTED: Final[tuple[Case, ...]] = (
    Case("empty", "no events and nothing known: every feature has its missing value"),
    Case("empty-known", "no events, but everything else known", context=_KNOWN),
    Case(
        "every-type",
        "one event of each type, in the order of the second axis",
        tuple(
            _at("2026-03-31T09:00:00Z", name)
            for name in (
                "session",
                "message",
                "task_due",
                "task_done",
                "progress",
                "check_in",
                "content_view",
                "feedback",
            )
        ),
    ),
    Case("count", "a count is added, not 1", (_at("2026-03-31T09:00:00Z", count=7),)),
    Case("count-whole", "3.0 is the whole number 3", (_at("2026-03-31T09:00:00Z", count=3.0),)),
    Case(
        "count-zero", "a count of zero is allowed and adds nothing", (_at("2026-03-31T09:00:00Z", count=0),)
    ),
    Case(
        "values",
        "a value fills the second and third channel; an event without one only the first",
        (
            _at("2026-03-31T08:00:00Z", "task_done", value=0.5),
            _at("2026-03-31T09:00:00Z", "task_done"),
            _at("2026-03-31T10:00:00Z", "task_done", value=0.75),
        ),
    ),
    Case(
        "value-zero",
        "a value of zero is a value: it differs from none in the second channel",
        (_at("2026-03-31T09:00:00Z", "feedback", value=0),),
    ),
    Case(
        "value-null",
        "a value of null is no value",
        (_at("2026-03-31T09:00:00Z", "feedback", value=None, event_id=None, goal_id=None),),
    ),
    Case("value-negative", "values may be negative", (_at("2026-03-31T09:00:00Z", "feedback", value=-2.5),)),
    Case(
        "value-with-count",
        "a row has one value, however high its count",
        (_at("2026-03-31T09:00:00Z", "check_in", count=3, value=4),),
    ),
    Case(
        "sum-in-double",
        "sums are made in double precision and rounded to float32 once",
        tuple(_at(f"2026-03-31T{hour:02d}:00:00Z", "progress", value=0.1) for hour in range(10)),
    ),
    Case(
        "unordered",
        "the order of events does not matter",
        (_at("2026-03-31T10:00:00Z"), _at("2026-03-28T10:00:00Z"), _at("2026-03-30T10:00:00Z")),
    ),
    Case(
        "add-up",
        "events without an id add up, even when they are equal",
        (_at("2026-03-31T09:00:00Z"), _at("2026-03-31T09:00:00Z")),
    ),
    Case(
        "duplicate-id",
        "an id delivered twice with the same content counts once",
        (_at("2026-03-31T09:00:00Z", event_id="a1"), _at("2026-03-31T09:00:00Z", event_id="a1")),
    ),
    Case(
        "duplicate-id-other-offset",
        "content is compared by instant: another offset is the same content",
        (_at("2026-03-31T09:00:00Z", event_id="a1"), _at("2026-03-31T11:00:00+02:00", event_id="a1")),
    ),
    Case(
        "duplicate-id-defaults",
        "content is compared after defaults: a count of 1 is the same as none given",
        (_at("2026-03-31T09:00:00Z", event_id="a1"), _at("2026-03-31T09:00:00.000Z", event_id="a1", count=1)),
    ),
    Case(
        "two-ids",
        "equal content under two ids counts twice",
        (_at("2026-03-31T09:00:00Z", event_id="a1"), _at("2026-03-31T09:00:00Z", event_id="a2")),
    ),
    Case(
        "goal-id",
        "the goal of an event does not matter to the counts",
        (_at("2026-03-31T09:00:00Z", goal_id="g1"), _at("2026-03-31T09:00:00Z", goal_id="g2")),
    ),
    Case(
        "as-of-inclusive",
        "an event at the as-of instant counts, one a millisecond later does not",
        (_at("2026-03-31T12:00:00.000Z", count=2), _at("2026-03-31T12:00:00.001Z", count=5)),
    ),
    Case(
        "below-milliseconds",
        "digits beyond milliseconds are dropped, so this is not later than the as-of instant",
        (_at("2026-03-31T12:00:00.000999Z"),),
    ),
    Case(
        "future",
        "later today, tomorrow and next year do not count",
        (_at("2026-03-31T18:00:00Z"), _at("2026-04-01T00:00:00Z"), _at("2027-03-31T12:00:00Z")),
    ),
    Case(
        "future-due",
        "nor does an item that falls due later today",
        (_at("2026-03-31T11:00:00Z", "task_due"), _at("2026-03-31T20:00:00Z", "task_due")),
    ),
    Case(
        "midnight-utc",
        "the last millisecond of a day and the first of the next are two days",
        (_at("2026-03-30T23:59:59.999Z"), _at("2026-03-31T00:00:00Z", count=2)),
    ),
    Case(
        "midnight-berlin",
        "22:30 in UTC is the next day in Berlin in summer",
        (_at("2026-07-09T21:30:00Z"), _at("2026-07-09T22:30:00Z", count=2)),
        as_of="2026-07-10T08:00:00Z",
        zone="Europe/Berlin",
    ),
    Case(
        "as-of-day-is-local",
        "the as-of instant has a local day too: in Auckland it is already tomorrow",
        (_at("2026-03-31T10:30:00Z"), _at("2026-03-31T11:30:00Z", count=2)),
        zone="Pacific/Auckland",
    ),
    Case(
        "offset-is-not-zone",
        "the offset of a timestamp says when, never on which day: the zone does",
        (_at("2026-03-31T01:00:00+05:30"), _at("2026-03-30T20:00:00-08:00", count=2)),
        zone="America/New_York",
    ),
    Case(
        "offset-half-hours",
        "offsets with minutes, either sign",
        (_at("2026-03-31T05:45:00+05:45"), _at("2026-03-30T20:30:00-03:30", count=2)),
    ),
    Case(
        "kathmandu",
        "a zone at +05:45: midnight is at 18:15 in UTC",
        (_at("2026-03-30T18:14:59Z"), _at("2026-03-30T18:15:00Z", count=2)),
        zone="Asia/Kathmandu",
    ),
    Case(
        "kiritimati",
        "a zone at +14:00",
        (_at("2026-03-31T09:59:59Z"), _at("2026-03-31T10:00:00Z", count=2)),
        zone="Pacific/Kiritimati",
    ),
    Case(
        "st-johns",
        "a zone at -03:30, in summer -02:30",
        (_at("2026-03-31T02:29:59Z"), _at("2026-03-31T02:30:00Z", count=2)),
        zone="America/St_Johns",
    ),
    Case(
        "dst-spring-berlin",
        "the day of 23 hours is one day: 2026-03-29 in Berlin",
        (
            _at("2026-03-28T22:59:59Z"),
            _at("2026-03-28T23:00:00Z", count=2),
            _at("2026-03-29T21:59:59Z", count=4),
            _at("2026-03-29T22:00:00Z", count=8),
        ),
        zone="Europe/Berlin",
    ),
    Case(
        "dst-autumn-new-york",
        "the day of 25 hours is one day, and its doubled hour counts twice: 2025-11-02 in New York",
        (
            _at("2025-11-02T03:59:59Z"),
            _at("2025-11-02T04:00:00Z", count=2),
            _at("2025-11-02T05:30:00Z", count=4),
            _at("2025-11-02T06:30:00Z", count=8),
            _at("2025-11-03T04:59:59Z", count=16),
            _at("2025-11-03T05:00:00Z", count=32),
        ),
        as_of="2025-11-04T17:00:00Z",
        zone="America/New_York",
    ),
    Case(
        "dst-days-are-not-24-hours",
        "across the change 23 hours before can be two days ago: count calendar days, never divide hours",
        (_at("2026-03-28T22:30:00Z"), _at("2026-03-29T22:30:00Z", count=2)),
        as_of="2026-03-29T22:30:00Z",
        zone="Europe/Berlin",
    ),
    Case(
        "dst-half-hour",
        "a change of half an hour: Lord Howe, 2026-04-05",
        (
            _at("2026-04-04T12:59:59Z"),
            _at("2026-04-04T13:00:00Z", count=2),
            _at("2026-04-05T13:30:00Z", count=4),
        ),
        as_of="2026-04-05T20:00:00Z",
        zone="Australia/Lord_Howe",
    ),
    Case(
        "dst-without-midnight",
        "a day that began at 01:00, because midnight did not exist: São Paulo, 2018-11-04",
        (_at("2018-11-04T02:59:59Z"), _at("2018-11-04T03:00:00Z", count=2)),
        as_of="2018-11-05T15:00:00Z",
        zone="America/Sao_Paulo",
    ),
    Case(
        "skipped-day",
        "a calendar day that a zone left out keeps its index: Apia had no 2011-12-30",
        (_at("2011-12-30T09:59:59Z"), _at("2011-12-30T10:00:00Z", count=2)),
        as_of="2012-01-01T00:00:00Z",
        zone="Pacific/Apia",
    ),
    Case(
        "day-ahead",
        "earlier than the as-of instant, and yet on the day after its day: at 00:01 clocks went back to 23:01",
        (
            _at("2006-10-29T02:30:30Z"),
            _at("2006-10-29T02:29:30Z", count=2),
            _at("2006-10-29T02:31:00Z", count=4),
        ),
        as_of="2006-10-29T02:45:00Z",
        zone="America/St_Johns",
    ),
    Case(
        "day-ahead-reached",
        "the same events an hour later, when the calendar has come to that day again",
        (
            _at("2006-10-29T02:30:30Z"),
            _at("2006-10-29T02:29:30Z", count=2),
            _at("2006-10-29T02:31:00Z", count=4),
        ),
        as_of="2006-10-29T03:30:00Z",
        zone="America/St_Johns",
    ),
    Case(
        "year-end",
        "days run through the turn of the year and through 29 February",
        (
            _at("2023-12-31T12:00:00Z"),
            _at("2024-02-28T12:00:00Z", count=2),
            _at("2024-02-29T12:00:00Z", count=4),
        ),
        as_of="2024-03-01T12:00:00Z",
    ),
    Case(
        "window",
        "index 89 is the oldest; the 90th day before the as-of day does not count",
        (
            _ago(88, "session"),
            _ago(89, "session", count=2),
            _ago(90, "session", count=4),
            _ago(400, "session"),
        ),
    ),
    Case(
        "before-observed",
        "days before observation began are missing: events there do not count",
        (_ago(0, "session"), _ago(4, "session", count=2), _ago(5, "session", count=4)),
        context={"observed_since": "2026-03-27"},
    ),
    Case(
        "observed-today",
        "observed since today: one day",
        (_ago(0, "session"), _ago(1, "session", count=2)),
        context={"observed_since": "2026-03-31"},
    ),
    Case(
        "observed-long",
        "days_observed stops at 90",
        (_ago(89, "session"), _ago(90, "session", count=2)),
        context={"observed_since": "2020-01-01"},
    ),
    Case(
        "context-local",
        "ages count local days: in Auckland the as-of day is 2026-04-01",
        (),
        zone="Pacific/Auckland",
        context={"observed_since": "2026-04-01", "account_since": "2026-03-31", "goal_start": "2026-04-01"},
    ),
    Case(
        "context-ahead",
        "a goal that starts after the as-of day has no age yet",
        (),
        context={"goal_start": "2026-04-01", "account_since": "2026-05-01", "goal_total_days": 30},
    ),
    Case(
        "last-act",
        "hours since the last act: 90 minutes are 1.5; what fell due is no act, nor is a count of 0",
        (
            _at("2026-03-31T10:30:00Z"),
            _at("2026-03-31T11:00:00Z", "task_due"),
            _at("2026-03-31T11:30:00Z", count=0),
            _at("2026-03-31T12:00:00.001Z"),
        ),
    ),
    Case(
        "last-act-before-observed",
        "an act on a day nobody watched is not the last one",
        (_ago(3, "session"),),
        context={"observed_since": "2026-03-30"},
    ),
    Case(
        "morning-local",
        "acts before noon by the clock of the zone, not of the timestamp: 11:59:59.999 in New York, and 12:00",
        (_at("2026-03-30T15:59:59.999Z", count=2), _at("2026-03-30T12:00:00-04:00", count=4)),
        zone="America/New_York",
    ),
    Case(
        "calendar-leap",
        "the last day of a leap year is the 366th; 2024-12-31 was a Tuesday, and 23 is the last hour",
        as_of="2024-12-31T22:59:59.999Z",
        zone="Europe/Berlin",
    ),
    Case("context-null", "null is unknown", (), context=dict.fromkeys(_KNOWN)),
    Case(
        "progress-zero", "progress 0 is known, and differs from unknown", (), context=_KNOWN | {"progress": 0}
    ),
    Case("habit", "a steady user, everything known", tuple(_habit()), context=_KNOWN),
    Case("habit-unknown", "the same events, nothing else known", tuple(_habit())),
    Case(
        "habit-stopped",
        "the same user, forty days later",
        tuple(_habit()),
        as_of="2026-05-10T12:00:00Z",
        context=_KNOWN,
    ),
    Case(
        "streak-today-open",
        "a today without an act does not break the streak",
        (_ago(1, "session"), _ago(2, "session"), _ago(3, "session"), _ago(5, "session")),
    ),
    Case(
        "due-is-no-act",
        "what falls due is not something the user did: no streak, no activity",
        (_ago(0, "task_due"), _ago(1, "task_due")),
    ),
    Case(
        "saturation",
        "very active: scores stay within their range",
        tuple(_ago(days, "message", count=1_000_000) for days in range(10)),
        context={"observed_since": "2026-03-22"},
    ),
    Case(
        "over-done",
        "more done than due, and progress faster than the scale: clipped",
        (_ago(0, "task_due"), _ago(0, "task_done", count=5, value=9), _ago(1, "progress", value=3)),
        context=_KNOWN | {"progress": 1, "goal_start": "2026-03-31"},
    ),
)
"""Inputs to accept."""

_GOOD: Final = _at("2026-03-31T09:00:00Z")


def _bad_time(name: str, timestamp: Any, why: str) -> tuple[Case, str]:
    return Case(f"timestamp-{name}", why, (_GOOD, _at(timestamp))), "bad-timestamp"


def _bad_event(name: str, reason: str, why: str, **change: Any) -> tuple[Case, str]:
    return Case(name, why, (_GOOD, {**_GOOD, **change})), reason


def _bad_context(name: str, why: str, **context: Any) -> tuple[Case, str]:
    return Case(f"context-{name}", why, (_GOOD,), context=context), "bad-context"


def _conflict(name: str, **change: Any) -> tuple[Case, str]:
    events = ({**_GOOD, "event_id": "a1"}, {**_GOOD, "event_id": "a1", **change})
    return Case(f"conflict-{name}", f"one id, another {name}", events), "event-id-conflict"


REFUSED: Final[tuple[tuple[Case, str], ...]] = (
    _bad_time("no-offset", "2026-03-31T09:00:00", "a timestamp without Z or offset names no instant"),
    _bad_time("date-only", "2026-03-31", "a date names no instant"),
    _bad_time("space", "2026-03-31 09:00:00Z", "a space where T belongs"),
    _bad_time("lower-case", "2026-03-31t09:00:00z", "t and z in lower case: parsers differ on them"),
    _bad_time("month-13", "2026-13-01T09:00:00Z", "there is no month 13"),
    _bad_time("february-30", "2026-02-30T09:00:00Z", "there is no 30 February"),
    _bad_time("february-29", "2026-02-29T09:00:00Z", "2026 is no leap year"),
    _bad_time("hour-24", "2026-03-30T24:00:00Z", "hours end at 23"),
    _bad_time("second-60", "2026-03-31T09:00:60Z", "leap seconds are not recorded by phones"),
    _bad_time("offset-24", "2026-03-31T09:00:00+24:00", "offsets end at 23:59"),
    _bad_time("short-offset", "2026-03-31T09:00:00+02", "an offset has hours and minutes"),
    _bad_time("empty-fraction", "2026-03-31T09:00:00.Z", "a point needs digits"),
    _bad_time("year-1969", "1969-12-31T23:00:00Z", "before 1970: a clock that was never set"),
    _bad_time("year-2200", "2200-01-01T00:00:00Z", "after 2199: a wrong unit"),
    _bad_time("number", 1774947600, "a number is not RFC 3339"),
    _bad_time("null", None, "an event needs a time"),
    (
        Case("as-of-no-offset", "the as-of instant keeps the same rules", (_GOOD,), as_of="2026-03-31"),
        "bad-timestamp",
    ),
    (Case("zone-unknown", "no such zone", (_GOOD,), zone="Europe/Atlantis"), "bad-zone"),
    (Case("zone-empty", "no zone", (_GOOD,), zone=""), "bad-zone"),
    (Case("zone-offset", "an offset is no zone", (_GOOD,), zone="+02:00"), "bad-zone"),
    _bad_event("type-unknown", "unknown-event-type", "not one of the eight", event_type="login"),
    _bad_event("type-case", "unknown-event-type", "types are lower case", event_type="Session"),
    _bad_event("type-null", "unknown-event-type", "null is no type, and the key is there", event_type=None),
    _bad_event("count-negative", "bad-count", "counts start at 0", count=-1),
    _bad_event("count-fraction", "bad-count", "counts are whole", count=1.5),
    _bad_event("count-huge", "bad-count", "counts end at 1,000,000", count=1_000_001),
    _bad_event("count-text", "bad-count", "a text is no count", count="1"),
    _bad_event("count-bool", "bad-count", "true is no count", count=True),
    _bad_event("value-text", "bad-value", "JSON has no NaN, and a text is no value", value="NaN"),
    _bad_event("value-huge", "bad-value", "values end at 1,000,000", value=1e7),
    _bad_event("value-bool", "bad-value", "true is no value", value=True),
    _bad_event("event-key", "bad-event", "an unknown key is a typing error, not an extension", vlaue=1),
    _bad_event("event-id-empty", "bad-event", "an id is not empty", event_id=""),
    (Case("event-no-type", "an event needs a type", ({"timestamp": "2026-03-31T09:00:00Z"},)), "bad-event"),
    (Case("event-text", "an event is an object", ("session",)), "bad-event"),
    _conflict("instant", timestamp="2026-03-31T09:00:01Z"),
    _conflict("type", event_type="message"),
    _conflict("count", count=2),
    _conflict("value", value=0),
    _conflict("goal", goal_id="g1"),
    (
        Case(
            "conflict-future",
            "a conflict is refused even where neither event counts",
            (_at("2026-05-01T00:00:00Z", event_id="a1"), _at("2026-05-02T00:00:00Z", event_id="a1")),
        ),
        "event-id-conflict",
    ),
    _bad_context("date", "dates are YYYY-MM-DD", goal_start="31.03.2026"),
    _bad_context("date-time", "a date has no time", account_since="2026-03-31T00:00:00Z"),
    _bad_context("date-february-30", "there is no 30 February", goal_start="2026-02-30"),
    _bad_context("date-year-1969", "years are 1970 to 2199, as in timestamps", account_since="1969-12-31"),
    _bad_context("date-year-2200", "years are 1970 to 2199, as in timestamps", goal_start="2200-01-01"),
    _bad_context("total-zero", "a goal runs at least a day", goal_total_days=0),
    _bad_context("total-fraction", "days are whole", goal_total_days=30.5),
    _bad_context("total-huge", "a goal runs at most 1,000,000 days", goal_total_days=1_000_001),
    _bad_context("completed-huge", "at most 1,000,000 goals", goals_completed_before=1_000_001),
    _bad_context("completed-negative", "goals are counted from 0", goals_completed_before=-1),
    _bad_context("active-negative", "goals are counted from 0", goals_active=-1),
    _bad_context("overdue-fraction", "goals are whole", goals_overdue=0.5),
    _bad_context("progress-percent", "progress is a share, not a percentage", progress=50),
    _bad_context("progress-negative", "progress starts at 0; unknown is null or absent", progress=-1),
    _bad_context("key", "an unknown key is a typing error", goal_begin="2026-01-01"),
    (
        Case(
            "not-observed", "observation begins tomorrow", (_GOOD,), context={"observed_since": "2026-04-01"}
        ),
        "not-observed",
    ),
    (
        Case(
            "too-many",
            "a cell beyond 2^24, where float32 loses single counts",
            ({**_GOOD, "count": 1_000_000},) * 17,
        ),
        "too-many",
    ),
)
"""Inputs to refuse, each with the reason code."""
