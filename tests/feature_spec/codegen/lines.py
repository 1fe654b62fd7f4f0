"""Inputs as lines of words, for languages that bring no JSON: texts in hexadecimal digits, ``-`` for null."""

from __future__ import annotations

from typing import Any, Final

from feature_spec.vocabulary import EVENT_TYPES

_TEXTS: Final = ("observed_since", "account_since", "goal_start")
_COUNTS: Final = ("goal_total_days", "goals_completed_before", "goals_active", "goals_overdue")
_EVENT_KEYS: Final = {"timestamp", "event_type", "count", "value", "event_id", "goal_id"}


class NoSuchInput(Exception):
    """The types of the language leave no way to say this."""


def encoded(document: Any) -> str:
    """The lines of an input, its events first.

    Raises:
        NoSuchInput: a text where a number belongs, an unknown key, and the like.
    """
    events, context = document["events"], document["context"]
    if not isinstance(context, dict) or not set(context) <= {*_TEXTS, *_COUNTS, "progress"}:
        raise NoSuchInput
    known = context.get
    words = [
        *(_text(document[key], "as_of", "zone") for key in ("as_of", "zone")),
        *(_text(known(key)) for key in _TEXTS),
        _number(known("progress")),
        *(_whole(known(key)) for key in _COUNTS),
    ]
    return "".join([*map(_event, events), " ".join(["input", *words]), "\n"])


def _event(event: Any) -> str:
    if (
        not isinstance(event, dict)
        or not set(event) <= _EVENT_KEYS
        or event.get("event_type") not in EVENT_TYPES
    ):
        raise NoSuchInput
    count = event.get("count")
    words = [
        _text(event.get("timestamp"), "timestamp"),
        event["event_type"],
        "1" if count is None else _whole(count),
        _number(event.get("value")),
        _text(event.get("event_id")),
        _text(event.get("goal_id")),
    ]
    return " ".join(["event", *words]) + "\n"


def _text(value: Any, *required: str) -> str:
    if value is None and not required:
        return "-"
    if not isinstance(value, str):
        raise NoSuchInput
    return "=" + value.encode().hex()


def _number(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NoSuchInput
    return repr(float(value))


def _whole(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise NoSuchInput
    return str(int(value))
