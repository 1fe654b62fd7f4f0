"""Formulas for reading: broken over lines, needless parentheses gone, nothing else."""

from __future__ import annotations

import pytest

from feature_spec.catalogue.formula import broken
from feature_spec.registry import REGISTRY

A, B, C = "a" * 30, "b" * 30, "c" * 30


@pytest.mark.parametrize(
    ("formula", "shown"),
    [
        ("a", "a"),
        ("(1 - a)", "1 - a"),
        ("windowed_sum(7; count[session])", "windowed_sum(7; count[session])"),
        ("((a + b) + c)", "a + b + c"),
        ("((a - b) + c)", "a - b + c"),
        ("(a - (b + c))", "a - (b + c)"),
        ("((a * b) / c)", "a * b / c"),
        ("((a + b) * c)", "(a + b) * c"),
        ("((a * b) + c)", "(a * b) + c"),
        ("((a < b) + c)", "(a < b) + c"),
        ("(((a + b) + c) * -0.5)", "(a + b + c) * -0.5"),
        (f"(({A} + {B}) + {C})", f"{A} +\n{B} +\n{C}"),
        (
            f"ratio({A}, sum_days(({B} * {C * 2})))",
            f"ratio(\n  {A},\n  sum_days(\n    (\n      {B} *\n      {C * 2}\n    )\n  )\n)",
        ),
        (f"ratio({A}, bucketize([1, 2, 3]; {B}))", f"ratio(\n  {A},\n  bucketize([1, 2, 3]; {B})\n)"),
        (f"(less({A}, 1) * less(2, {B}))", f"less({A}, 1) *\nless(2, {B})"),
    ],
)
def test_formula(formula: str, shown: str) -> None:
    assert broken(formula) == shown


@pytest.mark.parametrize("feature", REGISTRY.computed.features, ids=REGISTRY.computed.names)
def test_only_parentheses_go(feature: object) -> None:
    formula = str(feature.expression)  # type: ignore[attr-defined]

    def bare(text: str) -> str:
        return "".join(letter for letter in text if not letter.isspace() and letter not in "()")

    assert bare(broken(formula)) == bare(formula)
    assert broken(formula).count("(") == broken(formula).count(")")
