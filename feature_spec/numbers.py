"""Numbers as JSON and NumPy bring them: one kind for whole and for other numbers, and true is none."""

from __future__ import annotations

import numpy as np

from feature_spec.tables import MAX_COUNT


def is_number(value: object, low: float, high: float) -> bool:
    """Whether ``value`` is a finite number from ``low`` to ``high``."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    return bool(low <= value <= high)  # false for NaN, and exact for integers of any size


def is_whole(value: object, low: int) -> bool:
    """Whether ``value`` is a whole number from ``low`` to a million.

    3.0 is whole too: JSON has one kind of number, and a reader in JavaScript cannot tell the two apart.
    """
    return is_number(value, low, MAX_COUNT) and float(value).is_integer()  # type: ignore[arg-type]


def shown(value: object) -> str:
    """``value`` for a message: short, on one line, and also where Python would not print it."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, int) and abs(value) > 10**18:
        return "an integer beyond 10^18"
    return f"{value!r:.60}"
