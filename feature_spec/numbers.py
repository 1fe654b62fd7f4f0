"""Numbers as JSON brings them: one kind for whole and for other numbers, and true is none."""

from __future__ import annotations

import math

from feature_spec.tables import MAX_COUNT


def is_number(value: object, low: float, high: float) -> bool:
    """Whether ``value`` is a finite number from ``low`` to ``high``."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and low <= value <= high


def is_whole(value: object, low: int) -> bool:
    """Whether ``value`` is a whole number from ``low`` to a million.

    3.0 is whole too: JSON has one kind of number, and a reader in JavaScript cannot tell the two apart.
    """
    return is_number(value, low, MAX_COUNT) and float(value).is_integer()  # type: ignore[arg-type]
