"""Bad input to the day input of one user: one clear error each, or a result that is documented."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from feature_spec.day_input import Context, Event, day_input
from feature_spec.errors import DayInputError

NOON = "2026-03-31T12:00:00Z"
GOOD = {"timestamp": "2026-03-31T09:00:00Z", "event_type": "session"}


def event(**change: Any) -> Event:
    return Event(**(GOOD | change))


def given(**change: Any) -> Any:
    arguments: dict[str, Any] = {"events": [event()], "as_of": NOON, "zone_name": "UTC", "context": None}
    return day_input(**arguments | change)


BAD: list[tuple[str, Any, str, str]] = [
    (
        "NaN",
        lambda: event(value=float("nan")),
        "bad-value",
        "the value nan is no finite number within ±1,000",
    ),
    ("infinite", lambda: event(value=float("-inf")), "bad-value", "the value -inf"),
    ("infinite count", lambda: event(count=float("inf")), "bad-count", "the count inf is no whole number"),
    ("NaN count", lambda: event(count=float("nan")), "bad-count", "the count nan"),
    ("negative count", lambda: event(count=-3), "bad-count", "the count -3 is no whole number from 0 to 1,0"),
    ("count of 401 digits", lambda: event(count=10**400), "bad-count", "an integer beyond 10"),
    ("value of 5,001 digits", lambda: event(value=-(10**5000)), "bad-value", "an integer beyond 10"),
    ("decimal", lambda: event(value=Decimal(1)), "bad-value", r"Decimal\('1'\)"),
    ("complex", lambda: event(value=1j), "bad-value", "1j"),
    ("array", lambda: event(count=np.array([1])), "bad-count", "array"),
    ("NumPy bool", lambda: event(count=np.True_), "bad-count", "True"),
    ("unhashable type", lambda: event(event_type=["session"]), "unknown-event-type", "session"),
    ("type of two lines", lambda: event(event_type="ses\nsion"), "unknown-event-type", r"'ses\\nsion'"),
    ("bytes", lambda: event(timestamp=b"2026-03-31T09:00:00Z"), "bad-timestamp", "give a text like"),
    ("instant of 5,001 digits", lambda: event(timestamp=10**5000), "bad-timestamp", "give a text like"),
    ("long text", lambda: event(timestamp="9" * 10**6), "bad-timestamp", "write it like"),
    (
        "milliseconds",
        lambda: event(timestamp=1774947600000),
        "bad-timestamp",
        "a timestamp is 1774947600000; give a text like",
    ),
    ("id of another kind", lambda: event(event_id=("a",)), "bad-event", "event_id is .* give a text"),
    ("unknown key", lambda: Event.from_json(GOOD | {"när": 1}), "bad-event", "unknown key 'när'"),
    ("key of two lines", lambda: Event.from_json(GOOD | {"a\n" + "b" * 999: 1}), "bad-event", r"key .a\\nb"),
    ("no object", lambda: Event.from_json([GOOD]), "bad-event", "an event is an object"),
    ("no events", lambda: given(events=None), "bad-event", "events are None; give several, or an empty list"),
    ("JSON for events", lambda: given(events=[GOOD]), "bad-event", "give Event objects"),
    (
        "one of them none",
        lambda: given(events=[event(), None]),
        "bad-event",
        "an event is None; give Event obj",
    ),
    (
        "a text for events",
        lambda: given(events="session"),
        "bad-event",
        "an event is 's'; give Event objects",
    ),
    (
        "as-of of another kind",
        lambda: given(as_of=1774958400000),
        "bad-timestamp",
        "give a text like 2026-03-01T08:30:00Z",
    ),
    ("as-of in 3000", lambda: given(as_of="3000-01-01T00:00:00Z"), "bad-timestamp", "between 1970 and 2199"),
    ("unknown zone", lambda: given(zone_name="Europe/Atlantis"), "bad-zone", "time zone 'Europe/Atlantis'"),
    ("no zone", lambda: given(zone_name=None), "bad-zone", "unknown time zone"),
    ("zone with a zero", lambda: given(zone_name="Europe/\0Berlin"), "bad-zone", r"'Europe/\\x00Berlin'"),
    ("zone outside", lambda: given(zone_name="/etc/localtime"), "bad-zone", "use an IANA name"),
    ("long zone", lambda: given(zone_name="Europe/" + "x" * 10**5), "bad-zone", "use an IANA name"),
    ("non-ASCII zone", lambda: given(zone_name="Europe/Köln"), "bad-zone", "'Europe/Köln'"),
    ("lone surrogate", lambda: given(zone_name="Europe/\ud800"), "bad-zone", "use an IANA name"),
    ("JSON for a context", lambda: given(context={"progress": 1}), "bad-context", "give a Context"),
    (
        "no context object",
        lambda: Context.from_json(None),
        "bad-context",
        "an empty one says that nothing is",
    ),
    ("NaN progress", lambda: Context(progress=float("nan")), "bad-context", "progress is nan; give 0 to 1"),
    ("negative goals", lambda: Context(goals_overdue=-1), "bad-context", "give a whole number from 0"),
    (
        "date as a number",
        lambda: Context.from_json({"goal_start": 20260331}),
        "bad-context",
        "'20260331' is not",
    ),
    ("observed later", lambda: given(context=Context("2026-04-01")), "not-observed", "begins after"),
]


@pytest.mark.parametrize(("make", "reason", "says"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_one_clear_error(make: Any, reason: str, says: str) -> None:
    with pytest.raises(DayInputError, match=says) as caught:
        make()
    assert caught.value.reason == reason
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


def test_documented_results() -> None:
    """Odd, and yet meant: what happens is what the page says."""
    ahead = event(timestamp="2199-12-31T23:59:59Z")
    assert not given(events=[ahead]).daily.any(), "a clock that runs ahead: its events have not happened"
    assert given(events=[ahead], as_of="2199-12-31T23:59:59Z").daily.sum() == 1, "they do once it is time"
    assert given(events=[event(event_id="目標🎯"), event(event_id="目標🎯")]).daily.sum() == 1
    numbers = event(count=np.int64(2), value=np.float32(0.5))
    assert given(events=[numbers]).daily[0, 0].tolist() == [2, 1, 0.5], "NumPy's numbers are numbers"
    assert given(events=iter(())).context[6] == -1, "no event: the last act is unknown"
    assert given(events=[event(count=0)]).context[11] == 0, "and acts before noon are none"
