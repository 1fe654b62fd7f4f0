"""What an expression is on a day without events.

The log holds days with events only. A sum over 90 days is then a sum over the days that are there, plus what the days
that are not there would have added: the expression with every daily number 0. Mostly that is 0, or 90 numbers that
depend on nobody, and is found here, before any engine is asked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from feature_spec import numpy_operators
from feature_spec.numpy_operators import Array
from feature_spec.operators import DAYS, REDUCTIONS, SCALAR
from feature_spec.program import Program
from feature_spec.vocabulary import UNKNOWN, WINDOW_DAYS

_DAYS_LEAVES = ("daily", "day", "decay")


@dataclass(frozen=True, eq=False)
class Facts:
    """What is known of each step of a program before any data is seen.

    Attributes:
        kinds: ``DAYS`` or ``SCALAR``.
        counts_events: whether a step of kind days depends on the daily numbers (not only on the day and on scalars).
        always: whether a step is 1 on every day with events, as ``less(day, days_observed)`` is: no other day counts.
        idle: the value on days without events, [1, 90] or [1, 1]; None where it depends on the user.
    """

    kinds: tuple[str, ...]
    counts_events: tuple[bool, ...]
    always: tuple[bool, ...]
    idle: tuple[Array | None, ...]


def facts(program: Program) -> Facts:
    """Look at every step of ``program``."""
    kinds: list[str] = []
    counts: list[bool] = []
    idle: list[Array | None] = []
    for step in program.steps:
        args = [kinds[i] for i in step.args]
        reduced = step.op in REDUCTIONS
        days = step.op in _DAYS_LEAVES or (not reduced and DAYS in args)
        kinds.append(DAYS if days else SCALAR)
        counts.append(step.op == "daily" or (days and any(counts[i] for i in step.args)))
        known = [idle[i] for i in step.args]
        if step.op == "daily":
            idle.append(np.zeros((1, WINDOW_DAYS)))
        elif step.op == "context":
            idle.append(None)
        elif not step.args:
            idle.append(numpy_operators.constant(step.op, step.value))
        elif reduced:
            # Of a user's days with events, so it is his own; only what counts no event is the same for everybody.
            fixed = not any(counts[i] for i in step.args) and step.op != "quantile_days"
            idle.append(_constant_reduction(step.op, known[0]) if fixed else None)
        else:
            idle.append(_elementwise(step.op, known))
    always = tuple(_seen(program, index) for index in range(len(program.steps)))
    return Facts(tuple(kinds), tuple(counts), always, tuple(idle))


def _seen(program: Program, index: int) -> bool:
    """Whether a step asks whether a day was observed: ``less(day, observed)``, observed as in the language."""
    step = program.steps[index]
    if step.op != "less" or program.steps[step.args[0]].op != "day":
        return False
    whole = program.steps[step.args[1]]
    if whole.op != "where":
        return False
    known, entry, otherwise = (program.steps[i] for i in whole.args)
    return (
        (entry.op, entry.value) == ("context", ("days_observed",))
        and (otherwise.op, otherwise.value) == ("const", (float(WINDOW_DAYS),))
        and known.op == "less"
        and (program.steps[known.args[0]].op, program.steps[known.args[0]].value) == ("const", (UNKNOWN / 2,))
        and known.args[1] == whole.args[1]
    )


def _constant_reduction(op: str, known: Array | None) -> Array | None:
    if known is None:
        return None
    return np.asarray(numpy_operators.OPERATORS[op](np.broadcast_to(known, (1, WINDOW_DAYS))))


def _elementwise(op: str, known: list[Array | None]) -> Array | None:
    if all(item is not None for item in known):
        return np.asarray(numpy_operators.OPERATORS[op](*known))
    first = known[0]
    # Zero times or over anything is zero, since nothing is ever infinite; a decided choice needs one branch only.
    if op in {"mul", "div"} and any(_is_zero(item) for item in (known if op == "mul" else known[:1])):
        return np.zeros((1, 1))
    if op == "where" and first is not None and ((first != 0).all() or (first == 0).all()):
        return known[1 if (first != 0).all() else 2]
    return None


def _is_zero(item: Array | None) -> bool:
    return item is not None and not item.any()
