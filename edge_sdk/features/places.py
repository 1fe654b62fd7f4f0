"""Where a feature store lies in a cache; for those who must not import it to know that."""

from __future__ import annotations

from typing import Final

FOLDER: Final = "features"
LOCK: Final = "features.lock"
INTENT: Final = "features-erase.json"
"""Names the user who is being erased."""
