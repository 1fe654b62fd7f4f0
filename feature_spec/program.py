"""Expressions flattened into one list of steps, which every evaluator walks in order.

Equal subtrees become one step: ten features share their 90-day vectors instead of computing them ten times.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from feature_spec.expression import Expression, Parameter


@dataclass(frozen=True)
class Step:
    """One operator; ``args`` are indexes of earlier steps."""

    op: str
    args: tuple[int, ...]
    value: tuple[Parameter, ...]


@dataclass(frozen=True)
class Program:
    """Steps in an order in which they can be computed, and which of them are the results."""

    steps: tuple[Step, ...]
    outputs: tuple[int, ...]


def flatten(expressions: Iterable[Expression]) -> Program:
    """Flatten ``expressions`` into one program with one output each, in their order."""
    steps: dict[Step, int] = {}
    # Shared Python objects are walked once: a tree built by reuse may be exponentially larger than its parts.
    walked: dict[int, int] = {}

    def place(node: Expression) -> int:
        index = walked.get(id(node))
        if index is None:
            step = Step(node.op, tuple([place(arg) for arg in node.args]), node.value)
            index = steps.setdefault(step, len(steps))
            walked[id(node)] = index
        return index

    roots = list(expressions)  # keeps the nodes alive while their ids are keys
    outputs = tuple([place(root) for root in roots])
    return Program(tuple(steps), outputs)
