"""Sketches: counts between fixed edges, so that those of any two devices can be added (docs/protocol/telemetry.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from edge_sdk.errors import FormatError

BINS: Final = 20
BELOW: Final = BINS
ABOVE: Final = BINS + 1
MISSING: Final = BINS + 2
VALUE_BINS: Final = BINS + 3
"""Twenty equal ones from ``low`` to ``high``, then what lies below, above, and what was not given."""

_FIRST, _LAST = 10, 34  # powers of two of nanoseconds: about 1 us and 17 s
LATENCY_BINS: Final = 8 * (_LAST - _FIRST) + 2
"""The same as those of :mod:`edge_sdk.predict.latency`."""

Sketch = Counter[int]
"""How many observations fell into each bin; bins without any are absent."""


def bin_of(value: float | None, low: float, high: float) -> int:
    """The bin of a number in the declared range ``[low, high]``, both ends included; None was not given.

    In doubles: ``floor((value - low) / (high - low) * 20)``, and ``high`` itself is in the last bin. A range of no
    width, or of one that is no finite double, has one bin only.
    """
    if value is None:
        return MISSING
    if value < low:
        return BELOW
    if value > high:
        return ABOVE
    width = high - low
    if not 0 < width < float("inf"):
        return 0
    return min(int((value - low) / width * BINS), BINS - 1)


def latency_bin(duration_ns: int) -> int:
    """The bin of a duration: every power of two of nanoseconds in eight equal parts (as HdrHistogram cuts it)."""
    power = duration_ns.bit_length() - 1
    if power < _FIRST:
        return 0
    if power >= _LAST:
        return LATENCY_BINS - 1
    return 8 * (power - _FIRST) + (duration_ns - (1 << power) >> power - 3) + 1


def sketch_of(values: Iterable[float | None], low: float, high: float) -> Sketch:
    """The sketch of many numbers."""
    return Counter(bin_of(value, low, high) for value in values)


def to_json(counts: Mapping[int, int]) -> list[list[int]]:
    """Pairs of bin and count, ascending; bins with nothing in them are left out."""
    return [[at, counts[at]] for at in sorted(counts) if counts[at]]


def from_json(value: object, bins: int, what: str, *, signed: bool = False) -> Sketch:
    """The inverse of :func:`to_json`.

    Args:
        value: as parsed.
        bins: how many there are.
        what: names it in messages.
        signed: counts may be negative, as noise makes them.

    Raises:
        FormatError: no such list, a bin that is not there or out of order, or a count of nothing.
    """
    if not isinstance(value, list):
        raise FormatError(f"{what} is not a list")
    counts: Sketch = Counter()
    last = -1
    for pair in value:
        at, count = _pair(pair, what)
        if not last < at < bins:
            raise FormatError(f"{what}: bins must ascend and be below {bins}; {at} after {last}")
        if count == 0 or (count < 0 and not signed):
            raise FormatError(f"{what}: bin {at} counts {count}; leave out bins with nothing in them")
        counts[at] = count
        last = at
    return counts


def _pair(value: Any, what: str) -> tuple[int, int]:
    if not (isinstance(value, list) and len(value) == 2 and all(type(number) is int for number in value)):
        raise FormatError(f"{what}: {value!r:.80} is not a pair of bin and count")
    return value[0], value[1]
