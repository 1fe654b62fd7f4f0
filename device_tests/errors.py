"""What can go wrong in this package; every message says what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ParityError(Exception):
    """Root of every error of this package."""


class VerdictFailed(ParityError):
    """Devices and golden cases disagree, or a budget is exceeded; ``report`` holds the whole result."""

    def __init__(self, message: str, report: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.report = report


class ToolMissing(ParityError):
    """A program that is needed is not installed, or may not do here what it is needed for."""
