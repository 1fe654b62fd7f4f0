"""What is refused, with one error that names the file, the column, the user and the way out; and what is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from feature_spec import PREBUILT
from feature_spec.errors import DataError
from feature_spec.warehouse.compute import compute
from feature_spec.warehouse.duckdb_engine import DuckDB
from tests.feature_spec.warehouse.logs import features

pytestmark = pytest.mark.sampled

NOON = "2026-03-31T12:00:00Z"


@pytest.fixture(scope="module")
def engine() -> Iterator[DuckDB]:
    with DuckDB(threads=2) as opened:
        yield opened


def events(**columns: list[Any]) -> pa.Table:
    given = {"user_id": ["ünï"], "timestamp": [NOON], "event_type": ["session"], "count": [1]}
    return pa.table(given | columns)


def requests(**columns: list[Any]) -> pa.Table:
    return pa.table({"user_id": ["ünï"], "as_of": [NOON]} | columns)


REFUSED: dict[str, tuple[pa.Table, pa.Table, str]] = {
    "a negative count": (
        events(count=[-1]),
        requests(),
        "the count of user 'ünï' is '-1'; give a whole number",
    ),
    "half a count": (
        events(count=[1.5]),
        requests(),
        "the count of user 'ünï' is '1.5'; give a whole number",
    ),
    "a huge count": (events(count=[10**9]), requests(), "give a whole number from 0 to 1,000,000"),
    "a count in words": (events(count=["many"]), requests(), "the count of user 'ünï' is 'many'"),
    "NaN": (
        events(value=[float("nan")]),
        requests(),
        "the value of user 'ünï' is 'nan'; give a finite number",
    ),
    "infinity": (
        events(value=[float("inf")]),
        requests(),
        "the value of user 'ünï' is 'inf'; give a finite number",
    ),
    "NaN in words": (events(value=["NaN"]), requests(), "the value of user 'ünï' is 'NaN'"),
    "an unknown type": (
        events(event_type=["Session"]),
        requests(),
        "event_type of user 'ünï' is 'Session'; use one of",
    ),
    "no type": (
        events(event_type=pa.array([None], pa.string())),
        requests(),
        "event_type of user 'ünï' is empty",
    ),
    "no user": (events(user_id=[""]), requests(), "events: the user_id of user '' is ''; give an identifier"),
    "a local time": (events(timestamp=["2026-03-31T12:00:00"]), requests(), "the timestamp of user 'ünï' is"),
    "no such date": (
        events(timestamp=["2026-02-30T12:00:00Z"]),
        requests(),
        "write it like 2026-03-01T08:30:00Z",
    ),
    "the year 3000": (events(timestamp=["3000-01-01T12:00:00Z"]), requests(), "of the years 1970 to 2199"),
    "microseconds": (events(timestamp=[1_774_958_400_000_000]), requests(), "the timestamp of user 'ünï'"),
    "no timestamps": (
        events().drop_columns(["timestamp"]),
        requests(),
        "events: no column 'timestamp' (it has user_id",
    ),
    "an unknown zone": (
        events(),
        requests(zone=["Mars/Olympus"]),
        "column zone: unknown time zone 'Mars/Olympus'",
    ),
    "an offset for a zone": (events(), requests(zone=["+02:00"]), "unknown time zone"),
    "no instant": (
        events(),
        requests(as_of=pa.array([None], pa.string())),
        "requests: the as_of of user 'ünï' is empty",
    ),
    "no requests": (events(), requests().slice(0, 0), "requests: there are no rows"),
    "progress beyond 1": (events(), requests(progress=[1.5]), "progress of user 'ünï' is '1.5'; give 0 to 1"),
    "a goal of no days": (events(), requests(goal_total_days=[0]), "goal_total_days of user 'ünï' is '0'"),
    "a bad date": (
        events(),
        requests(goal_start=["31.3.2026"]),
        "goal_start of user 'ünï' is '31.3.2026'; write a date",
    ),
    "not observed yet": (events(), requests(observed_since=["2026-04-01"]), "begins after the as-of day"),
    "too many": (
        pa.table(
            {
                "user_id": ["u"] * 20,
                "timestamp": [NOON] * 20,
                "event_type": ["session"] * 20,
                "count": [10**6] * 20,
            }
        ),
        requests(user_id=["u"]),
        "user 'u': a day adds up to more than 2^24",
    ),
    "two contents": (
        pa.table(
            {
                "user_id": ["u", "u"],
                "timestamp": [NOON, NOON],
                "event_type": ["session", "session"],
                "value": [None, 0.0],
                "event_id": ["a", "a"],
            }
        ),
        requests(user_id=["u"]),
        "the event id 'a' of user 'u' comes with two contents",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(engine: DuckDB, what: str) -> None:
    log, asked, message = REFUSED[what]
    with pytest.raises(DataError) as caught:
        compute(PREBUILT, engine, engine.register(log), engine.register(asked))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def active_days(engine: DuckDB, log: pa.Table, asked: pa.Table) -> float:
    column = PREBUILT.names.index("days_since_last_activity")
    return float(features(engine, log, asked)[0, column])


def test_a_clock_in_the_future_does_not_count(engine: DuckDB) -> None:
    assert active_days(engine, events(), requests()) == 0
    assert active_days(engine, events(timestamp=["2199-12-31T12:00:00Z"]), requests()) == 90


def test_no_count_is_one(engine: DuckDB) -> None:
    assert active_days(engine, events(count=pa.array([None], pa.int64())), requests()) == 0


def test_two_users_may_use_one_event_id(engine: DuckDB) -> None:
    log = pa.table(
        {
            "user_id": ["u", "ünï"],
            "timestamp": [NOON] * 2,
            "event_type": ["session", "message"],
            "event_id": ["a", "a"],
        }
    )
    assert active_days(engine, log, requests()) == 0


def test_a_log_without_events(engine: DuckDB) -> None:
    assert active_days(engine, events().slice(0, 0), requests()) == 90


def test_users_are_numbers_as_well_as_texts(engine: DuckDB) -> None:
    assert active_days(engine, events(user_id=[7]), requests(user_id=["7"])) == 0
    assert active_days(engine, events(user_id=["7"]), requests(user_id=[7])) == 0


def test_instants_are_timestamps_or_milliseconds(engine: DuckDB) -> None:
    moment = 1_774_958_400_000
    assert active_days(engine, events(timestamp=[moment + 1]), requests(as_of=[moment])) == 90
    assert active_days(engine, events(timestamp=[moment]), requests(as_of=[moment])) == 0


@pytest.mark.sampled
def test_ten_million_events_of_one_user(engine: DuckDB) -> None:
    """Not refused: the time is bounded by the events, the memory by the days."""
    count = 10_000_000
    instants = 1_774_958_400_000 - (np.arange(count) * 777) % (90 * 86_400_000)
    log = pa.table(
        {
            "user_id": pa.array(["one"]).take(np.zeros(count, np.int64)),
            "timestamp": instants,
            "event_type": pa.array(["session"]).take(np.zeros(count, np.int64)),
        }
    )
    found = features(engine, log, requests(user_id=["one"]))
    assert found[0, PREBUILT.names.index("streak_length")] == 90
