"""Which of the 90 days are there, as two numbers of 45 bits: engines add powers of two, and all can shift integers.

Days are ranked by a value that each of them has when it is absent; the lowest zero bit is then the absent day with the
smallest value.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from feature_spec.numpy_operators import Array
from feature_spec.vocabulary import WINDOW_DAYS
from feature_spec.warehouse.operators import Column, number
from feature_spec.warehouse.packages import ibis

HALF: Final = WINDOW_DAYS // 2
"""Sums of 45 different powers of two are exact in double precision."""

Order = npt.NDArray[np.intp]


def order(values: Array) -> Order:
    """The days from the smallest of ``values`` [1, 90] to the largest."""
    return np.argsort(values[0], kind="stable")


def halves(day: Column, days: Order) -> tuple[Column, Column]:
    """The bits of one day: what to add to the lower and to the upper number."""
    rank = _lookup(day, np.argsort(days))
    bit = (ibis.literal("1").cast("int64") << (rank % HALF)).cast("float64")
    return ibis.ifelse(rank < HALF, bit, number(0)), ibis.ifelse(rank < HALF, number(0), bit)


def first_absent(low: Column, high: Column, days: Order) -> tuple[Column, Column]:
    """Whether all days are there, and the first of ``days`` that is not (the last one if there is none)."""
    full = number(2.0**HALF - 1)
    rank = ibis.ifelse(low < full, _lowest_zero(low), _lowest_zero(high) + HALF)
    complete = (low >= full) & (high >= full)
    return complete, _lookup(ibis.ifelse(complete, WINDOW_DAYS - 1, rank), days)


def _lowest_zero(bits: Column) -> Column:
    whole = bits.cast("int64")
    return (~whole & (whole + 1)).cast("float64").log2().round().cast("int64")


def _lookup(index: Column, table: Order) -> Column:
    """``table[index]``; a rotation, which is what it mostly is, needs no table."""
    shift = int(table[0])
    if (table == (np.arange(WINDOW_DAYS) + shift) % WINDOW_DAYS).all():
        return (index + shift) % WINDOW_DAYS if shift else index
    pairs = [(i, int(value)) for i, value in enumerate(table)]
    return index.cases(*pairs, else_=0)
