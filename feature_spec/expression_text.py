"""Expressions as formulas for people: parameters first, a semicolon, then the arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from feature_spec.vocabulary import EVENT_TYPES

if TYPE_CHECKING:
    from feature_spec.expression import Expression
    from feature_spec.parameters import Parameter

_INFIX: Final = {"add": "+", "sub": "-", "mul": "*", "div": "/", "less": "<"}


def formula(node: Expression) -> str:
    """``node`` as text, for example ``windowed_sum(14; count[session]) / min(observed, 14)``."""
    if node.op == "daily":
        return _daily(node.value)
    if node.op in {"const", "context"}:
        return _parameter(node.value[0])
    if node.op in _INFIX:
        return f"({formula(node.args[0])} {_INFIX[node.op]} {formula(node.args[1])})"
    groups = [", ".join(map(_parameter, node.value)), ", ".join(map(formula, node.args))]
    inside = "; ".join(group for group in groups if group)
    return f"{node.op}({inside})" if inside else node.op


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
