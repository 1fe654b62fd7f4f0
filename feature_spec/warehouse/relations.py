"""Files as the tables that events and requests are computed from, every cell checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

from feature_spec.errors import DataError
from feature_spec.instants import DAY_MS
from feature_spec.tables import MAX_COUNT, MAX_VALUE
from feature_spec.vocabulary import EVENT_TYPES, UNKNOWN, WINDOW_DAYS
from feature_spec.warehouse import cells
from feature_spec.warehouse.cells import Cell
from feature_spec.warehouse.checking import Rule, check
from feature_spec.warehouse.engine import Engine
from feature_spec.warehouse.operators import number
from feature_spec.warehouse.packages import arrow, ibis
from feature_spec.warehouse.zones import day_of, local, offsets

DATES: Final = {
    "observed_since": "days_observed",
    "account_since": "account_age_days",
    "goal_start": "goal_age_days",
}
"""Columns of requests that are dates, and the entry of the context that each becomes."""
NUMBERS: Final[dict[str, int]] = {
    "goal_total_days": 1,
    "goals_completed_before": 0,
    "goals_active": 0,
    "goals_overdue": 0,
}
"""Columns of requests that are whole numbers, and the smallest of each."""
_INSTANT_NEED: Final = "write it like 2026-03-01T08:30:00Z, of the years 1970 to 2199"


def events(engine: Engine, raw: Any, name: str) -> tuple[Any, float]:
    """The table ``events`` of ``bucketing``, and the largest count or value of one event.

    Args:
        engine: that has ``raw``.
        raw: columns user_id, timestamp, event_type, and count, value, event_id, goal_id where there are such.
        name: what messages call it.

    Raises:
        DataError: a column is missing or a cell makes no sense, or one event id stands for two events of a user.
    """
    _columns(raw, name, ("user_id", "timestamp", "event_type"))
    user, instant = cells.name(raw.user_id), cells.instant(raw.timestamp)
    rules = [
        Rule("user_id", user, "give an identifier", required=True),
        Rule("timestamp", instant, _INSTANT_NEED, required=True),
    ]
    columns = {"user_id": user.value, "instant": instant.value, "event_type": raw.event_type.cast("string")}
    if "count" in raw.columns:
        count = cells.whole(raw["count"], 0, MAX_COUNT)
        rules.append(Rule("count", count, f"give a whole number from 0 to {MAX_COUNT:,}", sized=True))
        columns["count"] = ibis.coalesce(count.value, number(1))
    else:
        columns["count"] = number(1)
    if "value" in raw.columns:
        value = cells.real(raw["value"], -MAX_VALUE, MAX_VALUE)
        need = f"give a finite number within {MAX_VALUE:,.0f}, or leave it empty"
        rules.append(Rule("value", value, need, sized=True))
        columns["value"] = value.value
    else:
        columns["value"] = ibis.null("float64")
    for key in ("event_id", "goal_id"):
        if key in raw.columns:
            columns[key] = raw[key].cast("string")
    table = raw.select(**columns)
    _, largest = check(engine, raw, name, rules, few=_event_type)
    if "event_id" in table.columns:
        table = _unrepeated(engine, table, name)
    return table.select("user_id", "instant", "event_type", "count", "value"), max(largest, 1.0)


def requests(engine: Engine, raw: Any, name: str, zone: str) -> Any:
    """The table ``requests`` of ``bucketing`` with the entries of the context, kept; and the keys as they came.

    Args:
        engine: that has ``raw``.
        raw: columns user_id and as_of; goal_id, zone and what is known besides, where there are such.
        name: what messages call it.
        zone: of requests that name none.

    Raises:
        DataError: a column is missing, a cell makes no sense, a zone is unknown, or observation begins after as_of.
    """
    _columns(raw, name, ("user_id", "as_of"))
    user, as_of = cells.name(raw.user_id), cells.instant(raw.as_of)
    rules = [
        Rule("user_id", user, "give an identifier", required=True),
        Rule("as_of", as_of, _INSTANT_NEED, required=True),
    ]
    columns = {"user_id": user.value, "as_of": as_of.value, "utc_day": day_of(as_of.value)}
    if "goal_id" in raw.columns:
        columns["goal_id"] = raw.goal_id.cast("string")
    default = ibis.literal(zone)
    columns["zone"] = ibis.coalesce(raw.zone.cast("string"), default) if "zone" in raw.columns else default
    readers: dict[str, tuple[Callable[[Any], Cell], str]] = {
        **dict.fromkeys(DATES, (cells.date, "write a date like 2026-03-01")),
        **{
            key: (partial(cells.whole, low=low, high=MAX_COUNT), f"give a whole number from {low}")
            for key, low in NUMBERS.items()
        },
        "progress": (partial(cells.real, low=0, high=1), "give 0 to 1"),
    }
    for key, (read, need) in readers.items():
        if key in raw.columns:
            cell = read(raw[key])
            rules.append(Rule(key, cell, f"{need}, or leave it empty"))
            columns[key] = cell.value
    if not check(engine, raw, name, rules)[0]:
        raise DataError(f"{name}: there are no rows; give one for each user and instant")
    kept = engine.keep(raw.select(request=ibis.row_number(), **columns))
    windows = engine.fetch(kept.select("zone", "utc_day").distinct()).to_pylist()
    try:
        pieces = engine.register(arrow.table(offsets((row["zone"], row["utc_day"]) for row in windows)))
    except DataError as error:
        raise DataError(f"{name}, column zone: {error}") from None
    joined = kept.join(pieces, ["zone", "utc_day"])
    joined = joined.mutate(local=local(joined.as_of, joined))
    joined = joined.mutate(today=day_of(joined.local))
    if "observed_since" in kept.columns:
        early = engine.fetch(joined.filter(joined.observed_since > joined.today).limit(1)).to_pylist()
        if early:
            raise DataError(
                f"{name}: observation of user '{early[0]['user_id']:.40}' begins after the as-of day; there is nothing "
                "to compute yet, so leave this row out"
            )
    return engine.keep(joined.mutate(**_context(joined)))


def _context(table: Any) -> dict[str, Any]:
    """The entries of the context in float32 as in the day input, and how many days count."""
    found: dict[str, Any] = {}
    for key, entry in DATES.items():
        if key in table.columns:
            age = table.today - table[key]
            found[entry] = ibis.ifelse(age < 0, number(UNKNOWN), age.cast("float64"))
    if "days_observed" in found:
        # Not the smaller of two: that is 90 for engines to which null is no number.
        seen = found["days_observed"] + number(1)
        found["days_observed"] = ibis.ifelse(seen > number(WINDOW_DAYS), number(WINDOW_DAYS), seen)
    for key in (*NUMBERS, "progress"):
        if key in table.columns:
            found[key] = table[key]
    date = ibis.date("1970-01-01") + table.today.as_interval("D")
    found |= {
        "weekday": (table.today + 3) % 7,
        "hour_of_day": (table.local - table.today * DAY_MS) // (DAY_MS // 24),
        "day_of_month": date.day(),
        "day_of_year": date.day_of_year(),
    }
    context = {
        entry: ibis.coalesce(value.cast("float32").cast("float64"), number(UNKNOWN))
        for entry, value in found.items()
    }
    observed = context.get("days_observed")
    whole = ibis.literal(WINDOW_DAYS, "int64")
    context["observed"] = (
        whole if observed is None else ibis.ifelse(observed < number(0), whole, observed.cast("int64"))
    )
    return context


def _columns(raw: Any, name: str, needed: Iterable[str]) -> None:
    for column in needed:
        if column not in raw.columns:
            raise DataError(
                f"{name}: no column '{column}' (it has {', '.join(raw.columns)}); rename a column"
            )


def _event_type(table: Any) -> Rule:
    cell = cells.one_of(table.event_type, EVENT_TYPES)
    return Rule("event_type", cell, f"use one of {', '.join(EVENT_TYPES)}", required=True)


def _unrepeated(engine: Engine, table: Any, name: str) -> Any:
    """Each event once: those with one id of one user are one event, if they say the same."""
    content = [key for key in table.columns if key not in ("user_id", "event_id")]
    named = table.filter(table.event_id.notnull())
    found: dict[str, Any] = {key: named[key].min() for key in content}
    differ = ibis.literal(False)
    for key in content:
        # No value differs from every value, so it is not enough that those there are agree.
        there = named[key].count()
        differ = differ | (named[key].min() != named[key].max()) | ((there != 0) & (there != named.count()))
    once = engine.keep(
        named.group_by("user_id", "event_id").agg(**found, differ=ibis.coalesce(differ, False))
    )
    conflict = engine.fetch(once.filter(once.differ).limit(1)).to_pylist()
    if conflict:
        raise DataError(
            f"{name}: the event id '{conflict[0]['event_id']:.40}' of user '{conflict[0]['user_id']:.40}' comes with "
            "two contents; give every event its own id"
        )
    columns = ("user_id", *content)
    return table.filter(table.event_id.isnull()).select(*columns).union(once.select(*columns))
