"""Which recipe to take where a release has several that fit."""

from __future__ import annotations

from typing import Final

PREFERENCE: Final = ("fp32",)
"""The exact one, unless the app asks for less."""
