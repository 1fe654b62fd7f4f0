"""Day inputs of nobody: every entry and every cell is known for some and not for others, so that whatever a feature
reads makes a difference."""

from __future__ import annotations

from typing import Final

import numpy as np

from converters.days import DayInputs
from feature_spec.definition import FeatureSpec
from feature_spec.vocabulary import CONTEXT, CONTEXT_RANGES, EVENT_TYPES, UNKNOWN, WINDOW_DAYS

_FULL_YEARS: Final = 3 * 366
_HOURS: Final = "hours_since_last_act"
_UNKNOWN_SHARE: Final = 0.2
_RATES: Final = (0.0, 0.02, 0.3, 3.0)
"""Events of one type a day: never, rarely, sometimes, often."""


def made_up_days(spec: FeatureSpec, people: int, seed: int = 0) -> DayInputs:
    """Day inputs of ``people`` who never were, the same for the same seed.

    The first is silent and unknown, the second does everything once on every day.
    """
    random = np.random.default_rng(seed)
    context = np.stack([_entry(name, people, random) for name in CONTEXT], axis=1)
    context[random.random(context.shape) < _UNKNOWN_SHARE] = UNKNOWN
    count = random.poisson(
        random.choice(_RATES, (people, 1, len(EVENT_TYPES))), (people, WINDOW_DAYS, len(EVENT_TYPES))
    )
    values = random.binomial(count, 0.5)
    total = np.round(values * random.normal(0.5, 0.4, values.shape), 3)
    daily = np.stack([count, values, total], axis=3).astype(np.float32)
    observed = np.where(context[:, :1] == UNKNOWN, WINDOW_DAYS, context[:, :1])
    daily[np.arange(WINDOW_DAYS) >= observed] = 0
    daily[:1], context[:1] = 0, UNKNOWN
    daily[1:2], context[1:2, 0] = 1, WINDOW_DAYS
    return DayInputs(spec, daily, context.astype(np.float32))


def _entry(
    name: str, people: int, random: np.random.Generator
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    low, high = CONTEXT_RANGES[name]
    if name == "progress":
        return random.random(people)
    if name == _HOURS:
        return np.round(random.exponential(60.0, people), 3).clip(low, high)
    # Half are small numbers, as most are in life; ages go on to some years.
    top = np.where(random.random(people) < 0.5, min(high, low + 9), min(high, _FULL_YEARS))
    return random.integers(int(low), top.astype(np.int64) + 1).astype(np.float64)
