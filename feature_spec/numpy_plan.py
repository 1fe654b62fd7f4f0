"""A program prepared for NumPy once, so that evaluating it is a short list of calls.

What depends on no input is computed here, what no output needs is left out, and all daily leaves are one matrix
product. One user is computed with Python numbers for scalars; the result is the same but for the rounding of
doubles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from feature_spec.numpy_operators import NUMBERS, Array, constant, event_weights, operator
from feature_spec.operators import REDUCTIONS
from feature_spec.program import Program
from feature_spec.vocabulary import CHANNELS, CONTEXT, EVENT_TYPES, WINDOW_DAYS

_CELLS = len(EVENT_TYPES) * len(CHANNELS)
_Call = tuple[Callable[..., Any], tuple[int, ...], int]


class Plan:
    """A prepared program; immutable once made, so threads may share it."""

    def __init__(self, program: Program) -> None:
        steps = program.steps
        fixed: dict[int, Array] = {}
        for index, step in enumerate(steps):
            if step.op in {"daily", "context"} or any(arg not in fixed for arg in step.args):
                continue
            args = [fixed[arg] for arg in step.args]
            with np.errstate(over="ignore", invalid="ignore"):
                fixed[index] = operator(step.op, step.value)(*args) if args else constant(step.op, step.value)
        needed = set(program.outputs)
        for index in reversed(range(len(steps))):
            if index in needed and index not in fixed:
                needed.update(steps[index].args)
        live = [index for index in sorted(needed) if index not in fixed]
        days = {index for index in fixed if fixed[index].shape[1] == WINDOW_DAYS}
        self._size = len(steps)
        self._outputs = program.outputs
        self._context: list[tuple[int, int]] = []
        self._daily: list[int] = []
        self._many: list[_Call] = []
        self._one: list[_Call] = []
        weights = []
        for index in live:
            step = steps[index]
            if step.op == "context":
                self._context.append((index, CONTEXT.index(str(step.value[0]))))
                continue
            if step.op == "daily":
                self._daily.append(index)
                matrix = np.zeros((len(EVENT_TYPES), len(CHANNELS)))
                matrix[:, CHANNELS.index(str(step.value[0]))] = event_weights(step.value)
                weights.append(matrix.ravel())
                days.add(index)
                continue
            call = operator(step.op, step.value)
            self._many.append((call, step.args, index))
            if step.op in REDUCTIONS:
                self._one.append((_reduced(step.op, call), step.args, index))
            elif any(arg in days for arg in step.args):
                days.add(index)
                self._one.append((call, step.args, index))
            else:
                self._one.append((NUMBERS[step.op], step.args, index))
        self._weights = np.array(weights, np.float64).reshape(len(weights), _CELLS)
        self._fixed_many: list[Any] = [fixed.get(index) for index in range(self._size)]
        self._fixed_one: list[Any] = [
            None if item is None else item[0] if index in days else float(item[0, 0])
            for index, item in enumerate(self._fixed_many)
        ]

    def many(self, daily: Array, context: Array) -> Array:
        """[n, outputs] from ``daily`` [n, 90, 8, 3] and ``context`` [n, 14], both double precision."""
        values = self._fixed_many.copy()
        users = len(daily)
        # No matrix product here: BLAS would take threads for it, which wait for each other on a busy machine.
        used = np.flatnonzero(self._weights.any(axis=0))
        cells = daily.reshape(users * WINDOW_DAYS, _CELLS).T[used].reshape(len(used), users, WINDOW_DAYS)
        for index, row in zip(self._daily, self._weights, strict=True):
            values[index] = _weighed(cells, row[used])
        for index, entry in self._context:
            values[index] = context[:, entry : entry + 1]
        _run(self._many, values)
        return np.concatenate([np.broadcast_to(values[i], (users, 1)) for i in self._outputs], axis=1)

    def one(self, daily: Array, context: Sequence[float]) -> list[float]:
        """The outputs for one user, from ``daily`` [90, 8, 3] and ``context`` [14]."""
        values = self._fixed_one.copy()
        # One row a leaf, each contiguous: sums over days then add up in the same order as for many users.
        leaves = self._weights @ daily.reshape(WINDOW_DAYS, _CELLS).T
        for index, row in zip(self._daily, leaves, strict=True):
            values[index] = row
        for index, entry in self._context:
            values[index] = context[entry]
        _run(self._one, values)
        return [values[index] for index in self._outputs]


def _weighed(cells: Array, weights: Array) -> Array:
    """Sum of ``cells`` [k, n, 90] by ``weights`` [k]."""
    total: Array | None = None
    for where in np.flatnonzero(weights):
        part = cells[where] if weights[where] == 1 else cells[where] * weights[where]
        total = part if total is None else total + part
    return np.zeros(cells.shape[1:]) if total is None else total


def _run(calls: list[_Call], values: list[Any]) -> None:
    for call, args, index in calls:
        if len(args) == 2:
            values[index] = call(values[args[0]], values[args[1]])
        elif len(args) == 1:
            values[index] = call(values[args[0]])
        else:
            values[index] = call(*[values[arg] for arg in args])


def _reduced(op: str, call: Callable[..., Array]) -> Callable[..., float]:
    """A reduction of [90] to a Python number."""
    if op == "sum_days":
        return lambda x: float(np.add.reduce(x))
    if op == "min_days":
        return lambda x: float(np.minimum.reduce(x))
    return lambda *args: float(call(*[arg[None] for arg in args])[0, 0])
