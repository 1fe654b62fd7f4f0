"""Random expressions over every core operator: nobody would write them, and every evaluator must agree on them."""

from __future__ import annotations

import numpy as np

from feature_spec.definition import Feature, FeatureSpec
from feature_spec.expression import Expression
from feature_spec.operators import ANY, DAYS, ELEMENTWISE, OPERATORS, REDUCTIONS, SCALAR
from feature_spec.vocabulary import CHANNELS, CONTEXT, EVENT_TYPES
from tests.feature_spec.trees import in_units, named

_WIDE = 1e6


def random_spec(seed: int, features: int = 6, depth: int = 5) -> FeatureSpec:
    """Features whose expressions nobody chose."""
    random = np.random.default_rng(seed)
    return FeatureSpec(
        tuple(
            Feature(
                name=f"random_{i}",
                version=1,
                unit=text,
                low=-_WIDE,
                high=_WIDE,
                missing=0,
                meaning="none",
                source="none",
                expression=expression,
            )
            for i in range(features)
            for text, expression in (named(_tree(random, SCALAR, depth)),)
        )
    )


def _tree(random: np.random.Generator, kind: str, depth: int) -> Expression:
    if depth == 0 or random.random() < 0.1:
        return _leaf(random, kind)
    if kind == SCALAR and random.random() < 0.6:
        op = str(random.choice(sorted(REDUCTIONS)))
        share = (float(random.random()),) if OPERATORS[op].parameters else ()
        return Expression(op, tuple(_tree(random, DAYS, depth - 1) for _ in OPERATORS[op].arguments), share)
    op = str(random.choice(sorted(ELEMENTWISE)))
    count = OPERATORS[op].arguments.count(ANY)
    kinds = [kind if random.random() < 0.6 else SCALAR for _ in range(count)]
    kinds[random.integers(count)] = kind
    return in_units(op, tuple(_tree(random, part, depth - 1) for part in kinds), ())


def _leaf(random: np.random.Generator, kind: str) -> Expression:
    which = random.random()
    if kind == SCALAR:
        constant = Expression("const", value=(float(random.integers(-2, 40)),))
        return constant if which < 0.4 else Expression("context", value=(str(random.choice(CONTEXT)),))
    if which < 0.2:
        return Expression("day")
    if which < 0.35:
        return Expression("decay", value=(float(random.integers(1, 30)),))
    channel = str(random.choice(CHANNELS))
    # Sums of several types would have several units.
    types = random.choice(EVENT_TYPES, 1 if channel == "sum" else random.integers(1, 4), replace=False)
    weights = tuple((str(name), float(random.integers(-1, 4))) for name in types)
    return Expression("daily", value=(channel, *weights))
