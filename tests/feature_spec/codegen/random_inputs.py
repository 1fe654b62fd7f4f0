"""Random inputs around the moments at which clocks are changed, where a day is miscounted if anywhere."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from feature_spec.vocabulary import EVENT_TYPES

_ZONES: Final = (
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Auckland",
    "Africa/Monrovia",
    "Asia/Kathmandu",
    "Asia/Tehran",
)
"""Zones whose past is the same in every version of the database; Monrovia was once ahead by minutes and seconds."""


def random_inputs(seed: int, count: int) -> list[dict[str, Any]]:
    """Inputs of one user each, the ``input`` of a vector."""
    chance = random.Random(seed)
    changes = {name: _changes(ZoneInfo(name)) for name in _ZONES}
    return [_input(chance, name, chance.choice(changes[name])) for name in chance.choices(_ZONES, k=count)]


def _changes(zone: ZoneInfo) -> list[datetime]:
    """The seconds at which the zone changed its offset, from 1971 to 2020."""
    found, at = [], datetime(1971, 1, 1, tzinfo=UTC)
    while at.year < 2020:
        later = at + timedelta(days=20)
        if _offset(at, zone) != _offset(later, zone):
            low, high = at, later
            while high - low > timedelta(seconds=1):
                middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
                low, high = (low, middle) if _offset(middle, zone) != _offset(at, zone) else (middle, high)
            found.append(high)
        at = later
    return found


def _offset(at: datetime, zone: ZoneInfo) -> timedelta | None:
    return at.astimezone(zone).utcoffset()


def _input(chance: random.Random, zone: str, change: datetime) -> dict[str, Any]:
    def near(at: datetime, days: int) -> datetime:
        far = chance.randint(-days * 86_400, 86_400)
        seconds = chance.choice([0, -1, 1, chance.randint(-7200, 7200), far])
        return at + timedelta(seconds=seconds, milliseconds=chance.choice([0, 0, -1, 1, 500]))

    as_of = change + timedelta(seconds=chance.choice([0, 1, -1, chance.randint(-259_200, 8_000_000)]))
    events = [
        {
            "timestamp": _text(near(chance.choice([change, as_of]), 95)),
            "event_type": chance.choice(EVENT_TYPES),
            "count": chance.choice([0, 1, 2, 17]),
            **({"value": round(chance.uniform(-5, 5), 3)} if chance.random() < 0.4 else {}),
        }
        for _ in range(chance.randint(0, 25))
    ]
    context = {
        name: (as_of - timedelta(days=chance.randint(2, 200))).strftime("%Y-%m-%d")
        for name in ("observed_since", "account_since", "goal_start")
        if chance.random() < 0.6
    }
    return {"as_of": _text(as_of), "zone": zone, "context": context, "events": events}


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
