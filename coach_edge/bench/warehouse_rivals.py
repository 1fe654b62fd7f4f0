"""The ten features thrice: compiled from their definitions, written by hand in SQL, and in pandas.

``python -m coach_edge.bench.warehouse_rivals NAME FOLDER OUT`` computes them once from the files in FOLDER, writes them
to OUT and prints how long that took and how much memory the process held at most.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from feature_spec.extras import Late
from feature_spec.prebuilt import PREBUILT
from feature_spec.warehouse.compute import compute
from feature_spec.warehouse.duckdb_engine import MEMORY_GIB, DuckDB
from feature_spec.warehouse.files import encode

THREADS: Final = 2

duckdb: Any = Late("duckdb", extra="warehouse")
numpy: Any = Late("numpy", extra="warehouse")
pandas: Any = Late("pandas", extra="warehouse")

HANDWRITTEN: Final = """
COPY (
WITH asked AS (
  SELECT row_number() OVER () AS r, user_id, as_of, epoch_ms(as_of) // 86400000 AS today,
    least(date_diff('day', observed_since, as_of::DATE) + 1, 90) AS observed,
    date_diff('day', account_since, as_of::DATE) AS account_age, date_diff('day', goal_start, as_of::DATE) AS goal_age,
    goal_total_days, goals_completed_before, progress
  FROM '{folder}/requests.parquet'
), counted AS (
  SELECT r, today - epoch_ms(timestamp) // 86400000 AS day, event_type AS kind, count::DOUBLE AS times, value
  FROM '{folder}/events.parquet' JOIN asked USING (user_id)
  WHERE timestamp <= as_of AND today - epoch_ms(timestamp) // 86400000 BETWEEN 0 AND observed - 1
), days AS (
  SELECT r, day,
    coalesce(sum(times) FILTER (WHERE kind <> 'task_due'), 0) AS acts,
    coalesce(sum(times) FILTER (WHERE kind = 'task_due'), 0) AS due,
    coalesce(sum(times) FILTER (WHERE kind = 'task_done'), 0) AS done,
    count(value) FILTER (WHERE kind = 'task_done') AS valued,
    coalesce(sum(value) FILTER (WHERE kind = 'task_done'), 0) AS worth,
    coalesce(sum(value) FILTER (WHERE kind = 'progress'), 0) AS gained,
    sum(times * CASE kind WHEN 'task_due' THEN 0 WHEN 'message' THEN 2 WHEN 'check_in' THEN 2 WHEN 'feedback' THEN 2
      WHEN 'task_done' THEN 3 ELSE 1 END) AS weighed
  FROM counted GROUP BY r, day
), users AS (
  SELECT r, sum(due) AS due, sum(done) AS done, sum(weighed) AS weighed, min(day) FILTER (WHERE acts > 0) AS since,
    count(*) FILTER (WHERE acts > 0) AS active, count(*) FILTER (WHERE acts > 0 AND day = 0) AS active_today,
    coalesce(sum(acts) FILTER (WHERE day < 14), 0) AS recent,
    coalesce(sum(acts) FILTER (WHERE day < 28), 0) AS fortnights,
    coalesce(sum(gained) FILTER (WHERE day < 28), 0) AS gained,
    sum(due * power(0.5, day / 21)) AS late_due, sum((done - valued + worth) * power(0.5, day / 21)) AS late_earned,
    bit_or(CASE WHEN acts > 0 AND day < 45 THEN 1::BIGINT << day ELSE 0 END) | 1 AS low,
    bit_or(CASE WHEN acts > 0 AND day >= 45 THEN 1::BIGINT << (day - 45) ELSE 0 END) AS high
  FROM days GROUP BY r
), rates AS (
  SELECT *, recent / least(observed, 14) AS now,
    coalesce((fortnights - recent) / nullif(least(observed, 28) - least(observed, 14), 0), 0) AS before
  FROM asked LEFT JOIN users USING (r)
)
SELECT user_id,
  CASE WHEN due > 0 THEN least(done / due, 1) ELSE 0.5 END::FLOAT AS completion_rate,
  coalesce(CASE WHEN low < 35184372088831 THEN bit_count((~low & (low + 1)) - 1)
    ELSE 45 + bit_count((~high & (high + 1)) - 1) END - 1 + active_today, 0)::FLOAT AS streak_length,
  coalesce(least(ln(1 + weighed / observed) / ln(41), 1), 0)::FLOAT AS engagement_score,
  CASE WHEN fortnights > 0 AND observed > 14 THEN (now - before) / (now + before) ELSE 0 END::FLOAT AS activity_trend,
  (least(ln(1 + account_age) / ln(366), 1) * 0.5 + least(ln(1 + goals_completed_before) / ln(6), 1) * 0.5)::FLOAT
    AS user_experience,
  coalesce(since, 90)::FLOAT AS days_since_last_activity,
  coalesce(least(greatest(gained / (least(observed, 28) / 7), 0), 0.25), 0)::FLOAT AS goal_velocity,
  coalesce(active / observed, 0)::FLOAT AS consistency_score,
  CASE WHEN late_due > 0 THEN least(greatest(late_earned / late_due, 0), 1) ELSE 0.5 END::FLOAT AS momentum_score,
  least(progress / least(greatest(goal_age, 1) / goal_total_days, 1), 2)::FLOAT AS progress_vs_time
FROM rates
) TO '{out}' (FORMAT PARQUET)
"""
"""What somebody who knows the engine well writes for these ten features; it checks nothing, and knows UTC only."""


def ours(folder: Path, out: Path) -> None:
    """As ``edge features compute --requests``."""
    with DuckDB(threads=THREADS) as engine:
        events, requests = (engine.read(folder / f"{name}.parquet") for name in ("events", "requests"))
        out.write_bytes(encode(compute(PREBUILT, engine, events, requests), out))


def handwritten(folder: Path, out: Path) -> None:
    """The same engine with the same settings."""
    with duckdb.connect(":memory:") as connection:
        for setting in (
            f"threads = {THREADS}",
            f"memory_limit = '{int(MEMORY_GIB * 1024)}MiB'",
            "preserve_insertion_order = false",
        ):
            connection.execute(f"SET {setting}")
        connection.execute(HANDWRITTEN.format(folder=folder, out=out))


def vectorised(folder: Path, out: Path) -> None:
    """In pandas: one group-by over days and one over users, no Python loop."""
    np = numpy
    asked = pandas.read_parquet(folder / "requests.parquet")
    events = pandas.read_parquet(folder / "events.parquet")
    day = "datetime64[D]"
    today = asked["as_of"].dt.tz_localize(None).to_numpy().astype(day)
    age = {
        name: (today - asked[name].to_numpy().astype(day)).astype("int64")
        for name in ("observed_since", "account_since", "goal_start")
    }
    observed = np.minimum(age["observed_since"] + 1, 90)
    place = pandas.Index(asked["user_id"]).get_indexer(events["user_id"])
    stamp = events["timestamp"].dt.tz_localize(None).to_numpy()
    index = (today[place] - stamp.astype(day)).astype("int64")
    as_of = asked["as_of"].dt.tz_localize(None).to_numpy()
    kept = (place >= 0) & (stamp <= as_of[place]) & (index >= 0) & (index < observed[place])
    kind = events["event_type"].to_numpy()[kept].astype(str)
    times = events["count"].to_numpy()[kept].astype("float64")
    value = events["value"].to_numpy()[kept]
    done, has = kind == "task_done", ~np.isnan(value)
    weight = pandas.Series(kind).map(
        {
            "task_due": 0,
            "message": 2,
            "check_in": 2,
            "feedback": 2,
            "task_done": 3,
            "session": 1,
            "progress": 1,
            "content_view": 1,
        }
    )
    filled = np.where(has, value, 0.0)
    rows = pandas.DataFrame(
        {
            "cell": place[kept].astype("int64") * 90 + index[kept],
            "acts": np.where(kind != "task_due", times, 0.0),
            "due": np.where(kind == "task_due", times, 0.0),
            "done": np.where(done, times, 0.0),
            "earned": np.where(done, times - has + filled, 0.0),
            "gained": np.where(kind == "progress", filled, 0.0),
            "weighed": times * weight.to_numpy(),
        }
    )
    days = rows.groupby("cell", sort=True).sum()
    user, at = np.divmod(days.index.to_numpy(), 90)
    users = len(asked)

    def total(of: Any) -> Any:
        return np.bincount(user, weights=of, minlength=users)

    acts = days["acts"].to_numpy()
    active = acts > 0
    decay = 0.5 ** (at / 21)
    due, late_due = total(days["due"]), total(days["due"] * decay)
    recent, both = total(acts * (at < 14)), total(acts * (at < 28))
    short, longer = np.minimum(observed, 14), np.minimum(observed, 28)
    with np.errstate(divide="ignore", invalid="ignore"):
        now, before = recent / short, np.where(longer > short, (both - recent) / (longer - short), 0)
        trend = np.where((both > 0) & (observed > 14), (now - before) / (now + before), 0)
        completion = np.where(due > 0, np.minimum(total(days["done"]) / due, 1), 0.5)
        momentum = np.where(late_due > 0, np.clip(total(days["earned"] * decay) / late_due, 0, 1), 0.5)
    since = np.full(users, 90)
    np.minimum.at(since, user[active], at[active])
    there = np.zeros((users, 91), bool)
    there[user[active], at[active]] = True
    active_today = there[:, 0].copy()
    there[:, 0] = True
    streak = there.argmin(axis=1) - 1 + active_today
    progress = asked["progress"].to_numpy()
    elapsed = np.minimum(np.maximum(age["goal_start"], 1) / asked["goal_total_days"].to_numpy(), 1)
    goals = asked["goals_completed_before"].to_numpy()
    found = {
        "completion_rate": completion,
        "streak_length": streak,
        "engagement_score": np.minimum(np.log1p(total(days["weighed"]) / observed) / np.log(41), 1),
        "activity_trend": trend,
        "user_experience": np.minimum(np.log1p(age["account_since"]) / np.log(366), 1) * 0.5
        + np.minimum(np.log1p(goals) / np.log(6), 1) * 0.5,
        "days_since_last_activity": since,
        "goal_velocity": np.clip(total(days["gained"] * (at < 28)) / (longer / 7), 0, 0.25),
        "consistency_score": total(active) / observed,
        "momentum_score": momentum,
        "progress_vs_time": np.minimum(progress / elapsed, 2),
    }
    table = {name: np.asarray(column, "float32") for name, column in found.items()}
    pandas.DataFrame({"user_id": asked["user_id"], **table}).to_parquet(out)


RIVALS: Final[dict[str, Callable[[Path, Path], None]]] = {
    "ours": ours,
    "handwritten": handwritten,
    "pandas": vectorised,
}


def main(name: str, folder: str, out: str) -> None:
    """Compute once and print what it took; what is imported is imported before."""
    for module in ("duckdb", "ibis.backends.sql.compilers", "pandas", "pyarrow.parquet"):
        __import__(module)
    start = time.perf_counter()
    RIVALS[name](Path(folder), Path(out))
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"seconds": seconds, "peak_gib": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:])
