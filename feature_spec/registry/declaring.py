"""Shorter ways to define features and to declare inputs, for the files of the groups."""

from __future__ import annotations

from typing import Any, Final

from feature_spec.definition import Feature
from feature_spec.expression import Expression, daily
from feature_spec.registry.entry import NOT_REPORTED, REPORTED, TEXT, Input
from feature_spec.vocabulary import EVENT_TYPES, UNKNOWN

SOURCE: Final = "AI/ML integration guide, 4.1 feature categories"

HOUR: Final = 3_600
DAY: Final = 24 * HOUR
WEEK: Final = 7 * DAY
MONTH: Final = 30 * DAY

ACTS: Final = tuple(name for name in EVENT_TYPES if name != "task_due")
"""What the user does; what falls due is asked of the user."""

SESSIONS: Final = daily("count", "session")
ALL_ACTS: Final = daily("count", *ACTS)
EARNED: Final = daily("count", "task_done") - daily("values", "task_done") + daily("sum", "task_done")
"""A task done without a score is worth a whole task; a score between 0 and 1 says what it was worth."""


def computed(
    name: str, unit: str, low: float, high: float, missing: float, expression: Expression, **rest: Any
) -> Feature:
    """A feature of the day input, in its first version; ``rest`` are the other fields of a ``Feature``."""
    return Feature(
        name=name,
        version=1,
        unit=unit,
        low=low,
        high=high,
        missing=missing,
        expression=expression,
        source=SOURCE,
        **rest,
    )


def number(
    name: str,
    unit: str,
    low: float,
    high: float,
    *,
    reporter: str,
    meaning: str,
    why: str,
    ttl_s: int,
    missing: float = UNKNOWN,
    whole: bool = False,
) -> Input:
    """A number that a person, an app or a device reports."""
    dtype = "int32" if whole else "float32"
    return Input(name, 1, dtype, unit, low, high, missing, ttl_s, REPORTED, reporter, meaning, why, SOURCE)


def flag(name: str, *, reporter: str, meaning: str, why: str, ttl_s: int, missing: float = 0) -> Input:
    """A yes or no."""
    return Input(name, 1, "flag", "flag", 0, 1, missing, ttl_s, REPORTED, reporter, meaning, why, SOURCE)


def category(name: str, *categories: str, reporter: str, meaning: str, why: str, ttl_s: int) -> Input:
    """One of a closed list, to which "unknown" is added in front."""
    return Input(
        name,
        1,
        "category",
        "category",
        0,
        1,
        NOT_REPORTED,
        ttl_s,
        REPORTED,
        reporter,
        meaning,
        why,
        SOURCE,
        (NOT_REPORTED, *categories),
    )


_READER: Final = "a text model on the device; the text itself never leaves it and is not kept for this"


def from_text(name: str, *, meaning: str, why: str, missing: float = UNKNOWN) -> Input:
    """A score from 0 to 1 that a text model on the device reads from what the user wrote."""
    return Input(name, 1, "float32", "score", 0, 1, missing, DAY, TEXT, _READER, meaning, why, SOURCE)
