"""Expressions as formulas for people: parameters first, a semicolon, then the arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from feature_spec.parameters import Parameter
from feature_spec.vocabulary import EVENT_TYPES

_INFIX: Final = {"add": "+", "sub": "-", "mul": "*", "div": "/", "less": "<"}


class Node(Protocol):
    """An operator with its parameters and arguments."""

    @property
    def op(self) -> str: ...  # pragma: no cover

    @property
    def value(self) -> tuple[Parameter, ...]: ...  # pragma: no cover

    @property
    def args(self) -> Sequence[Node]: ...  # pragma: no cover


def formula(node: Node) -> str:
    """``node`` as text, for example ``windowed_sum(14; count[session]) / min(observed, 14)``."""
    return call(node.op, node.value, [formula(arg) for arg in node.args])


def call(op: str, value: tuple[Parameter, ...], args: Sequence[str]) -> str:
    """One operator as text, of arguments that are text already."""
    if op == "daily":
        return _daily(value)
    if op in {"const", "context"}:
        return _parameter(value[0])
    if op in _INFIX:
        return f"({args[0]} {_INFIX[op]} {args[1]})"
    groups = [", ".join(map(_parameter, value)), ", ".join(args)]
    inside = "; ".join(group for group in groups if group)
    return f"{op}({inside})" if inside else op


def _parameter(item: Parameter) -> str:
    if isinstance(item, str):
        return item
    if isinstance(item, tuple):
        return f"[{', '.join(f'{bound:g}' for bound in item)}]"
    return f"{item:g}"


def _daily(value: tuple[Parameter, ...]) -> str:
    channel, *pairs = value
    weights = {str(pair[0]): pair[1] for pair in pairs if isinstance(pair, tuple)}
    missing = [name for name in EVENT_TYPES if name not in weights]
    if len(missing) == 1 and set(weights.values()) == {1.0}:
        return f"{channel}[all but {missing[0]}]"
    terms = [name if weight == 1 else f"{weight:g} {name}" for name, weight in weights.items()]
    return f"{channel}[{' + '.join(terms)}]"
