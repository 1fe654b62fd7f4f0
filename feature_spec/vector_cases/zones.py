"""Local days: where they begin and end in zones of every kind, and on days when clocks change."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from feature_spec.vector_cases.case import KNOWN, Case, at, powers

_LENGTHS: Final = (
    "an event before the day, one at its begin, one in each listed hour, one at its end, one after it"
)


def _shift(timestamp: str, milliseconds: int) -> str:
    moment = datetime.fromisoformat(timestamp) + timedelta(milliseconds=milliseconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _midnight(name: str, zone: str, why: str, at_utc: str, as_of: str) -> Case:
    """The last millisecond of a local day and the first of the next."""
    return Case(name, why, powers(_shift(at_utc, -1), at_utc), as_of, zone)


def _day(name: str, zone: str, why: str, begin: str, end: str, *inside: str) -> Case:
    """A day from its first instant to the first of the next one, seen from noon two days later or so."""
    events = powers(_shift(begin, -1), begin, *inside, _shift(end, -1), end)
    return Case(name, f"{why}; {_LENGTHS}", events, _shift(end, 36 * 3_600_000), zone)


CASES: Final[tuple[Case, ...]] = (
    Case(
        "midnight-berlin",
        "22:30 in UTC is the next day in Berlin in summer",
        (at("2026-07-09T21:30:00Z"), at("2026-07-09T22:30:00Z", count=2)),
        as_of="2026-07-10T08:00:00Z",
        zone="Europe/Berlin",
    ),
    Case(
        "as-of-day-is-local",
        "the as-of instant has a local day too: in Auckland it is already tomorrow",
        (at("2026-03-31T10:30:00Z"), at("2026-03-31T11:30:00Z", count=2)),
        zone="Pacific/Auckland",
    ),
    Case(
        "offset-is-not-zone",
        "the offset of a timestamp says when, never on which day: the zone does",
        (at("2026-03-31T01:00:00+05:30"), at("2026-03-30T20:00:00-08:00", count=2)),
        zone="America/New_York",
    ),
    Case(
        "date-line-west",
        "one instant, two dates: 10:30 in UTC is 23:30 of the day before on Pago Pago",
        powers("2026-03-31T10:59:59.999Z", "2026-03-31T11:00:00Z"),
        as_of="2026-03-31T10:59:59.999Z",
        zone="Pacific/Pago_Pago",
    ),
    Case(
        "date-line-east",
        "and half past midnight of the next one on Kiritimati, which lies beside it",
        powers("2026-03-31T09:59:59.999Z", "2026-03-31T10:00:00Z"),
        as_of="2026-03-31T10:30:00Z",
        zone="Pacific/Kiritimati",
    ),
    Case(
        "present-zone",
        "who moved has all days in his present zone: two days of London are one in Tokyo",
        powers("2026-03-20T15:00:00+00:00", "2026-03-21T14:59:59+00:00", "2026-03-21T15:00:00+00:00"),
        zone="Asia/Tokyo",
    ),
    Case(
        "zone-alias",
        "an old name of a zone is the same zone: Asia/Calcutta, at +05:30",
        powers("2026-03-30T18:29:59Z", "2026-03-30T18:30:00Z"),
        zone="Asia/Calcutta",
    ),
    Case(
        "zone-etc",
        "Etc/GMT+5 is five hours behind UTC, whatever its sign suggests",
        powers("2026-03-31T04:59:59Z", "2026-03-31T05:00:00Z"),
        zone="Etc/GMT+5",
    ),
    _midnight(
        "kathmandu", "Asia/Kathmandu", "a zone at +05:45", "2026-03-30T18:15:00.000Z", "2026-03-31T12:00:00Z"
    ),
    _midnight(
        "kiritimati",
        "Pacific/Kiritimati",
        "a zone at +14:00",
        "2026-03-31T10:00:00.000Z",
        "2026-03-31T12:00:00Z",
    ),
    _midnight(
        "st-johns",
        "America/St_Johns",
        "a zone at -03:30, in summer -02:30",
        "2026-03-31T02:30:00.000Z",
        "2026-03-31T12:00:00Z",
    ),
    _midnight("kabul", "Asia/Kabul", "a zone at +04:30", "2026-03-30T19:30:00.000Z", "2026-03-31T12:00:00Z"),
    _midnight(
        "yangon", "Asia/Yangon", "a zone at +06:30", "2026-03-30T17:30:00.000Z", "2026-03-31T12:00:00Z"
    ),
    _midnight(
        "eucla", "Australia/Eucla", "a zone at +08:45", "2026-03-30T15:15:00.000Z", "2026-03-31T12:00:00Z"
    ),
    _midnight(
        "adelaide",
        "Australia/Adelaide",
        "a zone at +09:30, in its summer +10:30",
        "2026-03-30T13:30:00.000Z",
        "2026-03-31T12:00:00Z",
    ),
    _midnight(
        "marquesas",
        "Pacific/Marquesas",
        "a zone at -09:30",
        "2026-03-31T09:30:00.000Z",
        "2026-03-31T12:00:00Z",
    ),
    _midnight(
        "berlin-2150",
        "Europe/Berlin",
        "the rule for summer time goes on for ever: 22:00 in UTC is midnight in July 2150",
        "2150-07-09T22:00:00.000Z",
        "2150-07-10T08:00:00Z",
    ),
    _day(
        "dst-spring-berlin",
        "Europe/Berlin",
        "the day of 23 hours is one day",
        "2026-03-28T23:00:00.000Z",
        "2026-03-29T22:00:00.000Z",
    ),
    _day(
        "dst-autumn-berlin",
        "Europe/Berlin",
        "the day of 25 hours is one day; 02:30 comes twice on it",
        "2025-10-25T22:00:00.000Z",
        "2025-10-26T23:00:00.000Z",
        "2025-10-26T00:30:00Z",
        "2025-10-26T01:30:00Z",
    ),
    _day(
        "dst-spring-new-york",
        "America/New_York",
        "the day of 23 hours west of UTC",
        "2026-03-08T05:00:00.000Z",
        "2026-03-09T04:00:00.000Z",
    ),
    _day(
        "dst-autumn-new-york",
        "America/New_York",
        "the day of 25 hours west of UTC; 01:30 comes twice on it",
        "2025-11-02T04:00:00.000Z",
        "2025-11-03T05:00:00.000Z",
        "2025-11-02T05:30:00Z",
        "2025-11-02T06:30:00Z",
    ),
    _day(
        "dst-spring-sydney",
        "Australia/Sydney",
        "in the south clocks go forward in October: 23 hours",
        "2025-10-04T14:00:00.000Z",
        "2025-10-05T13:00:00.000Z",
    ),
    _day(
        "dst-autumn-sydney",
        "Australia/Sydney",
        "and back in April: 25 hours",
        "2026-04-04T13:00:00.000Z",
        "2026-04-05T14:00:00.000Z",
        "2026-04-04T15:30:00Z",
        "2026-04-04T16:30:00Z",
    ),
    _day(
        "dst-spring-lord-howe",
        "Australia/Lord_Howe",
        "a change of half an hour: 23.5 hours",
        "2025-10-04T13:30:00.000Z",
        "2025-10-05T13:00:00.000Z",
    ),
    _day(
        "dst-autumn-lord-howe",
        "Australia/Lord_Howe",
        "and 24.5 hours; 01:45 comes twice",
        "2026-04-04T13:00:00.000Z",
        "2026-04-05T13:30:00.000Z",
        "2026-04-04T14:45:00Z",
        "2026-04-04T15:15:00Z",
    ),
    _day(
        "dst-autumn-chatham",
        "Pacific/Chatham",
        "from +13:45 to +12:45: 25 hours",
        "2026-04-04T10:15:00.000Z",
        "2026-04-05T11:15:00.000Z",
    ),
    _day(
        "dst-two-hours",
        "Antarctica/Troll",
        "clocks that move by two hours: a day of 22",
        "2026-03-29T00:00:00.000Z",
        "2026-03-29T22:00:00.000Z",
    ),
    _day(
        "dst-ramadan",
        "Africa/Casablanca",
        "clocks that go back for Ramadan, in February: 25 hours",
        "2026-02-14T23:00:00.000Z",
        "2026-02-16T00:00:00.000Z",
    ),
    Case(
        "dst-days-are-not-24-hours",
        "across the change 23 hours before can be two days ago: count calendar days, never divide hours",
        (at("2026-03-28T22:30:00Z"), at("2026-03-29T22:30:00Z", count=2)),
        as_of="2026-03-29T22:30:00Z",
        zone="Europe/Berlin",
    ),
    Case(
        "dst-same-time-of-day",
        "half past midnight every day: in UTC that moves from 23:30 to 22:30, and each stays on its day",
        powers(
            "2026-03-26T23:30:00Z", "2026-03-27T23:30:00Z", "2026-03-28T23:30:00Z", "2026-03-29T22:30:00Z"
        ),
        as_of="2026-03-30T22:30:00Z",
        zone="Europe/Berlin",
    ),
    Case(
        "dst-offset-of-the-event",
        "an event has the offset that its zone had then: the present one would move the end of January to February",
        powers("2026-01-31T22:59:59.999Z", "2026-01-31T23:00:00Z", "2026-01-31T22:30:00Z"),
        as_of="2026-04-10T12:00:00Z",
        zone="Europe/Berlin",
    ),
    _day(
        "dst-without-midnight",
        "America/Sao_Paulo",
        "midnight did not exist: the day began at 01:00 and had 23 hours, 2018-11-04",
        "2018-11-04T03:00:00.000Z",
        "2018-11-05T02:00:00.000Z",
    ),
    _day(
        "dst-without-midnight-beirut",
        "Asia/Beirut",
        "nor did it in Beirut on 2026-03-29",
        "2026-03-28T22:00:00.000Z",
        "2026-03-29T21:00:00.000Z",
    ),
    _day(
        "dst-without-midnight-santiago",
        "America/Santiago",
        "nor in Santiago on 2025-09-07",
        "2025-09-07T04:00:00.000Z",
        "2025-09-08T03:00:00.000Z",
    ),
    _day(
        "dst-without-midnight-cairo",
        "Africa/Cairo",
        "nor in Cairo on 2025-04-25, a Friday",
        "2025-04-24T22:00:00.000Z",
        "2025-04-25T21:00:00.000Z",
    ),
    _day(
        "dst-midnight-twice-havana",
        "America/Havana",
        "in Havana 00:30 comes twice, and midnight too: all of it is one day of 25 hours, 2025-11-02",
        "2025-11-02T04:00:00.000Z",
        "2025-11-03T05:00:00.000Z",
        "2025-11-02T04:30:00Z",
        "2025-11-02T05:30:00Z",
    ),
    _day(
        "dst-last-hour-twice-beirut",
        "Asia/Beirut",
        "in Beirut 23:30 comes twice: at midnight clocks went back to 23:00 of the same day, 2025-10-25",
        "2025-10-24T21:00:00.000Z",
        "2025-10-25T22:00:00.000Z",
        "2025-10-25T20:30:00Z",
        "2025-10-25T21:30:00Z",
    ),
    _day(
        "offset-changed-caracas",
        "America/Caracas",
        "an offset that a government changed by half an hour: 2016-05-01 had 23.5 hours",
        "2016-05-01T04:30:00.000Z",
        "2016-05-02T04:00:00.000Z",
    ),
    _day(
        "offset-changed-pyongyang",
        "Asia/Pyongyang",
        "and another: 2018-05-04 ended half an hour early, at 23:30",
        "2018-05-03T15:30:00.000Z",
        "2018-05-04T15:00:00.000Z",
    ),
    _day(
        "skipped-day",
        "Pacific/Apia",
        "a calendar day that a zone left out keeps its index: Apia had no 2011-12-30",
        "2011-12-29T10:00:00.000Z",
        "2011-12-30T10:00:00.000Z",
    ),
    _day(
        "skipped-day-kwajalein",
        "Pacific/Kwajalein",
        "Kwajalein had no 1993-08-21: the day after the 20th is two indices away",
        "1993-08-20T12:00:00.000Z",
        "1993-08-21T12:00:00.000Z",
    ),
    Case(
        "skipped-day-ages",
        "ages and observed days count the date that was left out, like every date",
        as_of="2012-01-01T00:00:00Z",
        zone="Pacific/Apia",
        context=KNOWN
        | {"observed_since": "2011-12-29", "account_since": "2011-12-30", "goal_start": "2011-12-31"},
    ),
    Case(
        "day-ahead",
        "earlier than the as-of instant, and yet on the day after its day: at 00:01 clocks went back to 23:01",
        powers("2006-10-29T02:30:30Z", "2006-10-29T02:29:30Z", "2006-10-29T02:31:00Z"),
        as_of="2006-10-29T02:45:00Z",
        zone="America/St_Johns",
    ),
    Case(
        "day-ahead-reached",
        "the same events an hour later, when the calendar has come to that day again",
        powers("2006-10-29T02:30:30Z", "2006-10-29T02:29:30Z", "2006-10-29T02:31:00Z"),
        as_of="2006-10-29T03:30:00Z",
        zone="America/St_Johns",
    ),
    Case(
        "day-ahead-is-no-act",
        "an event on a day that is yet to come is not the last act, nor an act before noon",
        (at("2006-10-29T02:30:30Z"), at("2006-10-28T15:00:00Z", count=2)),
        as_of="2006-10-29T02:45:00Z",
        zone="America/St_Johns",
    ),
)
