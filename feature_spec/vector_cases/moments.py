"""Timestamps and the as-of instant: what is written how, and what has happened."""

from __future__ import annotations

from typing import Final

from feature_spec.vector_cases.case import MORNING, Case, at, powers

CASES: Final[tuple[Case, ...]] = (
    Case(
        "as-of-inclusive",
        "an event at the as-of instant counts, one a millisecond later does not",
        (at("2026-03-31T12:00:00.000Z", count=2), at("2026-03-31T12:00:00.001Z", count=5)),
    ),
    Case(
        "as-of-milliseconds",
        "the as-of instant has milliseconds too",
        powers("2026-03-31T12:00:00.249Z", "2026-03-31T12:00:00.250Z", "2026-03-31T12:00:00.251Z"),
        as_of="2026-03-31T12:00:00.25Z",
    ),
    Case(
        "as-of-offset",
        "the as-of instant may be written with any offset; the day is that of the zone",
        powers("2026-03-31T11:59:59.999Z", "2026-03-31T12:00:00Z", "2026-03-31T12:00:00.001Z"),
        as_of="2026-04-01T01:30:00+13:30",
    ),
    Case(
        "below-milliseconds",
        "digits beyond milliseconds are dropped, so this is not later than the as-of instant",
        (at("2026-03-31T12:00:00.000999Z"),),
    ),
    Case(
        "dropped-not-rounded",
        "dropped, not rounded: this is still the day before",
        powers("2026-03-30T23:59:59.999999999Z", "2026-03-31T00:00:00Z"),
    ),
    Case(
        "fraction-digits",
        "1 to 9 digits after the point, which are tenths, hundredths and so on: .25 is 250 ms",
        powers("2026-03-31T12:00:00.2Z", "2026-03-31T12:00:00.25Z", "2026-03-31T12:00:00.250000001Z")
        + powers("2026-03-31T12:00:00.26Z", "2026-03-31T12:00:00.3Z"),
        as_of="2026-03-31T12:00:00.250Z",
    ),
    Case(
        "future",
        "later today, tomorrow and next year do not count",
        (at("2026-03-31T18:00:00Z"), at("2026-04-01T00:00:00Z"), at("2027-03-31T12:00:00Z")),
    ),
    Case(
        "future-due",
        "nor does an item that falls due later today",
        (at("2026-03-31T11:00:00Z", "task_due"), at("2026-03-31T20:00:00Z", "task_due")),
    ),
    Case(
        "future-far",
        "a clock that runs decades ahead does not hurt what really happened",
        (at("2199-12-31T23:59:59Z", "message", value=5), at(MORNING)),
    ),
    Case(
        "late",
        "an event that arrives a week late counts on the day on which it happened",
        (at("2026-03-31T08:00:00Z"), at("2026-03-24T08:00:00Z", count=2)),
    ),
    Case(
        "midnight-utc",
        "the last millisecond of a day and the first of the next are two days",
        (at("2026-03-30T23:59:59.999Z"), at("2026-03-31T00:00:00Z", count=2)),
    ),
    Case(
        "offset-half-hours",
        "offsets with minutes, either sign",
        (at("2026-03-31T05:45:00+05:45"), at("2026-03-30T20:30:00-03:30", count=2)),
    ),
    Case(
        "offset-widest",
        "offsets go to 23:59 either way",
        powers("2026-03-31T23:58:59+23:59", "2026-03-31T23:59:00+23:59", "2026-03-30T00:00:59.999-23:59")
        + powers("2026-03-30T00:01:00-23:59"),
    ),
    Case("offset-minus-zero", "-00:00 is an offset of zero", (at("2026-03-31T09:00:00-00:00"),)),
    Case(
        "offset-moves-the-year",
        "an event is where its instant is, not where its digits are: this is still 2025",
        (at("2026-01-01T00:30:00+02:00"), at("2025-12-31T23:30:00-02:00", count=2)),
        as_of="2026-01-01T12:00:00Z",
    ),
    Case(
        "year-1970",
        "the first instant that can be written lies on the day before 1970 in UTC",
        powers("1970-01-01T00:00:00+23:59", "1970-01-01T00:00:00Z"),
        as_of="1970-01-01T00:00:00Z",
    ),
    Case(
        "year-2199",
        "the year as written ends at 2199; the last instant lies on the day after it in UTC",
        powers("2199-12-31T23:59:59.999Z", "2199-12-31T23:59:59.999-23:59"),
        as_of="2199-12-31T23:59:59.999-23:59",
    ),
    Case(
        "year-end",
        "days run through the turn of the year and through 29 February",
        (
            at("2023-12-31T12:00:00Z"),
            at("2024-02-28T12:00:00Z", count=2),
            at("2024-02-29T12:00:00Z", count=4),
        ),
        as_of="2024-03-01T12:00:00Z",
    ),
    Case(
        "leap-day-2000",
        "2000 was a leap year: from 1 March the 28th of February is two days back",
        powers("2000-02-28T12:00:00Z", "2000-02-29T12:00:00Z"),
        as_of="2000-03-01T12:00:00Z",
    ),
    Case(
        "no-leap-day-2100",
        "2100 is none: from 1 March the 28th of February is one day back",
        powers("2100-02-27T12:00:00Z", "2100-02-28T12:00:00Z"),
        as_of="2100-03-01T12:00:00Z",
    ),
)
