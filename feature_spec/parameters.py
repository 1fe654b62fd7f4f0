"""The parameters of operators: numbers and names that are part of the formula, never of the data."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Final

from feature_spec import operators
from feature_spec.errors import DefinitionError
from feature_spec.vocabulary import CHANNELS, CONTEXT, EVENT_TYPES, WINDOW_DAYS

Parameter = str | float | tuple[str, float] | tuple[float, ...]

MAX_BOUNDS: Final = 32
"""Most bounds of one ``bucketize``: each is a comparison in every evaluator."""


def checked(op: str, value: tuple[object, ...]) -> tuple[Parameter, ...]:
    """The parameters of ``op`` in their one form: numbers as float, windows as int, weights in axis order.

    Raises:
        DefinitionError: too few or too many, of the wrong type, or out of range.
    """
    kinds = operators.OPERATORS[op].parameters
    if op == "daily":
        return _daily(value)
    if len(value) != len(kinds):
        takes = {0: "no parameters", 1: f"one parameter ({kinds[0]})" if kinds else ""}
        many = takes.get(len(kinds), f"{len(kinds)} parameters ({', '.join(kinds)})")
        raise DefinitionError(f"'{op}' takes {many}, got {len(value)}: {value!r:.60}")
    result = tuple(_CHECKS[kind](op, item) for kind, item in zip(kinds, value, strict=True))
    if op == "clip" and not result[0] < result[1]:  # type: ignore[operator]
        raise DefinitionError(f"'clip' takes a low below its high, got {value[0]} and {value[1]}")
    return result


LEAST: Final = 2.0**-126
"""Smallest number but 0 that float32 holds with all its digits."""

LARGEST: Final = (2 - 2.0**-23) * 2.0**127
"""Largest number that float32 holds."""

MIN_HALF_LIFE: Final = 0.75
"""Shortest half-life, in days: a shorter one leaves the oldest days a weight that float32 takes for 0."""


def is_finite(number: object) -> bool:
    """Whether ``number`` is an int or float that float32 can hold, and no bool: 0, or from ``LEAST`` to ``LARGEST``."""
    if isinstance(number, bool) or not isinstance(number, int | float):
        return False
    return number == 0 or LEAST <= abs(number) <= LARGEST  # false for NaN, and exact for integers of any size


def _daily(value: tuple[object, ...]) -> tuple[Parameter, ...]:
    if not value or value[0] not in CHANNELS:
        raise DefinitionError(
            f"'daily' names the channel {value[:1]!r:.60}; the channels are {', '.join(CHANNELS)}"
        )
    weights: dict[str, float] = {}
    for pair in value[1:]:
        if not (isinstance(pair, tuple) and len(pair) == 2 and is_finite(pair[1])):
            raise DefinitionError(f"'daily' takes event types with finite weights, got {pair!r:.60}")
        if pair[0] not in EVENT_TYPES or pair[0] in weights:
            raise DefinitionError(
                f"'daily' names the event type {pair[0]!r:.60}, which is unknown or repeated; "
                f"the types are {', '.join(EVENT_TYPES)}"
            )
        weights[pair[0]] = float(pair[1])
    if not weights:
        raise DefinitionError("'daily' names no event type; name at least one")
    # JSON objects have no order, so equal sums must not differ by the order in which types were named.
    return (str(value[0]), *((name, weights[name]) for name in EVENT_TYPES if name in weights))


def _entry(op: str, item: object) -> Parameter:
    if not isinstance(item, str) or item not in CONTEXT:
        raise DefinitionError(f"unknown context entry {item!r:.60}; the entries are {', '.join(CONTEXT)}")
    return item


def _number(need: str, holds: Callable[[float], bool]) -> Callable[[str, object], Parameter]:
    def check(op: str, item: object) -> Parameter:
        if not is_finite(item) or not holds(float(item)):  # type: ignore[arg-type]
            raise DefinitionError(f"'{op}' takes {need}, got {item!r:.60}")
        return float(item)  # type: ignore[arg-type]

    return check


def _window(op: str, item: object) -> Parameter:
    if not is_finite(item) or float(item) != int(item):  # type: ignore[arg-type,call-overload]
        raise DefinitionError(f"'{op}' takes a window of whole days, got {item!r:.60}")
    days = int(item)  # type: ignore[call-overload]
    if not 1 <= days <= WINDOW_DAYS:
        raise DefinitionError(
            f"'{op}' takes a window of 1 to {WINDOW_DAYS} days, got {days}: "
            f"the day input holds {WINDOW_DAYS} days and nothing older"
        )
    return int(days)


def _bounds(op: str, item: object) -> Parameter:
    if not isinstance(item, list | tuple) or not 1 <= len(item) <= MAX_BOUNDS:
        raise DefinitionError(f"'{op}' takes a list of 1 to {MAX_BOUNDS} bounds, got {item!r:.60}")
    if not all(is_finite(bound) for bound in item):
        raise DefinitionError(f"'{op}' takes finite bounds, got {item!r:.60}")
    bounds = tuple(float(bound) for bound in item)
    if any(left >= right for left, right in pairwise(bounds)):
        raise DefinitionError(f"'{op}' takes bounds that ascend, each once, got {item!r:.60}")
    return bounds


_CHECKS: Final[dict[str, Callable[[str, object], Parameter]]] = {
    operators.ENTRY: _entry,
    operators.NUMBER: _number("a finite number that float32 holds", lambda x: True),
    operators.HALF_LIFE: _number(
        f"a half-life of at least {MIN_HALF_LIFE} days", lambda x: x >= MIN_HALF_LIFE
    ),
    operators.SHARE: _number("a share from 0 to 1", lambda x: 0 <= x <= 1),
    operators.WINDOW: _window,
    operators.BOUNDS: _bounds,
}
