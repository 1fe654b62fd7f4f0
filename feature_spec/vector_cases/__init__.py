"""The inputs from which the golden vectors are made; every one is there for one rule, a file for each group."""

from __future__ import annotations

from typing import Final

from feature_spec.vector_cases import (
    amounts,
    calendar,
    contexts,
    habits,
    identities,
    moments,
    refused_contexts,
    refused_events,
    windows,
    zones,
)
from feature_spec.vector_cases.case import Case as Case

ACCEPTED: Final[tuple[Case, ...]] = (
    *habits.CASES,
    *amounts.CASES,
    *identities.CASES,
    *moments.CASES,
    *zones.CASES,
    *windows.CASES,
    *calendar.CASES,
    *contexts.CASES,
)
"""Inputs to accept."""

REFUSED: Final[tuple[tuple[Case, str], ...]] = (*refused_events.CASES, *refused_contexts.CASES)
"""Inputs to refuse, each with the reason code."""
