"""Random expressions over every operator of the language, well-typed by construction."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from feature_spec import operators
from feature_spec.definition import Feature, FeatureSpec
from feature_spec.errors import DefinitionError
from feature_spec.expression import Expression, day, less
from feature_spec.operators import DAYS, OPERATORS, SCALAR
from feature_spec.units import ONE, UNITS
from feature_spec.vocabulary import CHANNELS, CONTEXT, EVENT_TYPES

# Not tiny: quotients of tiny numbers leave the range of doubles.
NUMBERS = st.floats(-1000, 1000).map(lambda x: round(x, 2) + 0.0)

PARAMETERS: dict[str, st.SearchStrategy[Any]] = {
    operators.NUMBER: NUMBERS,
    operators.HALF_LIFE: st.floats(20, 100),
    operators.WINDOW: st.integers(1, 90),
    operators.SHARE: st.floats(0, 1).map(lambda share: round(share, 4)),
    operators.BOUNDS: st.sets(NUMBERS, min_size=1, max_size=4).map(lambda bounds: tuple(sorted(bounds))),
    operators.ENTRY: st.sampled_from(CONTEXT),
}

WEIGHT = st.integers(-5, 5).map(float)
DAILY = st.builds(
    lambda channel, weights: Expression("daily", value=(channel, *weights.items())),
    st.sampled_from([name for name in CHANNELS if name != "sum"]),
    st.dictionaries(st.sampled_from(EVENT_TYPES), WEIGHT, min_size=1, max_size=3),
) | st.builds(  # sums of several types would have several units
    lambda name, weight: Expression("daily", value=("sum", (name, weight))),
    st.sampled_from(EVENT_TYPES),
    WEIGHT,
)


def parameters(op: str) -> st.SearchStrategy[tuple[Any, ...]]:
    """Parameters that ``op`` accepts."""
    if op == "clip":
        return st.tuples(NUMBERS, st.floats(0.5, 50)).map(lambda pair: (pair[0], pair[0] + pair[1]))
    return st.tuples(*[PARAMETERS[kind] for kind in OPERATORS[op].parameters])


def of_kind(kind: str, tree: Expression) -> Expression:
    """``tree``, made of ``kind`` if it is of the other."""
    if kind == operators.ANY or tree.kind == kind:
        return tree
    if kind == DAYS:
        return Expression("mul", (tree, less(-1, day())))
    return Expression("sum_days", (tree,))


def in_units(op: str, args: tuple[Expression, ...], value: tuple[Any, ...]) -> Expression:
    """``op`` over ``args``, which lose their units where these do not fit together."""
    try:
        return Expression(op, args, value)
    except DefinitionError:
        return Expression(op, tuple(Expression("log1p", (arg,)) for arg in args), value)


def spec_of(tree: Expression) -> FeatureSpec:
    """A spec with one feature: ``tree``, summed if of kind days; its logarithm if its unit has no name."""
    text, scalar = named(of_kind(SCALAR, tree))
    return FeatureSpec((Feature("f", 1, text, -1e9, 1e9, 0, "meaning", "source", scalar),))


def named(tree: Expression) -> tuple[str, Expression]:
    """A text for the unit of ``tree``, and ``tree``, or its logarithm where the unit has no text."""
    names = [name for name, unit in UNITS.items() if unit == (tree.unit or ONE)]
    return (names[0], tree) if names else named(Expression("log1p", (tree,)))


def _leaves() -> st.SearchStrategy[Expression]:
    leaf = [
        parameters(op).map(lambda value, op=op: Expression(op, value=value))
        for op, row in OPERATORS.items()
        if not row.arguments and op != "daily"
    ]
    return st.one_of(DAILY, *leaf)


def _grow(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    def node(op: str) -> st.SearchStrategy[Expression]:
        args = st.tuples(
            *[inner.map(lambda tree, kind=kind: of_kind(kind, tree)) for kind in OPERATORS[op].arguments]
        )
        return st.builds(lambda args, value: in_units(op, args, value), args, parameters(op))

    return st.sampled_from(sorted(op for op, row in OPERATORS.items() if row.arguments)).flatmap(node)


def trees() -> st.SearchStrategy[Expression]:
    """Expressions of either kind, of a dozen leaves at most."""
    return st.recursive(_leaves(), _grow, max_leaves=12)
