"""What the clock says: the last act, acts before noon, weekday, hour, day of month and of year."""

from __future__ import annotations

from typing import Final

from feature_spec.vector_cases.case import MORNING, NOON, Case, ago, at, powers
from feature_spec.vocabulary import EVENT_TYPES


def _date(name: str, as_of: str, zone: str, why: str) -> Case:
    return Case(name, why, as_of=as_of, zone=zone)


CASES: Final[tuple[Case, ...]] = (
    Case(
        "last-act",
        "hours since the last act: 90 minutes are 1.5; what fell due is no act, nor is a count of 0",
        (
            at("2026-03-31T10:30:00Z"),
            at("2026-03-31T11:00:00Z", "task_due"),
            at("2026-03-31T11:30:00Z", count=0),
            at("2026-03-31T12:00:00.001Z"),
        ),
    ),
    Case("last-act-now", "an act at the as-of instant: 0 hours", (at(NOON, "feedback"),)),
    Case(
        "last-act-millisecond", "a millisecond is a 3,600,000th of an hour", (at("2026-03-31T11:59:59.999Z"),)
    ),
    Case(
        "last-act-third",
        "20 minutes are a third of an hour, rounded to float32",
        (at("2026-03-31T11:40:00Z"), at("2026-03-31T11:00:00Z")),
    ),
    Case(
        "last-act-any-type",
        "every type but task_due is an act; the last one here is a message",
        (
            *(at(f"2026-03-31T0{hour}:00:00Z", name) for hour, name in enumerate(EVENT_TYPES)),
            at("2026-03-31T11:00:00Z", "message"),
            at("2026-03-31T11:59:00Z", "task_due", count=9),
        ),
    ),
    Case(
        "last-act-below-milliseconds",
        "instants are whole milliseconds here too",
        (at("2026-03-31T11:00:00.000999Z"),),
        as_of="2026-03-31T12:00:00.000001Z",
    ),
    Case(
        "last-act-over-dst",
        "hours are real ones: from noon to noon over the change in spring there are 23",
        (at("2026-03-28T11:00:00Z"),),
        as_of="2026-03-29T10:00:00Z",
        zone="Europe/Berlin",
    ),
    Case(
        "last-act-before-observed",
        "an act on a day nobody watched is not the last one",
        (ago(3),),
        context={"observed_since": "2026-03-30"},
    ),
    Case("last-act-before-window", "nor is one before the window", (ago(90),)),
    Case(
        "last-act-repeated",
        "a repeated event is one event, and no later act",
        (at(MORNING, event_id="a1", count=2), at(MORNING, event_id="a1", count=2)),
    ),
    Case(
        "morning-local",
        "acts before noon by the clock of the zone, not of the timestamp: 11:59:59.999 in New York, and 12:00",
        (at("2026-03-30T15:59:59.999Z", count=2), at("2026-03-30T12:00:00-04:00", count=4)),
        zone="America/New_York",
    ),
    Case(
        "morning-edges",
        "the morning begins at midnight and ends before noon",
        powers(
            "2026-03-30T00:00:00Z",
            "2026-03-30T11:59:59.999Z",
            "2026-03-30T12:00:00Z",
            "2026-03-30T23:59:59.999Z",
        ),
    ),
    Case(
        "morning-counts",
        "counts are added, also of days long ago; a value changes nothing",
        (ago(80.25, count=3), ago(7.25, "task_done", count=2, value=0.5), ago(7, count=100)),
    ),
    Case(
        "morning-due",
        "what falls due in the morning is no act",
        (at(MORNING, "task_due", count=5), at(MORNING, "task_done")),
    ),
    Case(
        "morning-outside",
        "mornings outside of the window or before observation began do not count",
        (ago(4.25), ago(6.25, count=2), ago(100.25, count=4)),
        context={"observed_since": "2026-03-26"},
    ),
    Case(
        "morning-offset-of-the-event",
        "11:30 in January is 10:30 in UTC: the offset that the zone had then, not the present one",
        powers(
            "2026-01-20T10:59:59.999Z",
            "2026-01-20T11:00:00Z",
            "2026-04-05T09:59:59.999Z",
            "2026-04-05T10:00:00Z",
        ),
        as_of="2026-04-10T12:00:00Z",
        zone="Europe/Berlin",
    ),
    Case(
        "morning-dst",
        "on a day of 23 hours it is noon 11 hours after midnight: the clock decides",
        powers("2026-03-29T09:59:59.999Z", "2026-03-29T10:00:00Z"),
        zone="Europe/Berlin",
    ),
    Case(
        "morning-quarter-hours",
        "noon in Kathmandu is at 06:15 in UTC",
        powers("2026-03-30T06:14:59.999Z", "2026-03-30T06:15:00Z"),
        zone="Asia/Kathmandu",
    ),
    Case(
        "morning-largest",
        "acts before noon may add up to 2^24",
        (*(ago(days + 0.25, count=1_000_000) for days in range(16)), ago(20.25, count=777_216)),
    ),
    _date("weekday-monday", "2026-03-30T12:00:00Z", "UTC", "weekdays count from Monday, which is 0"),
    _date("weekday-sunday", "2026-03-29T12:00:00Z", "UTC", "Sunday is 6"),
    _date("weekday-local", "2026-03-29T12:00:00Z", "Pacific/Auckland", "in Auckland it is Monday already"),
    _date(
        "weekday-leap-day",
        "2024-02-29T12:00:00Z",
        "UTC",
        "2024-02-29 was a Thursday, the 60th day of the year",
    ),
    _date("weekday-1970", "1970-01-01T00:00:00Z", "UTC", "1970-01-01 was a Thursday"),
    _date(
        "weekday-before-1970",
        "1970-01-01T00:00:00Z",
        "Pacific/Honolulu",
        "and in Hawaii still Wednesday, 1969",
    ),
    _date("hour-zero", "2026-03-31T00:00:00Z", "UTC", "midnight is hour 0, never 24"),
    _date("hour-whole", "2026-03-31T07:59:59.999Z", "UTC", "hours are whole: 07:59:59.999 is 7"),
    _date(
        "hour-quarter-hours",
        "2026-03-31T18:14:59Z",
        "Asia/Kathmandu",
        "18:14:59 in UTC is 23:59:59 in Kathmandu",
    ),
    _date("hour-first-time", "2025-10-26T00:30:00Z", "Europe/Berlin", "02:30 in summer time"),
    _date(
        "hour-second-time",
        "2025-10-26T01:30:00Z",
        "Europe/Berlin",
        "02:30 again, an hour later: still hour 2",
    ),
    _date("hour-left-out", "2026-03-29T01:00:00Z", "Europe/Berlin", "after 01:59:59 clocks showed 03:00"),
    _date(
        "hour-of-a-day-without-midnight",
        "2018-11-04T03:00:00Z",
        "America/Sao_Paulo",
        "the day began at hour 1",
    ),
    _date("hour-lord-howe", "2025-10-04T15:30:00Z", "Australia/Lord_Howe", "02:00 became 02:30, hour 2"),
    _date("date-new-year", "2026-01-01T00:00:00Z", "UTC", "1 January is day 1 of month and year"),
    _date("date-new-years-eve", "2026-12-31T23:59:59.999Z", "UTC", "31 December is day 365 of a common year"),
    _date(
        "calendar-leap",
        "2024-12-31T22:59:59.999Z",
        "Europe/Berlin",
        "the last day of a leap year is the 366th; 2024-12-31 was a Tuesday, and 23 is the last hour",
    ),
    _date(
        "date-local-year",
        "2025-12-31T23:00:00Z",
        "Europe/Berlin",
        "the year has begun in Berlin: day 1 of 2026",
    ),
    _date("date-march-common", "2026-03-01T12:00:00Z", "UTC", "1 March is day 60 of a common year"),
    _date("date-march-leap", "2028-03-01T12:00:00Z", "UTC", "and day 61 of a leap year"),
    _date("date-2100", "2100-12-31T12:00:00Z", "UTC", "2100 is no leap year: its last day is the 365th"),
    _date("date-2000", "2000-12-31T12:00:00Z", "UTC", "2000 was one: its last day was the 366th"),
)
