"""Builders of the surface operators: what people write instead of core operators (operators.py has the table)."""

from __future__ import annotations

from collections.abc import Iterable

from feature_spec.expression import Expression, apply


def observed() -> Expression:
    """How many days of the window anybody watched: 90 where nobody knows, so that they count as seen."""
    return Expression("observed")


def known(entry: Expression) -> Expression:
    """1 where a context entry is known, else 0."""
    return apply("known", entry)


def ratio(part: Expression | float, whole: Expression | float) -> Expression:
    """``part`` / ``whole``, and 0 where ``whole`` is 0."""
    return apply("ratio", part, whole)


def clip(low: float, high: float, of: Expression) -> Expression:
    """``of``, but at least ``low`` and at most ``high``."""
    return apply("clip", of, value=(low, high))


def equals(number: float, of: Expression) -> Expression:
    """1 where ``of`` is exactly ``number``, else 0."""
    return apply("equals", of, value=(number,))


def one_hot(of: Expression, numbers: Iterable[float]) -> tuple[Expression, ...]:
    """One expression a number, 1 where ``of`` is that number: at most one of them is."""
    return tuple(equals(number, of) for number in numbers)


def bucketize(bounds: Iterable[float], of: Expression) -> Expression:
    """In which bucket ``of`` falls: 0 below the first bound, then one more for each bound reached."""
    return apply("bucketize", of, value=(tuple(bounds),))


def window(days: int, of: Expression) -> Expression:
    """``of`` on the last ``days`` days, today included, and 0 before."""
    return apply("window", of, value=(days,))


def windowed_sum(days: int, of: Expression) -> Expression:
    """Sum over the last ``days`` days."""
    return apply("windowed_sum", of, value=(days,))


def windowed_mean(days: int, of: Expression) -> Expression:
    """Mean a day over the last ``days`` days, or over those observed where they are fewer."""
    return apply("windowed_mean", of, value=(days,))


def recency(of: Expression) -> Expression:
    """Days since ``of`` was last not 0; 0 for today, 90 where it never was."""
    return apply("recency", of)


def streak(of: Expression) -> Expression:
    """Days in a row, up to today, on which ``of`` is not 0; a today of 0 does not break it."""
    return apply("streak", of)


def ewma(half_life: float, of: Expression) -> Expression:
    """Mean a day over the observed days, of weights that halve every ``half_life`` days into the past."""
    return apply("ewma", of, value=(half_life,))


def slope(days: int, of: Expression) -> Expression:
    """Least-squares change a day over the last ``days`` observed days; positive where rising."""
    return apply("slope", of, value=(days,))


def entropy(of: Expression) -> Expression:
    """How evenly ``of`` spreads over the days, in nats: 0 all on one day, ln 90 evenly over all."""
    return apply("entropy", of)


def regularity(of: Expression) -> Expression:
    """1 where ``of`` falls on one weekday only, 0 where on all seven alike or where it is 0."""
    return apply("regularity", of)


def quantile(share: float, days: int, of: Expression) -> Expression:
    """The ``share``-quantile of ``of`` over the last ``days`` observed days, those of 0 included."""
    return apply("quantile", of, value=(share, days))
