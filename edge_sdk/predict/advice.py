"""The record's rules, laid out for speed: same answers as ``Rules.evaluate``, in a tenth of the time.

Every condition becomes an interval of doubles. For finite numbers ``x < c`` is the same question as
``x <= (the next double below c)``; predictions with other numbers are refused before they come here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_sdk.contract.rules import Condition, Rule, Rules

_Interval = tuple[int, float, float]  # position of the value, lowest, highest
_Laid = tuple[str, tuple[_Interval, ...]]


class Advisor:
    """Applies rules to values in a fixed order: outputs, then contributions, then features.

    Args:
        rules: what to apply.
        outputs, features: names in the order in which the values will come.
        contributions: whether one contribution for each feature comes between them.
    """

    def __init__(
        self, rules: Rules, outputs: Sequence[str], features: Sequence[str], *, contributions: bool
    ) -> None:
        places = {("output", name): at for at, name in enumerate(outputs)}
        kinds = ("contribution", "feature") if contributions else ("feature",)
        for kind in kinds:
            start = len(places)
            places.update({(kind, name): start + at for at, name in enumerate(features)})

        def interval(condition: Condition) -> _Interval:
            low, high = -math.inf, math.inf
            match condition.op:
                case "<":
                    high = math.nextafter(condition.than, -math.inf)
                case "<=":
                    high = condition.than
                case ">":
                    low = math.nextafter(condition.than, math.inf)
                case ">=":
                    low = condition.than
                case other:
                    raise AssertionError(f"the contract knows no comparison {other!r}")
            return places[condition.kind, condition.name], low, high

        def laid(rule: Rule) -> _Laid:
            return rule.key, tuple(interval(condition) for condition in rule.when)

        self._factors = tuple(laid(rule) for rule in rules.risk_factors)
        self._actions = tuple((*laid(rule), rule.risk_factors) for rule in rules.actions)

    def advise(self, values: Sequence[float]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Keys of the risk factors and of the actions that apply, in the rules' order."""
        factors = []
        for key, intervals in self._factors:
            for at, low, high in intervals:
                if not low <= values[at] <= high:
                    break
            else:
                factors.append(key)
        actions = []
        for key, intervals, needed in self._actions:
            for factor in needed:
                if factor not in factors:
                    break
            else:
                for at, low, high in intervals:
                    if not low <= values[at] <= high:
                        break
                else:
                    actions.append(key)
        return tuple(factors), tuple(actions)

    def advise_rows(
        self, values: NDArray[np.float64]
    ) -> tuple[dict[str, NDArray[np.bool_]], dict[str, NDArray[np.bool_]]]:
        """The same for many rows: float64 [rows][values] -> for each key bool [rows]."""

        def holds(intervals: tuple[_Interval, ...]) -> NDArray[np.bool_]:
            truth: NDArray[Any] = np.ones(len(values), np.bool_)
            for at, low, high in intervals:
                truth &= (low <= values[:, at]) & (values[:, at] <= high)
            return truth

        factors = {key: holds(intervals) for key, intervals in self._factors}
        actions = {}
        for key, intervals, needed in self._actions:
            truth = holds(intervals)
            for factor in needed:
                truth &= factors[factor]
            actions[key] = truth
        return factors, actions
