"""From columns of events to the numbers that a model takes, by the definitions that came with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from math import inf
from typing import TYPE_CHECKING

from edge_sdk.errors import FormatError
from edge_sdk.features import declared
from edge_sdk.features.columns import Columns
from edge_sdk.features.vector import Computed, Status
from feature_spec.canonical import fingerprint
from feature_spec.day_context import Context
from feature_spec.day_input import DayInput, day_input_of_columns
from feature_spec.definition import Feature, FeatureSpec
from feature_spec.events import EventColumns
from feature_spec.expression import where
from feature_spec.instants import local_moment
from feature_spec.instants import zone as zone_named
from feature_spec.numpy_evaluator import evaluate

if TYPE_CHECKING:
    from collections.abc import Mapping


class Definitions:
    """The features of one model, ready to be computed.

    Args:
        spec: the definitions.
        names: of the features that the model takes, in its order.
        defaults: what the model's record has for each where none is given: for those that are not in ``spec``.
        sha256: of the document of the definitions.

    Attributes:
        names: as given.
        fingerprint: of spec and names: part of the key of what is computed from them.
        least_ttl_s: the shortest of those that are computed.
        declared: of the names, those that are not computed but reported by the app.

    Raises:
        FormatError: no feature of the definitions is one of the names.
    """

    def __init__(
        self, spec: FeatureSpec, names: Sequence[str], defaults: Mapping[str, float], sha256: str
    ) -> None:
        known = {feature.name: feature for feature in spec.features}
        self.names = tuple(names)
        self.declared = tuple(name for name in names if name not in known)
        computed = [known[name] for name in names if name in known]
        if not computed:
            raise FormatError("feature_spec.json defines none of the features that the model takes")
        self.fingerprint = f"{sha256}:{fingerprint(list(names))}"
        self.missing = {
            **{name: defaults[name] for name in self.declared},
            **{f.name: f.missing for f in computed},
        }
        self._computed = tuple(f.name for f in computed)
        # One program for values and for whether they are known: they share most of their steps.
        known_if = [f for f in computed if f.known is not None]
        self._known_at = {f.name: len(computed) + at for at, f in enumerate(known_if)}
        self._spec = FeatureSpec((*computed, *(_known(f, at) for at, f in enumerate(known_if))))
        self._spec.program  # noqa: B018  flattened now, and not under somebody's deadline
        ttl = {f.name: float(f.ttl_s) for f in computed}
        self._ttl_s = ttl | {name: declared.ttl_of(name) for name in self.declared}
        self.least_ttl_s = min(ttl.values())

    def ttl_of(self, name: str) -> float:
        """Seconds for which a value of this feature is fresh."""
        return self._ttl_s[name]

    def compute(self, given: DayInput) -> dict[str, float | None]:
        """The values by name; None where nothing is known that one could be computed from.

        Raises:
            FeatureSpecError: the day input breaks a rule.
        """
        row = evaluate(self._spec, given.daily[None], given.context[None])[0].tolist()
        unknown = {name for name, at in self._known_at.items() if not row[at]}
        return {name: None if name in unknown else row[at] for at, name in enumerate(self._computed)}

    def assembled(self, found: Mapping[str, tuple[float | None, Status, float]], as_of: int) -> Computed:
        """What was found for each name: value, status and age; values that are not used get the definition's."""
        values, statuses, offsets, used, oldest = [], [], [], {}, 0.0
        for name in self.names:
            value, status, age = found.get(name, (None, Status.MISSING, inf))
            if value is None or status in (Status.EXPIRED, Status.MISSING):
                value = self.missing[name]
            else:
                used[name] = value
                oldest = max(oldest, age)
            values.append(value)
            statuses.append(status)
            offsets.append(age)
        return Computed(
            self.names, tuple(values), tuple(statuses), tuple(offsets), used, oldest, as_of, self.fingerprint
        )


def _known(feature: Feature, at: int) -> Feature:
    assert feature.known is not None
    known = where(feature.known, 1.0, 0.0)
    return replace(
        feature,
        name=f"known_{at}",
        unit="share",
        low=0.0,
        high=1.0,
        missing=0.0,
        expression=known,
        known=None,
    )


def tensors(events: Columns, as_of_ms: int, zone: str, context: Context) -> DayInput:
    """The day input of one user.

    Raises:
        DayInputError: a rule is broken, such as observation that begins after the as-of day.
    """
    columns = EventColumns(
        events["instant"], events["type"], events["count"], events["value"]
    )  # repeats were refused when they were recorded
    return day_input_of_columns(columns, as_of_ms, zone, context)


def observed(context: Context, since_ms: int | None, floor_ms: int, zone: str) -> Context:
    """The context, in which observation began no earlier than events are there, and as early as they are.

    Args:
        context: as the app told it.
        since_ms: from which on this store watched, where the app did not say; None where nobody knows.
        floor_ms: from which on all events are there; 0 where none was dropped.
        zone: of the user.
    """
    begun = context.date("observed_since")
    if begun is None and since_ms is not None:
        begun = _day(since_ms, zone)
    if floor_ms:
        whole = _day(floor_ms - 1, zone) + 1  # the day on which some were dropped is not whole
        begun = whole if begun is None else max(begun, whole)
    if begun is None:
        return context
    return replace(context, observed_since=(date(1970, 1, 1) + timedelta(days=begun)).isoformat())


def _day(instant_ms: int, zone: str) -> int:
    return local_moment(instant_ms, zone_named(zone)).date().toordinal() - date(1970, 1, 1).toordinal()


def day_around(instant_ms: int, zone: str) -> tuple[float, float]:
    """Beginning and end of the local day of an instant, in seconds since 1970: a vector is of one day."""
    where_ = zone_named(zone)
    today = local_moment(instant_ms, where_).date()
    begin, end = (datetime(d.year, d.month, d.day, tzinfo=where_) for d in (today, today + timedelta(days=1)))
    return begin.timestamp(), end.timestamp()
