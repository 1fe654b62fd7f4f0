"""The window of 90 days, and the days on which nobody watched."""

from __future__ import annotations

from typing import Final

from feature_spec.vector_cases.case import MORNING, Case, ago, at, powers

CASES: Final[tuple[Case, ...]] = (
    Case(
        "window",
        "index 89 is the oldest; the 90th day before the as-of day does not count",
        (ago(88), ago(89, count=2), ago(90, count=4), ago(400)),
    ),
    Case(
        "window-edge-utc",
        "day 89 counts from its first millisecond; the one before is day 90",
        powers("2025-12-31T23:59:59.999Z", "2026-01-01T00:00:00Z"),
        as_of="2026-03-31T23:59:59.999Z",
    ),
    Case(
        "window-edge-early",
        "in the first millisecond of the as-of day the window reaches as far back by the calendar",
        powers("2025-12-31T23:59:59.999Z", "2026-01-01T00:00:00Z", "2026-03-31T00:00:00Z"),
        as_of="2026-03-31T00:00:00Z",
    ),
    Case(
        "window-edge-new-york",
        "the edge is a local midnight, with the offset of that day: 05:00 in UTC in winter, though it is summer now",
        powers("2026-01-01T04:59:59.999Z", "2026-01-01T05:00:00Z"),
        zone="America/New_York",
    ),
    Case(
        "window-edge-sydney",
        "and 13:00 in UTC of the day before in Sydney's summer, though it is winter now",
        powers("2026-01-10T12:59:59.999Z", "2026-01-10T13:00:00Z"),
        as_of="2026-04-10T02:00:00Z",
        zone="Australia/Sydney",
    ),
    Case(
        "window-longer-than-90-times-24-hours",
        "90 days in which clocks went back are 2,161 hours: the last act can be that far away, and count",
        powers("2025-09-01T21:59:59.999Z", "2025-09-01T22:00:00Z"),
        as_of="2025-11-30T22:59:59.999Z",
        zone="Europe/Berlin",
    ),
    Case(
        "window-shorter-than-90-times-24-hours",
        "90 days in which they went forward are 2,159: what lies 2,159.5 hours before the end of the last is day 90",
        powers("2026-01-13T22:29:59Z", "2026-01-13T22:59:59Z", "2026-01-13T23:00:00Z"),
        as_of="2026-04-13T21:59:59.999Z",
        zone="Europe/Berlin",
    ),
    Case(
        "window-over-a-skipped-day",
        "a date that was left out takes an index: 2011-12-31 is day 88 in Apia on 2012-03-28, 2011-12-29 day 90",
        powers("2011-12-30T09:59:59.999Z", "2011-12-30T10:00:00Z"),
        as_of="2012-03-28T00:00:00Z",
        zone="Pacific/Apia",
    ),
    Case(
        "window-leap-year",
        "29 February takes an index in a leap year: from 30 March 2024 day 89 is 1 January",
        powers("2023-12-31T23:59:59Z", "2024-01-01T00:00:00Z"),
        as_of="2024-03-30T12:00:00Z",
    ),
    Case(
        "before-observed",
        "days before observation began are missing: events there do not count",
        (ago(0), ago(4, count=2), ago(5, count=4)),
        context={"observed_since": "2026-03-27"},
    ),
    Case(
        "before-observed-due",
        "nor does what fell due there",
        (ago(3, "task_due"), ago(5, "task_due", count=4), ago(5, "task_done", value=1)),
        context={"observed_since": "2026-03-27"},
    ),
    Case(
        "observed-day-is-whole",
        "the first observed day counts from its midnight in the zone, not from an hour",
        powers("2026-03-26T22:59:59.999Z", "2026-03-26T23:00:00Z", "2026-03-27T22:59:59.999Z"),
        zone="Europe/Berlin",
        context={"observed_since": "2026-03-27"},
    ),
    Case(
        "observed-today",
        "observed since today: one day",
        (ago(0), ago(1, count=2)),
        context={"observed_since": "2026-03-31"},
    ),
    Case(
        "observed-today-local",
        "in Auckland the as-of day is 2026-04-01, so observation that began on it is one day old",
        powers("2026-03-31T10:59:59.999Z", "2026-03-31T11:00:00Z"),
        zone="Pacific/Auckland",
        context={"observed_since": "2026-04-01"},
    ),
    Case(
        "observed-89",
        "observed for 89 days: index 88 counts, 89 does not",
        (ago(88), ago(89, count=2)),
        context={"observed_since": "2026-01-02"},
    ),
    Case(
        "observed-90",
        "observed for 90 days: the whole window",
        (ago(89), ago(90, count=2)),
        context={"observed_since": "2026-01-01"},
    ),
    Case(
        "observed-91",
        "days_observed stops at 90, a day after the window is full",
        (ago(89), ago(90, count=2)),
        context={"observed_since": "2025-12-31"},
    ),
    Case(
        "observed-long",
        "and stays there for years",
        (ago(89), ago(90, count=2)),
        context={"observed_since": "2020-01-01"},
    ),
    Case(
        "observed-unknown",
        "with observed_since unknown the whole window counts, and days_observed is -1",
        (ago(89), at(MORNING, count=2)),
    ),
    Case(
        "observed-leap-day",
        "observed since a 29 February",
        powers("2024-02-28T12:00:00Z", "2024-02-29T12:00:00Z"),
        as_of="2024-03-01T12:00:00Z",
        context={"observed_since": "2024-02-29"},
    ),
)
