"""The core operators as Ibis expressions: the one table in which the warehouse says what an operator means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from feature_spec.warehouse.packages import ibis

Column = Any
"""An Ibis value; Ibis has no types that a type checker could follow."""


def number(value: float) -> Column:
    """A constant in double precision: engines read a bare ``0.5`` as a decimal and would compute in decimals."""
    return ibis.literal(repr(float(value))).cast("float64")


def flag(test: Column) -> Column:
    """1 where ``test`` holds, else 0."""
    return test.cast("float64")


def divide(left: Column, right: Column) -> Column:
    """``left / right``, 0 where ``right`` is 0: a null divisor gives null on every engine, an error on none."""
    return ibis.coalesce(left / right.nullif(number(0)), number(0))


def _mod(left: Column, right: Column) -> Column:
    quotient = left / right.nullif(number(0))
    # Engines give the floor as an int64; from 2^53 on a double is whole anyway.
    whole = ibis.ifelse(quotient.abs() < number(2.0**53), quotient.floor().cast("float64"), quotient)
    return ibis.coalesce(left - right * whole, number(0))


def _xlogx(of: Column) -> Column:
    return of * ibis.ifelse(of > number(0), of, number(1)).ln()


ELEMENTWISE: Final[dict[str, Callable[..., Column]]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": divide,
    "mod": _mod,
    "min": lambda a, b: ibis.least(a, b),
    "max": lambda a, b: ibis.greatest(a, b),
    "less": lambda a, b: flag(a < b),
    "where": lambda c, a, b: ibis.ifelse(c != number(0), a, b),
    "log1p": lambda x: (ibis.greatest(x, number(0)) + number(1)).ln(),
    "xlogx": _xlogx,
}
"""Operators that work entry by entry."""
