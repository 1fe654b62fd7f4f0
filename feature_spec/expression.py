"""The language features are written in: a tree over a small, closed set of total operators.

A value is either of kind *days* (one number for each of the 90 days) or *scalar* (one number). An
operator that meets both repeats the scalar for every day. Every operator is defined for every finite
input (dividing by zero gives zero, the logarithm of a negative is that of zero), so no evaluator has to
invent what NaN means. A tree is data: it goes to JSON and back and can be printed, and nothing in it is
ever executed but by looking the operator up in the tables of the evaluators.

Core operators have their builders here, surface operators in feature_spec/surface.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from feature_spec.dtypes import is_whole
from feature_spec.errors import DefinitionError
from feature_spec.expression_text import formula
from feature_spec.operators import ANY, DAYS, ELEMENTWISE, LEAVES, OPERATORS, REDUCTIONS, SCALAR, SURFACE
from feature_spec.parameters import Parameter, checked, is_finite
from feature_spec.units import Unit, derive

__all__ = ["DAYS", "ELEMENTWISE", "LEAVES", "REDUCTIONS", "SCALAR", "SURFACE", "Expression", "Parameter"]

MAX_DEPTH: Final = 64
"""Deepest nesting: whoever walks a tree may do so by recursion."""

MAX_NODES: Final = 4096
"""Most operators in one expression, each counted as often as it is written out.

A tree built by reusing its parts can be exponentially larger on paper than in memory; it would never be
compared or written to JSON in this world.
"""


@dataclass(frozen=True)
class Expression:
    """One operator with its arguments; checked when made, so every tree that exists can be evaluated.

    It cannot contain itself: the arguments exist before it and are never replaced.

    Attributes:
        op: name of the operator, from ``OPERATORS``.
        args: the arguments, none for a leaf.
        value: the parameters. ``daily`` has the channel and then (event type, weight) pairs.
        kind: ``DAYS`` or ``SCALAR``, derived.
        depth: levels of nesting, derived.
        nodes: how many operators the tree has when written out, derived.
        unit: what the result counts (feature_spec/units.py), derived; None for bare numbers, which fit any unit.
        whole: whether the result is a whole number whatever the day input holds, derived.

    Raises:
        DefinitionError: an unknown operator, a wrong number or kind of arguments, a bad parameter, units
            that do not fit together, or a tree too deep or too large.
    """

    op: str
    args: tuple[Expression, ...] = ()
    value: tuple[Parameter, ...] = ()
    kind: str = field(init=False, compare=False, repr=False)
    depth: int = field(init=False, compare=False, repr=False)
    nodes: int = field(init=False, compare=False, repr=False)
    unit: Unit | None = field(init=False, compare=False, repr=False)
    whole: bool = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.op, str) or self.op not in OPERATORS:
            raise DefinitionError(
                f"unknown operator {self.op!r:.40}; the operators are {', '.join(OPERATORS)}"
            )
        if not isinstance(self.args, tuple):
            raise DefinitionError(f"'{self.op}' takes its arguments as a tuple, got {self.args!r:.60}")
        for arg in self.args:
            if not isinstance(arg, Expression):
                raise DefinitionError(f"'{self.op}' takes expressions as arguments, got {arg!r:.60}")
        derived = {
            "value": checked(self.op, self.value),
            "depth": 1 + max((arg.depth for arg in self.args), default=0),
            "nodes": 1 + sum(arg.nodes for arg in self.args),
            "kind": _kind(self.op, self.args),
        }
        for name, item in derived.items():
            object.__setattr__(self, name, item)
        if self.depth > MAX_DEPTH:
            raise _too_deep()
        if self.nodes > MAX_NODES:
            raise DefinitionError(
                f"an expression has {self.nodes} operators when written out, and at most {MAX_NODES} are allowed; "
                "make it of fewer parts, or split it into features"
            )
        object.__setattr__(self, "whole", is_whole(self.op, self.value, [arg.whole for arg in self.args]))
        object.__setattr__(self, "unit", self._unit())

    def _unit(self) -> Unit | None:
        units = [arg.unit for arg in self.args]
        try:
            return derive(self.op, self.value, units)
        except DefinitionError:
            # Only a message needs the texts, which cost more than the check.
            return derive(self.op, self.value, units, [str(arg) for arg in self.args])

    def __add__(self, other: Expression | float) -> Expression:
        return apply("add", self, other)

    def __radd__(self, other: float) -> Expression:
        return apply("add", other, self)

    def __sub__(self, other: Expression | float) -> Expression:
        return apply("sub", self, other)

    def __rsub__(self, other: float) -> Expression:
        return apply("sub", other, self)

    def __mul__(self, other: Expression | float) -> Expression:
        return apply("mul", self, other)

    def __rmul__(self, other: float) -> Expression:
        return apply("mul", other, self)

    def __truediv__(self, other: Expression | float) -> Expression:
        return apply("div", self, other)

    def __rtruediv__(self, other: float) -> Expression:
        return apply("div", other, self)

    def __mod__(self, other: Expression | float) -> Expression:
        return apply("mod", self, other)

    def __str__(self) -> str:
        return formula(self)

    def to_json(self) -> Any:
        """The tree as JSON: ``[op, parameter, ..., argument, ...]``; a constant is a bare number."""
        if self.op == "const":
            return self.value[0]
        if self.op == "daily":
            channel, *weights = self.value
            return ["daily", channel, {pair[0]: pair[1] for pair in weights if isinstance(pair, tuple)}]
        parameters = [list(item) if isinstance(item, tuple) else item for item in self.value]
        return [self.op, *parameters, *(arg.to_json() for arg in self.args)]

    @classmethod
    def from_json(cls, data: Any) -> Expression:
        """Read what ``to_json`` wrote.

        Raises:
            DefinitionError: anything else.
        """
        return _parse(data, 1)


def apply(op: str, *operands: Expression | float, value: tuple[Parameter, ...] = ()) -> Expression:
    """``op`` over operands of which bare numbers become constants."""
    return Expression(op, tuple(o if isinstance(o, Expression) else const(o) for o in operands), value)


def const(number: float) -> Expression:
    """A number."""
    return Expression("const", value=(number,))


def daily(channel: str, *event_types: str, **weights: float) -> Expression:
    """A channel of the day input, summed over ``event_types``; keyword arguments weigh types apart from 1."""
    pairs = dict.fromkeys(event_types, 1.0) | weights
    return Expression("daily", value=(channel, *pairs.items()))


def context(name: str) -> Expression:
    """An entry of the context, -1 where unknown."""
    return Expression("context", value=(name,))


def day() -> Expression:
    """The index of each day: 0 for the as-of day, 89 for the oldest."""
    return Expression("day")


def decay(half_life: float) -> Expression:
    """A weight for each day: 1 for the as-of day, halved every ``half_life`` days into the past."""
    return Expression("decay", value=(half_life,))


def sum_days(of: Expression) -> Expression:
    """Sum over the 90 days."""
    return apply("sum_days", of)


def min_days(of: Expression) -> Expression:
    """Smallest over the 90 days."""
    return apply("min_days", of)


def quantile_days(share: float, of: Expression, mask: Expression) -> Expression:
    """The ``share``-quantile of ``of`` over the days where ``mask`` is not 0; 0 where there is none."""
    return apply("quantile_days", of, mask, value=(share,))


def minimum(left: Expression | float, right: Expression | float) -> Expression:
    """The smaller of two."""
    return apply("min", left, right)


def maximum(left: Expression | float, right: Expression | float) -> Expression:
    """The larger of two."""
    return apply("max", left, right)


def less(left: Expression | float, right: Expression | float) -> Expression:
    """1 where ``left`` < ``right``, else 0."""
    return apply("less", left, right)


def where(condition: Expression, then: Expression | float, otherwise: Expression | float) -> Expression:
    """``then`` where ``condition`` is not 0, else ``otherwise``."""
    return apply("where", condition, then, otherwise)


def log1p(of: Expression) -> Expression:
    """ln(1 + max(x, 0))."""
    return apply("log1p", of)


def xlogx(of: Expression) -> Expression:
    """x ln(x) where x > 0, else 0."""
    return apply("xlogx", of)


def _kind(op: str, args: tuple[Expression, ...]) -> str:
    row = OPERATORS[op]
    if len(args) != len(row.arguments):
        many = {0: "no arguments", 1: "one argument"}.get(
            len(row.arguments), f"{len(row.arguments)} arguments"
        )
        raise DefinitionError(f"'{op}' takes {many}, got {len(args)}")
    for need, arg in zip(row.arguments, args, strict=True):
        if need == DAYS and arg.kind != DAYS:
            raise DefinitionError(
                f"'{op}' takes an argument of kind days, got the single number {arg!s:.60}; give it a daily value"
            )
        if need == SCALAR and arg.kind != SCALAR:
            raise DefinitionError(
                f"'{op}' takes a single number, got one a day: {arg!s:.60}; reduce it, for example by sum_days"
            )
    if row.result != ANY:
        return row.result
    return DAYS if any(arg.kind == DAYS for arg in args) else SCALAR


def _too_deep() -> DefinitionError:
    return DefinitionError(f"an expression is nested deeper than {MAX_DEPTH} operators; split it up")


def _parse(data: Any, depth: int) -> Expression:
    if depth > MAX_DEPTH:
        raise _too_deep()
    if is_finite(data):
        return const(data)
    if not isinstance(data, list) or not data or not isinstance(data[0], str):
        raise DefinitionError(
            f"an expression is a finite number or a list that starts with an operator, not {data!r:.60}; "
            "float32 must hold the number"
        )
    op, *rest = data
    if op == "daily":
        if len(rest) != 2 or not isinstance(rest[1], Mapping):
            raise DefinitionError("'daily' takes a channel and an object of event types with weights")
        return Expression("daily", value=(rest[0], *rest[1].items()))
    if op == "const":
        raise DefinitionError("a constant is written as a bare number")
    if op not in OPERATORS:
        return Expression(op)  # refuses it
    if not OPERATORS[op].arguments:
        return Expression(op, value=tuple(rest))
    count = len(OPERATORS[op].parameters)
    return Expression(op, tuple(_parse(item, depth + 1) for item in rest[count:]), tuple(rest[:count]))
