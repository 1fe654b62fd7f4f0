"""A real log on two ways: one user's events as a phone records them, and everybody's rows at once.

A phone has time stamps, a zone and a context of its own; the log has day numbers. Whatever a model learned from the
second must be what the first gives it, to the bit. Skips where the files are absent.
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
import pytest

from feature_spec import PREBUILT
from feature_spec.dataset import DataFiles, load
from feature_spec.day_input import Context, Event, day_input
from feature_spec.mapping import load_mapping
from feature_spec.numpy_evaluator import evaluate
from feature_spec.population import Dataset
from feature_spec.vocabulary import EVENT_TYPES

FIRST = date(2013, 2, 1)
"""The day that the course's day 0 was; clocks change in all but one of the zones before its day 100."""
ZONES = ("Europe/London", "America/New_York", "Asia/Tokyo", "Australia/Lord_Howe")
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


@pytest.mark.parametrize("day", [30, 60, 100])
def test_a_phone_computes_what_the_model_learned_from(
    day: int, dataset: Dataset, phones: dict[str, list[Event]]
) -> None:
    batch = dataset.snapshot(day)
    assert len(batch.users) > 1400
    people = dataset.people
    place = {user: index for index, user in enumerate(people.users)}
    first = float(min(dataset.day[dataset.event_type != DUE]))
    daily = np.empty_like(batch.daily)
    context = np.empty_like(batch.context)
    for row, user in enumerate(batch.users):
        index = place[user]
        zone = ZONES[index % len(ZONES)]
        now = moment(day, zone, 23)
        gained = 0.0
        for event in phones[user]:
            if event.event_type == "progress" and event.value is not None:
                gained += event.value if event.timestamp[:10] <= now[:10] else 0.0
        known = Context(
            observed_since=on(np.fmax(people.days("observed_from")[index], first)),
            account_since=on(people.days("account_since")[index]),
            goal_start=on(people.days("goal_start")[index]),
            goal_total_days=number(people.days("goal_total_days")[index]),
            goals_completed_before=number(people.days("goals_completed_before")[index]),
            progress=min(max(gained, 0.0), 1.0),
        )
        made = day_input(phones[user], now, zone, known)
        daily[row], context[row] = made.daily, made.context
    assert np.array_equal(daily, batch.daily)
    assert np.array_equal(context[:, :ONE_OF_BOTH], batch.context[:, :ONE_OF_BOTH])
    ours, theirs = evaluate(PREBUILT, daily, context), evaluate(PREBUILT, batch.daily, batch.context)
    assert np.array_equal(ours, theirs)
    assert (ours.std(axis=0) > 0).all(), "the control: no feature is the same for everybody"
    assert not np.array_equal(ours, evaluate(PREBUILT, np.roll(daily, 1, axis=1), context)), (
        "the other control"
    )
