"""What can go wrong with features and event data; every message says where and what to do."""

from __future__ import annotations

from collections.abc import Mapping


class FeatureSpecError(Exception):
    """Root of every error of this package."""


class DataError(FeatureSpecError):
    """The data is malformed: the message names file, row and column. Fix the data."""


class QualityError(FeatureSpecError):
    """The data is well-formed and not fit to learn from; ``report`` says how it was judged."""

    def __init__(self, message: str, report: Mapping[str, object]) -> None:
        super().__init__(message)
        self.report = report


class CompatError(FeatureSpecError):
    """A feature spec changes what is released; ``report`` has every difference. Raise versions, or put it back."""

    def __init__(self, message: str, report: Mapping[str, object]) -> None:
        super().__init__(message)
        self.report = report


class DefinitionError(FeatureSpecError):
    """A feature or mapping definition is wrong. Fix the definition."""


class MissingExtraError(FeatureSpecError):
    """A part of the product was used whose optional dependencies are not installed."""


class DayInputError(DataError):
    """One user's events or context break a rule of the day input; ``reason`` is the code of that rule."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
