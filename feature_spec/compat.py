"""Two versions of a feature spec compared: what is different, and whether it breaks who relies on the old one.

Models are trained on numbers in an order. What breaks is whatever changes those numbers or that order under the
same names and versions; what a new version says aloud does not.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from feature_spec.definition import Feature, FeatureSpec
from feature_spec.expression import Expression
from feature_spec.program import Step, flatten


@dataclass(frozen=True)
class Difference:
    """One thing that is different.

    Attributes:
        feature: whose.
        kind: ``removed``, ``added``, ``moved``, ``version``, ``formula``, ``known``, ``range``, ``missing``,
            ``unit``, ``dtype``, ``ttl``, ``text`` or ``rewritten``.
        breaks: whether a model trained with the old spec may be given other numbers by the new one.
        sentence: what it is, and what to do where it breaks.
    """

    feature: str
    kind: str
    breaks: bool
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def compat(old: FeatureSpec, new: FeatureSpec) -> tuple[Difference, ...]:
    """Every difference between ``old``, which is released, and ``new``; none where they say the same."""
    found: list[Difference] = []
    for name in old.names:
        if name not in new.names:
            say = (
                "is gone: models trained on it have no input; keep it, and leave it out of new models instead"
            )
            found.append(Difference(name, "removed", True, f"{name} {say}"))
    found += _order(old, new)
    for feature in old.features:
        if feature.name in new.names:
            found += _changes(feature, new[feature.name])
    return tuple(found)


def _order(old: FeatureSpec, new: FeatureSpec) -> list[Difference]:
    found = []
    kept = [name for name in new.names if name in old.names]
    before = [name for name in old.names if name in kept]
    for place, (was, now) in enumerate(zip(before, kept, strict=True)):
        if was != now:
            say = (
                f"is where {was} was, as number {place + 1} of those that stay: models take columns in order"
            )
            found.append(Difference(now, "moved", True, f"{now} {say}; keep the old order"))
    last = max((new.names.index(name) for name in kept), default=-1)
    for place, name in enumerate(new.names):
        if name not in old.names:
            early = place < last
            say = (
                "is new, before released features, whose columns move; put it last"
                if early
                else "is new, last"
            )
            found.append(Difference(name, "added", early, f"{name} {say}"))
    return found


def _changes(old: Feature, new: Feature) -> list[Difference]:
    name, raised = old.name, new.version > old.version
    found: list[Difference] = []

    def add(kind: str, was: object, now: object, meaning: bool = True) -> None:
        if was == now:
            return
        if not meaning:
            rest = "; the numbers are the same"
        elif raised:
            rest = f" in version {new.version}; models trained on version {old.version} keep their own definition"
        else:
            rest = f", but its version is still {new.version}: released numbers change in place; raise the version"
        sentence = f"{name}: the {_WORDS[kind]} was {was} and is {now}{rest}"
        found.append(Difference(name, kind, meaning and not raised, sentence))

    if new.version < old.version:
        say = f"{name}: the version fell from {old.version} to {new.version}; versions only rise"
        found.append(Difference(name, "version", True, say))
    elif raised:
        say = f"{name}: version {old.version} became {new.version}; train models anew to use it"
        found.append(Difference(name, "version", False, say))
    if _compute_alike(old, new):
        if (old.expression, old.known) != (new.expression, new.known):
            say = f"{name} is written differently and computes the same: {old.formula} is now {new.formula}"
            found.append(Difference(name, "rewritten", False, say))
    else:
        add("formula", *_texts(old.expression, new.expression))
        add("known", *_texts(old.known, new.known))
        add("range", f"{old.low!r}..{old.high!r}", f"{new.low!r}..{new.high!r}")
    add("missing", old.missing, new.missing)
    add("unit", old.unit, new.unit)
    add("dtype", old.dtype, new.dtype)
    add("ttl", f"{old.ttl_s} s", f"{new.ttl_s} s", meaning=False)
    add("text", (old.meaning, old.source), (new.meaning, new.source), meaning=False)
    return found


def _compute_alike(old: Feature, new: Feature) -> bool:
    """Whether both are the same tree of core operators, in whatever order its steps are listed."""
    numbers: dict[Step, int] = {}

    def number(feature: Feature) -> int:
        program = flatten([feature.guarded])
        found: list[int] = []
        for step in program.steps:
            here = Step(step.op, tuple(found[arg] for arg in step.args), step.value)
            found.append(numbers.setdefault(here, len(numbers)))
        return found[program.outputs[0]]

    return number(old) == number(new)


def _texts(old: Expression | None, new: Expression | None) -> tuple[str, str]:
    """Both as formulas; as JSON where the formulas, whose numbers are rounded, read alike and are not."""
    texts = [tree if tree is None else str(tree) for tree in (old, new)]
    if old != new and texts[0] == texts[1]:
        texts = [tree if tree is None else json.dumps(tree.to_json()) for tree in (old, new)]
    return texts[0] or "always", texts[1] or "always"


_WORDS = {
    "formula": "formula",
    "known": "condition under which it is known",
    "range": "range",
    "missing": "value where nothing is known",
    "unit": "unit",
    "dtype": "dtype",
    "ttl": "time to live",
    "text": "text",
}
