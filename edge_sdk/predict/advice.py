"""The record's rules, laid out for speed: same answers as ``Rules.evaluate``, in a tenth of the time.

Every condition becomes one question, whether a value is at most a bound, and the answer it wants. For finite numbers
``x < c`` is the same question as ``x <= (the next double below c)``, and ``x > c`` is the opposite of ``x <= c``;
predictions with other numbers are refused before they come here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_sdk.contract.rules import Condition, Rule, Rules

_Question = tuple[int, float, bool]  # position of the value; bound; whether the value must be at most that
_ALWAYS: _Question = (0, math.inf, True)


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

        def question(condition: Condition) -> _Question:
            at, than = places[condition.kind, condition.name], condition.than
            match condition.op:
                case "<":
                    return at, math.nextafter(than, -math.inf), True
                case "<=":
                    return at, than, True
                case ">":
                    return at, than, False
                case ">=":
                    return at, math.nextafter(than, -math.inf), False
                case other:
                    raise AssertionError(f"the contract knows no comparison {other!r}")

        def laid(rule: Rule) -> tuple[int, float, bool, tuple[_Question, ...]]:
            # The first question apart: most rules end there.
            first, *more = [question(condition) for condition in rule.when] or [_ALWAYS]
            return *first, tuple(more)

        bits = {rule.key: 1 << at for at, rule in enumerate(rules.risk_factors)}
        self._factors = tuple((rule.key, bits[rule.key], *laid(rule)) for rule in rules.risk_factors)
        self._actions = tuple(
            (rule.key, sum(bits[key] for key in {*rule.risk_factors}), *laid(rule)) for rule in rules.actions
        )

    def advise(self, values: Sequence[float]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Keys of the risk factors and of the actions that apply, in the rules' order."""
        # Comparisons that a branch follows at once are what Python runs fastest; hence the nested ifs.
        factors, present = [], 0
        for key, bit, at, bound, below, more in self._factors:
            if values[at] <= bound:
                if not below:
                    continue
            elif below:
                continue
            for at, bound, below in more:
                if (values[at] <= bound) is not below:
                    break
            else:
                factors.append(key)
                present |= bit
        actions = []
        for key, needed, at, bound, below, more in self._actions:
            if values[at] <= bound:
                if not below:
                    continue
            elif below:
                continue
            if needed & present != needed:
                continue
            for at, bound, below in more:
                if (values[at] <= bound) is not below:
                    break
            else:
                actions.append(key)
        return tuple(factors), tuple(actions)

    def advise_rows(
        self, values: NDArray[np.float64]
    ) -> tuple[dict[str, NDArray[np.bool_]], dict[str, NDArray[np.bool_]]]:
        """The same for many rows: float64 [rows][values] -> for each key bool [rows]."""

        def holds(*questions: _Question) -> NDArray[np.bool_]:
            truth: NDArray[Any] = np.ones(len(values), np.bool_)
            for at, bound, below in questions:
                truth &= (values[:, at] <= bound) == below
            return truth

        factors, present = {}, {}
        for key, bit, at, bound, below, more in self._factors:
            factors[key] = present[bit] = holds((at, bound, below), *more)
        actions = {}
        for key, needed, at, bound, below, more in self._actions:
            truth = holds((at, bound, below), *more)
            for bit, has in present.items():
                if needed & bit:
                    truth &= has
            actions[key] = truth
        return factors, actions
