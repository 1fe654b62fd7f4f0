"""Steps of a program as columns of a table: shared ones become columns, the rest is written out where it is used."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from feature_spec.operators import DAYS, SCALAR
from feature_spec.program import Program
from feature_spec.warehouse.idle import Facts
from feature_spec.warehouse.operators import ELEMENTWISE, Column, number

Table = Any
"""An Ibis table."""


class Columns:
    """Writes steps as Ibis expressions over a table.

    Steps of kind scalar are columns ``s<index>`` once computed, shared steps of kind days ``d<index>``, as are the
    daily leaves; ``day`` is the day's index.

    Args:
        program: the steps.
        facts: what is known of them.
        elementwise: what the operators mean.
        watched: whether the tables of days hold days with events only, which are all observed.
    """

    def __init__(
        self,
        program: Program,
        facts: Facts,
        elementwise: dict[str, Callable[..., Column]] = ELEMENTWISE,
        watched: bool = False,
    ) -> None:
        self._ones = {i for i, always in enumerate(facts.always) if always and watched}
        self._steps = program.steps
        self._facts = facts
        self._elementwise = elementwise

    def name(self, index: int) -> str:
        """The column that holds a step once it is computed."""
        return f"{'d' if self._facts.kinds[index] == DAYS else 's'}{index}"

    def write(self, index: int, table: Table, idle: bool = False, day: Column | None = None) -> Column:
        """The step ``index`` as an expression over ``table``.

        Args:
            index: of the step.
            table: has the columns that the step needs.
            idle: as on a day without events: every daily number is 0.
            day: the day's index, where it is not the column of that name.
        """
        on = table.day if day is None and "day" in table.columns else day
        written: dict[int, Column] = {}

        def place(i: int) -> Column:
            if i not in written:
                written[i] = self._one(i, table, idle, on, place)
            return written[i]

        return place(index)

    def _one(
        self, index: int, table: Table, idle: bool, day: Column, place: Callable[[int], Column]
    ) -> Column:
        step = self._steps[index]
        fixed = self._facts.idle[index]
        if fixed is not None and fixed.size == 1 and (idle or not self._facts.counts_events[index]):
            return number(float(fixed[0, 0]))
        if index in self._ones and not idle:
            return number(1)
        own = self.name(index)
        if own in table.columns and not (idle and self._facts.counts_events[index]):
            return table[own]
        if step.op == "daily":
            return number(0)  # only where idle: otherwise it is a column
        if step.op == "day":
            return day.cast("float64")
        if step.op == "decay":
            return number(0.5) ** (day.cast("float64") / number(float(step.value[0])))  # type: ignore[arg-type]
        if step.op == "mul" and not idle and self._ones.intersection(step.args):
            return place(step.args[0] if step.args[1] in self._ones else step.args[1])
        return self._elementwise[step.op](*[place(i) for i in step.args])

    def with_shared(self, table: Table, roots: Iterable[int], kind: str) -> Table:
        """``table`` with a column for every step of ``kind`` that ``roots`` use more than once."""
        shared = self._shared(list(roots), kind, set(table.columns))
        rounds: dict[int, int] = {}
        for index in shared:
            below = [rounds[i] for i in self._below(index, shared)]
            rounds[index] = 1 + max(below, default=0)
        for turn in range(1, max(rounds.values(), default=0) + 1):
            new = [i for i in shared if rounds[i] == turn]
            table = table.mutate(**{self.name(i): self.write(i, table) for i in new})
        return table

    def _shared(self, roots: list[int], kind: str, present: set[str]) -> list[int]:
        uses: dict[int, int] = {}

        def visit(index: int) -> None:
            uses[index] = uses.get(index, 0) + 1
            if uses[index] == 1 and self.name(index) not in present and index not in self._ones:
                for i in self._steps[index].args:
                    if self._facts.kinds[i] == kind:
                        visit(i)

        for root in roots:
            visit(root)
        # Indexes grow from arguments to users, so this order can be computed from left to right.
        return sorted(
            i
            for i, times in uses.items()
            if times > 1
            and self._steps[i].args
            and self._facts.kinds[i] == kind
            and self.name(i) not in present
            and i not in self._ones
            and not self._reduced(i)
        )

    def scalars(self, roots: Iterable[int]) -> list[int]:
        """The scalars that steps of kind days meet, those apart that are the same for everybody."""
        found: set[int] = set()
        seen: set[int] = set()
        stack = list(roots)
        while stack:
            i = stack.pop()
            if i in seen or i in self._ones:
                continue
            seen.add(i)
            if self._facts.kinds[i] == DAYS:
                stack.extend(self._steps[i].args)
            elif self._facts.idle[i] is None:
                found.add(i)
        return sorted(found)

    def with_scalars(self, table: Table, roots: Iterable[int]) -> Table:
        """``table`` of requests with a column for each of the scalars that ``roots`` meet."""
        wanted = self.scalars(roots)
        table = self.with_shared(table, wanted, SCALAR)
        new = [i for i in wanted if self.name(i) not in table.columns]
        return table.mutate(**{self.name(i): self.write(i, table) for i in new}) if new else table

    def _reduced(self, index: int) -> bool:
        return self._steps[index].op not in self._elementwise

    def _below(self, index: int, among: list[int]) -> set[int]:
        """Those of ``among`` that the step ``index`` uses, directly or through steps that are not columns."""
        found: set[int] = set()
        seen: set[int] = set()
        stack = list(self._steps[index].args)
        while stack:
            i = stack.pop()
            if i in seen:
                continue
            seen.add(i)
            if i in among:
                found.add(i)
            else:
                stack.extend(self._steps[i].args)
        return found
