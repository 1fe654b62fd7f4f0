"""What is known of a user besides events: the zone, contexts, and numbers that the app reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from edge_sdk.contract.document import Fields
from edge_sdk.errors import FormatError, InputError
from edge_sdk.features.clocks import Reading
from feature_spec.day_context import Context
from feature_spec.errors import DayInputError

MOST_CONTEXTS: Final = 32
MOST_REPORTS: Final = 64
EVERY_GOAL: Final = ""
_CLOCK_UNSET: Final = 1_577_836_800_000
"""Milliseconds from 1970 to 2020: a clock that shows less was never set, and says nothing of when watching began."""


@dataclass(frozen=True)
class Report:
    """A number that the app reported, and when."""

    value: float
    at: Reading


@dataclass(frozen=True)
class Profile:
    """Of one user; frozen, so that whoever holds one may compute from it.

    Attributes:
        zone: IANA zone; None where the store's holds.
        since: instant in milliseconds from which on this store watched.
        contexts: by digest of the goal, ``EVERY_GOAL`` for all; the one told last comes last.
        reports: by name; the one told last comes last.
    """

    zone: str | None = None
    since: int | None = None
    contexts: Mapping[str, Context] = field(default_factory=dict)
    reports: Mapping[str, Report] = field(default_factory=dict)

    def watched_from(self, instant: int) -> Profile:
        """Of whom something is known from this instant on, or from earlier."""
        if instant < _CLOCK_UNSET or (self.since is not None and self.since <= instant):
            return self
        return replace(self, since=instant)

    def in_zone(self, zone: str) -> Profile:
        """With days counted in another zone."""
        return replace(self, zone=zone)

    def told(self, goal: str, context: Context) -> Profile:
        """With another context; beyond ``MOST_CONTEXTS`` goals, the one told first is forgotten."""
        contexts = _latest(self.contexts, goal, context, MOST_CONTEXTS, EVERY_GOAL)
        return replace(self, contexts=contexts)

    def reported(self, name: str, report: Report) -> Profile:
        """With another number.

        Raises:
            InputError: there are too many names already.
        """
        if name not in self.reports and len(self.reports) >= MOST_REPORTS:
            raise InputError(f"at most {MOST_REPORTS} names can be reported for one user; {name} is one more")
        return replace(self, reports=_latest(self.reports, name, report, MOST_REPORTS))

    def context(self, goal: str) -> Context:
        """Of a goal: what was told of it, over what was told of all goals."""
        general, special = self.contexts.get(EVERY_GOAL), self.contexts.get(goal)
        if general is None or special is None:
            return general or special or Context()
        return replace(general, **_known(special))

    def to_json(self) -> dict[str, Any]:
        return {
            "zone": self.zone,
            "since": self.since,
            # Lists, since the order counts and canonical JSON sorts names.
            "contexts": [[goal, _known(context)] for goal, context in self.contexts.items()],
            "reports": [[name, r.value, list(r.at)] for name, r in self.reports.items()],
        }

    @classmethod
    def from_json(cls, f: Fields) -> Profile:
        """Read what :meth:`to_json` made.

        Raises:
            FormatError: it is something else.
        """
        given = f.mapping("profile")
        try:
            zone, since = given["zone"], given["since"]
            if not isinstance(zone, str | None) or not isinstance(since, int | None):
                raise TypeError
            contexts = {str(goal): Context.from_json(known) for goal, known in given["contexts"]}
            reports = {
                str(name): Report(float(value), Reading(float(w), float(m), str(boot), int(era)))
                for name, value, (w, m, boot, era) in given["reports"]
            }
        except (KeyError, TypeError, ValueError, DayInputError) as error:
            raise FormatError(f"{f.what}: 'profile' is damaged: {error}") from error
        return cls(zone, since, contexts, reports)


def _known(context: Context) -> dict[str, Any]:
    values = {item.name: getattr(context, item.name) for item in fields(context)}
    return {name: value for name, value in values.items() if value is not None}


def _latest(
    kept: Mapping[str, Any], key: str, value: Any, most: int, always: str | None = None
) -> dict[str, Any]:
    made = {name: old for name, old in kept.items() if name != key}
    while len(made) >= most:
        del made[next(name for name in made if name != always)]
    return {**made, key: value}
