"""The language features are written in: a tree over a small, closed set of total operators.

A value is either of kind *days* (one number for each of the 90 days) or *scalar* (one number). An
operator that meets both repeats the scalar for every day. Every operator is defined for every finite
input (dividing by zero gives zero, the logarithm of a negative is that of zero), so no evaluator has to
invent what NaN means. A tree is data: it goes to JSON and back and can be printed, and nothing in it is
ever executed but by looking the operator up in the tables of the evaluators.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from feature_spec.errors import DefinitionError
from feature_spec.vocabulary import CHANNELS, CONTEXT, EVENT_TYPES, UNKNOWN

DAYS: Final = "days"
SCALAR: Final = "scalar"

ELEMENTWISE: Final[dict[str, int]] = {
    "add": 2,
    "sub": 2,
    "mul": 2,
    "div": 2,  # x / 0 = 0
    "min": 2,
    "max": 2,
    "less": 2,  # 1 where the first is smaller, else 0
    "where": 3,  # the second where the first is not 0, else the third
    "log1p": 1,  # log(1 + max(x, 0))
}
"""Operators that work entry by entry, with how many arguments they take."""

REDUCTIONS: Final[frozenset[str]] = frozenset({"sum_days", "min_days"})
"""Operators that turn one value of kind days into a scalar."""

LEAVES: Final[frozenset[str]] = frozenset({"daily", "day", "decay", "context", "const"})
"""Operators without arguments; their parameters are in ``Expression.value``."""

_INFIX: Final = {"add": "+", "sub": "-", "mul": "*", "div": "/", "less": "<"}
_MAX_DEPTH: Final = 64

Parameter = str | float | tuple[str, float]


@dataclass(frozen=True)
class Expression:
    """One operator with its arguments; checked when made, so every tree that exists can be evaluated.

    Attributes:
        op: name of the operator, from ``ELEMENTWISE``, ``REDUCTIONS`` or ``LEAVES``.
        args: the arguments, none for a leaf.
        value: the parameters of a leaf: ``daily`` has the channel and then (event type, weight) pairs,
            ``context`` the entry's name, ``const`` the number, ``decay`` the half-life in days.
        kind: ``DAYS`` or ``SCALAR``, derived.

    Raises:
        DefinitionError: an unknown operator, a wrong number or kind of arguments, or a bad parameter.
    """

    op: str
    args: tuple[Expression, ...] = ()
    value: tuple[Parameter, ...] = ()
    kind: str = field(init=False, compare=False, repr=False)
    depth: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", 1 + max((arg.depth for arg in self.args), default=0))
        if self.depth > _MAX_DEPTH:
            raise DefinitionError(f"an expression is nested deeper than {_MAX_DEPTH} operators; split it up")
        object.__setattr__(self, "kind", self._check())
        if self.op == "daily":
            # JSON objects have no order, so equal sums must not differ by the order in which types were named.
            channel, *pairs = self.value
            ordered = sorted(pairs, key=lambda pair: EVENT_TYPES.index(str(pair[0])))  # type: ignore[index]
            object.__setattr__(self, "value", (channel, *ordered))

    def _check(self) -> str:
        if self.op in LEAVES:
            if self.args:
                raise DefinitionError(f"'{self.op}' takes no arguments, got {len(self.args)}")
            return _check_leaf(self.op, self.value)
        if self.value:
            raise DefinitionError(f"'{self.op}' takes no parameters, got {self.value!r}")
        if self.op in REDUCTIONS:
            if len(self.args) != 1 or self.args[0].kind != DAYS:
                raise DefinitionError(f"'{self.op}' takes one argument of kind days; give it a daily value")
            return SCALAR
        if self.op not in ELEMENTWISE:
            raise _unknown(self.op)
        if len(self.args) != ELEMENTWISE[self.op]:
            raise DefinitionError(f"'{self.op}' takes {ELEMENTWISE[self.op]} arguments, got {len(self.args)}")
        return DAYS if any(arg.kind == DAYS for arg in self.args) else SCALAR

    def __add__(self, other: Expression | float) -> Expression:
        return _apply("add", self, other)

    def __sub__(self, other: Expression | float) -> Expression:
        return _apply("sub", self, other)

    def __rsub__(self, other: float) -> Expression:
        return _apply("sub", other, self)

    def __mul__(self, other: Expression | float) -> Expression:
        return _apply("mul", self, other)

    def __truediv__(self, other: Expression | float) -> Expression:
        return _apply("div", self, other)

    def __str__(self) -> str:
        return _print(self)

    def to_json(self) -> Any:
        """The tree as JSON: ``[op, argument or parameter, ...]``; a constant is a bare number."""
        if self.op == "const":
            return self.value[0]
        if self.op == "daily":
            channel, *weights = self.value
            return ["daily", channel, {pair[0]: pair[1] for pair in weights if isinstance(pair, tuple)}]
        return [self.op, *self.value, *(arg.to_json() for arg in self.args)]

    @classmethod
    def from_json(cls, data: Any) -> Expression:
        """Read what ``to_json`` wrote.

        Raises:
            DefinitionError: anything else.
        """
        return _parse(data, 1)


def daily(channel: str, *event_types: str, **weights: float) -> Expression:
    """A channel of the day input, summed over ``event_types``; keyword arguments weigh types apart from 1."""
    pairs = dict.fromkeys(event_types, 1.0) | weights
    return Expression("daily", value=(channel, *((name, float(pairs[name])) for name in pairs)))


def context(name: str) -> Expression:
    """An entry of the context, -1 where unknown."""
    return Expression("context", value=(name,))


def day() -> Expression:
    """The index of each day: 0 for the as-of day, 89 for the oldest."""
    return Expression("day")


def decay(half_life: float) -> Expression:
    """A weight for each day: 1 for the as-of day, halved every ``half_life`` days into the past."""
    return Expression("decay", value=(float(half_life),))


def sum_days(of: Expression) -> Expression:
    """Sum over the 90 days."""
    return _apply("sum_days", of)


def min_days(of: Expression) -> Expression:
    """Smallest over the 90 days."""
    return _apply("min_days", of)


def minimum(left: Expression | float, right: Expression | float) -> Expression:
    """The smaller of two."""
    return _apply("min", left, right)


def maximum(left: Expression | float, right: Expression | float) -> Expression:
    """The larger of two."""
    return _apply("max", left, right)


def less(left: Expression | float, right: Expression | float) -> Expression:
    """1 where ``left`` < ``right``, else 0."""
    return _apply("less", left, right)


def where(condition: Expression, then: Expression | float, otherwise: Expression | float) -> Expression:
    """``then`` where ``condition`` is not 0, else ``otherwise``."""
    return _apply("where", condition, then, otherwise)


def log1p(of: Expression) -> Expression:
    """log(1 + max(x, 0))."""
    return _apply("log1p", of)


def known(entry: Expression) -> Expression:
    """1 where a context entry is known, else 0."""
    return less(UNKNOWN / 2, entry)


def _apply(op: str, *operands: Expression | float) -> Expression:
    return Expression(
        op,
        tuple(o if isinstance(o, Expression) else Expression("const", value=(float(o),)) for o in operands),
    )


def _check_leaf(op: str, value: tuple[Parameter, ...]) -> str:
    if op == "daily":
        return _check_daily(value)
    if op == "day":
        if value:
            raise DefinitionError(f"'day' takes no parameters, got {value!r}")
        return DAYS
    if len(value) != 1:
        raise DefinitionError(f"'{op}' takes one parameter, got {len(value)}")
    if op == "context":
        if value[0] not in CONTEXT:
            raise DefinitionError(f"unknown context entry {value[0]!r}; the entries are {', '.join(CONTEXT)}")
        return SCALAR
    number = value[0]
    if not _finite(number) or (op == "decay" and not float(number) > 0):  # type: ignore[arg-type]
        need = "a positive half-life" if op == "decay" else "a finite number"
        raise DefinitionError(f"'{op}' takes {need}, got {number!r}")
    return DAYS if op == "decay" else SCALAR


def _check_daily(value: tuple[Parameter, ...]) -> str:
    if not value or value[0] not in CHANNELS:
        raise DefinitionError(
            f"'daily' names the channel {value[:1]!r}; the channels are {', '.join(CHANNELS)}"
        )
    seen: set[str] = set()
    for pair in value[1:]:
        if not (isinstance(pair, tuple) and len(pair) == 2 and _finite(pair[1])):
            raise DefinitionError(f"'daily' takes event types with finite weights, got {pair!r}")
        if pair[0] not in EVENT_TYPES or pair[0] in seen:
            raise DefinitionError(f"'daily' names the event type {pair[0]!r}, which is unknown or repeated")
        seen.add(pair[0])
    if not seen:
        raise DefinitionError("'daily' names no event type; name at least one")
    return DAYS


def _unknown(op: str) -> DefinitionError:
    known = ", ".join(sorted({*ELEMENTWISE, *REDUCTIONS, *LEAVES}))
    return DefinitionError(f"unknown operator '{op[:40]}'; the operators are {known}")


def _finite(number: object) -> bool:
    return isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)


def _parse(data: Any, depth: int) -> Expression:
    if depth > _MAX_DEPTH:
        raise DefinitionError(f"an expression is nested deeper than {_MAX_DEPTH} operators; split it up")
    if _finite(data):
        return Expression("const", value=(float(data),))
    if not isinstance(data, list) or not data or not isinstance(data[0], str):
        raise DefinitionError(
            f"an expression is a number or a list that starts with an operator, not {data!r:.60}"
        )
    op, *rest = data
    if op == "daily":
        if len(rest) != 2 or not isinstance(rest[1], Mapping):
            raise DefinitionError("'daily' takes a channel and an object of event types with weights")
        pairs = tuple((name, float(w) if _finite(w) else w) for name, w in rest[1].items())
        return Expression("daily", value=(rest[0], *pairs))
    if op == "const":
        raise DefinitionError("a constant is written as a bare number")
    if op not in ELEMENTWISE and op not in REDUCTIONS and op not in LEAVES:
        raise _unknown(op)
    if op in LEAVES:
        return Expression(op, value=tuple(float(item) if _finite(item) else item for item in rest))
    return Expression(op, tuple(_parse(item, depth + 1) for item in rest))


def _print(node: Expression) -> str:
    if node.op == "const":
        return f"{node.value[0]:g}"
    if node.op == "context":
        return str(node.value[0])
    if node.op == "day":
        return "day"
    if node.op == "decay":
        return f"decay({node.value[0]:g})"
    if node.op == "daily":
        channel, *pairs = node.value
        weights = dict(pair for pair in pairs if isinstance(pair, tuple))
        missing = [name for name in EVENT_TYPES if name not in weights]
        if len(missing) == 1 and set(weights.values()) == {1.0}:
            return f"{channel}[all but {missing[0]}]"
        terms = [name if weight == 1 else f"{weight:g} {name}" for name, weight in weights.items()]
        return f"{channel}[{' + '.join(terms)}]"
    if node.op in _INFIX:
        return f"({node.args[0]} {_INFIX[node.op]} {node.args[1]})"
    return f"{node.op}({', '.join(str(arg) for arg in node.args)})"
