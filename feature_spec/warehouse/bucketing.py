"""Events put into days, next to the requests that look back on them.

The tables:

- ``events``: ``user_id``, ``instant`` (milliseconds), ``event_type``, ``count`` and ``value`` (float64, null for none);
- ``requests``: ``request``, ``user_id``, ``as_of`` (milliseconds), ``today`` (the as-of day), ``observed`` (how many
  days count) and the offsets of ``zones``.
"""

from __future__ import annotations

from typing import Any, Final

from feature_spec.instants import DAY_MS
from feature_spec.program import Step
from feature_spec.vocabulary import EVENT_TYPES
from feature_spec.warehouse.compiler import Compiler
from feature_spec.warehouse.operators import Column, flag, number
from feature_spec.warehouse.packages import ibis
from feature_spec.warehouse.zones import day_of, local

ROWS: Final = "rows_"
"""How many events a day has."""
_NOON_MS: Final = DAY_MS // 2
_HOUR_MS: Final = 3_600_000
_KEY_BITS: Final = 7
_KEY: Final = 2**_KEY_BITS
"""Above 90."""


def happened(events: Any, requests: Any) -> Any:
    """Each event that counts for a request, with the index of its local day: what happened after the as-of instant,
    on a later day, or before anybody watched does not.
    """
    joined = events.join(requests, "user_id")
    joined = joined.filter(joined.instant <= joined.as_of)
    joined = joined.mutate(local=local(joined.instant, joined))
    joined = joined.mutate(day=joined.today - day_of(joined.local))
    return joined.filter(joined.day >= 0, joined.day < joined.observed)


def days(events: Any, requests: Any, compiler: Compiler) -> Any:
    """The days with events: the table ``days`` of ``Compiler``, and ``ROWS``."""
    rows = happened(events, requests)
    columns = compiler.columns
    aggregates = {ROWS: rows.count()}
    parts: dict[int, dict[str, str]] = {}
    for index, step in compiler.leaves.items():
        if step.value[0] == "sum":
            # Each cell is rounded to float32, as in the day input, so types cannot be added up yet.
            parts[index] = {name: f"sum_{name}_" for name, _ in _weights(step)}
            for name, column in parts[index].items():
                aggregates[column] = rows.value.sum(where=rows.event_type == name)
        else:
            aggregates[columns.name(index)] = _counted(step, rows)
    read = set(compiler.context.values()) & compiler.derived
    act = _act(rows)
    if "hours_since_last_act" in read:
        ago = (rows.as_of - rows.instant).cast("float64") / number(_HOUR_MS)
        aggregates["hours_since_last_act"] = ibis.ifelse(act, ago, ibis.null("float64")).min()
    if "morning_acts" in read:
        aggregates["morning_acts"] = ibis.ifelse(before_noon(rows), rows["count"], number(0)).sum()
    # One key and not two: that is half of the hashing and comparing in the largest step of all.
    key = rows.request * _KEY + rows.day
    found = rows.group_by(key=key).agg(**aggregates)
    found = found.mutate(request=found.key >> _KEY_BITS, day=found.key & (_KEY - 1)).drop("key")
    # No event of those types on that day is a sum over nothing.
    whole = {
        columns.name(i): ibis.coalesce(found[columns.name(i)], number(0))
        for i in compiler.leaves
        if i not in parts
    }
    sums = {columns.name(i): _added(compiler.leaves[i], found, names) for i, names in parts.items()}
    return found.mutate(**whole, **sums)


def _act(rows: Any) -> Column:
    return (rows.event_type != "task_due") & (rows["count"] > number(0))


def before_noon(rows: Any) -> Column:
    """Whether an event that ``happened`` is an act and its clock shows less than 12:00."""
    return _act(rows) & (rows.local - day_of(rows.local) * DAY_MS < _NOON_MS)


def _weights(step: Step) -> list[tuple[str, float]]:
    return [(str(pair[0]), float(pair[1])) for pair in step.value[1:] if isinstance(pair, tuple)]


def _counted(step: Step, rows: Any) -> Column:
    """What an event adds to a leaf that counts: whole numbers, so rounding has nothing to do."""
    amount = flag(rows.value.notnull()) if step.value[0] == "values" else rows["count"]
    weights = dict(_weights(step))
    others = [name for name in EVENT_TYPES if name not in weights]
    if set(weights.values()) == {1.0} and 1 in (len(weights), len(others)):
        if len(others) == 1:
            return amount.sum(where=rows.event_type != others[0])
        return amount.sum(where=rows.event_type == next(iter(weights)))
    # What most types weigh needs no branch: there are no other types, or the log would have been refused.
    every = {name: weights.get(name, 0.0) for name in EVENT_TYPES}
    common = max(every.values(), key=list(every.values()).count)
    branches = [(name, number(weight)) for name, weight in every.items() if weight != common]
    if not branches:
        return (amount * number(common)).sum()
    return (amount * rows.event_type.cases(*branches, else_=number(common))).sum()


def _added(step: Step, found: Any, names: dict[str, str]) -> Column:
    terms = []
    for name, weight in _weights(step):
        cell = ibis.coalesce(found[names[name]], number(0)).cast("float32").cast("float64")
        terms.append(cell if weight == 1 else cell * number(weight))
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
