"""Expressions as formulas for people: parameters first, a semicolon, then the arguments."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from feature_spec.vocabulary import EVENT_TYPES

if TYPE_CHECKING:
    from feature_spec.expression import Expression
    from feature_spec.parameters import Parameter
    from feature_spec.program import Program

_INFIX: Final = {"add": "+", "sub": "-", "mul": "*", "div": "/", "less": "<"}


def formula(node: Expression) -> str:
    """``node`` as text, for example ``windowed_sum(14; count[session]) / min(observed, 14)``."""
    return _call(node.op, node.value, [formula(arg) for arg in node.args])


def _call(op: str, value: tuple[Parameter, ...], args: list[str]) -> str:
    if op == "daily":
        return _daily(value)
    if op in {"const", "context"}:
        return _parameter(value[0])
    if op in _INFIX:
        return f"({args[0]} {_INFIX[op]} {args[1]})"
    groups = [", ".join(map(_parameter, value)), ", ".join(args)]
    inside = "; ".join(group for group in groups if group)
    return f"{op}({inside})" if inside else op


def core_form(program: Program) -> list[str]:
    """What evaluators compute, one line a step that is used more than once, the results last."""
    uses = Counter(arg for step in program.steps for arg in step.args)
    texts: list[str] = []
    lines: list[str] = []
    for index, step in enumerate(program.steps):
        text = _call(step.op, step.value, [texts[arg] for arg in step.args])
        if uses[index] > 1 and step.args:
            lines.append(f"x{len(lines)} = {text}")
            text = lines[-1].partition(" ")[0]
        texts.append(text)
    return [*lines, *(f"= {texts[index]}" for index in program.outputs)]


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
