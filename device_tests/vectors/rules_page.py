"""Vectors for docs/protocol/rules.md."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

from device_tests.vectors.vector import Vector
from edge_sdk.contract.rules import MAX_CONDITIONS, MAX_RULES, Rules

PAGE = "rules"
OUTPUTS = ["probability", "confidence"]
FEATURES = ["completion_rate", "streak_length"]

RULES: dict[str, Any] = {
    "format": "coach-edge/rules/1",
    "risk_factors": [
        {
            "key": "low_completion",
            "when": [
                {"value": "feature:completion_rate", "op": "<", "than": 0.5},
                {"value": "contribution:completion_rate", "op": "<", "than": -0.01},
            ],
        },
        {"key": "no_streak", "when": [{"value": "feature:streak_length", "op": "<=", "than": 0}]},
    ],
    "actions": [
        {"key": "schedule_check_in", "when": [{"value": "output:probability", "op": "<", "than": 0.4}]},
        {
            "key": "break_goal_into_steps",
            "when": [
                {"value": "output:probability", "op": "<", "than": 0.6},
                {"risk_factor": "low_completion"},
            ],
        },
        {"key": "both", "when": [{"risk_factor": "low_completion"}, {"risk_factor": "no_streak"}]},
        {"key": "celebrate", "when": [{"value": "output:probability", "op": ">=", "than": 0.8}]},
        {"key": "sure", "when": [{"value": "output:confidence", "op": ">", "than": 0.9}]},
    ],
}

Edit = Callable[[dict[str, Any]], object]
_CASES: dict[str, tuple[float, float, float, float, float]] = {
    # probability, confidence, contribution of completion_rate, completion_rate, streak_length
    "nothing-applies": (0.7, 0.5, 0.1, 0.9, 3.0),
    "factor-and-actions": (0.3, 0.5, -0.2, 0.2, 3.0),
    "factor-without-probability": (0.6, 0.5, -0.2, 0.2, 3.0),
    "two-factors": (0.39999999999999997, 0.5, -0.2, 0.49999999999999994, 0.0),
    "bounds-are-exact": (0.4, 0.9, -0.01, 0.5, 0.0),
    "at-least": (0.8, 0.9000000000000001, 0.0, 1.0, 9.0),
    "low-feature-without-contribution": (0.5, 0.5, 0.0, 0.2, 1.0),
}


def _condition(document: dict[str, Any], **change: object) -> None:
    document["risk_factors"][0]["when"][0].update(change)


def _many(count: int) -> list[dict[str, Any]]:
    return [{"key": f"a{n}", "when": [{"risk_factor": "no_streak"}]} for n in range(count)]


_REFUSED: dict[str, tuple[str, Edit]] = {
    "other-format": (
        "a version that this page does not fix",
        lambda d: d.update(format="coach-edge/rules/2"),
    ),
    "no-actions": ("the list of actions is missing", lambda d: d.pop("actions")),
    "unknown-operator": ("only < <= > >= exist", lambda d: _condition(d, op="==")),
    "unknown-kind": ("only output, contribution, feature exist", lambda d: _condition(d, value="user:age")),
    "unknown-feature": ("the model has no such feature", lambda d: _condition(d, value="feature:mood")),
    "unknown-output": ("the model has no such output", lambda d: _condition(d, value="output:churn")),
    "no-kind": ("a value is kind:name", lambda d: _condition(d, value="completion_rate")),
    "text-bound": ("a bound is a number", lambda d: _condition(d, than="0.5")),
    "extra-field-in-condition": ("an unknown field changes the sense", lambda d: _condition(d, unless=True)),
    "extra-field-in-rule": (
        "an unknown field changes the sense",
        lambda d: d["actions"][0].update(unless=[]),
    ),
    "no-condition": (
        "a rule without condition would always apply",
        lambda d: d["actions"][0].update(when=[]),
    ),
    "too-many-conditions": (
        f"more than {MAX_CONDITIONS} conditions",
        lambda d: d["actions"][0].update(when=d["actions"][0]["when"] * (MAX_CONDITIONS + 1)),
    ),
    "too-many-rules": (
        f"more than {MAX_RULES} rules",
        lambda d: d.update(actions=_many(MAX_RULES - 1)),
    ),
    "bad-key": (
        "a key is a-z, 0-9 and _, starting with a letter",
        lambda d: d["actions"][0].update(key="Call now"),
    ),
    "same-risk-factor-twice": (
        "a key stands for one rule",
        lambda d: d["risk_factors"][1].update(key="low_completion"),
    ),
    "same-action-twice": (
        "a key stands for one rule",
        lambda d: d["actions"][1].update(key="schedule_check_in"),
    ),
    "unknown-risk-factor": (
        "an action names a risk factor that is not listed",
        lambda d: d["actions"][2]["when"].append({"risk_factor": "sleepy"}),
    ),
    "risk-factor-on-risk-factor": (
        "only actions name risk factors",
        lambda d: d["risk_factors"][1]["when"].append({"risk_factor": "low_completion"}),
    ),
}


def vectors() -> Iterator[Vector]:
    """All vectors of the page."""
    rules = Rules.from_json(RULES)
    for name, (probability, confidence, contribution, completion, streak) in _CASES.items():
        values = {
            "outputs": {"probability": probability, "confidence": confidence},
            "contributions": {"completion_rate": contribution, "streak_length": 0.0},
            "features": {"completion_rate": completion, "streak_length": streak},
        }
        advice = rules.evaluate(**values)
        yield Vector(
            PAGE,
            "rules",
            name,
            "risk factors and actions in listed order",
            {"rules": RULES, **values},
            {"risk_factors": list(advice.risk_factors), "actions": list(advice.actions)},
        )
    zero = {
        "outputs": dict.fromkeys(OUTPUTS, 0.0),
        **dict.fromkeys(("contributions", "features"), dict.fromkeys(FEATURES, 0.0)),
    }
    conditions = _many(1)[0]["when"] * MAX_CONDITIONS
    for name, why, change in (
        (
            "unknown-field-at-the-top",
            "beside the two lists, unknown fields are ignored",
            {"comment": "from a later version"},
        ),
        ("most-rules", f"{MAX_RULES} rules", {"actions": _many(MAX_RULES - 2)}),
        (
            "most-conditions",
            f"{MAX_CONDITIONS} conditions",
            {"actions": [{"key": "patient", "when": conditions}]},
        ),
    ):
        document = {**RULES, **change}
        advice = Rules.from_json(document).evaluate(**zero)
        yield Vector(
            PAGE,
            "rules",
            name,
            why,
            {"rules": document, **zero},
            {"risk_factors": list(advice.risk_factors), "actions": list(advice.actions)},
        )
    for name, (why, edit) in _REFUSED.items():
        document = copy.deepcopy(RULES)
        edit(document)
        yield Vector(PAGE, "rules", name, why, {"rules": document, **zero}, reason="format")
