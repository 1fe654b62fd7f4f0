"""The measures of loss, and that they can find some."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantization.errors import LossError, RecipeError
from quantization.loss import Loss, Run, area_under_curve, measure
from quantization.recipes import RECIPES, Recipe, recipe_named


def giving(values: Any) -> Run:
    def run(inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        return {"probability": np.asarray(values)}

    return run


ROWS = {"x": np.zeros((4, 1), np.float32)}


def test_equal_models_lose_nothing() -> None:
    same = giving([[0.1], [0.5], [0.6], [0.9]])
    loss = measure(same, same, ROWS, labels=np.array([0, 0, 1, 1]))
    assert loss == Loss(n=4, agreement=1.0, max_abs=0.0, p99_abs=0.0, reference_auc=1.0, auc=1.0)
    assert loss.auc_loss == 0


def test_differences_are_found() -> None:
    before, after = giving([0.1, 0.5, 0.6, 0.9]), giving([0.1, 0.49, 0.6, 0.2])
    loss = measure(before, after, ROWS, labels=np.array([0, 0, 1, 1]))
    assert (loss.n, loss.agreement) == (4, 0.5)  # 0.5 is a yes, 0.49 a no
    assert loss.max_abs == pytest.approx(0.7)
    assert 0.6 < loss.p99_abs < 0.7
    assert (loss.reference_auc, loss.auc, loss.auc_loss) == (1.0, 0.75, 0.25)
    assert measure(before, after, ROWS).auc_loss is None


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=30).filter(
        lambda pairs: len({label for label, _ in pairs}) == 2
    )
)
def test_area_counts_the_pairs_in_order(pairs: list[tuple[bool, int]]) -> None:
    yes = [score for label, score in pairs if label]
    no = [score for label, score in pairs if not label]
    won = sum((a > b) + 0.5 * (a == b) for a in yes for b in no)
    labels, scores = (np.array(column) for column in zip(*pairs, strict=True))
    assert area_under_curve(labels, scores) == pytest.approx(won / (len(yes) * len(no)))


GOOD = giving([0.1, 0.5, 0.6, 0.9])
BAD: dict[str, tuple[Run, Any, str, str]] = {
    "no rows": (giving(np.empty((0, 1))), None, "probability", "no rows"),
    "no such output": (GOOD, None, "score", "no output 'score'; it has probability"),
    "another length": (giving([0.1, 0.2]), None, "probability", "must be paired"),
    "two numbers a row": (giving(np.zeros((4, 2))), None, "probability", "one number a row"),
    "not finite": (giving([0.1, 0.2, np.nan, 0.4]), None, "probability", "not finite in row 2"),
    "labels of one class": (GOOD, [1, 1, 1, 1], "probability", "one class"),
    "labels of another length": (GOOD, [0, 1], "probability", "one for each of the 4 rows"),
    "labels of other values": (GOOD, [0, 1, 2, 1], "probability", "0 or 1"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_measured_is_refused(case: str) -> None:
    candidate, labels, output, message = BAD[case]
    with pytest.raises(LossError, match=message):
        measure(GOOD, candidate, ROWS, labels=None if labels is None else np.array(labels), output=output)
    if case == "no rows":
        with pytest.raises(LossError, match=message):
            measure(candidate, candidate, ROWS)


def test_recipes_are_known_by_name() -> None:
    assert {name: recipe_named(name).changes_weights for name in RECIPES} == {
        "fp32": False,
        "weight-int8": True,
    }
    with pytest.raises(RecipeError, match="unknown recipe 'int8'; known: fp32, weight-int8"):
        recipe_named("int8")


@pytest.mark.parametrize(
    ("operators", "bits"),
    [(frozenset(), 8), (frozenset({"FULLY_CONNECTED"}), 32), (frozenset({"FULLY_CONNECTED"}), 5)],
)
def test_contradictory_recipes_cannot_be_made(operators: frozenset[str], bits: int) -> None:
    with pytest.raises(RecipeError):
        Recipe("x", "y", operators, bits)
