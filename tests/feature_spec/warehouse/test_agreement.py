"""The compiled expressions against the reference, on day inputs: every feature, every operator, every vector."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from feature_spec import PREBUILT
from feature_spec.definition import Feature, FeatureSpec
from feature_spec.numpy_evaluator import evaluate as reference
from feature_spec.operators import ELEMENTWISE as ELEMENTWISE_NAMES
from feature_spec.operators import REDUCTIONS
from feature_spec.registry import REGISTRY
from feature_spec.vector_cases import ACCEPTED
from feature_spec.vectors import apply
from feature_spec.warehouse import reductions
from feature_spec.warehouse.compiler import Compiler
from feature_spec.warehouse.duckdb_engine import DuckDB
from feature_spec.warehouse.operators import ELEMENTWISE, Column, number
from feature_spec.warehouse.tensors import evaluate
from tests.feature_spec.inputs import Cells, random_input
from tests.feature_spec.warehouse.random_specs import random_spec

pytestmark = pytest.mark.sampled

TOLERANCE = 1e-6


def worst(expected: Cells, found: Cells) -> float:
    """The largest difference, absolute or relative, whichever is smaller."""
    assert expected.shape == found.shape
    assert expected.size
    assert np.isfinite(found).all()
    wide = expected.astype(np.float64)
    return float((np.abs(wide - found) / np.maximum(1, np.abs(wide))).max())


@pytest.fixture(scope="module")
def engine() -> Iterator[DuckDB]:
    with DuckDB(threads=2) as opened:
        yield opened


def test_ten_thousand_users(engine: DuckDB) -> None:
    daily, context = random_input(11, 10_000)
    expected = reference(PREBUILT, daily, context)
    assert worst(expected, evaluate(PREBUILT, daily, context, engine)) <= TOLERANCE
    assert len(np.unique(expected, axis=0)) > 9_000, "users that differ"


def test_every_feature_of_the_registry(engine: DuckDB) -> None:
    spec = FeatureSpec(tuple(item for _, item in REGISTRY if isinstance(item, Feature)))
    assert len(spec.features) > 30
    daily, context = random_input(16, 10_000)
    assert worst(reference(spec, daily, context), evaluate(spec, daily, context, engine)) <= TOLERANCE


def test_every_vector(engine: DuckDB) -> None:
    inputs = [apply(case.document()) for case in ACCEPTED]
    daily, context = np.stack([one.daily for one in inputs]), np.stack([one.context for one in inputs])
    assert worst(reference(PREBUILT, daily, context), evaluate(PREBUILT, daily, context, engine)) <= TOLERANCE


def test_users_without_any_event(engine: DuckDB) -> None:
    _, context = random_input(12, 50)
    daily = np.zeros((50, 90, 8, 3), np.float32)
    assert worst(reference(PREBUILT, daily, context), evaluate(PREBUILT, daily, context, engine)) <= TOLERANCE


def test_users_with_events_on_every_day(engine: DuckDB) -> None:
    _, context = random_input(13, 50)
    daily = np.ones((50, 90, 8, 3), np.float32)
    context[:, 0] = 90
    assert worst(reference(PREBUILT, daily, context), evaluate(PREBUILT, daily, context, engine)) <= TOLERANCE


@pytest.mark.parametrize("seed", range(12))
def test_random_expressions(engine: DuckDB, seed: int) -> None:
    spec = random_spec(seed)
    daily, context = random_input(seed, 40)
    assert worst(reference(spec, daily, context), evaluate(spec, daily, context, engine)) <= TOLERANCE


def test_random_expressions_reach_everything() -> None:
    ways, names = set(), set()
    for seed in range(12):
        compiler = Compiler(random_spec(seed).program)
        steps = compiler.program.steps
        names |= {step.op for step in steps}
        ways |= {reductions.how(step, compiler.facts) for step in steps if step.op in REDUCTIONS}
    assert ways == {reductions.SPARSE, reductions.CALENDAR, reductions.DENSE}
    assert names >= ELEMENTWISE_NAMES.keys() | REDUCTIONS
    assert ELEMENTWISE.keys() == ELEMENTWISE_NAMES.keys()


_WRONG: dict[str, Callable[..., Column]] = {
    "div": lambda a, b: a / b.nullif(number(0)) + number(1e-5),
    "less": lambda a, b: (a <= b).cast("float64"),
    "log1p": lambda x: ELEMENTWISE["log1p"](x * number(1.01)),
    "min": ELEMENTWISE["max"],
    "where": lambda c, a, b: ELEMENTWISE["where"](c, b, a),
}


@pytest.mark.parametrize("name", sorted(_WRONG))
def test_a_wrong_rule_is_caught(engine: DuckDB, name: str) -> None:
    daily, context = random_input(14, 200)
    found = evaluate(PREBUILT, daily, context, engine, elementwise=ELEMENTWISE | {name: _WRONG[name]})
    expected = reference(PREBUILT, daily, context)
    differ = np.abs(expected - np.nan_to_num(found, nan=9e9)).max()
    assert differ > 100 * TOLERANCE


def test_one_definition_is_read(engine: DuckDB) -> None:
    """The control of all of the above: another definition gives other numbers, so it is the definition that counts."""
    daily, context = random_input(15, 50)
    reordered = FeatureSpec(PREBUILT.features[::-1])
    found = evaluate(reordered, daily, context, engine)
    assert worst(reference(PREBUILT, daily, context)[:, ::-1], found) <= TOLERANCE
