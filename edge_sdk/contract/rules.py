"""Rules as data: closed comparisons that turn a prediction into risk factors and recommended actions.

The keys are for an app to translate; there is no prose in a model (docs/protocol/rules.md).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from edge_sdk.contract.document import Fields
from edge_sdk.errors import FormatError

FORMAT = "coach-edge/rules/1"
MAX_RULES = 64
MAX_CONDITIONS = 8
KINDS = ("output", "contribution", "feature")
_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_KEY = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True)
class Condition:
    """``<kind>:<name> <op> <than>``; both sides are compared as IEEE doubles."""

    kind: str
    name: str
    op: str
    than: float

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise FormatError(f"rule condition on {self.kind!r}: use one of {', '.join(KINDS)}")
        if self.op not in _OPERATORS:
            raise FormatError(f"rule condition with {self.op!r}: use one of {' '.join(_OPERATORS)}")
        if not abs(self.than) < float("inf"):
            raise FormatError("a rule condition compares with a value that is not finite")


@dataclass(frozen=True)
class Rule:
    """``key`` applies when all conditions hold and all named risk factors apply."""

    key: str
    when: tuple[Condition, ...] = ()
    risk_factors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _KEY.fullmatch(self.key):
            raise FormatError(f"rule key {self.key!r}: use a-z, 0-9 and _, starting with a letter")
        if not 1 <= len(self.when) + len(self.risk_factors) <= MAX_CONDITIONS:
            raise FormatError(f"rule {self.key} has no condition, or more than {MAX_CONDITIONS}")


@dataclass(frozen=True)
class Advice:
    """What the rules made of one prediction, in the order in which the record lists the rules."""

    risk_factors: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rules:
    """Risk factors first, then the actions that may name them."""

    risk_factors: tuple[Rule, ...] = ()
    actions: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        if len(self.risk_factors) + len(self.actions) > MAX_RULES:
            raise FormatError(f"more than {MAX_RULES} rules")
        keys = [rule.key for rule in self.risk_factors]
        if len(set(keys)) != len(keys):
            raise FormatError("two risk factors have the same key")
        for rule in self.risk_factors:
            if rule.risk_factors:
                raise FormatError(f"risk factor {rule.key} depends on another one; only actions may")
        for rule in self.actions:
            if unknown := set(rule.risk_factors) - set(keys):
                raise FormatError(f"action {rule.key} names unknown risk factor {min(unknown)}")
        if len({rule.key for rule in self.actions}) != len(self.actions):
            raise FormatError("two actions have the same key")

    def check_names(self, outputs: Collection[str], features: Collection[str]) -> None:
        """Refuse a condition on something that the model does not have."""
        known = {"output": outputs, "contribution": features, "feature": features}
        for rule in (*self.risk_factors, *self.actions):
            for condition in rule.when:
                if condition.name not in known[condition.kind]:
                    raise FormatError(f"rule {rule.key} names unknown {condition.kind} {condition.name!r}")

    def evaluate(
        self, outputs: Mapping[str, float], contributions: Mapping[str, float], features: Mapping[str, float]
    ) -> Advice:
        """Apply the rules to one prediction.

        Args:
            outputs: scalar outputs of the model.
            contributions: contribution of each feature to the probability.
            features: the feature values that went in.
        """
        values = {"output": outputs, "contribution": contributions, "feature": features}

        def applies(rule: Rule) -> bool:
            return all(_OPERATORS[c.op](values[c.kind][c.name], c.than) for c in rule.when)

        factors = tuple(rule.key for rule in self.risk_factors if applies(rule))
        actions = tuple(
            rule.key for rule in self.actions if set(rule.risk_factors) <= set(factors) and applies(rule)
        )
        return Advice(factors, actions)

    def to_json(self) -> dict[str, Any]:
        def rule(item: Rule) -> dict[str, Any]:
            when: list[dict[str, Any]] = [
                {"value": f"{c.kind}:{c.name}", "op": c.op, "than": c.than} for c in item.when
            ]
            return {"key": item.key, "when": when + [{"risk_factor": key} for key in item.risk_factors]}

        return {
            "format": FORMAT,
            "risk_factors": [rule(item) for item in self.risk_factors],
            "actions": [rule(item) for item in self.actions],
        }

    @classmethod
    def from_json(cls, value: object) -> Rules:
        """Rules from their JSON form; anything unknown in a rule is refused, since it would change its sense.

        Raises:
            FormatError: malformed.
        """
        fields = Fields(value, "rules")
        fields.format(FORMAT)
        return cls(
            tuple(_rule(item) for item in fields.array("risk_factors")),
            tuple(_rule(item) for item in fields.array("actions")),
        )


def _rule(value: object) -> Rule:
    fields = Fields(value, "rule")
    assert isinstance(value, Mapping)
    if unknown := set(value) - {"key", "when"}:
        raise FormatError(f"rule has the unknown field {min(unknown)!r}")
    when: list[Condition] = []
    risk_factors: list[str] = []
    for item in fields.array("when"):
        condition = Fields(item, f"a condition of rule {fields.text('key')}")
        if set(item) == {"risk_factor"}:
            risk_factors.append(condition.text("risk_factor"))
        elif set(item) == {"value", "op", "than"}:
            kind, _, name = condition.text("value").partition(":")
            when.append(Condition(kind, name, condition.text("op"), condition.number("than")))
        else:
            raise FormatError(f"{condition.what} has neither value, op and than, nor risk_factor")
    return Rule(fields.text("key"), tuple(when), tuple(risk_factors))
