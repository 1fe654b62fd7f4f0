"""A program compiled to Ibis: from days with events, and what is known of each request, to one row of features each.

A request is one (user, goal, as-of instant). The tables:

- ``requests``: ``request`` and, for each entry of the context that the program reads, a column of its name;
- ``days``: ``request``, ``day`` (0..89) and ``d<step>`` for each daily leaf; days without events are absent.

Reductions are computed level by level: those of the first level read nothing but days and context, the others also what
the levels before have found, which is joined to the days again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from feature_spec.operators import DAYS, REDUCTIONS, SCALAR
from feature_spec.program import Program, Step
from feature_spec.vocabulary import UNKNOWN, WINDOW_DAYS
from feature_spec.warehouse import reductions
from feature_spec.warehouse.columns import Columns, Table
from feature_spec.warehouse.idle import Facts, facts
from feature_spec.warehouse.operators import ELEMENTWISE, Column, number
from feature_spec.warehouse.packages import ibis

DERIVED: Final = ("hours_since_last_act", "morning_acts")
"""Entries of the context that come from events: ``days`` has them as columns of these names."""


@dataclass(frozen=True, eq=False)
class Compiler:
    """Compiles one program.

    Attributes:
        program: the steps.
        derived: entries of the context that are made from columns of ``days``; any of ``DERIVED``.
        elementwise: what the operators mean.
        keep: makes a table out of an expression that is read more than once; an engine that computes such an
            expression once by itself may return it as it is.
    """

    program: Program
    derived: frozenset[str] = frozenset()
    elementwise: dict[str, Callable[..., Column]] | None = None
    keep: Callable[[Table], Table] = lambda table: table

    @cached_property
    def facts(self) -> Facts:
        """What is known before any data is seen."""
        return facts(self.program)

    @cached_property
    def columns(self) -> Columns:
        """The writer of steps."""
        return Columns(self.program, self.facts, self.elementwise or ELEMENTWISE)

    @cached_property
    def watched(self) -> Columns:
        """The writer of steps over days with events."""
        return Columns(self.program, self.facts, self.elementwise or ELEMENTWISE, watched=True)

    @cached_property
    def leaves(self) -> dict[int, Step]:
        """The daily leaves by index: ``days`` has a column ``d<index>`` for each."""
        return {i: step for i, step in enumerate(self.program.steps) if step.op == "daily"}

    @cached_property
    def context(self) -> dict[int, str]:
        """The entries of the context that the program reads, by step."""
        return {i: str(step.value[0]) for i, step in enumerate(self.program.steps) if step.op == "context"}

    @cached_property
    def _levels(self) -> list[int]:
        levels: list[int] = []
        for index, step in enumerate(self.program.steps):
            below = max((levels[i] for i in step.args), default=0)
            levels.append(below + (step.op in REDUCTIONS or self.context.get(index) in self.derived))
        return levels

    @cached_property
    def reads_days_again(self) -> bool:
        """Whether ``days`` is read more than once."""
        found = [i for i, step in enumerate(self.program.steps) if step.op in REDUCTIONS]
        return max(self._levels, default=0) > 1 or any(
            reductions.how(self.program.steps[i], self.facts) == reductions.DENSE for i in found
        )

    def compile(
        self, requests: Table, days: Table, names: Iterable[str], carried: Iterable[str] = ()
    ) -> Table:
        """The features of every request.

        Args:
            requests: see above.
            days: see above.
            names: of the outputs, in order.
            carried: columns of ``days`` of which the largest is a column of the result.

        Returns:
            ``request`` and a float32 column for each name; null is never in it.
        """
        if self.reads_days_again:
            days = self.keep(days)
        known = requests.select(
            "request",
            **{
                self.columns.name(i): requests[name]
                for i, name in self.context.items()
                if name not in self.derived
            },
        )
        top = max(self._levels, default=0)
        for level in range(1, max(top, 1) + 1):
            known = self._level(level, known, days, tuple(carried) if level == 1 else ())
        known = self.columns.with_shared(known, self.program.outputs, SCALAR)
        outputs = [self.columns.write(i, known).cast("float32") for i in self.program.outputs]
        return known.select("request", *carried, **dict(zip(names, outputs, strict=True)))

    def _level(self, level: int, known: Table, days: Table, carried: tuple[str, ...]) -> Table:
        """``known`` with the reductions of ``level``."""
        steps, facts, columns = self.program.steps, self.facts, self.columns
        wanted = [
            i
            for i, step in enumerate(steps)
            if self._levels[i] == level and step.op in REDUCTIONS and facts.idle[i] is None
        ]
        known = columns.with_scalars(known, [arg for i in wanted for arg in steps[i].args])
        ways = {i: reductions.how(steps[i], facts) for i in wanted}
        sparse = [i for i in wanted if ways[i] == reductions.SPARSE]
        for i in wanted:
            if ways[i] == reductions.CALENDAR:
                known = self._calendar(known, i, columns.name(i))
            elif ways[i] == reductions.SPARSE and facts.idle[steps[i].args[0]] is None:
                known = self._calendar(known, i, reductions.total(i))
        dense = [i for i in wanted if ways[i] == reductions.DENSE]
        if dense:
            known = self._dense(known, days, dense)
        derived = {i: name for i, name in self.context.items() if name in self.derived and level == 1}
        if sparse or derived or carried:
            known = self._sparse(known, days, sparse, derived, carried)
        return known

    def _sparse(
        self, known: Table, days: Table, wanted: list[int], derived: dict[int, str], carried: tuple[str, ...]
    ) -> Table:
        args = [self.program.steps[i].args[0] for i in wanted]
        rows = self.watched.with_shared(self._beside(days, known, args), args, DAYS)
        parts = {i: reductions.sparse(i, self.program, self.facts, self.watched) for i in wanted}
        sums: dict[str, Column] = {name: rows[name].max() for name in carried}
        for name in derived.values():
            sums[name] = rows[name].sum() if name == "morning_acts" else rows[name].min()
        for part in parts.values():
            sums |= part.aggregates(rows)
        joined = _left(known, rows.group_by("request").agg(**sums), "request")
        found: dict[str, Column] = {self.columns.name(i): part.finish(joined) for i, part in parts.items()}
        for i, name in derived.items():
            nothing = number(0 if name == "morning_acts" else UNKNOWN)
            found[self.columns.name(i)] = ibis.coalesce(joined[name], nothing).cast("float32").cast("float64")
        found |= {name: ibis.coalesce(joined[name], 0) for name in carried}
        kept = [name for name in known.columns if not name.startswith("total")]
        return joined.select(*kept, **found)

    def _beside(self, days: Table, known: Table, args: list[int]) -> Table:
        """``days`` with the scalars that ``args`` meet."""
        # What a day without events would have added is taken off the others, with all the scalars that takes.
        open_ended = [arg for arg in args if self.facts.idle[arg] is None]
        met = {*self.watched.scalars(args), *self.columns.scalars(open_ended)}
        scalars = [self.columns.name(i) for i in sorted(met)]
        if not scalars:
            return days
        return days.join(known.select("request", *scalars), "request")

    def _calendar(self, known: Table, index: int, name: str) -> Table:
        """``known`` with a reduction over 90 days without events, for each distinct value of its scalars."""
        step = self.program.steps[index]
        scalars = {self.columns.name(i): f"key{i}_" for i in self.columns.scalars(step.args)}
        each = known.select(*scalars).distinct().cross_join(all_days())
        value = self.columns.write(step.args[0], each, idle=True)
        value = value.sum() if step.op == "sum_days" else value.min()
        found = (
            each.group_by(list(scalars)).agg(**{name: value}).rename({key: of for of, key in scalars.items()})
        )
        joined = known.left_join(found, [known[of] == found[key] for of, key in scalars.items()])
        return joined.drop(*scalars.values())

    def _dense(self, known: Table, days: Table, wanted: list[int]) -> Table:
        """``known`` with reductions for which every day of every request is written out."""
        steps, columns = self.program.steps, self.columns
        args = [arg for i in wanted for arg in steps[i].args]
        scalars = [columns.name(i) for i in columns.scalars(args)]
        every = known.select("request", *scalars).cross_join(all_days())
        leaves = [columns.name(i) for i in self.leaves]
        rows = _left(every, days.select("request", "day", *leaves), "request", "day")
        rows = rows.mutate(**{name: ibis.coalesce(rows[name], number(0)) for name in leaves})
        rows = columns.with_shared(rows, args, DAYS)
        found = {}
        for i in wanted:
            values = columns.write(steps[i].args[0], rows)
            if steps[i].op == "min_days":
                found[columns.name(i)] = values.min()
            else:
                mask = columns.write(steps[i].args[1], rows)
                quantile = ibis.ifelse(mask != number(0), values, ibis.null("float64")).quantile(
                    float(steps[i].value[0])  # type: ignore[arg-type]
                )
                found[columns.name(i)] = ibis.coalesce(quantile, number(0))
        return _left(known, rows.group_by("request").agg(**found), "request")


def _left(left: Table, right: Table, *keys: str) -> Table:
    return left.left_join(right, list(keys)).drop(*(f"{key}_right" for key in keys))


def all_days() -> Table:
    """The 90 days, one row each."""
    return ibis.range(0, WINDOW_DAYS).unnest().name("day").as_table()
