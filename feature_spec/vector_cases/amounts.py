"""Counts, values and sums: what an event adds to its cell, and how it is rounded."""

from __future__ import annotations

from typing import Any, Final

from feature_spec.vector_cases.case import MORNING, NOON, Case, at
from feature_spec.vocabulary import EVENT_TYPES


def _check_ins(*values: float) -> tuple[dict[str, Any], ...]:
    return tuple(at(MORNING, "check_in", value=value) for value in values)


CASES: Final[tuple[Case, ...]] = (
    Case(
        "every-type",
        "one event of each type, in the order of the second axis",
        tuple(at(MORNING, name) for name in EVENT_TYPES),
    ),
    Case(
        "every-type-value",
        "every type may carry a value; each has cells of its own",
        tuple(at(MORNING, name, value=1 + place / 8) for place, name in enumerate(EVENT_TYPES)),
    ),
    Case("count", "a count is added, not 1", (at(MORNING, count=7),)),
    Case("count-whole", "3.0 is the whole number 3", (at(MORNING, count=3.0),)),
    Case("count-null", "a count of null is 1, as if it were absent", (at(MORNING, count=None),)),
    Case("count-zero", "a count of zero is allowed and adds nothing", (at(MORNING, count=0),)),
    Case(
        "count-zero-value",
        "a value counts even where the count is zero; such an event is no act",
        (at(MORNING, "check_in", count=0, value=2.5),),
    ),
    Case("count-million", "1,000,000 is the largest count of one event", (at(MORNING, count=1_000_000),)),
    Case(
        "cell-largest",
        "a cell may add up to 2^24, the last number up to which float32 tells whole numbers apart",
        (*(at(NOON, count=1_000_000) for _ in range(16)), at(NOON, count=777_216)),
    ),
    Case(
        "cell-smallest",
        "a sum may go down to -2^24",
        (*(at(NOON, "feedback", value=-1e6) for _ in range(16)), at(NOON, "feedback", value=-777_216)),
    ),
    Case(
        "cells-apart",
        "2^24 is a limit for each cell: neighbours in day and type have their own",
        tuple(
            at(f"2026-03-{day}T12:00:00Z", name, count=1_000_000)
            for day in (30, 31)
            for name in ("session", "message")
            for _ in range(9)
        ),
    ),
    Case(
        "values",
        "a value fills the second and third channel; an event without one only the first",
        (
            at("2026-03-31T08:00:00Z", "task_done", value=0.5),
            at(MORNING, "task_done"),
            at("2026-03-31T10:00:00Z", "task_done", value=0.75),
        ),
    ),
    Case(
        "value-zero",
        "a value of zero is a value: it differs from none in the second channel",
        (at(MORNING, "feedback", value=0),),
    ),
    Case(
        "value-minus-zero",
        "a value of -0.0 is zero: no cell holds a negative zero",
        (at(MORNING, "feedback", value=-0.0),),
    ),
    Case(
        "value-null",
        "a value of null is no value",
        (at(MORNING, "feedback", value=None, event_id=None, goal_id=None),),
    ),
    Case("value-negative", "values may be negative", (at(MORNING, "feedback", value=-2.5),)),
    Case(
        "value-largest",
        "values may be 1,000,000 and -1,000,000",
        (at(MORNING, "feedback", value=1e6), *_check_ins(-1e6)),
    ),
    Case(
        "value-vanishing",
        "a value too small for float32 is 0 in the sum, and still counts as a value",
        (at(MORNING, "feedback", value=1e-300),),
    ),
    Case(
        "value-with-count",
        "a row has one value, however high its count",
        (at(MORNING, "check_in", count=3, value=4),),
    ),
    Case(
        "sum-in-double",
        "sums are made in double precision and rounded to float32 once",
        tuple(at(f"2026-03-31T{hour:02d}:00:00Z", "progress", value=0.1) for hour in range(10)),
    ),
    Case(
        "sum-beside-large",
        "a small value is not lost beside large ones that cancel: in float32 it would be",
        _check_ins(1e6, 0.0078125, -1e6),
    ),
    Case(
        "sum-many-small",
        "fifty values of 0.001: adding in float32 gives another number",
        _check_ins(*[0.001] * 50),
    ),
    Case(
        "sum-tie-down",
        "16,000,000.5 lies between two float32 numbers and goes to the even one, 16,000,000",
        _check_ins(*[1e6] * 15, 999_999.5, 1),
    ),
    Case(
        "sum-tie-up",
        "16,000,001.5 goes to the even one, 16,000,002",
        _check_ins(*[1e6] * 15, 999_999.5, 2),
    ),
    Case(
        "sum-to-nothing",
        "values that add up to 0 leave the number of values",
        (at(MORNING, "feedback", value=2.5), at(NOON, "feedback", value=-2.5)),
    ),
    Case(
        "unordered",
        "the order of events does not matter: the last one in the list may have happened first",
        (at("2026-03-31T10:00:00Z"), at("2026-03-28T10:00:00Z"), at("2026-03-30T10:00:00Z")),
    ),
)
