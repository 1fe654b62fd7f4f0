"""Units: what a number counts, derived for every expression, so that days are never added to events.

A unit says *what* is counted and not in which size: minutes and days are both time. ``daily`` is a rate a
day, so that summing over days gives the amount. A bare number has no unit of its own and fits any.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from feature_spec.errors import DefinitionError
from feature_spec.parameters import Parameter

DIMENSIONS: Final = ("event", "time", "goal", "check_in", "feedback", "content_view")
"""What is counted; answers, ratings and what content carries are in the app's own units."""


@dataclass(frozen=True)
class Unit:
    """A product of powers of ``DIMENSIONS``, in their order."""

    powers: tuple[int, ...] = (0,) * len(DIMENSIONS)

    def __mul__(self, other: Unit) -> Unit:
        return Unit(tuple(a + b for a, b in zip(self.powers, other.powers, strict=True)))

    def __truediv__(self, other: Unit) -> Unit:
        return Unit(tuple(a - b for a, b in zip(self.powers, other.powers, strict=True)))

    def __str__(self) -> str:
        named = dict(zip(DIMENSIONS, self.powers, strict=True))
        over = [name for name, power in named.items() for _ in range(power)]
        under = [name for name, power in named.items() for _ in range(-power)]
        return "/".join([" ".join(over) or "1", *under])


def _base(name: str) -> Unit:
    return Unit(tuple(int(name == other) for other in DIMENSIONS))


ONE: Final = Unit()
EVENT, TIME, GOAL, CHECK_IN, FEEDBACK, CONTENT_VIEW = (_base(name) for name in DIMENSIONS)
_RATE: Final = EVENT / TIME

UNITS: Final[dict[str, Unit]] = {
    **dict.fromkeys(("share", "score", "ratio", "flag", "nats", "bucket", "share of the goal"), ONE),
    **dict.fromkeys(("minutes a day", "hours a day"), TIME / TIME),
    **dict.fromkeys(("days", "weeks", "hours", "minutes", "seconds"), TIME),
    **dict.fromkeys(("hour of the day", "weekday", "day of the month", "day of the year"), TIME),
    **dict.fromkeys(("share a day", "score a day", "minutes a day a day"), ONE / TIME),
    **dict.fromkeys(("share of the goal a day", "share of the goal a week"), ONE / TIME),
    "events": EVENT,
    **dict.fromkeys(("events a day", "events a week"), _RATE),
    "events a day a day": _RATE / TIME,
    **dict.fromkeys(
        ("days an event", "hours an event", "minutes an event", "seconds an event"), TIME / EVENT
    ),
    "share of the goal an event": ONE / EVENT,
    "goals": GOAL,
    **dict.fromkeys(("goals a day", "goals a month"), GOAL / TIME),
    "check-in answer": CHECK_IN / EVENT,
    "check-in answer a day": CHECK_IN / EVENT / TIME,
    "sum of check-in answers": CHECK_IN,
    "rating": FEEDBACK / EVENT,
    "rating a day": FEEDBACK / EVENT / TIME,
    "sum of ratings": FEEDBACK,
    "content value": CONTENT_VIEW / EVENT,
    "content value a day": CONTENT_VIEW / EVENT / TIME,
    "sum of content values": CONTENT_VIEW,
}
"""Every text that ``Feature.unit`` may be, with what it counts."""

SUMS: Final[dict[str, Unit]] = {
    "session": TIME / TIME,  # minutes a day
    "message": TIME / TIME,  # seconds until the answer, a day
    "task_due": _RATE,
    "task_done": _RATE,  # worth of whole tasks
    "progress": ONE / TIME,
    "check_in": CHECK_IN / TIME,
    "content_view": CONTENT_VIEW / TIME,
    "feedback": FEEDBACK / TIME,
}
"""Unit of the channel ``sum`` by event type; ``count`` and ``values`` are events a day."""

ENTRIES: Final[dict[str, Unit]] = {
    **dict.fromkeys(("days_observed", "account_age_days", "goal_age_days", "goal_total_days"), TIME),
    "goals_completed_before": GOAL,
    "progress": ONE,
    **dict.fromkeys(("hours_since_last_act", "weekday", "hour_of_day", "day_of_month", "day_of_year"), TIME),
    "morning_acts": EVENT,
    **dict.fromkeys(("goals_active", "goals_overdue"), GOAL),
}
"""Unit of each entry of the context."""

Units = Sequence[Unit | None]


def derive(op: str, value: Sequence[Parameter], units: Units, texts: Sequence[str] = ()) -> Unit | None:
    """The unit of an operator's result; None for a bare number, which fits any.

    Args:
        op: the operator.
        value: its parameters.
        units: the units of its arguments.
        texts: how the arguments read, for messages.

    Raises:
        DefinitionError: arguments that cannot be put together.
    """
    return _RULES[op](op, value, units, texts)


def describe(unit: Unit | None) -> str:
    """``unit`` with the texts that a feature may call it by."""
    names = [f"'{name}'" for name, item in UNITS.items() if item == unit]
    return f"{unit} ({', '.join(names)})" if names else f"{unit}"


_Rule = Callable[[str, Sequence[Parameter], Units, Sequence[str]], Unit | None]


def _always(unit: Unit | None) -> _Rule:
    return lambda op, value, units, texts: unit


def _of_first(change: Callable[[Unit], Unit]) -> _Rule:
    return lambda op, value, units, texts: change(units[0] or ONE)


def _same(result: Callable[[Unit | None], Unit | None], first: int = 0) -> _Rule:
    """The arguments from ``first`` on are in one unit, of which ``result`` makes the operator's."""

    def rule(op: str, value: Sequence[Parameter], units: Units, texts: Sequence[str]) -> Unit | None:
        common: Unit | None = None
        where = 0
        for place in range(first, len(units)):
            unit = units[place]
            if unit is None or unit == common:
                continue
            if common is not None:
                names = (f" ({texts[i]:.60})" if texts else "" for i in (where, place))
                raise DefinitionError(
                    f"'{op}' takes operands of one unit, got {common}{next(names)} and {unit}{next(names)}; "
                    "divide or multiply one of them until both are alike (a bare number fits any unit)"
                )
            common, where = unit, place
        return result(common)

    return rule


def _daily(op: str, value: Sequence[Parameter], units: Units, texts: Sequence[str]) -> Unit | None:
    channel, *pairs = value
    if channel != "sum":
        return _RATE
    names = [pair[0] for pair in pairs if isinstance(pair, tuple)]
    return _same(lambda unit: unit)(op, (), [SUMS[str(name)] for name in names], [f"sum[{n}]" for n in names])


def _product(op: str, value: Sequence[Parameter], units: Units, texts: Sequence[str]) -> Unit | None:
    return None if units[0] is None and units[1] is None else (units[0] or ONE) * (units[1] or ONE)


def _quotient(op: str, value: Sequence[Parameter], units: Units, texts: Sequence[str]) -> Unit | None:
    return None if units[0] is None and units[1] is None else (units[0] or ONE) / (units[1] or ONE)


_KEEP: Final = _same(lambda unit: unit)
_FLAG: Final = _same(lambda unit: ONE)
_FIRST: Final = _of_first(lambda unit: unit)
_TOTAL: Final = _of_first(lambda unit: unit * TIME)
_RULES: Final[dict[str, _Rule]] = {
    "daily": _daily,
    "context": lambda op, value, units, texts: ENTRIES[str(value[0])],
    "const": _always(None),
    **dict.fromkeys(("add", "sub", "mod", "min", "max"), _KEEP),
    "less": _FLAG,
    "where": _same(lambda unit: unit or ONE, first=1),
    "mul": _product,
    **dict.fromkeys(("div", "ratio"), _quotient),
    **dict.fromkeys(("day", "observed", "recency", "streak"), _always(TIME)),
    **dict.fromkeys(
        ("decay", "log1p", "xlogx", "known", "equals", "bucketize", "entropy", "regularity"), _always(ONE)
    ),
    **dict.fromkeys(("sum_days", "windowed_sum"), _TOTAL),
    **dict.fromkeys(("min_days", "quantile_days", "quantile"), _FIRST),
    **dict.fromkeys(("clip", "window", "windowed_mean", "ewma"), _FIRST),
    "slope": _of_first(lambda unit: unit / TIME),
}
