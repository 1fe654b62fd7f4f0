"""Reductions over 90 days of which only those with events are there: what to aggregate, and what to make of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Protocol

from feature_spec.numpy_operators import Array
from feature_spec.program import Program, Step
from feature_spec.vocabulary import WINDOW_DAYS
from feature_spec.warehouse import bits
from feature_spec.warehouse.columns import Columns, Table
from feature_spec.warehouse.idle import Facts
from feature_spec.warehouse.operators import Column, number
from feature_spec.warehouse.packages import ibis

SPARSE: Final = "sparse"
"""From the days with events, and what is known beforehand of those without."""
CALENDAR: Final = "calendar"
"""No event counts: the same for all who share the scalars, so computed once for each of their values."""
DENSE: Final = "dense"
"""All 90 days of every request have to be written out."""

PRESENT: Final = "present_"
"""The aggregate that counts a request's days with events."""
_NOTHING: Final = 1e308
"""Above everything: the smallest of no numbers."""


def how(step: Step, facts: Facts) -> str:
    """How a reduction is computed."""
    if not any(facts.counts_events[i] for i in step.args) and step.op != "quantile_days":
        return CALENDAR
    if step.op == "sum_days" or (step.op == "min_days" and facts.idle[step.args[0]] is not None):
        return SPARSE
    return DENSE


class Sparse(Protocol):
    """A reduction computed from the days with events."""

    def aggregates(self, rows: Table) -> dict[str, Column]:
        """What to aggregate over the days of a request."""

    def finish(self, joined: Table) -> Column:
        """The result from the aggregates, which are null for a request without a day."""


def sparse(index: int, program: Program, facts: Facts, columns: Columns) -> Sparse:
    """The step ``index``, a reduction that ``how`` calls sparse."""
    step = program.steps[index]
    idle = facts.idle[step.args[0]]
    if step.op == "sum_days":
        return _Sum(index, step.args[0], idle, columns)
    assert idle is not None, "how() says so"
    if (idle == idle.flat[0]).all():
        least = float(idle.flat[0])
        return _MinOverOne(index, step.args[0], least, upper(program, step.args[0]) <= least, columns)
    return _Min(index, step.args[0], idle, columns)


def upper(program: Program, index: int) -> float:
    """What a step never exceeds, as far as a glance tells."""
    step = program.steps[index]
    if step.op == "const":
        return float(step.value[0])  # type: ignore[arg-type]
    if step.op in ("less", "decay"):
        return 1.0
    if step.op == "day":
        return WINDOW_DAYS - 1.0
    if step.op == "where":
        return max(upper(program, step.args[1]), upper(program, step.args[2]))
    return math.inf


def total(index: int) -> str:
    """The column that holds a sum over all 90 days as if none had an event."""
    return f"total{index}_"


@dataclass(frozen=True, eq=False)
class _Sum:
    index: int
    arg: int
    idle: Array | None
    columns: Columns

    def aggregates(self, rows: Table) -> dict[str, Column]:
        value = self.columns.write(self.arg, rows)
        if self.idle is None or self.idle.any():
            value = value - self.columns.write(self.arg, rows, idle=True)
        return {f"sum{self.index}_": value.sum()}

    def finish(self, joined: Table) -> Column:
        found = ibis.coalesce(joined[f"sum{self.index}_"], number(0))
        if self.idle is None:
            return found + joined[total(self.index)]
        everywhere = float(self.idle.sum()) * (WINDOW_DAYS if self.idle.size == 1 else 1)
        return found + number(everywhere) if everywhere else found


@dataclass(frozen=True, eq=False)
class _MinOverOne:
    """A minimum where all days without events have one value."""

    index: int
    arg: int
    idle: float
    largest: bool
    """Whether no day has more than a day without events: then it does not matter whether there is one."""
    columns: Columns

    def aggregates(self, rows: Table) -> dict[str, Column]:
        found = {f"min{self.index}_": self.columns.write(self.arg, rows).min()}
        return found if self.largest else found | {PRESENT: rows.count().cast("float64")}

    def finish(self, joined: Table) -> Column:
        found = ibis.coalesce(joined[f"min{self.index}_"], number(_NOTHING))
        if self.largest:
            return ibis.least(found, number(self.idle))
        some_absent = ibis.coalesce(joined[PRESENT], number(0)) < number(WINDOW_DAYS)
        return ibis.ifelse(some_absent, ibis.least(found, number(self.idle)), found)


@dataclass(frozen=True, eq=False)
class _Min:
    """A minimum where days without events differ, but are the same for everybody."""

    index: int
    arg: int
    idle: Array
    columns: Columns

    def aggregates(self, rows: Table) -> dict[str, Column]:
        low, high = bits.halves(rows.day, bits.order(self.idle))
        return {
            f"min{self.index}_": self.columns.write(self.arg, rows).min(),
            f"low{self.index}_": low.sum(),
            f"high{self.index}_": high.sum(),
        }

    def finish(self, joined: Table) -> Column:
        found = ibis.coalesce(joined[f"min{self.index}_"], number(_NOTHING))
        low, high = (ibis.coalesce(joined[f"{half}{self.index}_"], number(0)) for half in ("low", "high"))
        complete, day = bits.first_absent(low, high, bits.order(self.idle))
        absent = self.columns.write(self.arg, joined, idle=True, day=day)
        return ibis.ifelse(complete, found, ibis.least(found, absent))
