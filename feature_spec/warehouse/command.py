"""``edge features compute`` where an engine computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from feature_spec.definition import FeatureSpec
from feature_spec.errors import DataError
from feature_spec.ingest import DataFiles, load
from feature_spec.instants import zone as zone_named
from feature_spec.warehouse import relations
from feature_spec.warehouse.cohort import snapshot_features
from feature_spec.warehouse.compute import features
from feature_spec.warehouse.engine import Engine
from feature_spec.warehouse.files import encode


def open_engine(name: str, memory_gib: float) -> Engine:
    """The engine called ``name``, empty; the caller closes it."""
    if name == "duckdb":
        from feature_spec.warehouse.duckdb_engine import DuckDB

        return DuckDB(memory_gib)
    if name == "spark":
        from feature_spec.warehouse.spark_engine import Spark

        return Spark(memory_gib=memory_gib)
    raise DataError(f"there is no engine '{name}'; use duckdb or spark")


def for_requests(
    spec: FeatureSpec, engine: str, memory_gib: float, events: Path, requests: Path, zone: str, out: Path
) -> tuple[bytes, dict[str, Any]]:
    """The features of ``spec`` for every row of ``requests``: the file to write, and what to tell."""
    zone_named(zone)
    opened = open_engine(engine, memory_gib)
    try:
        asked = relations.requests(opened, opened.read(requests), requests.name, zone)
        log, largest = relations.events(opened, opened.read(events), events.name)
        table = features(spec, opened, log, asked, largest)
        idle = opened.fetch(asked.anti_join(log, "user_id").aggregate(rows=lambda left: left.count()))
    finally:
        opened.close()
    return encode(table, out), {
        "rows": table.num_rows,
        "engine": engine,
        "notices": _strangers(idle["rows"].to_pylist()[0], table.num_rows, events.name),
    }


def _strangers(rows: int, of: int, events: str) -> tuple[str, ...]:
    """What to tell of requests whose user never did anything: often two files that name users differently."""
    if not rows:
        return ()
    return (f"{rows} of {of} requests are of users without any event in {events}: their history is empty",)


def for_cutoff(
    spec: FeatureSpec,
    engine: str,
    memory_gib: float,
    data: DataFiles,
    cutoff_day: int | None,
    zone: str,
    out: Path,
) -> tuple[bytes, dict[str, Any]]:
    """The features of ``spec`` for every user at a cut-off day: the file to write, and what to tell."""
    dataset = load(data, zone)
    opened = open_engine(engine, memory_gib)
    try:
        table, notices = snapshot_features(spec, opened, dataset, cutoff_day)
    finally:
        opened.close()
    return encode(table, out), {"users": table.num_rows, "engine": engine, "notices": notices}
