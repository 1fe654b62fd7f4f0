"""Inputs as lines of words, for languages that bring no JSON: texts in hexadecimal digits, ``-`` for null."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Any, Final

from feature_spec.errors import DataError
from feature_spec.instants import local_moment, parse_instant, zone
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


def zone_lines(document: Any) -> str:
    """The zone of an input, where there is one, with its offset in milliseconds at every instant that matters."""
    try:
        where = zone(document["zone"])
    except DataError:
        return ""
    lines = [f"zone {_text(document['zone'])}\n"]
    for timestamp in (document["as_of"], *(event["timestamp"] for event in document["events"])):
        with contextlib.suppress(DataError):
            instant = parse_instant(timestamp)
            offset = local_moment(instant, where).utcoffset()
            assert offset is not None
            lines.append(f"offset {instant} {offset // timedelta(milliseconds=1)}\n")
    return "".join(lines)


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
