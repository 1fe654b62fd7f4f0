"""Random expressions over every operator of the language, well-typed by construction."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from feature_spec import operators
from feature_spec.expression import Expression, const, day
from feature_spec.operators import DAYS, OPERATORS
from feature_spec.vocabulary import CHANNELS, CONTEXT, EVENT_TYPES

# Not tiny: quotients of tiny numbers leave the range of doubles.
NUMBERS = st.floats(-1000, 1000).map(lambda x: round(x, 2) + 0.0)

PARAMETERS: dict[str, st.SearchStrategy[Any]] = {
    operators.NUMBER: NUMBERS,
    operators.HALF_LIFE: st.floats(20, 100),
    operators.WINDOW: st.integers(1, 90),
    operators.SHARE: st.floats(0, 1),
    operators.BOUNDS: st.sets(NUMBERS, min_size=1, max_size=4).map(lambda bounds: tuple(sorted(bounds))),
    operators.ENTRY: st.sampled_from(CONTEXT),
}

DAILY = st.builds(
    lambda channel, weights: Expression("daily", value=(channel, *weights.items())),
    st.sampled_from(CHANNELS),
    st.dictionaries(st.sampled_from(EVENT_TYPES), st.integers(-5, 5).map(float), min_size=1, max_size=3),
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
        return Expression("add", (tree, Expression("mul", (day(), const(0)))))
    return Expression("sum_days", (tree,))


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
        return st.builds(lambda args, value: Expression(op, args, value), args, parameters(op))

    return st.sampled_from(sorted(op for op, row in OPERATORS.items() if row.arguments)).flatmap(node)


def trees() -> st.SearchStrategy[Expression]:
    """Expressions of either kind, of a dozen leaves at most."""
    return st.recursive(_leaves(), _grow, max_leaves=12)
