"""Golden vectors of the day input: inputs with the tensors and features that follow, and inputs to refuse.

Files are deterministic, so that a change of meaning shows as a difference.
"""

from __future__ import annotations

import json
from typing import Any, Final

import numpy as np

from feature_spec.day_input import Context, DayInput, Event, day_input
from feature_spec.errors import DayInputError, FeatureSpecError
from feature_spec.numpy_evaluator import evaluate
from feature_spec.prebuilt import PREBUILT
from feature_spec.vector_cases import ACCEPTED, REFUSED, Case
from feature_spec.vocabulary import CHANNELS, CONTEXT, EVENT_TYPES, WINDOW_DAYS

FORMAT: Final = "coach-edge/day-input-vectors/2"


def vector_files() -> dict[str, bytes]:
    """The vector files by name: what to accept, what to refuse, and the feature definitions used.

    Raises:
        FeatureSpecError: a case that should be refused is accepted, or the other way round.
    """
    accept = {
        "format": FORMAT,
        "window_days": WINDOW_DAYS,
        "event_types": EVENT_TYPES,
        "channels": CHANNELS,
        "context": CONTEXT,
        "feature_names": PREBUILT.names,
        "feature_spec_sha256": PREBUILT.fingerprint(),
        "feature_tolerance": 1e-5,
        "vectors": [_accepted(case) for case in ACCEPTED],
    }
    refuse = {"format": FORMAT, "vectors": [_refused(case, reason) for case, reason in REFUSED]}
    documents = {"accept.json": accept, "refuse.json": refuse, "feature_spec.json": PREBUILT.to_json()}
    return {name: _text(document) for name, document in documents.items()}


def apply(document: Any) -> DayInput:
    """The day input of the ``input`` object of a vector.

    Raises:
        DayInputError: the input breaks a rule.
    """
    events = [Event.from_json(item) for item in document["events"]]
    return day_input(events, document["as_of"], document["zone"], Context.from_json(document["context"]))


def _accepted(case: Case) -> dict[str, Any]:
    result = apply(case.document())
    features = evaluate(PREBUILT, result.daily[None], result.context[None])[0]
    cells = [[*map(int, where), _number(result.daily[tuple(where)])] for where in np.argwhere(result.daily)]
    return {
        "name": case.name,
        "description": case.why,
        "input": case.document(),
        "output": {
            "cells": cells,
            "context": [_number(value) for value in result.context],
            "features": [_number(value) for value in features],
        },
    }


def _refused(case: Case, reason: str) -> dict[str, Any]:
    try:
        apply(case.document())
    except DayInputError as error:
        if error.reason == reason:
            return {
                "name": case.name,
                "description": case.why,
                "input": case.document(),
                "reason": reason,
            }
        raise FeatureSpecError(f"vector {case.name}: refused as {error.reason}, not as {reason}") from error
    raise FeatureSpecError(f"vector {case.name}: accepted, though it should be refused as {reason}")


def _number(value: np.float32) -> int | float:
    """A float32 as the shortest decimal that reads back to it; whole numbers without a point."""
    number = float(value)
    return int(number) if number.is_integer() else float(str(value))


def _text(document: Any) -> bytes:
    """One vector a line: short enough to read, and a change shows as one line."""
    lines = []
    for key, value in document.items():
        if key in {"vectors", "features"}:
            items = ",\n  ".join(json.dumps(item, ensure_ascii=False, allow_nan=False) for item in value)
            lines.append(f'"{key}": [\n  {items}\n]')
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}")
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode("utf-8")
