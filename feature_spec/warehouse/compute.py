"""Features of many requests: from an event log and a table of (user, goal, as-of instant) to one row each."""

from __future__ import annotations

from typing import Any, Final

from feature_spec.definition import FeatureSpec
from feature_spec.errors import DataError
from feature_spec.spec_files import refuse_names
from feature_spec.vocabulary import CONTEXT, MAX_CELL, WINDOW_DAYS
from feature_spec.warehouse import bucketing, relations
from feature_spec.warehouse.compiler import DERIVED, Compiler
from feature_spec.warehouse.engine import Engine
from feature_spec.warehouse.operators import number
from feature_spec.warehouse.packages import ibis

KEYS: Final = ("user_id", "goal_id", "as_of", "zone")


def compute(
    spec: FeatureSpec,
    engine: Engine,
    events: Any,
    requests: Any,
    zone: str = "UTC",
    names: tuple[str, str] = ("events", "requests"),
) -> Any:
    """Every feature of ``spec`` for every request, as the device would have computed it at that instant.

    Args:
        spec: the definitions.
        engine: where to compute.
        events: a table of ``engine``: user_id, timestamp, event_type, and count, value, event_id, goal_id where there
            are such columns.
        requests: a table of ``engine``: user_id, as_of, and goal_id, zone, observed_since, account_since, goal_start,
            goal_total_days, goals_completed_before, goals_active, goals_overdue, progress where there are such.
        zone: IANA zone of requests that name none.
        names: what messages call the two.

    Returns:
        A ``pyarrow.Table`` in the order of the requests: user_id, goal_id if there is one, as_of (milliseconds), zone,
        and float32 columns by the features' names.

    Raises:
        DataError: the data breaks a rule of the day input.
    """
    asked = relations.requests(engine, requests, names[1], zone)
    log, largest = relations.events(engine, events, names[0])
    return features(spec, engine, log, asked, largest)


def features(
    spec: FeatureSpec, engine: Engine, log: Any, asked: Any, largest: float, keys: tuple[str, ...] = KEYS
) -> Any:
    """``compute`` on tables that are checked already.

    Args:
        spec: the definitions.
        engine: where to compute.
        log: the table ``events`` of ``bucketing``.
        asked: the table ``requests`` of ``bucketing``, with entries of the context.
        largest: the largest count or value of one event.
        keys: which columns of ``asked`` the result has besides, where they are there.

    Raises:
        DataError: a feature is called like one of ``keys``, or the data breaks a rule of the day input.
    """
    refuse_names(spec, keys)
    compiler = Compiler(spec.program, derived=frozenset(DERIVED) - set(asked.columns), keep=engine.keep)
    missing = [name for name in CONTEXT if name not in asked.columns and name not in compiler.derived]
    if missing:
        asked = asked.mutate(**{name: number(-1) for name in missing})
    window = asked.select(
        "request",
        "user_id",
        "as_of",
        "today",
        "observed",
        *(name for name in asked.columns if name.startswith(("offset", "change"))),
    )
    days = bucketing.days(log, window, compiler)
    # Features are named when everything else is done: they may be called like any column on the way.
    names = [f"feature{place}_" for place in range(len(spec.names))]
    found = engine.keep(compiler.compile(asked, days, names, (bucketing.ROWS,)))
    busiest = engine.fetch(found.aggregate(most=found[bucketing.ROWS].max())).to_pylist()[0]["most"]
    if busiest * largest * WINDOW_DAYS > MAX_CELL:
        _refuse_too_many(engine, bucketing.happened(log, window))
    result = asked.select("request", *(name for name in keys if name in asked.columns)).join(
        found.drop(bucketing.ROWS), "request"
    )
    table = engine.fetch(result).sort_by("request").drop_columns(["request"])
    return table.rename_columns([*table.column_names[: -len(names)], *spec.names])


def _refuse_too_many(engine: Engine, rows: Any) -> None:
    """Raise if a cell of a day input is beyond 2^24, where float32 would lose single counts."""
    cells = rows.group_by("request", "day", "event_type").agg(
        user_id=rows.user_id.max(),
        times=rows["count"].sum(),
        total=ibis.coalesce(rows.value, number(0)).sum().abs(),
    )
    acts = rows.filter(bucketing.before_noon(rows))
    users = acts.group_by("request").agg(user_id=acts.user_id.max(), times=acts["count"].sum())
    limit = number(MAX_CELL)
    for table, wrong, what in (
        (
            cells,
            (cells.times > limit) | (cells.total > limit),
            "a day adds up to more than 2^24 of one event type",
        ),
        (users, users.times > limit, "there are more than 2^24 acts before noon"),
    ):
        row = engine.fetch(table.filter(wrong).limit(1)).to_pylist()
        if row:
            raise DataError(f"user '{row[0]['user_id']:.40}': {what}; check the units")
