"""Expressions lowered to core operators and flattened into one list of steps, which every evaluator walks in order.

Equal subtrees become one step: ten features share their 90-day vectors instead of computing them ten times.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from feature_spec.errors import DefinitionError
from feature_spec.expression import Expression
from feature_spec.lowering import lower
from feature_spec.operators import CORE
from feature_spec.parameters import Parameter

MAX_STEPS: Final = 16_384
"""Most distinct steps of one program: a phone computes each of them."""


@dataclass(frozen=True)
class Step:
    """One core operator; ``args`` are indexes of earlier steps, ``value`` its parameters."""

    op: str
    args: tuple[int, ...]
    value: tuple[Parameter, ...]


@dataclass(frozen=True)
class Program:
    """Steps in an order in which they can be computed, and which of them are the results."""

    steps: tuple[Step, ...]
    outputs: tuple[int, ...]


def flatten(expressions: Iterable[Expression]) -> Program:
    """Flatten ``expressions`` into one program of core operators with one output each, in their order.

    Raises:
        DefinitionError: the program has more than ``MAX_STEPS`` distinct steps.
    """
    steps: dict[Step, int] = {}
    # Shared Python objects are walked once: a tree built by reuse may be much larger than its parts.
    walked: dict[int, int] = {}

    def emit(op: str, *args: int, value: tuple[Parameter, ...] = ()) -> int:
        index = steps.setdefault(Step(op, args, value), len(steps))
        if index >= MAX_STEPS:
            raise DefinitionError(
                f"the features need more than {MAX_STEPS} distinct steps; split them into several specs"
            )
        return index

    def place(node: Expression) -> int:
        index = walked.get(id(node))
        if index is None:
            args = [place(arg) for arg in node.args]
            core = node.op in CORE
            index = emit(node.op, *args, value=node.value) if core else lower(emit, node.op, node.value, args)
            walked[id(node)] = index
        return index

    roots = list(expressions)  # keeps the nodes alive while their ids are keys
    outputs = tuple([place(root) for root in roots])
    return Program(tuple(steps), outputs)
