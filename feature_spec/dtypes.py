"""Which expressions are whole numbers whatever the day input holds: what a feature may call ``int32`` or ``flag``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from feature_spec.operators import OPERATORS
from feature_spec.parameters import Parameter

FLOAT32: Final = "float32"
INT32: Final = "int32"
FLAG: Final = "flag"
DTYPES: Final = (FLOAT32, INT32, FLAG)
"""What the numbers of a feature are; evaluators give float32 in any case, which holds whole numbers to 2^24."""

_ALWAYS: Final = frozenset({"day", "observed", "less", "known", "equals", "bucketize", "recency", "streak"})
_LIKE_ARGUMENTS: Final = frozenset(
    {"add", "sub", "mul", "mod", "min", "max", "sum_days", "min_days", "window", "windowed_sum"}
)
_BROKEN_ENTRIES: Final = frozenset({"progress", "hours_since_last_act"})


def is_whole(op: str, value: Sequence[Parameter], whole: Sequence[bool]) -> bool:
    """Whether the result of ``op`` is always a whole number, given which arguments are; False where in doubt."""
    if op in _ALWAYS:
        return True
    if op in _LIKE_ARGUMENTS:
        return all(whole)
    if op == "where":
        return all(whole[1:])
    if op == "clip":
        return all(whole) and all(_integral(item) for item in value)
    if op == "const":
        return _integral(value[0])
    if op == "context":
        return value[0] not in _BROKEN_ENTRIES
    if op == "daily":
        return value[0] != "sum" and all(_integral(pair[1]) for pair in value[1:] if isinstance(pair, tuple))
    assert op in OPERATORS
    return False


def _integral(item: Parameter) -> bool:
    return isinstance(item, int | float) and float(item).is_integer()
