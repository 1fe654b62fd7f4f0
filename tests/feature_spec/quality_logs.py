"""A log in which nothing is wrong, and one way to spoil it for each check."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from feature_spec.ingest import DataFiles

Row = dict[str, Any]
START = datetime(2026, 1, 5, tzinfo=UTC)
DAYS = 90
AS_OF = "2026-04-05T06:00:00Z"
ZONE = "Europe/Berlin"
COLUMNS = ("user_id", "timestamp", "event_type", "count", "value", "event_id", "received_at")


@dataclass
class Files:
    """Rows of the two files, free to be spoilt; ``kept`` are the columns that are written."""

    events: list[Row]
    labels: list[Row]
    kept: tuple[str, ...] = COLUMNS
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(1))

    def write(self, folder: Path) -> DataFiles:
        """Write both as CSV."""
        for name, rows, columns in (
            ("events", self.events, self.kept),
            ("labels", self.labels, tuple(self.labels[0])),
        ):
            with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, columns, extrasaction="ignore")
                writer.writeheader()
                writer.writerows(rows)
        return DataFiles(folder / "events.csv", folder / "labels.csv")

    def of(self, kind: str) -> list[Row]:
        """The rows of one event type."""
        return [row for row in self.events if row["event_type"] == kind]

    def some(self, share: float) -> list[Row]:
        """A share of all rows."""
        chosen = self.random.choice(len(self.events), int(share * len(self.events)), replace=False)
        return [self.events[place] for place in sorted(chosen)]


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def at(row: Row) -> datetime:
    return datetime.strptime(row["timestamp"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def move(row: Row, moment: datetime) -> None:
    """Let a row have happened, and been received, at another time."""
    row["timestamp"], row["received_at"] = stamp(moment), stamp(moment + timedelta(seconds=40))


def clean(users: int = 60) -> Files:
    """People who are up by day, do what falls due, and tell how they are."""
    random = np.random.default_rng(7)
    events: list[Row] = []
    names = [f"üser {number}" for number in range(users)]

    def add(user: str, day: int, kind: str, value: float | None = None, count: int = 1) -> None:
        second = int(np.clip(random.normal(14.5, 3), 6, 21.9) * 3600) + int(random.integers(0, 60))
        row = {"user_id": user, "event_type": kind, "count": count, "event_id": f"e{len(events)}"}
        row["value"] = "" if value is None else f"{value:.3f}"
        move(row, START + timedelta(days=day, seconds=second))
        events.append(row)

    for user in names:
        for day in range(DAYS):
            if random.random() < 0.6:
                add(user, day, "session", random.gamma(4, 5), int(random.integers(1, 4)))
            if day % 7 == 0:
                add(user, day, "task_due")
                if random.random() < 0.7:
                    add(user, day, "task_done", random.uniform(0.4, 1))
                    add(user, day, "progress", random.uniform(0.03, 0.07))
            if random.random() < 0.1:
                add(user, day, "check_in", float(random.integers(1, 11)))
            if random.random() < 0.1:
                add(user, day, "message", random.gamma(2, 300))
    labels = [
        {
            "user_id": user,
            "goal_success": place % 2,
            "churned": int(place % 4 == 0),
            "account_since": str((START - timedelta(days=30 + place)).date()),
            "observed_from": str((START - timedelta(days=1)).date()),
            "observed_until": str((START + timedelta(days=DAYS + 10)).date()),
        }
        for place, user in enumerate(names)
    ]
    return Files(events, labels)


Spoil = Callable[[Files], object]


def _each(rows: list[Row], change: Callable[[Row], object]) -> None:
    for row in rows:
        change(row)


def _hole(files: Files) -> None:
    files.events = [row for row in files.events if not 30 <= (at(row) - START).days < 34]


def _idle(files: Files) -> None:
    gone = {row["user_id"] for row in files.labels if row["goal_success"] == 0 and row["churned"]}
    files.events = [row for row in files.events if row["user_id"] not in gone]


def _twice(files: Files) -> None:
    files.events += [dict(row) for row in files.some(0.2)]


def _shared_ids(files: Files) -> None:
    first, *others = [row for row in files.events if row["user_id"] == files.events[0]["user_id"]]
    others[7]["event_id"] = first["event_id"]


def _doubles(files: Files) -> None:
    _twice(files)
    files.kept = tuple(name for name in COLUMNS if name != "event_id")


def _undue(files: Files) -> None:
    some = {row["user_id"] for row in files.labels[:20]}
    files.events = [r for r in files.events if r["event_type"] != "task_due" or r["user_id"] not in some]


def _overshoot(files: Files) -> None:
    some = {row["user_id"] for row in files.labels[:20]}
    rows = [row for row in files.of("progress") if row["user_id"] in some]
    _each(rows, lambda row: row.update(value=f"{3 * float(row['value']):.3f}"))


def _robot(files: Files) -> None:
    _each(files.of("session")[:3], lambda row: row.update(count=9_000))


def _late(files: Files) -> None:
    _each(files.some(0.3), lambda row: row.update(received_at=stamp(at(row) + timedelta(days=3))))


def _future(files: Files) -> None:
    _each(files.some(0.05), lambda row: move(row, at(row).replace(year=2031)))


def _unset(files: Files) -> None:
    _each(files.some(0.05), lambda row: move(row, at(row).replace(year=1970)))


def _any_hour(files: Files) -> None:
    _each(
        files.events,
        lambda row: move(row, at(row).replace(hour=int(files.random.integers(0, 24)))),
    )


def _end(files: Files) -> None:
    files.events = [
        row for row in files.events if (at(row) - START).days < DAYS - 4 or row["event_id"][-1] == "0"
    ]


def _old(files: Files) -> None:
    files.events = [row for row in files.events if (at(row) - START).days < DAYS - 21]


SPOILT: dict[str, tuple[str, Spoil]] = {
    "days that never came": ("days_with_events", _hole),
    "labelled users without events": ("users_with_events", _idle),
    "events of users without labels": ("events_with_labels", lambda f: f.labels.__delitem__(slice(0, 20))),
    "scores that were not sent": (
        "values",
        lambda f: _each(f.of("task_done")[::3], lambda row: row.update(value="")),
    ),
    "rows without an id": ("event_ids", lambda f: _each(f.some(0.2), lambda row: row.update(event_id=""))),
    "outcomes nobody knows": ("labels", lambda f: _each(f.labels[::3], lambda row: row.update(churned=""))),
    "accounts of unknown age": (
        "people",
        lambda f: _each(f.labels[::2], lambda row: row.update(account_since="")),
    ),
    "rows delivered twice": ("delivered_twice", _twice),
    "an id for two events": ("event_ids_agree", _shared_ids),
    "doubles without ids": ("rows_once", _doubles),
    "tasks done that never were due": ("done_was_due", _undue),
    "progress as a total": ("progress_sums", _overshoot),
    "events after leaving": (
        "observed",
        lambda f: _each(
            f.labels[::6], lambda row: row.update(observed_until=str((START + timedelta(days=40)).date()))
        ),
    ),
    "users who left before they came": (
        "dates_in_order",
        lambda f: _each(
            f.labels[::6],
            lambda row: row.update(account_since=str((START + timedelta(days=DAYS + 20)).date())),
        ),
    ),
    "everybody succeeded": (
        "labels_fit",
        lambda f: _each(f.labels, lambda r: r.update(goal_success=1, churned=0)),
    ),
    "reached and churned": ("labels_fit", lambda f: f.labels[0].update(goal_success=1, churned=1)),
    "scores in percent": (
        "units",
        lambda f: _each(f.of("task_done"), lambda row: row.update(value=100 * float(row["value"]))),
    ),
    "minutes in milliseconds": (
        "units",
        lambda f: _each(f.of("session"), lambda row: row.update(value=min(6e4 * float(row["value"]), 1e6))),
    ),
    "a score of eleven": ("values_in_range", lambda f: f.of("task_done")[3].update(value=11)),
    "a million sessions": ("counts", lambda f: f.of("session")[5].update(count=1_000_000)),
    "a robot": ("outliers", _robot),
    "a mood that never changes": (
        "varies",
        lambda f: _each(f.of("check_in"), lambda row: row.update(value=5)),
    ),
    "clocks years ahead": ("clock", _future),
    "clocks never set": ("clock", _unset),
    "days as midnights": (
        "time_of_day",
        lambda f: _each(f.events, lambda row: move(row, at(row).replace(hour=0, minute=0, second=0))),
    ),
    "days as noons": (
        "time_of_day",
        lambda f: _each(f.events, lambda row: move(row, at(row).replace(hour=12, minute=0, second=0))),
    ),
    "hours made up": ("time_of_day", _any_hour),
    "a log that ended weeks ago": ("newest", _old),
    "rows that come days later": ("delivery", _late),
    "last days that are not all there": ("end_delivered", _end),
}
