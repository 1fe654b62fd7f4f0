"""Rules laid out for speed answer as the interpreter in the contract does."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.contract.rules import Condition, Rule, Rules
from edge_sdk.predict.advice import Advisor

OUTPUTS = ("probability", "confidence")
FEATURES = ("streak", "trend", "rate")
NAMES = {"output": OUTPUTS, "contribution": FEATURES, "feature": FEATURES}

# Few distinct numbers, so that equality with a bound is common; signed zeros and neighbours are the edges.
numbers = st.sampled_from(
    [
        0.0,
        -0.0,
        0.5,
        math.nextafter(0.5, 1),
        math.nextafter(0.5, 0),
        5e-324,
        -5e-324,
        1e308,
        -1e308,
        0.1,
        -1.0,
    ]
)
conditions = st.sampled_from(sorted(NAMES)).flatmap(
    lambda kind: st.builds(
        Condition,
        kind=st.just(kind),
        name=st.sampled_from(NAMES[kind]),
        op=st.sampled_from(["<", "<=", ">", ">="]),
        than=numbers,
    )
)
when = st.lists(conditions, min_size=1, max_size=3).map(tuple)


@st.composite
def rule_sets(draw: st.DrawFn) -> Rules:
    factors = tuple(Rule(f"factor_{at}", draw(when)) for at in range(draw(st.integers(0, 4))))
    keys = [rule.key for rule in factors]
    actions = tuple(
        Rule(
            f"action_{at}",
            draw(when),
            tuple(draw(st.lists(st.sampled_from(keys), max_size=2, unique=True))) if keys else (),
        )
        for at in range(draw(st.integers(0, 4)))
    )
    return Rules(factors, actions)


values = st.lists(numbers, min_size=8, max_size=8)


@given(rule_sets(), st.lists(values, min_size=1, max_size=4))
def test_agrees_with_the_interpreter(rules: Rules, rows: list[list[float]]) -> None:
    advisor = Advisor(rules, OUTPUTS, FEATURES, contributions=True)
    factor_columns, action_columns = advisor.advise_rows(np.array(rows, np.float64))
    for at, row in enumerate(rows):
        expected = rules.evaluate(
            dict(zip(OUTPUTS, row[:2], strict=True)),
            dict(zip(FEATURES, row[2:5], strict=True)),
            dict(zip(FEATURES, row[5:], strict=True)),
        )
        assert advisor.advise(row) == (expected.risk_factors, expected.actions)
        assert tuple(key for key, column in factor_columns.items() if column[at]) == expected.risk_factors
        assert tuple(key for key, column in action_columns.items() if column[at]) == expected.actions


def test_without_contributions_features_follow_the_outputs() -> None:
    rules = Rules((Rule("low_rate", (Condition("feature", "rate", "<", 0.5),)),))
    advisor = Advisor(rules, OUTPUTS, FEATURES, contributions=False)
    assert advisor.advise([9, 9, 9, 9, 0.4]) == (("low_rate",), ())
    assert advisor.advise([0, 0, 0, 0, 0.5]) == ((), ())
