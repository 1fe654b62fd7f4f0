"""A real log on three ways: one user's events as a phone records them, everybody's rows at once, and a warehouse.

A phone has time stamps, a zone and a context of its own, and a warehouse has those of everybody; the log has day
numbers. Whatever a model learned from it must be what the others give it, to the bit. Skips where the files are absent.
"""

from __future__ import annotations

import csv
import functools
import math
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from feature_spec import PREBUILT
from feature_spec.dataset import DataFiles, load
from feature_spec.day_input import Context, Event, day_input
from feature_spec.mapping import load_mapping
from feature_spec.numpy_evaluator import evaluate
from feature_spec.population import Dataset, Snapshot
from feature_spec.vocabulary import EVENT_TYPES
from feature_spec.warehouse.compute import compute
from feature_spec.warehouse.duckdb_engine import DuckDB

pytestmark = pytest.mark.sampled

FIRST = date(2013, 2, 1)
"""The day that the course's day 0 was; clocks change in all but one of the zones before its day 100."""
ZONES = ("Europe/London", "America/New_York", "Asia/Tokyo", "Australia/Lord_Howe")
DAYS = (30, 60, 100)
DUE = EVENT_TYPES.index("task_due")
ONE_OF_BOTH = 6
"""Scalars of the context that a log without time of day can know."""


@pytest.fixture(scope="module")
def files(oulad: Path) -> DataFiles:
    names = ("events", "labels", "assessments")
    return DataFiles(*(oulad / f"{name}_bbb_2013b.csv" for name in names), mapping="oulad")


@pytest.fixture(scope="module")
def dataset(files: DataFiles) -> Dataset:
    return load(files)


@functools.cache
def moment(day: int, zone: str, hour: int) -> str:
    local = datetime.combine(FIRST + timedelta(day), time(hour, 59, 59), ZoneInfo(zone))
    return local.isoformat()


def on(day: float) -> str | None:
    return None if math.isnan(day) else (FIRST + timedelta(int(day))).isoformat()


def number(value: float) -> int | None:
    return None if math.isnan(value) else int(value)


def rows(path: Path | None) -> Iterator[dict[str, str]]:
    assert path is not None
    with path.open(newline="") as file:
        yield from csv.DictReader(file)


@pytest.fixture(scope="module")
def phones(files: DataFiles, dataset: Dataset) -> dict[str, list[Event]]:
    """Each user's events, from the files alone: the clock stands at another hour for each row."""
    mapping = load_mapping("oulad")
    zone = {user: ZONES[place % len(ZONES)] for place, user in enumerate(dataset.people.users)}
    found: dict[str, list[Event]] = defaultdict(list)
    for place, row in enumerate(rows(files.events)):
        when = moment(int(row["day"]), zone[row["user_id"]], place % 24)
        score = float(row["score"]) if row["score"] else None
        for emission in mapping.event_types[row["event_type"]]:
            value = None if score is None else score * emission.scale
            found[row["user_id"]].append(Event(when, emission.event_type, int(row["count"]), value))
    left = dict(zip(dataset.people.users, dataset.people.days("observed_until"), strict=True))
    for row in rows(files.assessments):
        for user, until in left.items():
            if row["date"] and not int(row["date"]) >= until:
                found[user].append(Event(moment(int(row["date"]), zone[user], 0), "task_due"))
    return found


def contexts(day: int, batch: Snapshot, dataset: Dataset, phones: dict[str, list[Event]]) -> list[Context]:
    """What each app knows besides events at the end of ``day``."""
    people = dataset.people
    place = {user: index for index, user in enumerate(people.users)}
    first = float(min(dataset.day[dataset.event_type != DUE]))
    found = []
    for user in batch.users:
        index = place[user]
        gained = 0.0
        for event in phones[user]:
            if event.event_type == "progress" and event.value is not None:
                gained += event.value if event.timestamp[:10] <= str(on(day)) else 0.0
        found.append(
            Context(
                observed_since=on(np.fmax(people.days("observed_from")[index], first)),
                account_since=on(people.days("account_since")[index]),
                goal_start=on(people.days("goal_start")[index]),
                goal_total_days=number(people.days("goal_total_days")[index]),
                goals_completed_before=number(people.days("goals_completed_before")[index]),
                progress=min(max(gained, 0.0), 1.0),
            )
        )
    return found


def zones(batch: Snapshot, dataset: Dataset) -> list[str]:
    place = {user: index for index, user in enumerate(dataset.people.users)}
    return [ZONES[place[user] % len(ZONES)] for user in batch.users]


@pytest.mark.parametrize("day", DAYS)
def test_a_phone_computes_what_the_model_learned_from(
    day: int, dataset: Dataset, phones: dict[str, list[Event]]
) -> None:
    batch = dataset.snapshot(day)
    assert len(batch.users) > 1400
    daily = np.empty_like(batch.daily)
    context = np.empty_like(batch.context)
    known = contexts(day, batch, dataset, phones)
    for row, (user, zone) in enumerate(zip(batch.users, zones(batch, dataset), strict=True)):
        made = day_input(phones[user], moment(day, zone, 23), zone, known[row])
        daily[row], context[row] = made.daily, made.context
    assert np.array_equal(daily, batch.daily)
    assert np.array_equal(context[:, :ONE_OF_BOTH], batch.context[:, :ONE_OF_BOTH])
    ours, theirs = evaluate(PREBUILT, daily, context), evaluate(PREBUILT, batch.daily, batch.context)
    assert np.array_equal(ours, theirs)
    assert (ours.std(axis=0) > 0).all(), "the control: no feature is the same for everybody"
    assert not np.array_equal(ours, evaluate(PREBUILT, np.roll(daily, 1, axis=1), context)), (
        "the other control"
    )


@pytest.mark.parametrize("day", DAYS)
def test_the_warehouse_computes_what_the_model_learned_from(
    day: int, dataset: Dataset, phones: dict[str, list[Event]]
) -> None:
    """From time stamps, zones and all events, those after the day too."""
    batch = dataset.snapshot(day)
    events = {
        "user_id": [user for user, mine in phones.items() for _ in mine],
        **{
            name: [getattr(event, name) for mine in phones.values() for event in mine]
            for name in ("timestamp", "event_type", "count", "value")
        },
    }
    where = zones(batch, dataset)
    known = [vars(context) for context in contexts(day, batch, dataset, phones)]
    asked = {
        "user_id": list(batch.users),
        "as_of": [moment(day, zone, 23) for zone in where],
        "zone": where,
        **{name: [context[name] for context in known] for name in known[0] if known[0][name] is not None},
    }
    with DuckDB(threads=2) as engine:
        found = compute(PREBUILT, engine, engine.register(pa.table(events)), engine.register(pa.table(asked)))
    assert found["user_id"].to_pylist() == list(batch.users)
    ours = np.stack([found[name].to_numpy() for name in PREBUILT.names], axis=1)
    assert np.array_equal(ours, evaluate(PREBUILT, batch.daily, batch.context))
