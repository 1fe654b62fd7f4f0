"""What an app knows of a user besides events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from feature_spec.errors import DataError, DayInputError
from feature_spec.instants import parse_date
from feature_spec.numbers import is_number, is_whole, shown

_DATES: Final = ("observed_since", "account_since", "goal_start")
_NUMBERS: Final = (
    ("goal_total_days", 1),
    ("goals_completed_before", 0),
    ("goals_active", 0),
    ("goals_overdue", 0),
)
"""Whole numbers, and the smallest that each can be."""


@dataclass(frozen=True)
class Context:
    """What is known of a user besides events; None where nobody knows.

    Attributes:
        observed_since: local date from which events were recorded.
        account_since: local date on which the account was made.
        goal_start: local date on which the goal was set.
        goal_total_days: how many days the goal runs, at least 1.
        goals_completed_before: goals brought to an end before this one.
        progress: how much of the goal is reached, 0 to 1.
        goals_active: goals that run now.
        goals_overdue: goals past their end and not reached.

    Raises:
        DayInputError: a part breaks a rule.
    """

    observed_since: str | None = None
    account_since: str | None = None
    goal_start: str | None = None
    goal_total_days: int | None = None
    goals_completed_before: int | None = None
    progress: float | None = None
    goals_active: int | None = None
    goals_overdue: int | None = None

    def __post_init__(self) -> None:
        for name in _DATES:
            self.date(name)
        for name, low in _NUMBERS:
            number = getattr(self, name)
            if number is not None and not is_whole(number, low):
                raise DayInputError(
                    "bad-context", f"{name} is {shown(number)}; give a whole number from {low}, or omit it"
                )
        if self.progress is not None and not is_number(self.progress, 0, 1):
            raise DayInputError("bad-context", f"progress is {shown(self.progress)}; give 0 to 1, or omit it")

    def date(self, name: str) -> int | None:
        """The date ``name`` as days since 1970-01-01, None where unknown."""
        text = getattr(self, name)
        if text is None:
            return None
        try:
            return parse_date(text if isinstance(text, str) else shown(text))
        except DataError as error:
            raise DayInputError("bad-context", f"{name}: {error}") from None

    @classmethod
    def from_json(cls, data: Any) -> Context:
        """Read a context from its JSON object.

        Raises:
            DayInputError: it is no object, has an unknown key, or breaks a rule.
        """
        if not isinstance(data, Mapping):
            raise DayInputError(
                "bad-context", "a context is an object; an empty one says that nothing is known"
            )
        unknown = sorted(str(key) for key in data if key not in cls.__dataclass_fields__)
        if unknown:
            known = ", ".join(cls.__dataclass_fields__)
            raise DayInputError(
                "bad-context", f"the context has the unknown key {shown(unknown[0])}; use {known}"
            )
        return cls(**data)
